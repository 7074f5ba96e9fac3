"""MLD307: the hyperparameters of one program have no home."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mldebt.facts.arguments import UNKNOWN
from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .configuration_table import Bound
from .dispersion import Dispersion, Spread

# Measured on the 169 training programs with five hyperparameters and more of 24 repositories (research code, templates,
# libraries, notebooks), with all files beside a program counted to it: places with two or more are 1 at the median, 2
# at the upper quartile and 5 at the ninetieth percentile.
_USUAL = "half of the programs measured keep theirs in one place, three in four in two or fewer"
_MOST_NAMED = 5
_SHARED = 0.5  # of the homes of a program that another reported one has too


@dataclass(frozen=True)
class ScatteredConfiguration(ProjectRule):
    """The hyperparameters of one training program are bound in many files, and none of them is the place to look.

    Counted are the names of known hyperparameters (batch size, image size, dropout, threshold, ...) that are given
    values in command lines, configuration classes and files, module constants, variables of functions, and literals
    handed to library calls, in the files the program runs. A default of a parameter is counted where no call passes the
    parameter, and a folder of configuration files is one place.

    ## Why it is debt

    "All the tuneable and configurable information about your machine learning pipeline is in one place" is what makes
    an experiment something one can describe. Where it is not, nobody can say what a run was configured with, two places
    disagree without anybody seeing it, and a sweep reaches only a part.

    ## How to pay it back

    `mldebt knobs` prints the table of all settings with their homes. Move them into one configuration (a dataclass, a
    YAML file, a parser), hand modules their section (`cfg.model`), and delete the literals.

    ## When to leave it

    Each program is judged by itself, so collections of examples and model zoos are silent unless one of their programs
    is scattered. Tests and examples are left out. The thresholds are far above what is usual.

    ## Options

    - `files`: how many places bind two or more of them, at least
    - `settings`: how many are bound in all, at least
    - `dispersion`: the probability that two of them stand in different places, at least
    - `share`: the largest parser, configuration class or file holds less than this

    ## References

    M. McAteer, "Nitpicking Machine Learning Technical Debt", 2020, best practice 17.
    D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 6.
    """

    code = "MLD307"
    severity, confidence, minutes = Severity.MAJOR, Confidence.MEDIUM, 60
    preview = True  # too few of its findings have been read

    files: int = 4
    settings: int = 15
    dispersion: float = 0.7
    share: float = 0.5

    examples = (
        Bad(
            {
                "train.py": """
                import argparse
                import torch
                from data.loader import loaders
                from models.net import Net
                from schedule import schedule
                from sampling import sample

                EPOCHS = 90

                def main():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--lr", type=float, default=0.1)
                    parser.add_argument("--label-smoothing", type=float, default=0.1)
                    args = parser.parse_args()
                    net = Net()
                    optimizer = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4)
                    steps = schedule(optimizer)
                    for _ in range(EPOCHS):
                        for x, y in loaders():
                            loss = torch.nn.functional.cross_entropy(net(x), y, label_smoothing=args.label_smoothing)
                            loss.backward()
                            optimizer.step()
                        steps.step()
                    sample(net)

                if __name__ == "__main__":
                    main()
                """,
                "data/loader.py": """
                import torch
                from torchvision import transforms

                BATCH_SIZE = 128
                IMAGE_SIZE = 224

                def loaders():
                    pipeline = transforms.Compose([
                        transforms.Resize(IMAGE_SIZE),
                        transforms.Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
                    ])
                    return torch.utils.data.DataLoader(dataset(pipeline), batch_size=BATCH_SIZE)
                """,
                "models/net.py": """
                from torch import nn

                HIDDEN_SIZE = 512
                NUM_HEADS = 8
                NUM_LAYERS = 6
                NUM_CLASSES = 100

                class Net(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.drop = nn.Dropout(p=0.3)
                        self.body = body(HIDDEN_SIZE, NUM_HEADS, NUM_LAYERS, NUM_CLASSES)

                    def forward(self, x):
                        return self.drop(self.body(x))
                """,
                "schedule.py": """
                import torch

                WARMUP_EPOCHS = 5
                MIN_LR = 1e-5

                def schedule(optimizer):
                    torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], max_norm=1.0)
                    return torch.optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.2)
                """,
                "sampling.py": """
                TEMPERATURE = 0.8
                TOP_K = 40
                THRESHOLD = 0.35

                def sample(net):
                    return draw(net, TEMPERATURE, TOP_K, THRESHOLD)
                """,
            }
        ),
        Bad(
            {
                "main.py": """
                from features import build
                from fit import fit

                if __name__ == "__main__":
                    fit(build())
                """,
                "features.py": """
                SAMPLE_RATE = 16000
                HOP_LENGTH = 160

                def build():
                    n_mels = 80
                    return mel(SAMPLE_RATE, HOP_LENGTH, n_mels)
                """,
                "fit.py": """
                import torch
                from net import net
                from stop import stop

                LEARNING_RATE = 3e-4
                BATCH_SIZE = 32

                def fit(data):
                    model = net()
                    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
                    for x, y in batches(data, BATCH_SIZE):
                        loss = model(x, y)
                        loss.backward()
                        optimizer.step()
                        if stop(loss):
                            break
                """,
                "net.py": """
                HIDDEN_DIM = 256
                DROPOUT = 0.2
                NUM_HEADS = 4

                def net():
                    return make(HIDDEN_DIM, DROPOUT, NUM_HEADS)
                """,
                "stop.py": """
                PATIENCE = 7
                THRESHOLD = 1e-3

                def stop(loss):
                    return wait(loss, PATIENCE, THRESHOLD)
                """,
            },
            options={"settings": 10},
        ),
        Bad(
            {
                "train.py": """
                import torch
                from a import first
                from b import second
                from c import third

                LR = 0.1
                MOMENTUM = 0.9

                def main():
                    net = first(second(third()))
                    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=MOMENTUM)
                    for x, y in data():
                        loss = net(x, y)
                        loss.backward()
                        optimizer.step()

                main()
                """,
                "a.py": """
                DROPOUT = 0.1
                NUM_LAYERS = 3

                def first(x):
                    return use(x, DROPOUT, NUM_LAYERS)
                """,
                "b.py": """
                IMAGE_SIZE = 128
                NUM_CLASSES = 10

                def second(x):
                    return use(x, IMAGE_SIZE, NUM_CLASSES)
                """,
                "c.py": """
                BATCH_SIZE = 16
                EPOCHS = 30

                def third():
                    return use(BATCH_SIZE, EPOCHS)
                """,
            },
            options={"settings": 8},
        ),
        Good(  # one file holds them
            {
                "train.py": """
                import torch
                from config import Config
                from model import Net

                def main():
                    cfg = Config()
                    net = Net(cfg)
                    optimizer = torch.optim.SGD(net.parameters(), lr=cfg.lr, momentum=cfg.momentum)
                    for x, y in data(cfg.batch_size):
                        loss = net(x, y)
                        loss.backward()
                        optimizer.step()

                main()
                """,
                "config.py": """
                from dataclasses import dataclass

                @dataclass(frozen=True)
                class Config:
                    lr: float = 0.1
                    momentum: float = 0.9
                    batch_size: int = 64
                    epochs: int = 10
                    dropout: float = 0.1
                    hidden_size: int = 512
                    num_layers: int = 6
                    num_heads: int = 8
                    image_size: int = 224
                    num_classes: int = 10
                    warmup_steps: int = 100
                    weight_decay: float = 0.1
                    patience: int = 5
                    threshold: float = 0.5
                    max_length: int = 128
                """,
                "model.py": """
                from torch import nn

                class Net(nn.Module):
                    def __init__(self, cfg, dropout=0.3, hidden_size=64):
                        super().__init__()
                        self.drop = nn.Dropout(cfg.dropout)
                """,
            },
            options={"settings": 5},
        ),
        Good(  # a collection of examples, each with its own few
            {
                f"examples_of/{name}/main.py": f"""
                import torch

                LR = 0.{number}
                EPOCHS = {number}
                BATCH_SIZE = {number * 8}
                DROPOUT = 0.{number}

                net = make(DROPOUT)
                optimizer = torch.optim.SGD(net.parameters(), lr=LR)
                for _ in range(EPOCHS):
                    loss = net(batch(BATCH_SIZE))
                    loss.backward()
                    optimizer.step()
                """
                for number, name in enumerate(("gan", "vae", "rnn", "gcn", "vit"), start=1)
            }
        ),
        Good(
            {
                "train.py": """
                import torch
                from a import first

                LR = 0.1
                MOMENTUM = 0.9

                net = first()
                optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=MOMENTUM)
                loss = net(batch())
                loss.backward()
                optimizer.step()
                """,
                "a.py": """
                DROPOUT = 0.1
                NUM_LAYERS = 3

                def first():
                    return use(DROPOUT, NUM_LAYERS)
                """,
            }
        ),
        Good(
            {
                "train.py": """
                import hydra
                import torch
                from net import Net

                @hydra.main(config_path="conf", config_name="train")
                def main(cfg):
                    net = Net(cfg.model)
                    optimizer = torch.optim.AdamW(net.parameters(), lr=cfg.optim.lr)
                    for x in batches(cfg.data.batch_size):
                        loss = net(x)
                        loss.backward()
                        optimizer.step()

                if __name__ == "__main__":
                    main()
                """,
                "conf/train.yaml": """
                epochs: 3
                seed: 1
                """,
                "conf/model/net.yaml": """
                hidden_size: 64
                num_layers: 2
                dropout: 0.1
                """,
                "conf/optim/adam.yaml": """
                lr: 0.001
                weight_decay: 0.1
                """,
                "conf/data/images.yaml": """
                batch_size: 32
                image_size: 224
                num_classes: 10
                """,
                "net.py": """
                from torch import nn

                class Net(nn.Module):
                    def __init__(self, section):
                        super().__init__()
                        self.drop = nn.Dropout(section.dropout)
                """,
            },
            options={"settings": 5},
        ),
        Good(  # modules with defaults of their own that the program passes
            {
                "train.py": """
                import torch
                from parts import attention, mixer, stem, head

                from settings import CFG

                net = attention(CFG.dropout, CFG.heads, CFG.width)
                net = mixer(net, CFG.dropout, CFG.layers, CFG.width)
                net = stem(net, CFG.image_size, CFG.patch_size, CFG.dropout)
                net = head(net, CFG.classes, CFG.dropout, CFG.width)
                optimizer = torch.optim.SGD(net.parameters(), lr=CFG.lr, momentum=CFG.momentum)
                loss = net(batch())
                loss.backward()
                optimizer.step()
                """,
                "settings.py": """
                class CFG:
                    lr = 0.1
                    momentum = 0.9
                    dropout = 0.1
                    heads = 4
                    width = 32
                    layers = 3
                    image_size = 224
                    patch_size = 16
                    classes = 10
                """,
                "parts/__init__.py": """
                from parts.attention import attention
                from parts.mixer import mixer
                from parts.stem import stem
                from parts.head import head
                """,
                "parts/attention.py": """
                def attention(dropout=0.1, num_heads=8, hidden_size=64):
                    return use(dropout, num_heads, hidden_size)
                """,
                "parts/mixer.py": """
                def mixer(x, dropout=0.1, num_layers=8, hidden_size=64):
                    return use(x, dropout, num_layers, hidden_size)
                """,
                "parts/stem.py": """
                def stem(x, image_size=224, patch_size=16, dropout=0.0):
                    return use(x, image_size, patch_size, dropout)
                """,
                "parts/head.py": """
                def head(x, num_classes=10, dropout=0.2, hidden_size=8):
                    return use(x, num_classes, dropout, hidden_size)
                """,
            },
            options={"settings": 5},
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        told: list[set[str]] = []
        found = [one for one in project[Dispersion].scattered(self.files, self.settings) if self._is_scattered(one)]
        for one in sorted(found, key=lambda one: (-one.files, -len(one.bindings), one.entry.definition.module.path)):
            homes = {home for home, bindings in one.homes if len(bindings) > 1}
            if any(len(homes & other) >= _SHARED * len(homes) for other in told):
                continue
            told.append(homes)
            yield _problem(one)

    def _is_scattered(self, one: Spread) -> bool:
        return (
            one.files >= self.files
            and len(one.bindings) >= self.settings
            and one.dispersion >= self.dispersion
            and one.largest < self.share
        )


def _problem(one: Spread) -> Problem:
    program = one.entry.definition.module.path
    homes = [(home, bindings) for home, bindings in one.homes if len(bindings) > 1]
    first = next((bindings for home, bindings in homes if home == program), homes[0][1])
    named = ", ".join(f"{_short(home)} ({len(bindings)})" for home, bindings in homes[:_MOST_NAMED])
    return Problem(
        first[0].place,
        f"{len(one.bindings)} hyperparameters of {program} are bound in {one.files} places: {named}; {_USUAL}",
        related=tuple(
            Related(bindings[0].place, f"binds {_listed(bindings)}")
            for _, bindings in one.homes
            if bindings is not first
        ),
        evidence=(
            f"two of them stand in different places with a probability of {one.dispersion:.2f}",
            f"the largest parser, configuration class or file holds {one.largest:.0%} of them",
            *(f"{home}: {_listed(bindings)}" for home, bindings in one.homes),
        ),
        carries=(),
        symbol=program,
    )


def _short(home: str) -> str:
    return home if home.endswith("/") else posixpath.basename(home)


def _listed(bindings: Sequence[Bound]) -> str:
    shown = [one.name if one.value is UNKNOWN else f"{one.name} = {one.value!r}" for one in bindings[:_MOST_NAMED]]
    more = f" and {len(bindings) - _MOST_NAMED} more" if len(bindings) > _MOST_NAMED else ""
    return ", ".join(shown) + more
