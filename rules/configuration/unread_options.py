"""Options that are declared and never read, after looking for everything that might read them all the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.names import binding_scope, last_segment
from mldebt.facts.schema import Attribute, Call, Const, Ref, Subscript
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis
from mldebt.sources.artefacts import Leaf

from .config_classes import Field
from .config_objects import BUILT, DYNAMIC, FILE, HYDRA, ITERATED, SHOWN, UNSEEN, Event, Names, Root
from .config_variables import enclosing_class
from .declarations import CLI, COMMAND, FIELD, FLAG, Declaration, Declarations, leaf_place
from .namespaces import Namespaces
from .options import CONFIGURATION_NAMES
from .parsers import Declared

if TYPE_CHECKING:
    from mldebt.finding import Place
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_CONSUMES = frozenset({UNSEEN, DYNAMIC, ITERATED, BUILT})
# Accepted so that a launcher or an old command does not fail; what parsers and schemas have for themselves.
_TOLERATED = frozenset({"local_rank", "local-rank", "model_config", "Config", "config", "help", "version"})
_KEPT = re.compile(
    r"deprecat|unused|not used|no longer|ignored|legacy|backwards?[- ]compat|for compatib|placeholder|does nothing|"
    r"no effect|no-op|dummy|reserved|jupyter|ipykernel|notebook|colab|local rank",
    re.IGNORECASE,
)
_ACTIONS = frozenset({"store", "store_true", "store_false", "store_const", "append", "append_const", "count", "extend"})
_INTERPOLATED = re.compile(r"\$\{([^{}]+)\}")
_SPECIAL = frozenset({"defaults", "hydra", "override", "_target_", "_partial_", "_convert_", "_recursive_", "_args_"})
_ASKS = frozenset({"getattr", "hasattr", "attrgetter"})
_FEWEST_READ = 0.5  # of the options beside one: an object of which less is read is not understood


class Unread(Struct, frozen=True):
    """An option nothing reads.

    Args:
        declaration: The option.
        shown: Where its whole object is printed or logged, which is no read.
        roots: The objects that carry it.
        others: How many options beside it are read.
    """

    declaration: Declaration
    shown: tuple[Place, ...]
    others: int


class UnreadOptions(Analysis):
    """Answers which options are never read."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._declarations = project[Declarations]
        self._namespaces = project[Namespaces]
        self._callers = project.callers

    @cached_property
    def all(self) -> tuple[Unread, ...]:
        found = [one for one in map(self._judged, self._declarations.all) if one is not None]
        found += self._leaves()
        return tuple(sorted(found, key=lambda one: one.declaration.place))

    def _judged(self, one: Declaration) -> Unread | None:
        if one.name in _TOLERATED or one.name.startswith("_"):
            return None
        if one.kind == CLI:
            return self._argument(one)
        if one.kind == FIELD:
            return self._field(one)
        if one.kind == COMMAND:
            return self._parameter(one)
        return self._flag(one) if one.kind == FLAG else None

    # Options of namespaces and classes.

    def _argument(self, one: Declaration) -> Unread | None:
        declared: Declared = one.what
        if declared.hidden or not self._is_plain(declared):
            return None
        return self._carried(one)

    def _is_plain(self, declared: Declared) -> bool:
        """Whether an option is stored, and not only kept for somebody."""
        action = declared.constant("action")
        if action is not None and action not in _ACTIONS:
            return any(name.endswith("BooleanOptionalAction") for name in declared.names("action"))
        help_text = declared.keyword("help")
        if help_text is not None:
            text = declared.constant("help")
            if isinstance(text, str) and _KEPT.search(text):
                return False
            if any(name.endswith("SUPPRESS") for name in declared.names("help")):
                return False
        return True

    def _field(self, one: Declaration) -> Unread | None:
        field: Field = one.what
        value = field.value
        if isinstance(value, Call):
            if any(
                isinstance(node, Const) and isinstance(node.value, str) and _KEPT.search(node.value)
                for keyword in value.keywords
                for node in walk(keyword.value)
            ):
                return None
            if any(keyword.name in ("init", "exclude", "alias") for keyword in value.keywords):
                return None
        if field.annotation is None and not (isinstance(value, Const) or value is None):
            return None  # a class attribute that is computed is no option
        return self._carried(one)

    def _carried(self, one: Declaration) -> Unread | None:
        roots = self._declarations.roots(one)
        if not roots or self._declarations.reads(one):
            return None
        if isinstance(one.what, Field) and self._read_as_section(one.name):
            return None
        escapes = self._declarations.escapes(one)
        if any(event.how in _CONSUMES for event in escapes):
            return None
        read, beside = self._beside(one)
        if not read or read < beside * _FEWEST_READ or self._is_read_elsewhere(one.name):
            return None
        if isinstance(one.what, Field) and (self._is_said(one.name) or self._is_spread(one.name)):
            return None
        return Unread(one, tuple(event.place for event in escapes if event.how == SHOWN), read)

    def _read_as_section(self, name: str) -> bool:
        """Whether an object of a file or of Hydra, which a class may describe, has an option of that name read."""
        return any(event.root.kind in (FILE, HYDRA) and name in event.names for event in self._named.get(name, ()))

    @cached_property
    def _named(self) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for event in self._namespaces.reads:
            for name in event.names:
                found.setdefault(name, []).append(event)
        return found

    def _beside(self, one: Declaration) -> tuple[int, int]:
        """How many options of the same objects are read, and how many there are."""
        key: object = one.what.owner.name if isinstance(one.what, Field) else one.place.path
        known = self._counts.get((one.kind, key))
        if known is None:
            same = [
                each
                for each in self._declarations.all
                if each.kind == one.kind
                and (each.what.owner.name if isinstance(each.what, Field) else each.place.path) == key
            ]
            read = sum(bool(self._declarations.reads(each)) for each in same)
            known = self._counts[(one.kind, key)] = (read, len(same))
        return known

    @cached_property
    def _counts(self) -> dict[tuple[str, object], tuple[int, int]]:
        return {}

    # Reads of objects nobody could follow.

    def _is_read_elsewhere(self, name: str) -> bool:
        """Whether something that is called configuration, and is not known, has an option of that name read."""
        return name in self._asked or any(self._reads_unknown(one, name) for one in self._callers.mentioning((name,)))

    @cached_property
    def _asked(self) -> frozenset[str]:
        """The names that texts are given for: one look at the project for all of them."""
        modules = self._callers.mentioning(_ASKS | CONFIGURATION_NAMES)
        return frozenset(name for module in modules for name in self._asks(module))

    def _reads_unknown(self, module: Module, name: str) -> bool:
        for index, scope in enumerate(module.facts.scopes):
            if not any(_may_read(chain, name) for chain in scope.uses if name in chain):
                continue
            for stmt in statements(module.body(index)):
                for root in expressions(stmt, module.facts.scopes):
                    for node in walk(root):
                        if isinstance(node, Ref):
                            if name in node.name and self._may_be_option(module, index, node, name):
                                return True
                        elif (
                            isinstance(node, Attribute) and last_segment(node) == name and _is_configuration(node.value)
                        ):
                            return True
        return False

    def _may_be_option(self, module: Module, scope: int, node: Ref, name: str) -> bool:
        if not _may_read(node.name, name):
            return False
        known = (module.path, node.line, node.column) in self._known
        return not known and binding_scope(module.facts, scope, node.name.partition(".")[0]) is not None

    @cached_property
    def _known(self) -> frozenset[tuple[str, int, int]]:
        return frozenset(event.order for event in (*self._namespaces.reads, *self._namespaces.writes))

    def _asks(self, module: Module) -> Iterator[str]:
        """The names of ``getattr(x, "name")`` and ``args["name"]`` of something not known."""
        for index in module.scopes_using(_ASKS):
            for site in module.call_sites(index):
                known = (module.path, site.call.line, site.call.column) in self._known
                if not known and last_segment(site.call.function) in _ASKS:
                    yield from (a.value for a in site.call.args if isinstance(a, Const) and isinstance(a.value, str))
        for index in module.scopes_using(CONFIGURATION_NAMES):
            for stmt in statements(module.body(index)):
                for root in expressions(stmt, module.facts.scopes):
                    for node in walk(root):
                        if (
                            isinstance(node, Subscript)
                            and isinstance(node.index, Const)
                            and isinstance(node.index.value, str)
                            and _is_configuration(node.value)
                            and (module.path, node.line, node.column) not in self._known
                        ):
                            yield node.index.value

    # Parameters and flags.

    def _parameter(self, one: Declaration) -> Unread | None:
        """A parameter of a command that its function does not read."""
        definition: Definition = one.what
        module, scope = definition.module, definition.scope
        names = {parameter.name for parameter in scope.parameters}
        if one.name not in names or any(parameter.kind in (2, 4) for parameter in scope.parameters):
            return None
        decorator = next((one_ for one_ in scope.decorators if module.place(one_) == one.place), None)
        hidden = ("expose_value", "callback", "is_eager", "hidden", "deprecated", None)
        if isinstance(decorator, Call) and any(keyword.name in hidden for keyword in decorator.keywords):
            return None
        if isinstance(decorator, Call) and any(
            isinstance(keyword.value, Const)
            and isinstance(keyword.value.value, str)
            and _KEPT.search(keyword.value.value)
            for keyword in decorator.keywords
        ):
            return None
        inside = [
            each
            for index, each in enumerate(module.facts.scopes)
            if index == definition.index or (scope.first_line <= each.first_line and each.end_line <= scope.end_line)
        ]
        words = {part for each in inside for chain in each.uses for part in (chain.partition(".")[0], chain)}
        if one.name in words or words & {"locals", "vars", "click.get_current_context", "get_current_context"}:
            return None
        if any(chain.endswith((".params", ".invoke", ".forward")) for each in inside for chain in each.uses):
            return None
        if not definition.body or len(names) < 2:
            return None
        others = sum(name in words for name in names)
        return Unread(one, (), others) if others else None

    def _flag(self, one: Declaration) -> Unread | None:
        """An absl flag nobody asks for by its name."""
        module = self.project.modules[one.place.path]
        site = one.what
        if getattr(site.statement, "targets", None):
            return None  # a flag holder: `_LR = flags.DEFINE_float("lr", ...)`
        for other in self.project.modules.values():
            if one.name in other.mentions and any(
                f".{one.name}." in f"{chain}." for scope in other.facts.scopes for chain in scope.uses
            ):
                return None
            if other.mentions & {"FLAGS", "flags"} and (
                other.mentions
                & {"flag_values_dict", "flags_into_string", "flags_by_module_dict", "append_flags_into_file"}
                or self._asks_text(other, one, site.call)
            ):
                return None
        return Unread(one, (), 1) if "FLAGS" in module.mentions or "flags" in module.mentions else None

    def _asks_text(self, module: Module, one: Declaration, declaring: Call) -> bool:
        for index, scope in enumerate(module.facts.scopes):
            if not any("FLAGS" in chain or "flags" in chain for chain in scope.uses):
                continue
            for stmt in statements(module.body(index)):
                for root in expressions(stmt, module.facts.scopes):
                    for node in walk(root):
                        if node is declaring:
                            continue
                        values = (
                            node.args if isinstance(node, Call) else [node.index] if isinstance(node, Subscript) else []
                        )
                        named = any(isinstance(value, Const) and value.value == one.name for value in values)
                        if named and not (isinstance(node, Call) and last_segment(node.function).startswith("DEFINE_")):
                            return True
        return False

    # Files.

    def _leaves(self) -> Iterator[Unread]:
        """Options of configuration files that code loads by a name that is written down."""
        found: dict[str, list[Root]] = {}
        for root in self._namespaces.roots:
            if root.kind in (FILE, HYDRA) and not self.project.modules[root.path].is_test:
                found.setdefault(root.key, []).append(root)
        unknown = [root for roots in found.values() for root in roots if not self._has_file(root)]
        shared = self._touched([root for root in unknown if root.kind == FILE])
        for key in sorted(found):
            first = min(found[key])
            if self._has_file(first):
                yield from self._of_file(first, self._touched(found[key]), shared)

    def _has_file(self, root: Root) -> bool:
        return any(True for _ in self._namespaces.schemas.files(root))

    def _touched(self, roots: list[Root]) -> _Touched:
        wanted = set(roots)
        reads = {event.names for event in self._namespaces.reads if event.root in wanted}
        events = [event for event in self._namespaces.escapes if event.root in wanted]
        return _Touched(
            frozenset(reads),
            frozenset(event.names for event in events if event.how in _CONSUMES),
            tuple(event.place for event in events if event.how == SHOWN and not event.names),
        )

    def _of_file(self, root: Root, touched: _Touched, shared: _Touched) -> Iterator[Unread]:
        if () in touched.consumed or not touched.reads or () in shared.consumed:
            return
        leaves = list(self._declarations.leaves(root))
        mentioned = {text for config, leaf, _ in leaves for text in _interpolations(leaf)}
        built = {
            (config.path, leaf.keys[:-1]) for config, leaf, _ in leaves if leaf.keys[-1] in ("_target_", "class_path")
        }
        judged = [(config, leaf, names) for config, leaf, names in leaves if not _is_special(leaf)]
        unread = [
            (config, leaf, names)
            for config, leaf, names in judged
            if not any(touched.takes(one) or shared.takes(one) for one in names)
            and not any((config.path, leaf.keys[:at]) in built for at in range(len(leaf.keys)))
            and not any(".".join(one[:at]) in mentioned for one in names for at in range(1, len(one) + 1))
            and leaf.keys[-1] not in mentioned
        ]
        if len(unread) > len(judged) * (1 - _FEWEST_READ):
            return
        told: set[tuple[str, Names]] = set()
        for config, leaf, names in unread:
            name = names[0][-1]
            if (config.path, names[0]) in told or self._is_read_elsewhere(name) or self._is_said(name):
                continue
            told.add((config.path, names[0]))
            full = ".".join(names[0])
            yield Unread(
                Declaration(name, "leaf", (full,), leaf.value, leaf_place(config, leaf), config.path, names[0]),
                touched.shown,
                len(judged) - len(unread),
            )

    def _is_said(self, name: str) -> bool:
        """Whether code anywhere reads an attribute of that name of something that is not known to be something else."""
        for module in self._callers.mentioning((name,)):
            for index, scope in enumerate(module.facts.scopes):
                for chain in scope.uses:
                    before, found, _ = f"{chain}.".partition(f".{name}.")
                    if found and not self._is_other(module, index, before, name):
                        return True
        return False

    def _is_other(self, module: Module, scope: int, receiver: str, name: str) -> bool:
        """Whether the receiver is an instance of a class that binds such an attribute itself."""
        if "." in receiver or not receiver:
            return False
        owner = enclosing_class(module, scope, receiver)
        return (
            owner is not None
            and owner.name not in self._namespaces.schemas.classes.all
            and any(self.project.types.bindings(owner.name, name))
        )

    def _is_spread(self, name: str) -> bool:
        """Whether a function with a parameter of that name is called with ``**`` something."""
        for module in self._callers.mentioning((name,)):
            for index, scope in enumerate(module.facts.scopes):
                if any(parameter.name == name for parameter in scope.parameters):
                    sites = self.project.callers.of(module.definition(index))
                    if sites is None or any(keyword.name is None for site in sites for keyword in site.call.keywords):
                        return True
        return False


