"""The configuration table: lineage, owners, declarations, programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from mldebt_rules.configuration.fallbacks import Fallback
from mldebt_rules.configuration.options import Options
from mldebt_rules.configuration.owners import Owner
from mldebt_rules.configuration.parsers import Parsers
from mldebt_rules.configuration.programs import Programs

from mldebt.config import Config, Request
from mldebt.pipeline import scan
from mldebt.project.project import Project
from mldebt.registry import Registry


def project(folder: Path, files: Mapping[str, str]) -> Project:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    config = Config(folder, isolated=True)
    return scan(Request(folder, config=config, use_cache=False, jobs=1), Registry()).project


def only(project: Project, key: str) -> tuple[Fallback, frozenset[Owner]]:
    (read,) = project[Options].fallbacks[key]
    return read, project[Options].owners(read)


@pytest.mark.parametrize(
    "read",
    [
        'getattr(args, "x", 1)',
        'vars(args).get("x", 1)',
        'args.__dict__.get("x", 1)',
        'args.x if hasattr(args, "x") else 1',
        'getattr(copy.deepcopy(args), "x", 1)',
    ],
)
def test_a_namespace_is_followed_to_its_parser(tmp_path: Path, read: str) -> None:
    files = {
        "main.py": """
        import argparse
        from work import Worker

        def parse():
            parser = argparse.ArgumentParser()
            return parser.parse_args()

        def main():
            Worker(parse()).run()
        """,
        "work.py": f"""
        import copy

        class Worker:
            def __init__(self, options):
                self.options = options

            def run(self):
                use(self.options)

        def use(args):
            print({read})
        """,
    }
    _, owners = only(project(tmp_path, files), "x")
    assert owners == {("parser", "main.py:5:13")}


def test_what_a_worker_process_is_handed_is_followed(tmp_path: Path) -> None:
    files = {
        "main.py": """
        import argparse
        import torch.multiprocessing as mp

        def worker(rank, args):
            print(getattr(args, "x", 1))

        args = argparse.ArgumentParser().parse_args()
        mp.spawn(worker, nprocs=2, args=(args,))
        """
    }
    _, owners = only(project(tmp_path, files), "x")
    assert owners == {("parser", "main.py:7:7")}


def test_sections_of_a_file_are_told_apart(tmp_path: Path) -> None:
    files = {
        "main.py": """
        import yaml

        cfg = yaml.safe_load(open("conf/train.yaml"))
        print(cfg["model"].get("x", 1))
        print(cfg.get("data", {}).get("y", 2))
        """
    }
    made = project(tmp_path, files)
    assert only(made, "x")[1] == {("file", "conf/train.yaml", "model")}
    assert only(made, "y")[1] == {("file", "conf/train.yaml", "data")}


def test_records_have_no_owner(tmp_path: Path) -> None:
    files = {
        "main.py": """
        import json

        def show(record, **kwargs):
            print(record.get("x", 1), kwargs.pop("y", 2))

        for line in open("data.jsonl"):
            show(json.loads(line))
        """
    }
    made = project(tmp_path, files)
    assert only(made, "x")[1] == only(made, "y")[1] == frozenset()


def test_options_of_a_loop_over_a_table(tmp_path: Path) -> None:
    files = {
        "main.py": """
        import argparse

        DEFAULTS = {"lr": 0.1, "depth": 4}
        parser = argparse.ArgumentParser()
        for name, value in DEFAULTS.items():
            parser.add_argument(f"--{name}", type=type(value), default=value)
        """
    }
    made = project(tmp_path, files)
    declared = made[Parsers].declared(made.modules["main.py"])
    assert [(one.flags, one.dest, one.constant("default")) for one in declared] == [
        (("--lr",), "lr", 0.1),
        (("--depth",), "depth", 4),
    ]


def flags(made: Project, path: str) -> set[str] | None:
    program = made[Programs].of(path)
    return None if program is None else {flag for option in program.interface.options for flag in option.flags}


def test_a_program_has_the_options_of_parents_groups_and_helpers(tmp_path: Path) -> None:
    files = {
        "common.py": """
        import argparse

        def base():
            parser = argparse.ArgumentParser(add_help=False)
            parser.add_argument("--seed", type=int)
            return parser

        def model_options(parser):
            group = parser.add_argument_group("model")
            group.add_argument("--depth", type=int)
        """,
        "train.py": """
        import argparse
        from common import base, model_options

        def main(argv=None):
            parser = argparse.ArgumentParser(parents=[base()])
            model_options(parser)
            parser.set_defaults(depth=3)
            parser.add_argument("--amp", action=argparse.BooleanOptionalAction)
            return parser.parse_args(argv)

        if __name__ == "__main__":
            main()
        """,
    }
    made = project(tmp_path, files)
    assert flags(made, "train.py") == {"--seed", "--depth", "--amp", "--no-amp", "-h", "--help"}


@pytest.mark.parametrize(
    "body",
    [
        "args, rest = parser.parse_known_args()",
        "parser.add_argument(NAME)\nargs = parser.parse_args()",
        "trainer.add_options(parser)\nargs = parser.parse_args()",
        "import sys\nsys.argv += ['--x']\nargs = parser.parse_args()",
    ],
)
def test_an_open_program_is_not_judged(tmp_path: Path, body: str) -> None:
    text = "import argparse\nfrom lib import NAME, trainer\nparser = argparse.ArgumentParser()\n"
    made = project(tmp_path, {"train.py": f"{text}{body}\n"})
    assert flags(made, "train.py") is None


def test_click_commands_and_groups(tmp_path: Path) -> None:
    files = {
        "tool.py": """
        import click

        @click.group()
        def cli():
            pass

        @cli.command("fit")
        @click.argument("data")
        @click.option("--depth", type=int)
        @click.option("--amp/--no-amp", default=False)
        def fit_command(data, depth, amp):
            print(data)

        if __name__ == "__main__":
            cli()
        """
    }
    made = project(tmp_path, files)
    program = made[Programs].of("tool.py")
    assert program is not None
    fit = program.interface.commands["fit"]
    assert {flag for option in fit.options for flag in option.flags} == {"--help", "--depth", "--amp", "--no-amp"}
    assert [one.name for one in fit.positionals] == ["data"]
