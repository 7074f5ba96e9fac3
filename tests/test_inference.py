"""The inference door: astroid answers for classes chosen by a computed key, inside the project and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from astroid.manager import AstroidManager
from mldebt_rules.plain_data.double_activation_loss import DoubleActivationLoss

from mldebt.facts.schema import Call
from mldebt.inference import MOST_MODULES, Inference
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.registry import Registry
from mldebt.testing import run, write

Build = Callable[..., Project]


@pytest.fixture(autouse=True)
def _nothing_from_other_tests() -> None:
    AstroidManager().clear_cache()


FACTORY = {
    "losses.py": """
        import torch.nn as nn

        LOSSES = {"ce": nn.CrossEntropyLoss, "mse": nn.MSELoss}


        def build(name):
            return LOSSES[name]()
    """,
    "train.py": """
        from losses import build


        def train(model, loader):
            criterion = build("ce")
            for x, y in loader:
                criterion(model(x), y).backward()
    """,
}


def call_of(module: Module, name: str) -> Call:
    """The first call whose function is written ``name``."""
    return next(
        site.call
        for index in range(len(module.facts.scopes))
        for site in module.call_sites(index)
        if getattr(site.call.function, "name", "") == name
    )


def classes(project: Project, path: str, function: str) -> tuple[str, ...]:
    module = project.modules[path]
    return project.inference.classes(module, call_of(module, function).function)  # type: ignore[arg-type]


def test_class_is_found_through_a_table_in_another_file(project: Build) -> None:
    assert classes(project(FACTORY), "train.py", "criterion") == ("torch.nn.CrossEntropyLoss",)


def test_class_of_the_project_is_named_by_its_path(project: Build) -> None:
    files = {
        "nets.py": """
            class Small:
                def __call__(self, x):
                    return x

            NETS = {"small": Small}
        """,
        "run.py": """
            from nets import NETS

            def main(x):
                net = NETS["sm" + "all"]()
                return net(x)
        """,
    }
    assert classes(project(files), "run.py", "net") == ("nets.py:Small",)


def test_what_library_methods_give_back_is_known_from_the_stubs(project: Build) -> None:
    text = """
        from torch import nn

        TABLE = {"a": {"loss": nn.NLLLoss()}}

        def main(x, y, device):
            criterion = TABLE["a"]["lo" + "ss"].to(device).eval()
            return criterion(x, y)
    """
    assert classes(project({"run.py": text}), "run.py", "criterion") == ("torch.nn.NLLLoss",)


def test_unknown_key_is_unknown(project: Build) -> None:
    files = {**FACTORY, "train.py": FACTORY["train.py"].replace('build("ce")', "build(input())")}
    assert classes(project(files), "train.py", "criterion") == ()


def test_one_unknown_alternative_makes_all_unknown(project: Build) -> None:
    text = """
        import torch.nn as nn
        from elsewhere import Loss

        def main(x, y, own):
            criterion = nn.CrossEntropyLoss()
            if own:
                criterion = Loss()
            return criterion(x, y)
    """
    assert classes(project({"run.py": text}), "run.py", "criterion") == ()


@pytest.mark.parametrize(
    ("extra", "found"), [(MOST_MODULES - 2, ("torch.nn.CrossEntropyLoss",)), (MOST_MODULES - 1, ())]
)
def test_module_that_imports_too_much_is_not_inferred(project: Build, extra: int, found: tuple[str, ...]) -> None:
    others = {f"part_{number}.py": "x = 1\n" for number in range(extra)}
    imports = "".join(f"        import part_{number}\n" for number in range(extra))
    files = {**FACTORY, **others, "train.py": f"\n{imports}{FACTORY['train.py']}"}
    assert classes(project(files), "train.py", "criterion") == found


@pytest.mark.parametrize("installed", [False, True], ids=["no torch", "a fake torch"])
def test_installed_packages_are_never_looked_into(
    project: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    if installed:
        fake = {
            "torch/__init__.py": "raise SystemExit('imported')\n",
            "torch/nn.py": "class CrossEntropyLoss(int): ...\nMSELoss = CrossEntropyLoss\n",
            "elsewhere.py": "class Loss: ...\n",
        }
        write(fake, tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
    text = "from elsewhere import Loss\n\ndef main(x):\n    loss = Loss()\n    return loss(x)\n"
    built = project({**FACTORY, "other.py": text})
    assert classes(built, "train.py", "criterion") == ("torch.nn.CrossEntropyLoss",)
    assert classes(built, "other.py", "loss") == ()
    assert "elsewhere" not in sys.modules


def test_closing_forgets_the_modules(project: Build) -> None:
    built = project(FACTORY)
    assert classes(built, "train.py", "criterion")
    built.inference.close()
    assert "train" not in AstroidManager().astroid_cache
    assert "losses" not in AstroidManager().astroid_cache
    assert classes(built, "train.py", "criterion") == ("torch.nn.CrossEntropyLoss",)  # built again when asked again


def test_two_projects_with_the_same_module_names_do_not_mix(project: Build) -> None:
    other = FACTORY["losses.py"].replace("nn.CrossEntropyLoss", "nn.BCELoss")
    first, second = project(FACTORY), project({**FACTORY, "losses.py": other})
    assert classes(first, "train.py", "criterion") == ("torch.nn.CrossEntropyLoss",)
    assert classes(second, "train.py", "criterion") == ("torch.nn.BCELoss",)
    assert classes(first, "train.py", "criterion") == ("torch.nn.CrossEntropyLoss",)


def test_file_that_does_not_parse_is_unknown(project: Build) -> None:
    built = project({**FACTORY, "losses.py": "def build(name:\n"})
    assert classes(built, "train.py", "criterion") == ()


def dispatched_example() -> dict[str, str]:
    """The rule's own example of a loss chosen by a computed key from a table that extends another."""
    tables = (example.files for example in DoubleActivationLoss.examples)
    return next(files for files in tables if "LOSSES[cfg.loss]" in files.get("losses.py", ""))


def test_rule_sees_through_a_table_of_losses(tmp_path: Path) -> None:
    outcome = run(DoubleActivationLoss, write(dispatched_example(), tmp_path), Registry(rules=(DoubleActivationLoss,)))
    assert [finding.place.path for finding in outcome.report.findings] == ["run.py"]


def test_without_astroid_the_rule_is_blind_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inference, "classes", lambda *_: ())
    outcome = run(DoubleActivationLoss, write(dispatched_example(), tmp_path), Registry(rules=(DoubleActivationLoss,)))
    assert outcome.report.findings == ()


def test_scan_leaves_nothing_in_astroid(tmp_path: Path) -> None:
    run(DoubleActivationLoss, write(dispatched_example(), tmp_path), Registry(rules=(DoubleActivationLoss,)))
    assert {"run", "losses", "model", "config"}.isdisjoint(AstroidManager().astroid_cache)
