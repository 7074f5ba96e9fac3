"""Hyperparameters by name, and the arguments of library calls that take them."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path

from mldebt_rules.configuration.slots import CONTRACT, PERFORMANCE, SEED, TUNING, Slots

from mldebt.config import Config, Request
from mldebt.facts.arguments import UNKNOWN
from mldebt.pipeline import scan
from mldebt.registry import Registry


def slots(folder: Path, text: str) -> Slots:
    (folder / "train.py").write_text(text, encoding="utf-8")
    config = Config(folder, isolated=True)
    return scan(Request(folder, config=config, use_cache=False, jobs=1), Registry()).project[Slots]


def test_names_and_aliases_are_one_knob(tmp_path: Path) -> None:
    known = slots(tmp_path, "")
    assert {knob.name for name in ("lr", "learning_rate", "LR", "--learning-rate") if (knob := known.knob(name))} == {
        "lr"
    }
    assert known.knob("weather") is None


def test_no_name_means_two_knobs() -> None:
    names = [name for knob in Slots.knobs.rows.values() for name in (knob.name, *knob.aliases)]
    assert len(names) == len(set(names))


def test_rows_are_of_known_kinds_and_have_sources() -> None:
    assert {knob.kind for knob in Slots.knobs.rows.values()} == {CONTRACT, TUNING, PERFORMANCE, SEED}
    known = {name for knob in Slots.knobs.rows.values() for name in (knob.name, *knob.aliases)}
    for row in Slots.slots.rows.values():
        assert row.source.startswith("http")
        assert all((slot.knob or name) in known for name, slot in row.parameters.items()), row.name


def test_arguments_by_keyword_and_by_position(tmp_path: Path) -> None:
    text = "import torch\nfrom torch import nn\ntorch.optim.SGD(p, 0.1, momentum=0.9)\nnn.Dropout(0.3)\n"
    filled = slots(tmp_path, text).all
    assert [(one.name, one.kind, one.constant) for one in filled] == [
        ("lr", TUNING, 0.1),
        ("momentum", TUNING, 0.9),
        ("dropout", TUNING, 0.3),
    ]
    assert [one.place.span.line for one in filled] == [3, 3, 4]


def test_what_stars_hide_is_not_guessed(tmp_path: Path) -> None:
    assert slots(tmp_path, "import torch\ntorch.optim.SGD(*many)\ntorch.optim.SGD(p, **more)\n").all == ()


def test_defaults_are_told(tmp_path: Path) -> None:
    (one,) = slots(tmp_path, "from sklearn.ensemble import RandomForestClassifier as F\nF(n_estimators=100)\n").all
    assert (one.default, one.constant) == (100, 100)
    (two,) = slots(tmp_path, "from torchvision import transforms\ntransforms.Resize(224)\n").all
    assert (two.default, two.kind) == (UNKNOWN, CONTRACT)


def test_rows_fit_the_installed_libraries() -> None:
    """Reads the signatures of the libraries that are installed; none of them is needed for the rest."""
    installed = {name for name in _LIBRARIES if importlib.util.find_spec(name) is not None}
    for row in Slots.slots.rows.values():
        if row.name.partition(".")[0] not in installed:
            continue
        module, _, attribute = row.name.rpartition(".")
        parameters = list(inspect.signature(getattr(importlib.import_module(module), attribute)).parameters)
        for argument, slot in row.parameters.items():
            assert argument in parameters, row.name
            assert slot.position is None or parameters[slot.position] == argument, row.name


_LIBRARIES = frozenset({"torch", "sklearn", "keras", "librosa", "xgboost", "lightgbm"})
