"""Options that are read of objects that cannot have them: nobody declares or assigns one of that name."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Assign, Attribute, Call, Const, If, Ref, Stmt, Try
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis

from .config_objects import (
    ATTRIBUTE,
    CLASS,
    DYNAMIC,
    FILE,
    GET,
    GETATTR,
    HYDRA,
    PARSER,
    PROBE,
    SUBSCRIPT,
    UNSEEN,
    Event,
    Names,
    Root,
)
from .declarations import Declarations
from .interfaces import InterfaceBuilder
from .lineage import CALL, INSTANCE, PARAMETER, SELF, Lineage
from .namespaces import Namespaces
from .options import CONFIGURATION_NAMES
from .owners import PARSE_METHODS

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_OWN = frozenset("copy keys values items get pop update handler format_help print_help node register".split())
_MISSING = (
    "AttributeError",
    "KeyError",
    "Exception",
    "ConfigAttributeError",
    "ConfigKeyError",
    "MissingMandatoryValue",
)
# What makes a field of a class: the class it is given is called, and nothing else happens to it.
_FACTORIES = frozenset(
    {"dataclasses.field", "attr.ib", "attr.Factory", "attrs.field", "attrs.Factory", "pydantic.Field"}
)
_NEAR = 0.75  # how alike two names are when one is taken for the other


class Undeclared(Struct, frozen=True):
    """An option read of objects that do not have it.

    Args:
        reads: Where, the first one first.
        name: The option's name, with its sections.
        near: The declared name it looks like; "" when there is none.
        declared: How many options the object has.
        closed: Whether certainly nobody else can add one.
    """

    reads: tuple[Event, ...]
    name: str
    near: str
    declared: int
    closed: bool


class UndeclaredOptions(Analysis):
    """Answers which options are read and never declared."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._namespaces = project[Namespaces]
        self._declarations = project[Declarations]
        self._names: dict[Root, frozenset[str] | None] = {}
        self._sizes: dict[Root, int] = {}

    @cached_property
    def all(self) -> tuple[Undeclared, ...]:
        """One for each name and kind of object, in the order of places."""
        at: dict[tuple[str, int, int, Names], list[Event]] = {}
        for event in self._namespaces.reads:
            at.setdefault((*event.order, event.names), []).append(event)
        found: dict[tuple[frozenset[str], Names], list[Event]] = {}
        for events in at.values():
            if self._is_undeclared(events):
                key = (frozenset(event.root.key for event in events), events[0].names)
                found.setdefault(key, []).append(events[0])
        judged = (self._judged(sorted(events, key=lambda one: one.order)) for events in found.values())
        return tuple(sorted((one for one in judged if one is not None), key=lambda one: one.reads[0].order))

    def _is_undeclared(self, events: list[Event]) -> bool:
        """Whether none of the objects that come to a place has the option."""
        first = events[0]
        if first.how not in (ATTRIBUTE, GETATTR, SUBSCRIPT) or first.module.is_test or not all(e.sure for e in events):
            return False
        if isinstance(first.node, Call) and first.how == GETATTR and len(first.node.args) > 2:
            return False
        name = first.names[-1]
        if name.startswith("_") or name in _OWN or name.isdigit():
            return False
        for event in events:
            known = self._known(event.root, event.names)
            if known is None or name in known:
                return False
        return True

    def _judged(self, reads: list[Event]) -> Undeclared | None:
        first = reads[0]
        name = first.names[-1]
        known = self._known(first.root, first.names) or frozenset()
        near = next(iter(difflib.get_close_matches(name, sorted(known), 1, _NEAR)), "") or _contained(name, known)
        if first.root.kind in (FILE, CLASS) and not near:
            return None
        if not known or self._is_assigned(name) or self._is_asked(name, first.root):
            return None
        kept = [event for event in reads if not _is_guarded(event) and self._is_certain(event)]
        if not kept:
            return None
        return Undeclared(
            tuple(kept),
            ".".join(first.names),
            near,
            self._sizes.get(first.root, len(known)),
            first.root.kind in (PARSER, CLASS),
        )

    # What objects have.

    def _known(self, root: Root, names: Names) -> frozenset[str] | None:
        """The names an object, or a section of it, has; None when it may have others."""
        if root.kind in (FILE, HYDRA):
            return self._of_file(root, names)
        if len(names) != 1:
            return None
        if root not in self._names:
            if root.kind == PARSER:
                self._names[root] = self._of_parser(root)
            else:
                found = None if self._is_open(root) else self._of_class(root.key)
                self._names[root] = None if found is None else found.union(self._written.get(root, ()))
        return self._names[root]

    def _is_open(self, root: Root) -> bool:
        return root in self._opened or root in self._namespaces.loose

    @cached_property
    def _opened(self) -> frozenset[Root]:
        """Objects that somebody else may add options to."""
        journal = self._namespaces.journal
        opened = {event.root for event in journal.opened.values()}
        handed = {
            event.root
            for event in journal.escapes.values()
            if event.how == UNSEEN and not event.names and event.who not in _FACTORIES
        }
        asked = {event.root for event in journal.escapes.values() if event.how == DYNAMIC and event.who == "setattr"}
        return frozenset(opened | handed | asked)

    def _of_parser(self, root: Root) -> frozenset[str] | None:
        parsers = self._namespaces.made_by.get(root)
        if not parsers or self._is_open(root):
            return None
        running = self.project.modules[root.path]
        for parser in parsers.values():
            interface = InterfaceBuilder(self.project, running).build(parser)
            if interface is None or not interface.complete:
                return None
            self._sizes[root] = len(interface.options) + len(interface.positionals)
        return self._declarations.argument_names(root) | self._written.get(root, set()) | self._set_defaults

    @cached_property
    def _written(self) -> dict[Root, set[str]]:
        found: dict[Root, set[str]] = {}
        for event in self._namespaces.writes:
            found.setdefault(event.root, set()).add(event.names[0])
        return found

    @cached_property
    def _set_defaults(self) -> frozenset[str]:
        """Names that ``set_defaults`` and ``add_subparsers(dest=...)`` put into namespaces."""
        found: set[str] = set()
        for module in self.project.modules.values():
            for index in module.scopes_using(frozenset({"set_defaults", "add_subparsers"})):
                for site in module.call_sites(index):
                    if last_segment(site.call.function) == "set_defaults":
                        found |= {str(keyword.name) for keyword in site.call.keywords}
                    elif last_segment(site.call.function) == "add_subparsers":
                        found |= {str(module.constant(index, k.value)) for k in site.call.keywords if k.name == "dest"}
        return frozenset(found)

    def _of_class(self, cls: str) -> frozenset[str] | None:
        """The names instances of a class of the project, and of those derived from it, may have; None when unknown."""
        if self.project.definition(cls) is None:
            return None
        found: set[str] = set()
        for name in self.project.mro(cls):
            owner = self.project.definition(name) if ":" in name else None
            if owner is None:
                if name in ("builtins.object", "object"):
                    continue
                return None
            if owner.scope.decorators and not self._namespaces.schemas.classes.is_schema(cls):
                return None
            found |= set(owner.scope.bindings)
        if found & {"__getattr__", "__getattribute__", "__setattr__"}:
            return None
        derived = [name for one in self.project.subclasses(cls) for name in one.scope.bindings]
        return frozenset(found.union(derived))

    def _of_file(self, root: Root, names: Names) -> frozenset[str] | None:
        if self._is_open(root):
            return None
        if root.kind == HYDRA and self._may_be_structured:
            return None
        leaves = self._namespaces.schemas.leaves(root)
        section = names[:-1]
        inside = {one[len(section)] for one in leaves if len(one) > len(section) and one[: len(section)] == section}
        if not inside or (root.kind == HYDRA and section and len(section) > 3):
            return None
        written = {event.names[-1] for event in self._namespaces.writes if event.root.key == root.key}
        every = {part for one in leaves for part in one} if root.kind == HYDRA and not section else set()
        return frozenset(inside | written | every)

    @cached_property
    def _may_be_structured(self) -> bool:
        """Whether classes, plugins or command lines add to what Hydra's files say."""
        return any(
            "ConfigStore" in module.mentions or "open_dict" in module.mentions
            for module in self.project.modules.values()
        )

    # What else may make it right.

    def _is_assigned(self, name: str) -> bool:
        """Whether something that may be configuration has an attribute or key of that name assigned."""
        for module in self.project.modules.values():
            if name in module.facts.stored:
                for index, scope in enumerate(module.facts.scopes):
                    if any(f".{name}" in chain for chain in scope.uses):
                        for stmt in statements(module.body(index)):
                            if _assigns(stmt, name):
                                return True
            if "setattr" in module.mentions and self._sets(module, name):
                return True
        return False

    def _sets(self, module: Module, name: str) -> bool:
        return any(
            last_segment(site.call.function) == "setattr"
            and len(site.call.args) > 1
            and _is_text(site.call.args[1], name)
            for index in module.scopes_using(frozenset({"setattr"}))
            for site in module.call_sites(index)
        )

    def _is_asked(self, name: str, root: Root) -> bool:
        """Whether somebody asks if the option is there, and so thinks that it may be."""
        return any(
            event.how in (PROBE, GET)
            or (event.how == GETATTR and isinstance(event.node, Call) and len(event.node.args) > 2)
            for event in self._by_name.get(name, ())
            if event.root.kind == root.kind
        )

    @cached_property
    def _by_name(self) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for event in self._namespaces.reads:
            found.setdefault(event.names[-1], []).append(event)
        return found

    def _is_certain(self, event: Event) -> bool:
        """Whether the object read can be nothing else, as seen backwards from the read."""
        node = event.node
        if not isinstance(node, Ref):
            return event.root.kind in (FILE, HYDRA)
        parts = node.name.split(".")
        at = len(parts) - 1 - parts[::-1].index(event.names[-1]) if event.names[-1] in parts else 0
        if not at:
            return False
        head = Ref(".".join(parts[: at - len(event.names) + 1]), node.line, node.column)
        if not head.name:
            return False
        creations = self.project[Lineage].of(event.module, event.scope, head)
        if not creations:
            return False
        return all(self._fits(creation, event.root) for creation in creations)

    def _fits(self, creation: object, root: Root) -> bool:
        kind, name = getattr(creation, "kind", ""), getattr(creation, "name", "")
        if kind in (PARAMETER, SELF):
            return True
        section = getattr(creation, "section", ())
        if section and root.kind == CLASS and kind == INSTANCE:
            return self._class_at(name, section) == root.key
        if section and root.kind in (PARSER, CLASS):
            return False
        if root.kind == PARSER:
            call = getattr(creation, "expr", None)
            return kind == CALL and isinstance(call, Call) and last_segment(call.function) in PARSE_METHODS
        if root.kind == CLASS:
            return kind == INSTANCE and (name == root.key or root.key in self.project.mro(name))
        return kind == CALL

    def _class_at(self, cls: str, section: Names) -> str:
        """The class of ``cfg.model``, where the field's annotation names one; "" otherwise."""
        classes = self._namespaces.schemas.classes
        for name in section:
            field = classes.fields(cls).get(name)
            types = classes.types(field.owner.module, field.owner.index, field.annotation) if field is not None else ()
            if len(types) != 1:
                return ""
            (cls,) = types
        return cls


