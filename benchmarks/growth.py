"""How the must-analysis of seeds grows: ``python benchmarks/growth.py [--sizes 10 100 1000 4000]``.

Builds one repository of each size in memory: a library in which every module calls and imports lower ones, so that an
entry reaches much of it, and a training program for every twenty modules; some of these seed, some too late, some not.
Prints CPU seconds of reading the facts, of the core's own answers (entries, roles, calls), and of the must-analysis
over all entries after that, each with its share for one module: linear growth shows as equal shares.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from mldebt_rules.randomness.seeding import Seeding

from mldebt.facts.extract import extract
from mldebt.project.project import Project, ProjectOptions
from mldebt.sources.artefacts import Repository
from mldebt.sources.text import Source

_MODULE = """
import numpy as np
import torch
from torch import nn
{imports}

WIDTH = {number}


class Block{number}(nn.Module):
    def __init__(self, width=WIDTH):
        super().__init__()
        self.layer = nn.Linear(width, width)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        return self.drop(self.layer(x)) + 1


def augment{number}(x, rng=None):
    if rng is not None:
        return x + rng.normal(size=x.shape)
    for _ in range(2):
        x = x + np.random.normal(size=x.shape)
    return {calls}


def summary{number}(values):
    names = [str(value) for value in values]
    return ", ".join(name.strip() for name in names if name)
"""
_ENTRY = """
import numpy as np
import torch

from lib.m{number} import Block{number}, augment{number}
from repro import fix


def main(seed=0):
{first}
    model = Block{number}()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in torch.load("batches.pt"):
        loss = model(augment{number}(batch)).mean()
        loss.backward()
        optimizer.step()
{last}


if __name__ == "__main__":
    main()
"""
_REPRO = """
import random

import numpy as np
import torch


def fix(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
"""


def sources(size: int) -> dict[str, str]:
    """A repository of about ``size`` modules, by path."""
    found = {"repro.py": _REPRO, "lib/__init__.py": ""}
    for number in range(size):
        lower = sorted({number // 2, number - 1} - {number, -1})
        imports = "\n".join(f"from lib.m{one} import augment{one}" for one in lower)
        calls = " + ".join(["x", *(f"augment{one}(x)" for one in lower)])
        found[f"lib/m{number}.py"] = _MODULE.format(number=number, imports=imports, calls=calls)
    for number in range(0, size, 20):
        seeded, late = ("    fix(seed)", "    pass")[number % 40 > 0], ("    pass", "    fix(seed)")[number % 60 == 0]
        found[f"train{number}.py"] = _ENTRY.format(number=number, first=seeded, last=late)
    return {path: dedent(text).lstrip("\n") for path, text in found.items()}


def build(texts: dict[str, str]) -> Project:
    held = {path: Source(path, text) for path, text in texts.items()}
    return Project(
        root=Path("/nowhere"),
        facts={path: extract(source)[0] for path, source in held.items()},
        repository=Repository(),
        every=frozenset(held),
        options=ProjectOptions(),
        load=held.__getitem__,
    )


def ask_core(project: Project) -> None:
    """What all families ask, and the must-analysis stands on."""
    for entry in project.entries:
        project.roles(entry)
    for module in project.modules.values():
        for index in range(len(module.facts.scopes)):
            project.calls.edges(module.definition(index))


def analyse(project: Project) -> None:
    seeding = project[Seeding]
    for entry in seeding.entries(seeding=True):
        seeding.of(entry)


def timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000, 4000])
    print("modules entries   facts s  (us)    core s  (us)  analysis s  (us)")
    for size in parser.parse_args().sizes:
        texts = sources(size)
        built: list[Project] = []
        facts = timed(lambda texts=texts, built=built: built.append(build(texts)))  # type: ignore[misc]
        project = built[0]
        core, analysis = timed(lambda: ask_core(project)), timed(lambda: analyse(project))  # noqa: B023
        shares = [f"{seconds:9.3f} {seconds / len(texts) * 1e6:6.0f}" for seconds in (facts, core, analysis)]
        print(f"{len(texts):7} {len(project.entries):7} {'  '.join(shares)}")


if __name__ == "__main__":
    main()