class _Touched(Struct, frozen=True):
    """What is done with the parts of some objects."""

    reads: frozenset[Names]
    consumed: frozenset[Names]
    shown: tuple[Place, ...]

    def takes(self, names: Names) -> bool:
        """Whether an option is read itself, or stands in a section that somebody else reads."""
        return names in self.reads or any(names[:at] in self.consumed for at in range(1, len(names) + 1))


def _may_read(chain: str, name: str) -> bool:
    """Whether a chain has an attribute of that name of something that may be called configuration."""
    parts = chain.split(".")
    if name not in parts[1:]:
        return False
    if not parts[0]:  # of something that has no name
        return parts[-1] == name
    return any(part.lower() in CONFIGURATION_NAMES for part in parts[: parts.index(name, 1)])


def _is_configuration(expr: object) -> bool:
    last = ""
    if isinstance(expr, (Ref, Attribute)):
        last = expr.name.rpartition(".")[2]
    elif isinstance(expr, Subscript) and isinstance(expr.index, Const):
        last = str(expr.index.value)
    elif isinstance(expr, Call):
        last = last_segment(expr.function)
    return last.lower() in CONFIGURATION_NAMES


def _interpolations(leaf: Leaf) -> Iterator[str]:
    if isinstance(leaf.value, str) and "${" in leaf.value:
        for text in _INTERPOLATED.findall(leaf.value):
            yield text.rpartition(":")[2].lstrip(".").strip()
            yield text.rpartition(".")[2].strip()


def _is_special(leaf: Leaf) -> bool:
    return bool(_SPECIAL & set(leaf.keys)) or leaf.keys[-1].startswith("_") or any("/" in key for key in leaf.keys)
