"""Which switches a project has, who switches them, and what deleting one frees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mldebt_rules.experiments.code_behind_dead_flags import CodeBehindDeadFlags
from mldebt_rules.experiments.constant_tests import ConstantTests
from mldebt_rules.experiments.never_enabled_flag import NeverEnabledFlag

from mldebt.registry import Registry
from mldebt.rule import AnyRule
from mldebt.testing import run, write

REGISTRY = Registry(rules=(NeverEnabledFlag, CodeBehindDeadFlags), analyses=(ConstantTests,))
BODY = "\n".join(f"        x = x * {number}" for number in range(2, 14))
DECLARED = 'import argparse\n\nparser = argparse.ArgumentParser()\nparser.add_argument("--{flag}", {how})\n'
READ = "args = parser.parse_args()\n\n\ndef main(x):\n    if {test}:\n" + BODY + "\n    return x\n\n\nmain(1)\n"


def found(rule: type[AnyRule], files: dict[str, str], folder: Path) -> list[str]:
    outcome = run(rule, write(files, folder), REGISTRY)
    assert not outcome.report.errors
    return [f"{one.place.path}:{one.place.span.line}: {one.message}" for one in outcome.report.findings]


def program(flag: str = "mix-up", how: str = 'action="store_true"', test: str = "args.mix_up") -> dict[str, str]:
    return {"train.py": DECLARED.format(flag=flag, how=how) + READ.format(test=test)}


@pytest.mark.parametrize(
    ("how", "test"),
    [
        ('action="store_true"', "args.mix_up"),
        ('action="store_true"', 'getattr(args, "mix_up", False)'),
        ('action="store_true"', "args.mix_up and len([1])"),
        ('default="none", choices=["none", "cutmix", "manifold"]', 'args.mix_up == "manifold"'),
        ('default="none"', 'args.mix_up.lower() in ("manifold",)'),
    ],
)
def test_a_flag_nobody_switches(how: str, test: str, tmp_path: Path) -> None:
    (message,) = found(NeverEnabledFlag, program(how=how, test=test), tmp_path)
    assert message.startswith("train.py:4: --mix-up is ")
    assert message.endswith("12 statements wait for another value")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("run.sh", "python train.py --mix-up\n"),
        ("run.sh", "python train.py \\\n  --mix-up\n"),
        ("README.md", "```\npython train.py --mix-up\n```\n"),
        ("README.md", "Switch it on with `--mix-up`.\n"),
        ("run.sh", "for one in mix_up mix-up cut; do\n  python train.py --$one\ndone\n"),
        ("Makefile", "train:\n\tpython train.py --mix-up\n"),
        (".github/workflows/ci.yml", "jobs:\n  a:\n    steps:\n      - run: python train.py --mix-up\n"),
        ("sweep.yaml", "parameters:\n  mix_up: true\n"),
        ("tests/test_train.py", 'def test(parser):\n    assert parser.parse_args(["--mix-up"])\n'),
        ("tests/test_main.py", "def test(main):\n    main(Namespace(mix_up=True))\n"),
        ("other.py", "def other(args):\n    args.mix_up = True\n"),
        ("other.py", "def other(run):\n    run({'mix_up': True})\n"),
        ("look.ipynb", '{"cells": [{"cell_type": "code", "source": ["!python train.py --mix-up"]}], "nbformat": 4}'),
    ],
)
def test_whoever_switches_a_flag_is_found(path: str, text: str, tmp_path: Path) -> None:
    files = {**program(), path: text}
    outcome = run(NeverEnabledFlag, write(files, tmp_path), REGISTRY)
    assert [one.message for one in outcome.report.findings if one.code == "MLD202"] == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("run.sh", "python train.py --lr 1\n"),
        ("run.sh", "python train.py --no-mix-up\n"),
        ("README.md", "| option | meaning |\n|---|---|\n| `--mix-up` | mixes images |\n"),
        ("README.md", "usage: train.py [-h] [--mix-up]\n"),
        ("sweep.yaml", "parameters:\n  mix_up: false\n"),
        ("other.py", "def other(args, use):\n    use(mix_up=args.mix_up)\n"),
        ("other.py", 'def other(args):\n    """mix_up: whether to mix images."""\n    return args\n'),
    ],
)
def test_naming_a_flag_is_not_switching_it(path: str, text: str, tmp_path: Path) -> None:
    assert len(found(NeverEnabledFlag, {**program(), path: text}, tmp_path)) == 1


@pytest.mark.parametrize("name", ["debug", "resume", "eval-only", "no-cuda", "use-gpu", "wandb"])
def test_options_for_people_at_the_keyboard_are_left_out(name: str, tmp_path: Path) -> None:
    test = f"args.{name.replace('-', '_')}"
    assert found(NeverEnabledFlag, program(name, test=test), tmp_path) == []


def test_a_value_is_followed_through_calls_and_attributes(tmp_path: Path) -> None:
    files = {
        "train.py": DECLARED.format(flag="gated", how='action="store_true"')
        + "from model import Net\n\nargs = parser.parse_args()\ngated = args.gated\nNet(gated=gated).step(1)\n",
        "model.py": "class Net:\n    def __init__(self, gated=False):\n        self.gated = gated\n\n"
        "    def step(self, x):\n        return self.inner(x) if not self.gated else 0\n\n"
        "    def inner(self, x):\n        if not self.gated:\n            return x\n" + BODY + "\n        return x\n",
    }
    assert len(found(NeverEnabledFlag, files, tmp_path)) == 1


def test_another_caller_of_the_function_may_switch_it(tmp_path: Path) -> None:
    files = {
        "train.py": DECLARED.format(flag="gated", how='action="store_true"')
        + "from model import step\n\nargs = parser.parse_args()\nstep(1, args.gated)\n",
        "model.py": "def step(x, gated):\n    if gated:\n" + BODY + "\n    return x\n",
        "serve.py": "from model import step\n\nstep(2, bool(input()))\n",
    }
    assert found(NeverEnabledFlag, files, tmp_path) == []


OLD = "import librosa\n\n\nclass Old:\n    def run(self, x):\n" + BODY + "\n        return librosa.load(x)\n"
SWITCH = (
    "from old import Old\n\nUSE_OLD = False\n\n\ndef main(x):\n    return Old().run(x) if USE_OLD else x\n\n\nmain(1)\n"
)


def test_a_constant_frees_a_file_and_its_library(tmp_path: Path) -> None:
    (message,) = found(CodeBehindDeadFlags, {"main.py": SWITCH, "old.py": OLD}, tmp_path)
    assert "USE_OLD is False" in message
    assert "1 file (old.py)" in message
    assert message.endswith("the dependency librosa")


@pytest.mark.parametrize(
    "others",
    [
        {"other.py": "from old import Old\n\nprint(Old())\n"},
        {"other.py": "import old\n\nprint(getattr(old, 'Old'))\n"},
        {"tests/test_old.py": "from old import Old\n\n\ndef test_old():\n    assert Old()\n"},
        {"conf.yaml": "_target_: old.Old\n"},
        {"other.py": "import old as past\n\n\nclass New(past.Old):\n    pass\n"},
    ],
)
def test_what_others_need_is_not_freed(others: dict[str, Any], tmp_path: Path) -> None:
    assert found(CodeBehindDeadFlags, {"main.py": SWITCH, "old.py": OLD, **others}, tmp_path) == []


def test_mutual_recursion_goes_together(tmp_path: Path) -> None:
    files = {
        "main.py": "from old import even\n\nUSE_OLD = False\nif USE_OLD:\n    print(even(4))\n",
        "old.py": "def even(n):\n    if n == 0:\n        return True\n    n = abs(n)\n    return odd(n - 1)\n\n\n"
        "def odd(n):\n    if n == 0:\n        return False\n    n = abs(n)\n    return even(n - 1)\n",
    }
    (message,) = found(CodeBehindDeadFlags, files, tmp_path)
    assert "1 file (old.py)" in message
