"""Python's scoping: which scope binds a name."""

from __future__ import annotations

import pytest

from mldebt.facts.extract import extract
from mldebt.facts.names import binding_scope, rebound_inside
from mldebt.facts.schema import ModuleFacts
from mldebt.sources.text import Source


def facts(text: str) -> ModuleFacts:
    return extract(Source("m.py", text))[0]


def scope(found: ModuleFacts, qualname: str) -> int:
    return next(index for index, one in enumerate(found.scopes) if one.qualname == qualname)


def bound_in(text: str, reader: str, head: str) -> str | None:
    """The qualified name of the binding scope; "" is the module."""
    found = facts(text)
    index = binding_scope(found, scope(found, reader), head)
    return None if index is None else found.scopes[index].qualname


def test_a_method_does_not_see_names_of_its_class() -> None:
    text = "x = 1\nclass A:\n    x = 2\n    def f(self): return x\n"
    assert bound_in(text, "A.f", "x") == ""


def test_a_class_body_sees_its_own_names() -> None:
    assert bound_in("x = 1\nclass A:\n    x = 2\n    y = x\n", "A", "x") == "A"


def test_a_nested_function_sees_the_enclosing_functions_names() -> None:
    assert bound_in("def f():\n    x = 1\n    def g(): return x\n", "f.g", "x") == "f"


def test_global_belongs_to_the_module_even_when_only_a_function_binds_it() -> None:
    assert bound_in("def f():\n    global x\n    x = 1\n", "f", "x") == ""


def test_nonlocal_belongs_to_the_enclosing_function() -> None:
    assert bound_in("def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n", "f.g", "x") == "f"


def test_a_parameter_hides_an_import() -> None:
    assert bound_in("import np\ndef f(np): return np\n", "f", "np") == "f"


def test_builtins_are_bound_nowhere() -> None:
    assert bound_in("def f(): return len\n", "f", "len") is None


@pytest.mark.parametrize("inner", ["[np for np in xs]", "{np: 1 for np in xs}", "lambda np: np"])
def test_a_name_a_comprehension_rebinds_is_unknown_there(inner: str) -> None:
    text = f"import np\ndef f(xs):\n    y = {inner}\n    return np.mean(y)\ndef g(): return np\n"
    found = facts(text)
    assert bound_in(text, "f", "np") is None
    assert rebound_inside(found, scope(found, "f"), "np")
    assert bound_in(text, "g", "np") == ""
