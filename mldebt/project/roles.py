"""Roles of entries (F6), from the sinks they reach and never from their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import tomli

from mldebt.facts.schema import FUNCTION, Attribute, Call, Ref
from mldebt.finding import Place

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.definitions import Definition
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

Sink = tuple[str, Place]
Mark = tuple[str, "CallSite"]
Step = tuple[str, "Definition", int]

# Libraries with a family of classes whose ``train`` trains.
_TRAINERS = frozenset({"transformers", "trl", "simpletransformers", "sentence_transformers", "peft", "ultralytics"})


class SinkRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A call that says what an entry does; ``libraries`` limits a method to objects of these."""

    name: str
    role: str
    libraries: tuple[str, ...] = ()


class _Sinks(msgspec.Struct, frozen=True):
    sinks: tuple[SinkRow, ...]


_KNOWN = {
    row.name: row
    for row in msgspec.convert(tomli.loads((Path(__file__).parent / "roles.toml").read_text("utf-8")), _Sinks).sinks
}


class Roles:
    """Answers what entries do."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._marks: dict[tuple[str, int], tuple[Mark, ...]] = {}
        self._steps: dict[tuple[str, int], tuple[Step, ...]] = {}
        self._libraries: dict[str, frozenset[str]] = {}
        self._marking: dict[str, frozenset[int]] = {}
        self._reached: dict[str, tuple[tuple[str, Module, CallSite], ...]] = {}

    def of(self, entry: Entry) -> frozenset[str]:
        """The roles of an entry."""
        return _combined({mark for mark, _, _ in self._marks_of(entry)})

    def sinks(self, entry: Entry) -> tuple[Sink, ...]:
        """The calls the entry's roles stand on, with the role each is a sign of, by role and place."""
        roles = self.of(entry)
        found = {
            (role, module.place(site))
            for mark, module, site in self._marks_of(entry)
            if (role := _SIGN_OF.get(mark, mark)) in roles
        }
        return tuple(sorted(found))

    def _marks_of(self, entry: Entry) -> tuple[tuple[str, Module, CallSite], ...]:
        key = entry.definition.name
        if key not in self._reached:
            self._reached[key] = tuple(self._reach(entry))
        return self._reached[key]

    def _reach(self, entry: Entry) -> Iterator[tuple[str, Module, CallSite]]:
        own = entry.definition.module
        modules = self._project.modules
        # Bodies of imported modules run too, but for their main blocks.
        bodies = [modules[path].definition(0) for path in self._project.imports.order(own)]
        pending: list[Definition] = [*entry.starts, *bodies]
        seen = {definition.name for definition in pending}
        for definition in pending:
            module = definition.module
            main = None if definition.is_function or module is own else module.facts.main
            for mark, site in self._of_definition(definition):
                if main is None or not main[0] <= site.statement.line <= main[1]:
                    yield mark, module, site
            for name, target, line in self._followed(definition):
                if name not in seen and (main is None or not main[0] <= line <= main[1]):
                    seen.add(name)
                    pending.append(target)

    def _followed(self, definition: Definition) -> tuple[Step, ...]:
        """What a definition calls, and the functions it hands to calls (``optimizer.step(closure)``), with lines."""
        key = (definition.module.path, definition.index)
        known = self._steps.get(key)
        if known is None:
            found = dict.fromkeys(self._find(definition))
            known = self._steps[key] = tuple((target.name, target, line) for target, line in found)
        return known

    def _find(self, definition: Definition) -> Iterator[tuple[Definition, int]]:
        for edge in self._project.calls.edges(definition):
            yield edge.target, edge.call.line if edge.call is not None else 0
        module, index = definition.module, definition.index
        if self._functions.isdisjoint(module.segments(index)):
            return
        for site in module.call_sites(index):
            for value in _handed(site.call):
                if value.name.rpartition(".")[2] not in self._functions:
                    continue
                for name in self._project.resolve(module, index, value.name):
                    target = self._project.definition(name) if ":" in name else None
                    if target is not None and target.is_function:
                        yield target, site.call.line

    def _of_definition(self, definition: Definition) -> tuple[Mark, ...]:
        key = (definition.module.path, definition.index)
        if key not in self._marks:
            self._marks[key] = tuple(self._read(definition.module, definition.index))
        return self._marks[key]

    def _read(self, module: Module, index: int) -> Iterator[Mark]:
        if index not in self._marking_in(module):
            return
        for site in module.call_sites(index):
            function = site.call.function
            if isinstance(function, (Ref, Attribute)):
                role = self._role(module, site, function)
                if role:
                    yield role, site

    def _role(self, module: Module, site: CallSite, function: Ref | Attribute) -> str:
        last = function.name.rpartition(".")[2]
        if last not in self._segments:
            # Only families such as ``sklearn.metrics.*``: an imported chain, which resolves without types.
            if not isinstance(function, Ref) or not self._families_in(module):
                return ""
            names = self._project.resolve(module, site.scope, function.name)
        else:
            names = module.names(site.scope, function)
        for name in names:
            if ":" not in name and (role := self._named(name)) is not None:
                return role
        if names or (isinstance(function, Ref) and "." not in function.name):
            return ""
        row = _KNOWN.get(f".{last}")
        if row is None or (row.libraries and not self._imported(module).intersection(row.libraries)):
            return ""
        return row.role

    def _named(self, name: str) -> str | None:
        """The role of a library's name: the exact row, the longest family, else the method of a listed library."""
        row = _KNOWN.get(name)
        if row is not None:
            return row.role
        head, _, last = name.rpartition(".")
        library = name.partition(".")[0]
        row = _KNOWN.get(f".{last}") if head else None
        if row is not None and (library not in row.libraries if row.libraries else library == "builtins"):
            row = None
        family = self._family(head)
        if family is not None:
            return family.role if row is None or not family.role else row.role
        if row is not None:
            return row.role
        # ``PreTrainedModel.train()`` only switches the mode.
        classes = ("Trainer",) if library == "transformers" else ("Trainer", "Model", "YOLO")
        trainer = library in _TRAINERS and head.endswith(classes)
        return "train" if trainer and last == "train" else None

    def _family(self, name: str) -> SinkRow | None:
        """The row of the longest ``name.*``."""
        while name:
            row = _KNOWN.get(f"{name}.*")
            if row is not None:
                return row
            name = name.rpartition(".")[0]
        return None

    def _imported(self, module: Module) -> frozenset[str]:
        found = self._libraries.get(module.path)
        if found is None:
            found = frozenset(fact.module.partition(".")[0] for fact in module.facts.imports if not fact.level)
            self._libraries[module.path] = found
        return found

    def _families_in(self, module: Module) -> bool:
        return not self._family_heads.isdisjoint(self._imported(module))

    def _marking_in(self, module: Module) -> frozenset[int]:
        """The scopes of a file that may call a sink, by the identifiers they read."""
        found = self._marking.get(module.path)
        if found is None:
            marking = set(module.scopes_using(self._segments))
            if self._families_in(module):
                marking.update(self._using_families(module))
            found = self._marking[module.path] = frozenset(marking)
        return found

    def _using_families(self, module: Module) -> Iterable[int]:
        scopes = module.facts.scopes
        if self._family_words is None:
            return range(len(scopes))
        here = module.mentions & self._family_words
        if not here:
            return ()
        return [i for i, scope in enumerate(scopes) if any(not here.isdisjoint(one.split(".")) for one in scope.uses)]

    @cached_property
    def _family_words(self) -> frozenset[str] | None:
        """Identifiers of which every chain that links into a family has one; None: a star import hides them."""
        families = tuple(name[:-1] for name, row in _KNOWN.items() if name.endswith(".*") and row.role)
        words = frozenset(name.split(".")[-2] for name in families)
        facts = [module.facts for module in self._project.modules.values()]
        bound = {
            fact.bound
            for one in facts
            for fact in one.imports
            if not fact.level and f"{fact.module}.{fact.attribute or ''}.".startswith(families)
        }
        if "*" in bound:
            return None
        words |= bound
        aliases = [(alias.target.split("."), alias.name) for one in facts for alias in one.aliases]
        while True:
            found = self._project.spellings(words)
            words = found.union(name for target, name in aliases if not found.isdisjoint(target))
            if len(words) == len(found):
                return found

    @cached_property
    def _functions(self) -> frozenset[str]:
        """The identifiers a function of the project may be called by."""
        modules = self._project.modules.values()
        return self._project.spellings(
            {s.name for module in modules for s in module.facts.scopes if s.kind == FUNCTION}
        )

    @cached_property
    def _segments(self) -> frozenset[str]:
        names = [name for name in _KNOWN if not name.endswith(".*")]
        return self._project.spellings(names) | {"train"}

    @cached_property
    def _family_heads(self) -> frozenset[str]:
        return frozenset(name.partition(".")[0] for name in _KNOWN if name.endswith(".*"))


