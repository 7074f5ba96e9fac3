"""The configuration table: lineage, owners, declarations, programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from mldebt_rules.configuration.command_line import check
from mldebt_rules.configuration.config_fallback_conflict import ConfigFallbackConflict
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


HF = """
from transformers import HfArgumentParser

from options import Data, Model

def main():
    parser = HfArgumentParser((Model, Data))
    model, data = parser.parse_args_into_dataclasses()
    print(model, data)

if __name__ == "__main__":
    main()
"""
FIELDS = """
from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Literal, Optional

class Norm(Enum):
    BATCH = "batch"
    LAYER = "layer"

@dataclass
class Base:
    name: str = field(metadata={"help": "hub id", "aliases": ["-n"]})
    seed: int = 0

@dataclass
class Model(Base):
    kind: ClassVar[str] = "model"
    language: Optional[str] = None
    freeze_encoder: bool = field(default=True)
    norm: Norm = Norm.BATCH
    pool: Literal["mean", "cls"] = "mean"
    sizes: list[int] = field(default_factory=lambda: [64])
    cached: int = field(default=0, init=False)

@dataclass
class Data:
    max_seconds: float = 30.0
"""


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--name a --max_seconds 3", ""),
        ("-n a --max-seconds 3 --no_freeze_encoder --sizes 1 2 --norm layer --pool cls", ""),
        ("--name a --freeze_encoder --seed 3", ""),
        ("--name a --freeze_encoder False --language $LANG_CODE", ""),
        ("--name a --max_duration_s 3", "has no option --max_duration_s"),
        ("--name a --kind b", "has no option --kind"),
        ("--name a --cached 3", "has no option --cached"),
        ("--name a --norm group", "which is not one of batch, layer"),
        ("--name a --pool max", "which is not one of mean, cls"),
        ("--name a --seed x", "which is no int"),
        ("--name a --sizes 1 b", "which is no int"),
        ("--name a --freeze_encoder maybe", "which is no truth value"),
        ("--seed 3", "is run without -n, which it requires"),
    ],
)
def test_fields_of_dataclasses_are_options(tmp_path: Path, line: str, complaint: str) -> None:
    program = project(tmp_path, {"train.py": HF, "options.py": FIELDS})[Programs].of("train.py")
    assert program is not None
    assert complaint in " ".join(one.message for one in check(program.interface, line.split()))
    assert bool(complaint) == bool(check(program.interface, line.split()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("class Data:", "class Data(TrainingArguments):"),
        ("class Data:", "class Data(Unseen):"),
        ('metadata={"help": "hub id", "aliases": ["-n"]}', "**TABLE"),
        ("seed: int = 0", 'seed: int = field(default=0, metadata={"aliases": ALIASES})'),
    ],
)
def test_dataclasses_of_others_leave_a_program_open(tmp_path: Path, old: str, new: str) -> None:
    fields = FIELDS.replace(old, new).replace("from enum", "from transformers import TrainingArguments\nfrom enum")
    assert project(tmp_path, {"train.py": HF, "options.py": fields})[Programs].of("train.py") is None


@pytest.mark.parametrize("call", ["parser.parse_args_into_dataclasses(return_remaining_strings=True)", "parse(parser)"])
def test_parsing_that_keeps_what_it_does_not_know_is_open(tmp_path: Path, call: str) -> None:
    script = HF.replace("parser.parse_args_into_dataclasses()", call).replace(
        "def main", "from x import parse\ndef main"
    )
    assert project(tmp_path, {"train.py": script, "options.py": FIELDS})[Programs].of("train.py") is None


def test_options_may_come_from_a_file(tmp_path: Path) -> None:
    script = HF.replace(
        "    model, data =",
        '    import sys\n    if len(sys.argv) == 2 and sys.argv[1].endswith(".json"):\n'
        "        return parser.parse_json_file(sys.argv[1])\n    model, data =",
    )
    program = project(tmp_path, {"train.py": script, "options.py": FIELDS})[Programs].of("train.py")
    assert program is not None
    assert not check(program.interface, ["run.json"])
    assert check(program.interface, ["--name", "a", "--max_duration_s", "3"])


def test_parser_held_by_another_object(tmp_path: Path) -> None:
    files = {
        "options.py": """
        import argparse

        class Common:
            def __init__(self, text):
                self.parser = argparse.ArgumentParser(description=text)
                self.parser.add_argument("--split", required=True)

            def parse(self):
                return self.parser.parse_args()
        """,
        "evaluate.py": """
        from options import Common

        options = Common("evaluates")
        options.parser.add_argument("--checkpoint")
        print(options.parse())
        """,
    }
    program = project(tmp_path, files)[Programs].of("evaluate.py")
    assert program is not None
    assert not check(program.interface, ["--split", "a", "--checkpoint", "b"])
    assert [one.subject for one in check(program.interface, ["--checkpoint", "b"])] == ["--split"]
    assert [one.subject for one in check(program.interface, ["--split", "a", "--ckpt", "b"])] == ["--ckpt"]


@pytest.mark.parametrize("choices", ["sorted(TABLE)", "list(TABLE.keys())", "TABLE", "tuple(sorted(TABLE))"])
def test_choices_are_the_keys_of_a_table(tmp_path: Path, choices: str) -> None:
    script = f"""
    import argparse

    TABLE = {{"mae": 1, "mse": 2}}
    parser = argparse.ArgumentParser()
    parser.add_argument("--loss", choices={choices})
    parser.parse_args()
    """
    program = project(tmp_path, {"train.py": script})[Programs].of("train.py")
    assert program is not None
    assert not check(program.interface, ["--loss", "mae"])
    assert [one.kind for one in check(program.interface, ["--loss", "huber"])] == ["value"]


@pytest.mark.parametrize(
    ("settings", "known"),
    [
        ('{"show_default": True}', True),
        ('{"help_option_names": ["-h", "--help"]}', True),
        ('dict(help_option_names=["-h", "--help"])', True),
        ('{"ignore_unknown_options": True}', False),
        ('{"auto_envvar_prefix": "APP"}', False),
        ("make_settings()", False),
    ],
)
def test_click_settings_that_only_show(tmp_path: Path, settings: str, known: bool) -> None:
    script = f"""
    import click

    @click.command(context_settings={settings})
    @click.option("--ckpt", required=True)
    def main(ckpt):
        print(ckpt)

    if __name__ == "__main__":
        main()
    """
    program = project(tmp_path, {"serve.py": script})[Programs].of("serve.py")
    assert (program is not None) == known
    if program is not None:
        assert [one.subject for one in check(program.interface, ["--model-path", "x"])] == ["--model-path"]
        assert bool(check(program.interface, ["--ckpt", "a", "-h"])) == ("-h" not in settings)


@pytest.mark.parametrize(
    "load",
    [
        "config = yaml.safe_load(args.config.read_text())",
        "config = yaml.safe_load(open(args.config))",
        "with args.config.open() as file:\n    config = yaml.safe_load(file)",
        "with open(args.config) as file:\n    config = yaml.safe_load(file.read())",
        "text = Path(args.config).read_text()\nconfig = yaml.safe_load(text)",
    ],
)
@pytest.mark.parametrize("default", ['Path("conf/base.yaml")', '"conf/base.yaml"', 'Path("conf") / "base.yaml"'])
def test_file_of_an_option(tmp_path: Path, load: str, default: str) -> None:
    options = f"""
    import argparse
    from pathlib import Path

    def parse():
        parser = argparse.ArgumentParser()
        parser.add_argument("--config", type=Path, default={default})
        return parser.parse_args()
    """
    script = "import yaml\nfrom pathlib import Path\nfrom options import parse\nargs = parse()\n"
    files = {"options.py": options, "train.py": f'{script}{load}\nfit(config["data"].get("window", 12))\n'}
    _, owners = only(project(tmp_path, files), "window")
    assert owners == {("file", "conf/base.yaml", "data")}


@pytest.mark.parametrize(
    ("key", "more", "together"),
    [
        ("MAX_TOKENS", {}, False),
        ("MAX_TOKENS", {"compose.yaml": "services:\n  a:\n    build: apps/a\n  b:\n    build: ./apps/b\n"}, True),
        ("MAX_TOKENS", {"compose.yaml": "services:\n  a:\n    build: apps/a\n"}, False),
        ("BATCH_SIZE", {"compose.yaml": "services:\n  a:\n    build: apps/a\n  b:\n    build: ./apps/b\n"}, False),
        ("MAX_TOKENS", {"ENCODER": "'bert'"}, True),
        ("MAX_TOKENS", {"LOG_FORMAT": "'json'"}, False),
    ],
)
def test_services_of_one_system(tmp_path: Path, key: str, more: dict[str, str], together: bool) -> None:
    files = {name: text for name, text in more.items() if "." in name}
    shared = "".join(f"load(os.getenv('{name}', {value}))\n" for name, value in more.items() if "." not in name)
    for folder, value in (("a", "512"), ("b", "256")):
        files[f"apps/{folder}/main.py"] = f"import os\n{shared}fit(int(os.environ.get('{key}', '{value}')))\n"
    found = list(ConfigFallbackConflict().check(project(tmp_path, files)))
    assert [one.symbol for one in found] == ([key] if together else [])
