"""What plugs in is found: in installed packages, and in local files the user trusts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mldebt.errors import PluginError
from mldebt.registry import installed, with_files
from mldebt.rule import Analysis, Practice, ProjectRule, Rule

TABLE = """
from mldebt.rule import Row, Table


class CoinRow(Row, frozen=True, kw_only=True):
    sides: int


class Coins:
    table = Table("coins.toml", "coins", CoinRow)
"""


def test_the_built_in_rules_come_through_the_entry_point() -> None:
    registry = installed()
    assert all(rule.__module__.startswith("mldebt_rules.") for rule in registry.rules)
    assert [rule.code for rule in registry.rules] == sorted(rule.code for rule in registry.rules)
    assert {Rule, ProjectRule, Analysis, Practice}.isdisjoint(
        (*registry.rules, *registry.analyses, *registry.practices)
    )
    assert "seeds" in {table.key for table in registry.tables}


def test_a_rule_is_found_by_code_and_by_name(tmp_path: Path, dice: str) -> None:
    (tmp_path / "bare_dice.py").write_text(dice)
    registry = with_files([tmp_path])
    rule = registry.rule("mld091")
    assert rule is not None
    assert (rule.code, rule.name(), rule.family()) == ("MLD091", "bare-dice", tmp_path.name.replace("_", "-"))
    assert registry.rule("bare-dice") is rule
    assert registry.rule("bare") is None


def test_local_files_come_on_top_of_what_is_installed(tmp_path: Path, dice: str) -> None:
    (tmp_path / "bare_dice.py").write_text(dice)
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper/loaded_dice.py").write_text(dice.replace("MLD091", "MLD092"))
    added = set(with_files([tmp_path]).rules) - set(installed().rules)
    assert {rule.name() for rule in added} == {"bare-dice", "loaded-dice"}
    assert set(with_files([tmp_path / "bare_dice.py"]).rules) - set(installed().rules) != added


def test_only_what_a_file_defines_counts(tmp_path: Path, dice: str) -> None:
    (tmp_path / "bare_dice.py").write_text(dice)
    (tmp_path / "again.py").write_text("from .bare_dice import BareDice\nfrom mldebt.rule import Rule, Analysis\n")
    assert len(with_files([tmp_path]).rules) == len(installed().rules) + 1


def test_files_of_one_name_in_two_folders_do_not_mix(tmp_path: Path, dice: str) -> None:
    for number, folder in enumerate(("a/rules", "b/rules")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "bare_dice.py").write_text(dice.replace("MLD091", f"MLD09{number}"))
    found = with_files([tmp_path / "a/rules", tmp_path / "b/rules"])
    assert {rule.code for rule in found.rules} - {rule.code for rule in installed().rules} == {"MLD090", "MLD091"}


def test_a_later_scan_in_this_process_reads_its_own_files(tmp_path: Path, dice: str) -> None:
    for folder, code in (("one", "MLD091"), ("two", "MLD0925")):
        rules = tmp_path / folder / ".rules"
        rules.mkdir(parents=True)
        (rules / "bare_dice.py").write_text(dice.replace("MLD091", code))
        assert with_files([rules]).rule(code) is not None


def test_tables_of_local_files_are_known(tmp_path: Path) -> None:
    (tmp_path / "coins.py").write_text(TABLE)
    (tmp_path / "coins.toml").write_text('coins = [{ name = "coins.euro", sides = 2 }]\n')
    (table,) = (table for table in with_files([tmp_path]).tables if table.key == "coins")
    assert table.rows["coins.euro"].sides == 2


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("broken.py", "import nothing_of_that_name\n", "broken.py cannot be loaded: No module named 'nothing"),
        ("broken.py", "raise SystemExit('gone')\n", "broken.py cannot be loaded: gone"),
        ("broken.py", "x = (\n", "broken.py cannot be loaded: '(' was never closed"),
        ("rules.txt", "", "rules.txt is no Python file"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_loaded_is_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PluginError) as caught:
        with_files([tmp_path / name])
    assert words in str(caught.value)


def test_a_folder_without_rules_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no rule files at "):
        with_files([tmp_path])
    with pytest.raises(PluginError, match=r"no rule files at .*missing\.py"):
        with_files([tmp_path / "missing.py"])


def test_a_code_belongs_to_one_rule(tmp_path: Path, dice: str) -> None:
    taken = installed().rules[0]
    (tmp_path / "bare_dice.py").write_text(dice.replace("MLD091", taken.code))
    with pytest.raises(PluginError, match=f"{taken.code} is claimed by both {taken.__module__} and .*bare_dice"):
        with_files([tmp_path])


def test_our_rule_files_announce_what_they_hold() -> None:
    registry = installed()
    said = [(each.code, each.preview, each.module(), each.name(), each.family()) for each in registry.announced]
    assert said == [(each.code, each.preview, each.module(), each.name(), each.family()) for each in registry.rules]
    assert [each.load() for each in registry.announced] == list(registry.rules)
    assert {practice.id for practice in registry.practices} == {"P17", "P23"}


def test_a_scan_for_one_rule_imports_few_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import random\n\nprint(random.random())\n")
    script = (
        "import sys\n"
        "from mldebt.cli.main import main\n"
        f"main(['scan', {str(tmp_path)!r}, '--select', 'MLD404', '--no-cache', '-q'], standalone_mode=False)\n"
        "print(sum(name.startswith('mldebt_rules.') for name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout.split()[-1]) < len(installed().rules)


def test_options_need_a_dataclass(tmp_path: Path, dice: str) -> None:
    (tmp_path / "bare_dice.py").write_text(dice.replace("@dataclass(frozen=True)\n", ""))
    with pytest.raises(PluginError, match="BareDice has options, so it must be a frozen dataclass"):
        with_files([tmp_path])


def test_a_rule_remembers_nothing() -> None:
    for rule in installed().rules:
        with pytest.raises(AttributeError):
            rule().last = "what was found"