def _handed(call: Call) -> list[Ref]:
    """The chains among a call's arguments."""
    found = [value for value in call.args if type(value) is Ref]
    if call.keywords:
        found += [keyword.value for keyword in call.keywords if type(keyword.value) is Ref]
    return found


_SIGN_OF = {
    "gradient": "train",
    "update": "train",
    "optimizer": "train",
    "zero": "train",
    "metric": "eval",
    "weights": "predict",
    "inference": "predict",
    "read": "preprocess",
    "write": "preprocess",
}


def _combined(marks: set[str]) -> frozenset[str]:
    """Roles from marks (catalogue F6, and section 11 for ``predict``)."""
    roles = marks & {"train", "tune", "split", "serve", "export", "plot"}
    if {"gradient", "update"} <= marks or {"optimizer", "zero"} <= marks:  # the latter: a wrapper calls backward
        roles.add("train")
    if "metric" in marks and "train" not in roles:
        roles.add("eval")
    optimises = marks & {"optimizer", "zero"}
    if {"weights", "inference"} <= marks and not optimises and not roles & {"train", "eval", "serve"}:
        roles.add("predict")
    if {"read", "write"} <= marks and not roles & {"train", "eval", "serve", "predict"}:
        roles.add("preprocess")
    return frozenset(roles)
