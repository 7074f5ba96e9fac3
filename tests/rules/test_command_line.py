"""What argparse accepts, held against argparse itself."""

from __future__ import annotations

import argparse
import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mldebt_rules.configuration.command_line import REST, Interface, Option, check, nearest_flag

INTERFACE = Interface(
    options=(
        Option(("-h", "--help"), "help", 0),
        Option(("--lr", "--learning-rate"), "lr", kind="float"),
        Option(("-b", "--batch-size"), "batch_size", kind="int"),
        Option(("-v", "--verbose"), "verbose", 0),
        Option(("--gpus",), "gpus", "+", kind="int"),
        Option(("--size",), "size", ("n", 2), kind="int"),
        Option(("--amp", "--no-amp"), "amp", 0),
        Option(("--mode",), "mode", choices=("train", "test")),
    ),
    positionals=(Option((), "data", required=True),),
)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    made.add_argument("--lr", "--learning-rate", type=float)
    made.add_argument("-b", "--batch-size", type=int)
    made.add_argument("-v", "--verbose", action="store_true")
    made.add_argument("--gpus", type=int, nargs="+")
    made.add_argument("--size", type=int, nargs=2)
    made.add_argument("--amp", action=argparse.BooleanOptionalAction)
    made.add_argument("--mode", choices=["train", "test"])
    made.add_argument("data")
    return made


def refused(words: list[str]) -> bool:
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            parser().parse_args(words)
        except SystemExit:
            return True
    return False


ACCEPTED = [
    ["data", "--lr", "0.1", "--batch-size=4"],
    ["--lr=1e-3", "data", "-b", "8", "-v"],
    ["-b16", "data", "--learn", "3"],
    ["data", "--gpus", "0", "1", "--no-amp"],
    ["--size", "224", "224", "data"],
    ["data", "--mode", "test"],
    ["--", "--data"],
    ["-5"],
]
REFUSED = [
    ["data", "--rate", "0.1"],
    ["data", "--lr", "fast"],
    ["data", "--batch-size", "4.5"],
    ["data", "--mode", "predict"],
    ["data", "more"],
    ["--lr", "0.1"],
    ["data", "--size", "224"],
    ["data", "--lr"],
    ["data", "--verbose=1"],
]


@pytest.mark.parametrize("words", ACCEPTED, ids=" ".join)
def test_accepts_what_argparse_accepts(words: list[str]) -> None:
    assert not refused(words)
    assert check(INTERFACE, words) == []


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_refuses_what_argparse_refuses(words: list[str]) -> None:
    assert refused(words)
    assert check(INTERFACE, words)


WORDS = st.sampled_from(
    "data --lr --l 0.1 --batch-size -b -b4 4 --gpus 1 -v --verbose --no-amp --mode train --size --x -- 3 fast".split()
)


@given(st.lists(WORDS, max_size=7))
def test_never_complains_about_what_argparse_takes(words: list[str]) -> None:
    if not refused(words):
        assert check(INTERFACE, words) == []


LAUNCHER = Interface(
    options=(
        Option(("-h", "--help"), "help", 0, leaves=True),
        Option(("-n",), "n", kind="int"),
        Option(("--addr",), "addr", required=True),
    ),
    positionals=(Option((), "script"), Option((), "script_args", REST)),
)
LAUNCH_WORDS = st.sampled_from("train.py -n -n4 8 --addr here --lr -b -h --help --x=1 --".split())


def launcher_refuses(words: list[str]) -> bool:
    made = argparse.ArgumentParser()
    made.add_argument("-n", type=int)
    made.add_argument("--addr", required=True)
    made.add_argument("script")
    made.add_argument("script_args", nargs=argparse.REMAINDER)
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            made.parse_args(words)
        except SystemExit as left:
            return left.code != 0
    return False


@given(st.lists(LAUNCH_WORDS, max_size=7))
def test_never_complains_about_what_a_launcher_takes(words: list[str]) -> None:
    if not launcher_refuses(words):
        assert check(LAUNCHER, words) == []


@pytest.mark.parametrize(
    ("line", "subject"),
    [
        ("--addr here train.py --lr 1 -b", None),
        ("--addr here --lr train.py", "--lr"),
        ("-n 8 train.py --addr here", "--addr"),
    ],
)
def test_a_launcher_reads_only_what_stands_before_the_script(line: str, subject: str | None) -> None:
    words = line.split()
    assert launcher_refuses(words) == (subject is not None)
    assert [one.subject for one in check(LAUNCHER, words)] == ([subject] if subject else [])


def test_help_needs_nothing_else() -> None:
    fit = Interface(options=(Option(("--help",), "help", 0, leaves=True), Option(("--lr",), "lr", required=True)))
    group = Interface(options=(Option(("--root",), "root", required=True),), commands={"fit": fit}, has_commands=True)
    assert check(LAUNCHER, ["-h"]) == []
    assert check(group, ["fit", "--help"]) == []
    assert [one.subject for one in check(group, ["--root", ".", "fit"])] == ["--lr"]


def test_unknown_words_may_be_anything() -> None:
    assert check(INTERFACE, ["$DATA", "--batch-size", "$B"]) == []
    assert check(INTERFACE, ["$@"]) == []
    assert [one.subject for one in check(INTERFACE, ["$@", "--rate", "1"])] == ["--rate"]


def test_documents_have_placeholders() -> None:
    assert check(INTERFACE, ["DATA", "--lr", "LR", "--gpus", "N"], documented=True) == []


def test_subcommands_have_options_of_their_own() -> None:
    fit = Interface(options=(Option(("--lr",), "lr", required=True),))
    interface = Interface(commands={"fit": fit, "test": Interface()}, has_commands=True)
    assert check(interface, ["fit", "--lr", "1"]) == []
    assert [one.kind for one in check(interface, ["fit"])] == ["missing"]
    assert [one.nearest for one in check(interface, ["fitt"])] == ["fit"]
    assert [one.subject for one in check(interface, ["test", "--lr", "1"])] == ["--lr"]


def test_an_incomplete_interface_says_nothing_of_what_it_does_not_know() -> None:
    interface = Interface(
        options=(Option(("--lr",), "lr", kind="float"), Option(("--rest",), "rest", REST)), complete=False
    )
    assert check(interface, ["--anything", "x", "y"]) == []
    assert [one.kind for one in check(interface, ["--lr", "fast"])] == ["value"]


@pytest.mark.parametrize(
    ("flag", "nearest"),
    [("--batch-size", "--batch_size"), ("--learning-rate", "--lr"), ("--epoch", "--epochs"), ("--lower", "")],
)
def test_nearest_flag(flag: str, nearest: str) -> None:
    assert nearest_flag(flag, {"--batch_size": 1, "--lr": 1, "--epochs": 1}) == nearest
