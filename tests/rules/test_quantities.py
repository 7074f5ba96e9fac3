"""The quantity analysis (F16): what values are, who says so, and what every way through a model ends in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mldebt_rules.plain_data.algebra import combined
from mldebt_rules.plain_data.knowledge import Slot, canonical
from mldebt_rules.plain_data.quantities import Quantities, Sign, agreed
from mldebt_rules.plain_data.values import API, NAME, Constant, Evidence, Place, Tensor

from mldebt.facts.schema import Return
from mldebt.facts.walk import statements
from mldebt.project.project import Project

Build = Callable[..., Project]


def returned(project: Project, path: str = "m.py") -> Sign | None:
    """The quantity of what the last function of a file returns."""
    module = project.modules[path]
    index = len(module.facts.scopes) - 1
    value = next(stmt.value for stmt in statements(module.body(index)) if isinstance(stmt, Return))
    assert value is not None
    return project[Quantities].of(module, index, value)


@pytest.mark.parametrize(
    ("expression", "quantity"),
    [
        ("F.softmax(x, dim=1)", "prob"),
        ("x.softmax(-1)[:, 0]", "prob"),
        ("torch.sigmoid(x).squeeze().detach().cpu().numpy()", "prob"),
        ("1 - torch.sigmoid(x)", "prob"),
        ("torch.exp(F.log_softmax(x, 1))", "prob"),
        ("torch.log(torch.softmax(x, 1) + 1e-8)", "logprob"),
        ("F.log_softmax(x, 1) + F.log_softmax(x, 1)", "logprob"),
        ("nn.Linear(3, 2)(x) / 0.7", "logit"),
        ("torch.logit(torch.sigmoid(x))", "logit"),
    ],
)
def test_apis_say_what_values_are(project: Build, expression: str, quantity: str) -> None:
    text = (
        f"import torch\nfrom torch import nn\nimport torch.nn.functional as F\n\ndef f(x):\n    return {expression}\n"
    )
    sign = returned(project({"m.py": text}))
    assert sign is not None
    assert (sign.quantity, sign.weight) == (quantity, API)


@pytest.mark.parametrize(
    "expression",
    ["x", "torch.sigmoid(x) * 100", "torch.sigmoid(x) + torch.sigmoid(x)", "torch.sigmoid(x) if x else x", "F.relu(x)"],
)
def test_what_nobody_says_is_unknown(project: Build, expression: str) -> None:
    text = f"import torch\nimport torch.nn.functional as F\n\ndef f(x):\n    return {expression}\n"
    assert returned(project({"m.py": text})) is None


def test_a_name_alone_weighs_least(project: Build) -> None:
    sign = returned(project({"m.py": "def f(log_probs):\n    return log_probs\n"}))
    assert sign is not None
    assert (sign.quantity, sign.weight) == ("logprob", NAME)


def test_an_annotation_weighs_more_than_a_name(project: Build) -> None:
    text = "from units import Prob\n\ndef f(logit: Prob):\n    return logit\n"
    sign = returned(project({"m.py": text}))
    assert sign is not None
    assert sign.quantity == "prob"


MODEL = """
    from torch import nn
    import torch.nn.functional as F

    class Base(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x):
            return self.finish(self.fc(x))

        def finish(self, x):
            return x

    class Probabilities(Base):
        def finish(self, x):
            return F.softmax(x, 1)

    class Either(Base):
        def finish(self, x):
            if self.training:
                return x
            return F.softmax(x, 1)

    class Tail(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(3, 2), nn.LogSoftmax(1), nn.Flatten())
"""


@pytest.mark.parametrize(
    ("name", "quantity"), [("Base", "logit"), ("Probabilities", "prob"), ("Either", None), ("Tail", "logprob")]
)
def test_out_is_what_every_way_through_a_model_ends_in(project: Build, name: str, quantity: str | None) -> None:
    found = agreed(project({"m.py": MODEL})[Quantities].out(f"m.py:{name}"))
    assert (found.quantity if found else None) == quantity


def test_answers_do_not_depend_on_what_was_asked_before(project: Build) -> None:
    names = ["Base", "Probabilities", "Either", "Tail"]
    first, second = project({"m.py": MODEL})[Quantities], project({"m.py": MODEL})[Quantities]
    forwards = {name: agreed(first.out(f"m.py:{name}")) for name in names}
    backwards = {name: agreed(second.out(f"m.py:{name}")) for name in reversed(names)}
    assert forwards == backwards


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("tensorflow.keras.layers.Dense", "keras.layers.Dense"),
        ("tensorflow.python.keras.layers.core.Dense", "keras.layers.Dense"),
        ("keras.models.Sequential", "keras.Sequential"),
        ("torch.nn.modules.loss.BCELoss", "torch.nn.BCELoss"),
        ("tensorflow.compat.v1.log", "tensorflow.log"),
        ("numpy.log", "numpy.log"),
    ],
)
def test_rows_are_found_under_every_name_of_a_library(name: str, row: str) -> None:
    assert canonical(name) == row


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_closed_range_admits_exactly_its_numbers(value: float) -> None:
    slot = Slot(argument="q", quantity="quantile", low=0.0, high=1.0)
    assert slot.admits(value) == (0 <= value <= 1)


@given(st.integers(min_value=1))
def test_a_count_is_always_admitted(value: int) -> None:
    assert Slot(argument="test_size", quantity="share", low=0.0, high=1.0, counts=True).admits(value)


@given(st.sampled_from("+-*/"), st.floats(allow_nan=False, allow_infinity=False))
def test_scaling_never_makes_a_probability_of_a_logit(op: str, number: float) -> None:
    logit = Tensor(Evidence("logit", "torch.nn.Linear", Place("m.py", None)))
    found = combined(op, logit, Constant(number))
    assert found is None or (isinstance(found, Tensor) and found.evidence.quantity == "logit")