def _contained(name: str, known: Collection[str]) -> str:
    """The one declared name whose words are among those of ``name``, or the other way round."""
    words = set(name.lower().split("_"))
    found = [
        one
        for one in sorted(known)
        if len(one) > 2 and (set(one.lower().split("_")) < words or words < set(one.lower().split("_")))
    ]
    return found[0] if len(found) == 1 else ""


def _assigns(stmt: Stmt, name: str) -> bool:
    targets = stmt.targets if isinstance(stmt, Assign) else [getattr(stmt, "target", None)]
    for target in targets:
        for node in walk(target) if target is not None else ():
            if (
                isinstance(node, (Ref, Attribute))
                and node.name.rpartition(".")[2] == name
                and "." in f".{node.name}"[1:]
            ):
                receiver = node.name.rpartition(".")[0].rpartition(".")[2]
                if receiver.lower() in CONFIGURATION_NAMES or isinstance(node, Attribute):
                    return True
    return False


def _is_text(expr: object, text: str) -> bool:
    return isinstance(expr, Const) and expr.value == text


def _is_guarded(event: Event) -> bool:
    """Whether a read stands where its absence is dealt with: ``try``/``except AttributeError``, ``if hasattr``."""
    return any(_guards(stmt, event) for stmt in statements(event.module.body(event.scope)))


def _guards(stmt: Stmt, event: Event) -> bool:
    line = event.order[1]
    if not stmt.line <= line <= stmt.end_line:
        return False
    if isinstance(stmt, Try):
        inside = any(one.line <= line <= one.end_line for one in stmt.body)
        names = [
            node.name
            for handler in stmt.handlers
            for node in (walk(handler.kind) if handler.kind else ())
            if isinstance(node, Ref)
        ]
        bare = any(handler.kind is None for handler in stmt.handlers)
        return inside and (bare or any(name.rpartition(".")[2] in _MISSING for name in names))
    if isinstance(stmt, If):
        return any(_is_text(node, event.names[-1]) for root in expressions(stmt) for node in walk(root))
    return False
