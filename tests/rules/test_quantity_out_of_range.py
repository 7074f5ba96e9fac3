"""How numbers travel to the places they do not fit, and what keeps them from there."""

from __future__ import annotations

from pathlib import Path

import pytest
from mldebt_rules.plain_data.quantity_out_of_range import QuantityOutOfRange

from mldebt.registry import Registry
from mldebt.testing import run, write

# What it is: the findings wanted, and the files.
CASES: dict[str, tuple[int, dict[str, str]]] = {
    "bound by partial": (
        2,
        {
            "values.py": "SMOOTHING = 10\n",
            "losses.py": """
import functools

from torch import nn

from values import SMOOTHING

LOSSES = {"smooth": functools.partial(nn.CrossEntropyLoss, label_smoothing=SMOOTHING)}
drop = functools.partial(nn.Dropout, 50)
plain = functools.partial(nn.CrossEntropyLoss, label_smoothing=0.1)
other = functools.partial(print, SMOOTHING)
""",
        },
    ),
    "default of an option, through two calls": (
        1,
        {
            "opts.py": """
import argparse


def get():
    p = argparse.ArgumentParser()
    p.add_argument("--dropout", default=30.0, type=float)
    return p.parse_args()
""",
            "net.py": """
from torch import nn


class Net(nn.Module):
    def __init__(self, drop):
        super().__init__()
        self.d = nn.Dropout(drop)
""",
            "m.py": """
from opts import get
from net import Net


def main():
    args = get()
    n = Net(args.dropout)
""",
        },
    ),
    "caller literal": (
        1,
        {
            "net.py": """
from torch import nn


class Net(nn.Module):
    def __init__(self, width, drop=0.1):
        super().__init__()
        self.d = nn.Dropout(drop)
""",
            "m.py": """
from net import Net

a = Net(3)
b = Net(3, drop=25)
""",
        },
    ),
    "default that every caller overrides": (
        0,
        {
            "net.py": """
from torch import nn


class Net(nn.Module):
    def __init__(self, width, drop=10):
        super().__init__()
        self.d = nn.Dropout(drop)
""",
            "m.py": """
from net import Net

b = Net(3, drop=0.25)
""",
        },
    ),
    "predict_proba thr": (
        1,
        {
            "train.py": """
from sklearn.linear_model import LogisticRegression

THRESHOLD = 60


def flag(X, clf: LogisticRegression):
    p = clf.predict_proba(X)[:, 1]
    return p >= THRESHOLD
""",
        },
    ),
    "model sigmoid cross": (
        1,
        {
            "m.py": """
import torch.nn as nn


class M(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())

    def forward(self, x):
        return self.n(x)
""",
            "s.py": """
from m import M


def alert(x, threshold=50):
    risk = M()(x)
    return risk > threshold
""",
        },
    ),
    "pandas quantile": (
        1,
        {
            "train.py": """
import pandas as pd


def f(path):
    df = pd.read_csv(path)
    return df["x"].quantile(95)
""",
        },
    ),
    "quantile ok list": (
        0,
        {
            "train.py": """
import numpy as np

QS = [0.05, 0.5, 0.95]


def f(x):
    return np.quantile(x, QS), np.percentile(x, [5, 50, 95])
""",
        },
    ),
    "percentile fractions": (
        1,
        {
            "train.py": """
import numpy as np


def f(x):
    return np.percentile(x, [0.25, 0.5, 0.75])
""",
        },
    ),
    "guard max": (
        0,
        {
            "train.py": """
import torch


def s(l, temperature=0):
    t = max(temperature, 1e-4)
    return torch.softmax(l / t, -1)


def g(l):
    return s(l, temperature=0)
""",
        },
    ),
    "guard ternary": (
        0,
        {
            "train.py": """
import torch


def s(l, temperature=0.0):
    return torch.softmax(l / temperature, -1) if temperature > 0 else l.argmax(-1)
""",
        },
    ),
    "temperature returned early": (
        0,
        {
            "train.py": """
import torch


class S:
    def __init__(self, temperature=0.0):
        self.temperature = temperature

    def __call__(self, l):
        if self.temperature <= 0:
            return l.argmax(-1)
        return torch.softmax(l / self.temperature, -1)
""",
        },
    ),
    "temp class bad": (
        1,
        {
            "train.py": """
import torch


class S:
    def __init__(self, temperature=0.0):
        self.temperature = temperature

    def __call__(self, l):
        return torch.softmax(l / self.temperature, -1)
""",
        },
    ),
    "keras adam": (
        1,
        {
            "train.py": """
from tensorflow import keras


def f():
    m = keras.Sequential([keras.layers.Dense(3)])
    m.compile(optimizer=keras.optimizers.Adam(learning_rate=10), loss="mse")
""",
        },
    ),
    "lambda lr": (
        0,
        {
            "train.py": """
import torch
from torch.optim.lr_scheduler import LambdaLR


def f(m):
    o = torch.optim.Adam(m.parameters(), lr=2.0)
    return LambdaLR(o, lambda s: 0.001)
""",
        },
    ),
    "momentum, smoothing": (
        2,
        {
            "train.py": """
import torch
from torch import nn


def f(m):
    o = torch.optim.SGD(m.parameters(), lr=0.1, momentum=9)
    return o, nn.CrossEntropyLoss(label_smoothing=10)
""",
        },
    ),
    "keras val split": (
        1,
        {
            "train.py": """
from tensorflow import keras


def f(x, y):
    m = keras.Sequential([keras.layers.Dense(3)])
    m.compile(loss="mse")
    m.fit(x, y, validation_split=20)
""",
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_finds_what_is_certain_and_nothing_else(name: str, tmp_path: Path) -> None:
    wanted, files = CASES[name]
    outcome = run(QuantityOutOfRange, write(files, tmp_path), Registry(rules=(QuantityOutOfRange,)))
    assert outcome.report.errors == ()
    assert len(outcome.report.findings) == wanted
