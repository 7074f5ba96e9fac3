"""The selected rules, with the options that hold where they look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mldebt.configure import CommandLine, configure
from mldebt.finding import Confidence, Severity
from mldebt.project.project import Project
from mldebt.registry import Registry
from mldebt.rule import AnyRule, Problem, ProjectRule
from mldebt.rulebook import Rulebook
from mldebt.settings.files import read_settings


@dataclass(frozen=True)
class Silent(ProjectRule):
    """Finds nothing."""

    severity, confidence, minutes = Severity.MINOR, Confidence.HIGH, 5
    examples = ()

    limit: int = 3
    names: tuple[str, ...] = ()

    def check(self, project: Project, /) -> Iterator[Problem]:
        return iter(())


class First(Silent):
    code = "MLD091"

    @classmethod
    def name(cls) -> str:
        return "first"


class Second(Silent):
    code = "MLD092"

    @classmethod
    def name(cls) -> str:
        return "second"


def rulebook(root: Path, text: str, select: tuple[str, ...] | None = None, nested: str = "") -> Rulebook:
    (root / "mldebt.toml").write_text(text)
    (root / "old").mkdir(exist_ok=True)
    (root / "old/mldebt.toml").write_text(nested)
    registry = Registry(rules=(First, Second))
    config = configure(read_settings(root), registry.rules, CommandLine(select=select))
    return Rulebook(registry, config.with_nested(["mldebt.toml", "old/mldebt.toml", "old/a.py"]))


def limit(rule: AnyRule) -> int:
    assert isinstance(rule, Silent)
    return rule.limit


def test_rules_come_in_the_order_of_their_codes(tmp_path: Path) -> None:
    assert [rule.code for rule in rulebook(tmp_path, "")] == ["MLD091", "MLD092"]


def test_what_is_not_selected_is_known_all_the_same(tmp_path: Path) -> None:
    book = rulebook(tmp_path, "", ("second",))
    assert [rule.code for rule in book] == ["MLD092"]
    assert book.codes == {"MLD092"}
    assert book.known == {"MLD091": "MLD091", "first": "MLD091", "MLD092": "MLD092", "second": "MLD092"}


def test_options_become_fields_in_their_types(tmp_path: Path) -> None:
    first, second = rulebook(tmp_path, '[rules.first]\nlimit = 9\nnames = ["a", "b"]\n')
    assert first == First(limit=9, names=("a", "b"))
    assert second == Second()


def test_the_nearest_configuration_wins(tmp_path: Path) -> None:
    text = '[rules.first]\nlimit = 9\n[[overrides]]\nfiles = ["*_test.py"]\nrules.first.limit = 10\n'
    book = rulebook(tmp_path, text, nested='[rules.first]\nlimit = 11\nseverity = "critical"\n')
    first = next(iter(book))
    paths = ("a.py", "a_test.py", "old/a.py")
    assert [limit(book.at(first, path)) for path in paths] == [9, 10, 11]
    assert [book.severity(first, path) for path in paths] == [None, None, Severity.CRITICAL]


def test_equal_options_share_one_rule(tmp_path: Path) -> None:
    book = rulebook(tmp_path, "")
    assert book.at(First, "a.py") is book.at(First, "old/a.py")
    assert book.at(First, "a.py") is not book.at(Second, "a.py")
