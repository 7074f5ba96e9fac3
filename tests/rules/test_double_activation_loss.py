"""Losses and models met in the wild: wrappers, frameworks, containers, factories, switches."""

from __future__ import annotations

from pathlib import Path

import pytest
from mldebt_rules.plain_data.double_activation_loss import DoubleActivationLoss

from mldebt.registry import Registry
from mldebt.testing import run, write

NET = """
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self, act=True):
        super().__init__()
        self.fc = nn.Linear(8, 3)
        self.act = nn.Softmax(dim=1)

    def forward(self, x):
        return self.act(self.fc(x))
"""

# What it is: the findings wanted, and the files.
CASES: dict[str, tuple[int, dict[str, str]]] = {
    "ddp+accelerate": (
        1,
        {
            "net.py": NET,
            "t.py": """
from net import Net
import torch.nn as nn
from torch.nn.parallel import DistributedDataParallel as DDP
from accelerate import Accelerator


def main(loader, opt):
    acc = Accelerator()
    model = DDP(Net().cuda(), device_ids=[0])
    model, opt, loader = acc.prepare(model, opt, loader)
    crit = nn.CrossEntropyLoss().cuda()
    for x, y in loader:
        loss = crit(model(x), y)
""",
        },
    ),
    "lightning self(x)": (
        1,
        {
            "net.py": NET,
            "l.py": """
import pytorch_lightning as pl
import torch.nn as nn
from net import Net


class Lit(pl.LightningModule):
    def __init__(self, lr=1e-3):
        super().__init__()
        self.model = Net()
        self.loss_fn = nn.CrossEntropyLoss()

    def forward(self, x):
        return self.model(x)

    def _step(self, batch):
        x, y = batch
        preds = self(x)
        return self.loss_fn(preds, y), preds

    def training_step(self, batch, i):
        loss, _ = self._step(batch)
        return loss
""",
        },
    ),
    "dict of losses": (
        1,
        {
            "net.py": NET,
            "t.py": """
from net import Net
import torch.nn as nn


class T:
    def __init__(self):
        self.losses = {"cls": nn.CrossEntropyLoss(), "box": nn.MSELoss()}
        self.net = Net()

    def step(self, x, y):
        return self.losses["cls"](self.net(x), y)
""",
        },
    ),
    "moduledict": (
        1,
        {
            "net.py": NET,
            "t.py": """
from net import Net
import torch.nn as nn


class T(nn.Module):
    def __init__(self):
        super().__init__()
        self.losses = nn.ModuleDict({"cls": nn.CrossEntropyLoss()})
        self.net = Net()

    def step(self, x, y):
        return self.losses["cls"](self.net(x), y)
""",
        },
    ),
    "focal wrapper module": (
        1,
        {
            "net.py": NET,
            "loss.py": """
import torch.nn as nn, torch, torch.nn.functional as F


class FocalLoss(nn.Module):
    def __init__(self, gamma=2):
        super().__init__()
        self.gamma = gamma

    def forward(self, inputs, targets):
        ce = F.cross_entropy(inputs, targets, reduction="none")
        p = torch.exp(-ce)
        return ((1 - p) ** self.gamma * ce).mean()
""",
            "t.py": """
from net import Net
from loss import FocalLoss


def train(loader):
    net = Net()
    crit = FocalLoss()
    for x, y in loader:
        crit(net(x), y).backward()
""",
        },
    ),
    "function loss wrapper": (
        1,
        {
            "net.py": NET,
            "loss.py": """
import torch.nn.functional as F


def total_loss(logits, y, w=1.0):
    return w * F.cross_entropy(logits, y)
""",
            "t.py": """
from net import Net
from loss import total_loss


def train(x, y):
    net = Net()
    out = net(x)
    return total_loss(out, y)
""",
        },
    ),
    "partial": (
        1,
        {
            "net.py": NET,
            "t.py": """
from functools import partial
import torch.nn.functional as F
from net import Net


def train(x, y):
    crit = partial(F.cross_entropy, label_smoothing=0.1)
    return crit(Net()(x), y)
""",
        },
    ),
    "sequential subclass + ordereddict": (
        1,
        {
            "train.py": """
import torch.nn as nn
from collections import OrderedDict


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(OrderedDict([("fc", nn.Linear(3, 1)), ("act", nn.Sigmoid())]))


def f(x, y):
    return nn.BCEWithLogitsLoss()(Net()(x), y)
""",
        },
    ),
    "activation switched off by a default": (
        0,
        {
            "train.py": """
import torch.nn as nn, torch.nn.functional as F


class Net(nn.Module):
    def __init__(self, probs=False):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.probs = probs

    def forward(self, x):
        x = self.fc(x)
        if self.probs:
            x = F.softmax(x, 1)
        return x


def f(x, y):
    return F.cross_entropy(Net()(x), y)
""",
        },
    ),
    "activation switched on by a caller": (
        1,
        {
            "train.py": """
import torch.nn as nn, torch.nn.functional as F


class Net(nn.Module):
    def __init__(self, probs=False):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.probs = probs

    def forward(self, x):
        x = self.fc(x)
        if self.probs:
            x = F.softmax(x, 1)
        return x


def f(x, y):
    return F.cross_entropy(Net(probs=True)(x), y)
""",
        },
    ),
    "bce on raw": (
        1,
        {
            "train.py": """
import torch.nn as nn, torch


class D(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 3), nn.LeakyReLU(0.2), nn.Linear(3, 1))

    def forward(self, x):
        return self.net(x).view(-1)


def f(x, y):
    d = D()
    bce = nn.BCELoss()
    return bce(d(x), y)
""",
        },
    ),
    "bce ok": (
        0,
        {
            "train.py": """
import torch.nn as nn, torch


class D(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 3), nn.LeakyReLU(0.2), nn.Linear(3, 1))

    def forward(self, x):
        return self.net(x).view(-1)


def f(x, y):
    d = D()
    bce = nn.BCELoss()
    return bce(torch.sigmoid(d(x)), y)
""",
        },
    ),
    "keras functional wrong": (
        1,
        {
            "train.py": """
from tensorflow.keras import Input, Model, layers


def build():
    i = Input((3,))
    x = layers.Dense(3, activation="relu")(i)
    o = layers.Dense(5)(x)
    return Model(inputs=i, outputs=o)


def main():
    m = build()
    m.compile("adam", loss="sparse_categorical_crossentropy")
""",
        },
    ),
    "keras custom loop": (
        1,
        {
            "train.py": """
import tensorflow as tf

loss_object = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class M(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.d = tf.keras.layers.Dense(10, activation="softmax")

    def call(self, x, training=False):
        return self.d(x)


model = M()


@tf.function
def train_step(images, labels):
    with tf.GradientTape() as tape:
        predictions = model(images, training=True)
        loss = loss_object(labels, predictions)
    return loss
""",
        },
    ),
    "keras logits and from_logits": (
        0,
        {
            "train.py": """
import tensorflow as tf

m = tf.keras.Sequential([tf.keras.layers.Dense(10)])
m.compile(loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
p = tf.keras.Sequential([m, tf.keras.layers.Softmax()])
""",
        },
    ),
    "multi head dict": (
        0,
        {
            "n.py": """
import torch.nn as nn, torch.nn.functional as F


class N(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x):
        l = self.a(x)
        return {"logits": l, "probs": F.softmax(l, -1)}
""",
            "t.py": """
from n import N
import torch.nn as nn


def f(x, y):
    out = N()(x)
    return nn.CrossEntropyLoss()(out["logits"], y)
""",
        },
    ),
    "multi head dict bad": (
        1,
        {
            "n.py": """
import torch.nn as nn, torch.nn.functional as F


class N(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x):
        l = self.a(x)
        return {"logits": l, "probs": F.softmax(l, -1)}
""",
            "t.py": """
from n import N
import torch.nn as nn


def f(x, y):
    out = N()(x)
    return nn.CrossEntropyLoss()(out["probs"], y)
""",
        },
    ),
    "direct in function": (
        1,
        {
            "train.py": """
import torch.nn.functional as F


def f(model, x, y):
    p = model(x).softmax(dim=-1)
    return F.cross_entropy(p, y)
""",
        },
    ),
    "torchvision head": (
        1,
        {
            "train.py": """
import torch.nn as nn
from torchvision import models


def main(x, y):
    m = models.resnet18()
    m.fc = nn.Sequential(nn.Linear(512, 10), nn.Softmax(dim=1))
    crit = nn.CrossEntropyLoss()
    return crit(m(x), y)
""",
        },
    ),
    "optax flax": (
        1,
        {
            "train.py": """
import flax.linen as nn, optax


class M(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dense(10)(x)
        return nn.softmax(x)


def loss(params, x, y):
    out = M().apply(params, x)
    return optax.softmax_cross_entropy_with_integer_labels(out, y).mean()
""",
        },
    ),
    "activation left out by a wrapper": (
        0,
        {
            "net.py": NET,
            "t.py": """
from net import Net
import torch.nn as nn, torch


class Wrapped(nn.Module):
    def __init__(self, core):
        super().__init__()
        self.core = core

    def forward(self, x):
        return self.core.fc(x)


def f(x, y):
    net = Net()
    w = Wrapped(net)
    loss = nn.CrossEntropyLoss()(w(x), y)
    print(net(x).argmax(1))
    return loss
""",
        },
    ),
    "zoo in builder": (
        1,
        {
            "train.py": """
import torch.nn as nn
from torchvision import models


def build(n):
    m = models.resnet18(weights=None)
    for p in m.parameters():
        p.requires_grad = False
    m.fc = nn.Sequential(nn.Linear(512, n), nn.LogSoftmax(dim=1))
    return m


def main(x, y):
    m = build(2)
    return nn.BCEWithLogitsLoss()(m(x), y)
""",
        },
    ),
    "zoo ok": (
        0,
        {
            "train.py": """
import torch.nn as nn
from torchvision import models


class N(nn.Module):
    def __init__(self):
        super().__init__()
        self.m = models.resnet18(weights=None)
        self.m.fc = nn.Sequential(nn.Linear(512, 3), nn.LogSoftmax(dim=1))

    def forward(self, x):
        return self.m(x)


def main(x, y):
    return nn.NLLLoss()(N()(x), y)
""",
        },
    ),
    "zoo bad self": (
        1,
        {
            "train.py": """
import torch.nn as nn
from torchvision import models


class N(nn.Module):
    def __init__(self):
        super().__init__()
        self.m = models.resnet18(weights=None)
        self.m.fc = nn.Sequential(nn.Linear(512, 3), nn.Softmax(dim=1))

    def forward(self, x):
        return self.m(x)


def main(x, y):
    return nn.CrossEntropyLoss()(N()(x), y)
""",
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_finds_what_is_certain_and_nothing_else(name: str, tmp_path: Path) -> None:
    wanted, files = CASES[name]
    outcome = run(DoubleActivationLoss, write(files, tmp_path), Registry(rules=(DoubleActivationLoss,)))
    assert outcome.report.errors == ()
    assert len(outcome.report.findings) == wanted
