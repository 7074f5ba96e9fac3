"""Configuration objects followed forward: what reads, writes and takes them away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from mldebt_rules.configuration.config_objects import BUILT, DYNAMIC, ITERATED, SHOWN, UNSEEN
from mldebt_rules.configuration.declarations import Declarations
from mldebt_rules.configuration.namespaces import Namespaces

from mldebt.config import Config, Request
from mldebt.pipeline import scan
from mldebt.project.project import Project
from mldebt.registry import Registry

PARSED = """
import argparse
import json
from other import *

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--clip", type=float, default=1.0)
args = parser.parse_args()
"""


HOLDER = """
class Holder:
    def __init__(self, options):
        self.options = options
"""


def project(folder: Path, files: Mapping[str, str]) -> Project:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    config = Config(folder, isolated=True)
    return scan(Request(folder, config=config, use_cache=False, jobs=1), Registry()).project


def reads(folder: Path, **files: str) -> set[str]:
    found = project(folder, {f"{name}.py": text for name, text in files.items()})
    return {".".join(event.names) for event in found[Namespaces].reads}


@pytest.mark.parametrize(
    "read",
    [
        "use(args.lr)",
        'use(getattr(args, "lr"))',
        'use(vars(args)["lr"])',
        'use(vars(args).get("lr", 1))',
        'use(args.__dict__["lr"])',
        'for name in ("lr",):\n    use(getattr(args, name))',
        "import copy\nuse(copy.deepcopy(args).lr)",
        "first, second = 1, args\nuse(second.lr)",
        "use({'options': args}['options'].lr)",
        "[one.lr for one in [args]]",
        "own = args\nuse(own.lr)",
        "if (own := args):\n    use(own.lr)",
        "args.lr *= 2",
        'use("lr" in vars(args))',
    ],
)
def test_a_read_in_any_form(tmp_path: Path, read: str) -> None:
    assert "lr" in reads(tmp_path, train=PARSED + read, other="")


@pytest.mark.parametrize(
    "use",
    [
        "def run(options):\n    step(options.lr)\nrun(args)",
        "def run(*many):\n    step(many[0].lr)\nrun(args)",
        "def run(**named):\n    step(named['options'].lr)\nrun(options=args)",
        "def run(lr):\n    step(lr)\nrun(**vars(args))",
        "def run():\n    def inner():\n        step(args.lr)\n    inner()\nrun()",
        HOLDER + "    def go(self):\n        step(self.options.lr)\nHolder(args).go()",
        HOLDER + "class Run(Holder):\n    def go(self):\n        step(self.options.lr)\nRun(args).go()",
        "def made():\n    return args\nstep(made().lr)",
        "def made():\n    return 1, args\none, two = made()\nstep(two.lr)",
        "from functools import partial\ndef run(options):\n    step(options.lr)\npartial(run, args)()",
        "from torch.multiprocessing import spawn\ndef f(rank, options):\n    step(options.lr)\nspawn(f, args=(args,))",
        "def run(options):\n    step(options.lr)\n{'run': run}[pick()](args)",
        "class Run:\n    pass\none = Run()\none.options = args\nstep(one.options.lr)",
    ],
)
def test_an_object_on_its_way(tmp_path: Path, use: str) -> None:
    assert "lr" in reads(tmp_path, train=PARSED + use, other="")


def test_a_variable_of_another_file(tmp_path: Path) -> None:
    assert reads(tmp_path, train=PARSED, other="", a="from train import args as own\nstep(own.lr)") == {"lr"}
    assert reads(tmp_path, train=PARSED, other="", a="import train\nstep(train.args.clip)") == {"clip"}


def test_instances_of_two_classes_hold_their_own_objects(tmp_path: Path) -> None:
    text = """
    import argparse

    class Base:
        def show(self):
            use(self.options.both)

    class Trainer(Base):
        def __init__(self, options):
            self.options = options
        def run(self):
            use(self.options.lr)

    class Server(Base):
        def __init__(self, options):
            self.options = options
        def run(self):
            use(self.options.port)

    def train():
        Trainer(argparse.ArgumentParser("train").parse_args()).run()

    def serve():
        Server(argparse.ArgumentParser("serve").parse_args()).run()
    """
    found = project(tmp_path, {"train.py": text})[Namespaces]
    by_root: dict[int, set[str]] = {}
    for event in found.reads:
        by_root.setdefault(event.root.line, set()).add(event.names[0])
    assert list(by_root.values()) == [{"both", "lr"}, {"both", "port"}]


def test_what_is_no_read(tmp_path: Path) -> None:
    train = PARSED + "outputs = model()\nprint(outputs.lr)\nlog = {}\nlog['clip'] = 1\nprint(args)"
    assert reads(tmp_path, train=train, other="") == set()


@pytest.mark.parametrize(
    ("use", "how"),
    [
        ("print(args)", SHOWN),
        ("print(f'{args}')", SHOWN),
        ("json.dumps(vars(args))", SHOWN),
        ("import wandb\nwandb.init(config=args)", SHOWN),
        ("for key, value in vars(args).items():\n    print(key, value)", SHOWN),
        ("for key, value in vars(args).items():\n    use(key, value)", ITERATED),
        ("getattr(args, pick())", DYNAMIC),
        ("from timm.scheduler import create_scheduler\ncreate_scheduler(args)", UNSEEN),
        ("from timm.scheduler import create_scheduler\ncreate_scheduler(**vars(args))", UNSEEN),
        ("import hydra\nhydra.utils.instantiate(args)", BUILT),
    ],
)
def test_what_becomes_of_a_whole_object(tmp_path: Path, use: str, how: str) -> None:
    found = project(tmp_path, {"train.py": PARSED + use, "other.py": ""})
    assert {event.how for event in found[Namespaces].escapes if not event.names} == {how}


def test_writes_to_copies_are_told_apart(tmp_path: Path) -> None:
    text = PARSED + "import copy\nown = copy.copy(args)\nown.lr = 1\nargs.clip = 2\nsetattr(args, 'rank', 3)"
    found = project(tmp_path, {"train.py": text, "other.py": ""})
    assert {(event.names, event.how) for event in found[Namespaces].writes} == {
        (("lr",), "copy"),
        (("clip",), "write"),
        (("rank",), "write"),
    }


def test_the_section_of_a_hydra_configuration(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        {
            "train.py": """
            import hydra
            from net import build

            @hydra.main(config_path="conf", config_name="train", version_base=None)
            def main(cfg):
                build(cfg.model)
            """,
            "net.py": """
            def build(section):
                return make(section.width, section["depth"])
            """,
            "conf/train.yaml": "model:\n  width: 1\n  depth: 2\n",
        },
    )
    assert {event.names for event in found[Namespaces].reads} == {("model",), ("model", "width"), ("model", "depth")}


def test_parents_and_subcommands_share_options(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        {
            "main.py": """
            import argparse

            def run(args):
                step(args.lr, args.steps)

            common = argparse.ArgumentParser(add_help=False)
            common.add_argument("--lr", type=float, default=0.1)
            parser = argparse.ArgumentParser()
            commands = parser.add_subparsers()
            train = commands.add_parser("train", parents=[common])
            train.add_argument("--steps", type=int, default=1)
            train.set_defaults(func=run)
            args = parser.parse_args()
            args.func(args)
            """
        },
    )
    declared = found[Declarations]
    assert {one.name: bool(declared.reads(one)) for one in declared.all} == {"lr": True, "steps": True}


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        ("from absl import flags\nflags.DEFINE_float('lr', 0.1, 'rate')", ("flag", "lr", 0.1)),
        (
            "import click\n@click.command()\n@click.option('--lr', default=0.1)\ndef main(lr):\n    step(lr)",
            ("command", "lr", 0.1),
        ),
        (
            "import typer\napp = typer.Typer()\n@app.command()\ndef main(lr: float = 0.1):\n    step(lr)",
            ("command", "lr", 0.1),
        ),
        ("import fire\ndef main(lr=0.1):\n    step(lr)\nfire.Fire(main)", ("command", "lr", 0.1)),
        (
            "from pydantic_settings import BaseSettings\nclass Config(BaseSettings):\n    lr: float = 0.1",
            ("field", "lr", 0.1),
        ),
        ("import attrs\n@attrs.define\nclass Config:\n    lr: float = attrs.field(default=0.1)", ("field", "lr", 0.1)),
        ("from dataclasses import dataclass\n@dataclass\nclass Args:\n    lr: float = 0.1", ("field", "lr", 0.1)),
    ],
)
def test_declarations_of_every_kind(tmp_path: Path, text: str, declared: tuple[str, str, float]) -> None:
    (one,) = project(tmp_path, {"main.py": text})[Declarations].all
    assert (one.kind, one.name, one.default) == declared


def test_the_answer_does_not_hang_on_file_names(tmp_path: Path) -> None:
    body = "from {first} import args\ndef run(options):\n    step(options.lr)\nrun(args)\n"
    one = reads(tmp_path / "one", aaa=PARSED, other="", zzz=body.format(first="aaa"))
    two = reads(tmp_path / "two", zzz=PARSED, other="", aaa=body.format(first="zzz"))
    assert one == two == {"lr"}
