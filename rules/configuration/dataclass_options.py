"""The options Hugging Face's parser makes of dataclasses: one for each field, by its type and default.

Source: https://github.com/huggingface/transformers/blob/main/src/transformers/hf_argparser.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import Annotate, Assign, Binary, Build, Call, Const, Expr, Ref, Subscript

from .command_line import ANY, Option

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

HF_PARSERS = frozenset(
    {"transformers.HfArgumentParser", "transformers.hf_argparser.HfArgumentParser", "transformers.HFArgumentParser"}
)
_DATACLASS = frozenset({"dataclasses.dataclass"})
_FIELD = frozenset({"dataclasses.field", "transformers.hf_argparser.HfArg"})
_PLAIN_BASES = frozenset({"builtins.object", "object", "abc.ABC", "typing.Generic"})
_KINDS = {"builtins.int": "int", "builtins.float": "float", "builtins.bool": "bool"}
_LISTS = frozenset({"builtins.list", "typing.List"})
_UNIONS = frozenset({"typing.Union"})
# Metadata that is only shown, and that this module reads; any other key changes what the parser accepts.
_SHOWN = frozenset({"help", "metavar", "aliases"})


def dataclass_options(project: Project, module: Module, scope: int, call: Call) -> tuple[Option, ...] | None:
    """The options of ``HfArgumentParser((ModelArguments, DataArguments))``.

    None when a class is not the project's, derives from one that is not, or hides a field's options.
    """
    given = call.args[0] if call.args else next((k.value for k in call.keywords if k.name == "dataclass_types"), None)
    classes = _classes(module, scope, given)
    if not classes:
        return None
    found: list[Option] = []
    for ref in classes:
        names = module.names(scope, ref)
        definition = project.definition(names[0]) if len(names) == 1 and ":" in names[0] else None
        if definition is None or not definition.is_class:
            return None
        options = _of_class(project, definition)
        if options is None:
            return None
        found += options
    return tuple(found)


def _classes(module: Module, scope: int, given: Expr | None) -> list[Expr]:
    if isinstance(given, Ref) and "." not in given.name and not module.names(scope, given):
        origins = module.project.flow(module.definition(scope)).origins(given)
        given = origins[0].value if len(origins) == 1 and not origins[0].path else None
    if isinstance(given, Ref):
        return [given]
    if isinstance(given, Build) and given.kind in ("tuple", "list") and all(isinstance(i, Ref) for i in given.items):
        return list(given.items)
    return []


def _of_class(project: Project, definition: Definition) -> list[Option] | None:
    """The options of all fields, those of its bases first, each as its last declaration says."""
    fields: dict[str, list[Option]] = {}
    for name in reversed(project.mro(definition.name)):
        owner = project.definition(name) if ":" in name else None
        if owner is None:
            if name in _PLAIN_BASES:
                continue
            return None
        if not _is_dataclass(owner):
            continue
        for stmt in owner.body:
            if isinstance(stmt, Annotate) and isinstance(stmt.target, Ref) and "." not in stmt.target.name:
                options = _Field(owner, stmt, stmt.target.name).options()
                if options is None:
                    return None
                fields[stmt.target.name] = options
    return [option for options in fields.values() for option in options] if _is_dataclass(definition) else None


def _is_dataclass(definition: Definition) -> bool:
    outer = max(definition.scope.parent, 0)
    functions = (one.function if isinstance(one, Call) else one for one in definition.scope.decorators)
    return any(not _DATACLASS.isdisjoint(definition.module.names(outer, one)) for one in functions)


class _Field:
    """One annotated name of a dataclass."""

    def __init__(self, owner: Definition, stmt: Annotate, name: str) -> None:
        self._module, self._scope, self._project = owner.module, owner.index, owner.module.project
        self._annotation, self._value, self._name = stmt.annotation, stmt.value, name

    def options(self) -> list[Option] | None:
        """Its options: none for a class variable or what the constructor does not take, None when they are hidden."""
        if self._named(self._annotation) & {"typing.ClassVar", "dataclasses.InitVar", "dataclasses.KW_ONLY"}:
            return []
        keywords = self._keywords()
        if keywords is None:
            return None
        if "init" in keywords:
            return [] if self._module.constant(self._scope, keywords["init"]) is False else None
        metadata = self._metadata(keywords)
        if metadata is None:
            return None
        known, aliases = _SHOWN.issuperset(metadata), self._aliases(keywords, metadata)
        if aliases is None:
            return None
        default = keywords.get("default", self._value if not isinstance(self._value, Call) else None)
        bare = default is None and "default_factory" not in keywords and (self._value is None or self._is_field)
        flags = tuple(dict.fromkeys((f"--{self._name}", f"--{self._name.replace('_', '-')}", *aliases)))
        inner, optional = self._without_none(self._annotation)
        names = self._names(inner)
        if not known or isinstance(inner, Const):
            return [Option(flags, self._name, ANY)]
        if names == {"builtins.bool"}:
            unset = optional and (default is None or (isinstance(default, Const) and default.value is None))
            found = [Option(flags, self._name, ANY if unset else "?", "" if unset else "bool")]
            if self._may_be_true(default):
                negated = (f"--no_{self._name}", f"--no-{self._name.replace('_', '-')}")
                found.append(Option(negated, f"no {self._name}", 0))
            return found
        return [self._plain(flags, inner, required=bare)]

    def _may_be_true(self, default: Expr | None) -> bool:
        """Whether a truth value is true by default, or what it is is not known: then there is ``--no_x`` too."""
        if default is None:
            return isinstance(self._value, Call) and not self._is_field
        return self._module.constant(self._scope, default) in (True, UNKNOWN)

    def _plain(self, flags: tuple[str, ...], inner: Expr, *, required: bool) -> Option:
        if isinstance(inner, Subscript) and self._named(inner) & _LISTS:
            return Option(flags, self._name, "+", self._kind(inner.index), None, required)
        if isinstance(inner, (Subscript, Ref)) and (choices := self._choices(inner)) is not None:
            return Option(flags, self._name, 1, "", choices or None, required)
        nargs: int | str = 1 if isinstance(inner, Ref) and not self._names(inner) & _LISTS else ANY
        return Option(flags, self._name, nargs, self._kind(inner), None, required)

    def _kind(self, expr: Expr) -> str:
        return next((_KINDS[name] for name in self._names(expr) if name in _KINDS), "")

    def _names(self, expr: Expr) -> set[str]:
        return set(self._module.names(self._scope, expr)) if isinstance(expr, Ref) else set()

    def _named(self, expr: Expr) -> set[str]:
        """The names of a type without its parameters."""
        return self._names(expr.value if isinstance(expr, Subscript) else expr)

    # What ``field(...)`` says.

    @property
    def _is_field(self) -> bool:
        value = self._value
        return isinstance(value, Call) and not _FIELD.isdisjoint(self._module.names(self._scope, value.function))

    def _keywords(self) -> Mapping[str, Expr] | None:
        if not isinstance(self._value, Call):
            return {}
        if any(keyword.name is None for keyword in self._value.keywords):
            return None
        return {str(keyword.name): keyword.value for keyword in self._value.keywords} if self._is_field else {}

    def _metadata(self, keywords: Mapping[str, Expr]) -> Mapping[str, Expr] | None:
        value = keywords.get("metadata")
        if value is None:
            return {}
        if not isinstance(value, Build) or value.kind != "dict":
            return None
        keys = [key.value if isinstance(key, Const) else None for key in value.keys]
        if not all(isinstance(key, str) for key in keys):
            return None
        return {str(key): item for key, item in zip(keys, value.items, strict=True)}

    def _aliases(self, keywords: Mapping[str, Expr], metadata: Mapping[str, Expr]) -> tuple[str, ...] | None:
        expr = keywords.get("aliases", metadata.get("aliases"))
        if expr is None:
            return ()
        value = self._module.constant(self._scope, expr)
        if isinstance(value, str):
            return (value,)
        return tuple(map(str, value)) if isinstance(value, (list, tuple)) else None

    # Types.

    def _without_none(self, expr: Expr) -> tuple[Expr, bool]:
        """The type beside None, and whether there is None; a union of more is given back as it is."""
        parts: list[Expr] = []
        if isinstance(expr, Subscript) and self._named(expr) & {"typing.Optional"}:
            return expr.index, True
        if isinstance(expr, Subscript) and self._named(expr) & _UNIONS and isinstance(expr.index, Build):
            parts = list(expr.index.items)
        elif isinstance(expr, Binary) and expr.op == "|":
            parts = [expr.left, expr.right]
        others = [part for part in parts if not (isinstance(part, Const) and part.value is None)]
        return (others[0], True) if len(others) == 1 and len(parts) == 2 else (expr, False)

    def _choices(self, expr: Expr) -> tuple[str, ...] | None:
        """The legal texts of a ``Literal`` or an enumeration, () when they cannot be told; None for another type."""
        if isinstance(expr, Subscript):
            if not self._named(expr) & {"typing.Literal", "typing_extensions.Literal"}:
                return None
            items = expr.index.items if isinstance(expr.index, Build) else [expr.index]
            return tuple(_texts(self._module, self._scope, items))
        name = next((one for one in self._names(expr) if ":" in one), None)
        owner = self._project.definition(name) if name is not None else None
        if owner is None or not owner.is_class or "enum.Enum" not in self._enumerations(owner):
            return None
        values = [stmt.value for stmt in owner.body if isinstance(stmt, Assign)]
        return tuple(_texts(owner.module, owner.index, values))

    def _enumerations(self, owner: Definition) -> set[str]:
        names = set(self._project.mro(owner.name))
        return names | ({"enum.Enum"} if any(name.startswith("enum.") for name in names) else set())


def _texts(module: Module, scope: int, items: Sequence[Expr]) -> Iterator[str]:
    """The items as texts; nothing at all when one of them is not constant."""
    values = [module.constant(scope, item) for item in items]
    if UNKNOWN not in values and all(isinstance(value, (str, int, float)) for value in values):
        yield from (str(value) for value in values)
