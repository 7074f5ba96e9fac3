"""The doors are real: with libcst or astroid shut, what stands on them falls silent, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from astroid.manager import AstroidManager

from mldebt import module as module_file
from mldebt.facts.schema import Attribute, Call
from mldebt.inference import Inferable, Inference
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.registry import installed
from mldebt.rule import AnyRule, Bad, ProjectRule, Rule
from mldebt.testing import run, write

Build = Callable[..., Project]

TREE_RULES = [rule for rule in installed().rules if issubclass(rule, Rule)]
PROJECT_RULES = [rule for rule in installed().rules if issubclass(rule, ProjectRule)]


def first_example(rule: type[AnyRule], folder: Path) -> int:
    """How many findings a rule has in its first bad example."""
    example = next(example for example in rule.examples if isinstance(example, Bad))
    outcome = run(rule, write(example.files, folder), installed(), example.options)
    assert outcome.report.errors == ()
    return sum(finding.code == rule.code for finding in outcome.report.findings)


@pytest.fixture
def no_libcst(monkeypatch: pytest.MonkeyPatch) -> None:
    for door in ("open_statement", "open_file"):
        monkeypatch.setattr(module_file, door, lambda *_: None)


def test_there_are_rules_of_both_kinds() -> None:
    assert TREE_RULES
    assert PROJECT_RULES


@pytest.mark.parametrize("rule", TREE_RULES, ids=lambda rule: rule.code)
def test_a_tree_rule_sees_through_libcst(rule: type[AnyRule], tmp_path: Path) -> None:
    assert first_example(rule, tmp_path) > 0


@pytest.mark.parametrize("rule", TREE_RULES, ids=lambda rule: rule.code)
def test_a_tree_rule_is_blind_without_libcst(rule: type[AnyRule], tmp_path: Path, no_libcst: None) -> None:
    assert first_example(rule, tmp_path) == 0


@pytest.mark.parametrize("rule", PROJECT_RULES, ids=lambda rule: rule.code)
def test_a_project_rule_needs_no_libcst(rule: type[AnyRule], tmp_path: Path, no_libcst: None) -> None:
    assert first_example(rule, tmp_path) > 0


# What linked facts leave open: a class behind a property of another file's class, and one behind a method of a library.
OPEN = {
    "losses.py": """
        from torch import nn

        class Losses:
            @property
            def main(self):
                return nn.CrossEntropyLoss()
        """,
    "train.py": """
        from torch import nn
        import losses

        def step(x, y):
            losses.Losses().main(x, y)
            (nn.NLLLoss() if x else None).to("cuda")(x, y)
            unknown().main(x, y)
        """,
}


def classes_called(project: Project) -> list[tuple[str, ...]]:
    """What astroid says of the callees that are handed two arguments in ``step``."""
    train = project.modules["train.py"]
    step = next(index for index, scope in enumerate(train.facts.scopes) if scope.qualname == "step")
    functions = [site.call.function for site in train.call_sites(step) if len(site.call.args) == 2]
    return [
        project.inference.classes(train, function) for function in functions if isinstance(function, (Attribute, Call))
    ]


def test_astroid_knows_what_facts_leave_open(project: Build) -> None:
    built = project(OPEN)
    assert classes_called(built) == [("torch.nn.CrossEntropyLoss",), ("torch.nn.NLLLoss",), ()]
    built.inference.close()
    assert classes_called(built)[0] == ("torch.nn.CrossEntropyLoss",), "it can be asked again"


def test_astroid_looks_into_the_project_and_our_brains_only(project: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed packages are not read, and those written in C not imported: a scan is the same wherever it runs."""
    files = {"train.py": "import click\nimport _bisect\n\ndef step(x):\n    click.Context(x, x)(x, x)\n"}
    before = AstroidManager.ast_from_module_name
    imported: list[str] = []
    monkeypatch.setattr("astroid.manager.load_module_from_name", imported.append)
    assert classes_called(project(files)) == [()]
    assert classes_called(project({"train.py": files["train.py"].replace("click.Context", "_bisect.bisect")})) == [()]
    assert imported == []
    assert AstroidManager.ast_from_module_name is before


def test_a_rule_needs_astroid_in_an_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = Inference.classes

    def watched(inference: Inference, module: Module, expr: Inferable) -> tuple[str, ...]:
        asked.append(module.path)
        return real(inference, module, expr)

    def shut(*_: object) -> tuple[str, ...]:
        return ()

    lost = []
    examples = [(rule, each) for rule in installed().rules for each in rule.examples if isinstance(each, Bad)]
    for number, (rule, example) in enumerate(examples):
        asked.clear()
        monkeypatch.setattr(Inference, "classes", watched)
        folder = write(example.files, tmp_path / str(number))
        findings = run(rule, folder, installed(), example.options).report.findings
        if asked:
            monkeypatch.setattr(Inference, "classes", shut)
            if run(rule, folder, installed(), example.options).report.findings != findings:
                lost.append(rule.code)
    assert lost, "no rule's bad example stands on astroid"


def test_astroid_is_not_started_where_facts_suffice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("astroid was asked")

    monkeypatch.setattr(Inference, "_build", refused)
    (tmp_path / "a.py").write_text("import random\nfor n in range(3):\n    print(random.random())\n")
    for rule in installed().rules:
        assert run(rule, tmp_path, installed()).report.errors == ()
