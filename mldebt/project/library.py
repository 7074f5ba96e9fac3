"""What is known of library classes and of what library calls return."""

from __future__ import annotations

from pathlib import Path

import msgspec
import tomli

from mldebt.facts.schema import Build, Comprehension, Const, Expr, Format
from mldebt.project.annotations import is_class_like


class _Wrappers(msgspec.Struct, frozen=True):
    names: frozenset[str]


class Knowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``returns.toml``: what library calls return."""

    returns: dict[str, str]
    wrappers: _Wrappers
    chaining: dict[str, frozenset[str]]
    bases: dict[str, tuple[str, ...]]


KNOWLEDGE = msgspec.convert(tomli.loads((Path(__file__).parent / "returns.toml").read_text("utf-8")), Knowledge)

_AUTO = {"AutoTokenizer": "PreTrainedTokenizerBase", "AutoConfig": "PretrainedConfig"}


def library_bases(name: str) -> tuple[str, ...]:
    """Bases of a library class that matter; everything in ``torch.nn`` is a module but parameters."""
    if name.startswith("torch.nn.") and name.count(".") == 2 and is_class_like(name):
        return () if name.endswith(("Parameter", "ParameterList")) else ("torch.nn.Module",)
    return KNOWLEDGE.bases.get(name, ())


def built_by(name: str, method: str) -> str | None:
    """The class of what ``name.method(...)`` builds, for alternative constructors: ``BertModel.from_pretrained``.

    Hugging Face's Auto classes are never instances themselves.
    """
    if not is_class_like(name) or f"{name}.{method}" in KNOWLEDGE.returns:
        return None
    library, _, last = name.rpartition(".")
    if library == "transformers" and last.startswith("AutoModel"):
        return "transformers.PreTrainedModel"
    return f"{library}.{_AUTO[last]}" if library == "transformers" and last in _AUTO else name


def literal_class(expr: Expr) -> tuple[str, ...]:
    """The class of a literal or display."""
    if isinstance(expr, Const):
        return () if expr.value is None else (f"builtins.{type(expr.value).__name__}",)
    if isinstance(expr, Format):
        return ("builtins.str",)
    if isinstance(expr, (Build, Comprehension)) and expr.kind != "generator":
        return (f"builtins.{expr.kind}",)
    return ()
