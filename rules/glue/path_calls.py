"""Calls that make paths of paths: ``os.path.join``, ``Path(...)``, ``.with_suffix(...)``, own functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import Attribute, Call, Expr, Ref, Starred

from .patterns import (
    TEMPORARY,
    UNKNOWN_TEXT,
    Slot,
    Text,
    combined,
    concatenated,
    distinct,
    filled,
    joined,
    last_part,
    parent,
    slots,
    stem,
    with_suffix,
)

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition

    from .paths import Paths

Texts = tuple[Text, ...]
_UNKNOWN: Texts = (UNKNOWN_TEXT,)
_JOINS = frozenset(
    """os.path.join posixpath.join pathlib.Path pathlib.PurePath pathlib.PosixPath pathlib.PurePosixPath
    upath.UPath cloudpathlib.AnyPath""".split()
)
_SAME = frozenset(
    """builtins.str os.fspath os.path.abspath os.path.realpath os.path.normpath os.path.expanduser os.path.expandvars
    hydra.utils.to_absolute_path typing.cast builtins.open io.open gzip.open glob.glob glob.iglob builtins.sorted
    builtins.list builtins.iter builtins.reversed tqdm.tqdm tqdm.auto.tqdm tqdm.std.tqdm natsort.natsorted
    omegaconf.OmegaConf.to_container os.fsencode""".split()
)
_HERE = frozenset({"os.getcwd", "pathlib.Path.cwd", "hydra.utils.get_original_cwd"})
_TEMPORARY = frozenset(
    """tempfile.mkdtemp tempfile.TemporaryDirectory tempfile.NamedTemporaryFile tempfile.gettempdir tempfile.mkstemp
    tempfile.mktemp tempfile.TemporaryFile tempfile.SpooledTemporaryFile""".split()
)
_ENVIRONMENT = frozenset({"os.getenv", "os.environ.get"})
_METHODS_SAME = frozenset("resolve absolute expanduser as_posix strip rstrip lstrip open __str__ as_uri".split())
_LISTING = frozenset({"glob", "rglob", "iterdir"})
_FIELD = re.compile(r"\{([^{}]*)\}")


class PathCalls:
    """Folds one call."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._project = paths.project

    def texts(self, module: Module, scope: int, call: Call, depth: int) -> Texts:
        """The texts a call gives; () when it is none of those that make paths."""
        names = module.names(scope, call.function) if isinstance(call.function, (Ref, Attribute)) else ()
        for name in names:
            if ":" in name:
                return self._own(module, scope, call, name, depth)
            found = self._library(module, scope, call, name, depth)
            if found:
                return found
        return self._method(module, scope, call, depth)

    def _folded(self, module: Module, scope: int, expr: Expr, depth: int) -> Texts:
        return self._paths.texts(module, scope, expr, depth - 1)

    def _library(self, module: Module, scope: int, call: Call, name: str, depth: int) -> Texts:
        args = call.args
        if name in _TEMPORARY:
            return ((TEMPORARY,),)
        if name in _HERE:
            return ((".",),)
        if name in _JOINS:
            parts = [self._folded(module, scope, arg, depth) for arg in args if not isinstance(arg, Starred)]
            return combined(_joined, parts if parts else [(("",),)])
        if not args:
            return ()
        if name in _SAME:
            return self._folded(module, scope, args[0], depth)
        if name in ("os.path.dirname", "posixpath.dirname"):
            return distinct(parent(path) for path in self._folded(module, scope, args[0], depth))
        if name in ("os.path.basename", "posixpath.basename"):
            return distinct(last_part(path) for path in self._folded(module, scope, args[0], depth))
        if name in _ENVIRONMENT:
            return self._folded(module, scope, args[1], depth) if len(args) > 1 else _UNKNOWN
        return ()

    def _method(self, module: Module, scope: int, call: Call, depth: int) -> Texts:
        """A method of a path or text, whatever its class is known to be."""
        receiver, method = _receiver(call)
        if receiver is None:
            return ()
        how = _METHODS.get(method)
        if how is None and method not in _METHODS_SAME | _LISTING | {"format", "joinpath", "get", "replace"}:
            return ()
        if method == "get":
            return ()
        base = self._folded(module, scope, receiver, depth)
        if base == _UNKNOWN:
            return ()
        if method == "format":
            return self._formatted(module, scope, base, call, depth)
        args = [self._folded(module, scope, arg, depth) for arg in call.args]
        if method in _METHODS_SAME:
            return base
        if method == "replace":
            return self._replaced(base, args)
        if method in _LISTING:
            return combined(_joined, [base, *(args or [_UNKNOWN])])
        if method == "joinpath":
            return combined(_joined, [base, *args])
        return combined(how, [base, *args]) if how is not None and len(args) == 1 else ()

    @staticmethod
    def _replaced(base: Texts, args: Sequence[Texts]) -> Texts:
        """``path.replace("raw", "clean")``."""
        if len(args) != 2 or any(len(one) != 1 or len(one[0]) != 1 for one in args):
            return _UNKNOWN
        old, new = args[0][0][0], args[1][0][0]
        if not isinstance(old, str) or not isinstance(new, str) or old in ("*", "") or new == "*":
            return _UNKNOWN
        found = []
        for one in base:
            if not all(isinstance(part, str) for part in one):
                return _UNKNOWN
            found.append(concatenated([(part.replace(old, new),) for part in one if isinstance(part, str)]))
        return distinct(found)

    def _formatted(self, module: Module, scope: int, base: Texts, call: Call, depth: int) -> Texts:
        """``"data/{}.csv".format(name)``."""
        if len(base) != 1 or len(base[0]) != 1 or not isinstance(base[0][0], str):
            return _UNKNOWN
        template = base[0][0]
        pieces: list[Texts] = []
        at, count = 0, 0
        for match in _FIELD.finditer(template):
            pieces.append(((template[at : match.start()],),))
            at = match.end()
            name, colon, _ = match[1].partition(":")
            value: Expr | None = None
            if not name or name.isdigit():
                index = int(name) if name else count
                count += 1
                value = call.args[index] if index < len(call.args) else None
            else:
                value = next((one.value for one in call.keywords if one.name == name), None)
            known = value is not None and not colon and not isinstance(value, Starred)
            pieces.append(self._folded(module, scope, value, depth) if known and value is not None else _UNKNOWN)
        pieces.append(((template[at:],),))
        return combined(concatenated, pieces)

    def split(self, module: Module, scope: int, call: Call, index: int, depth: int) -> Texts:
        """One part of ``os.path.split(p)`` or ``os.path.splitext(p)``."""
        names = module.names(scope, call.function) if isinstance(call.function, (Ref, Attribute)) else ()
        if not call.args or index not in (0, 1):
            return _UNKNOWN
        if "os.path.split" in names:
            how: Callable[[Text], Text] = (parent, last_part)[index]
            return distinct(how(path) for path in self._folded(module, scope, call.args[0], depth))
        if "os.path.splitext" in names and index == 0:
            return distinct(stem(path) for path in self._folded(module, scope, call.args[0], depth))
        return _UNKNOWN

    @staticmethod
    def entered(module: Module, scope: int, value: Expr) -> Texts:
        """What ``with value as x`` gives: a temporary directory's name."""
        function = value.function if isinstance(value, Call) else None
        names = module.names(scope, function) if isinstance(function, (Ref, Attribute)) else ()
        return ((TEMPORARY,),) if _TEMPORARY.intersection(names) else _UNKNOWN

    def listed(self, module: Module, scope: int, call: Call, path: Sequence[int | str], depth: int) -> Texts:
        """What a loop over ``glob.glob("data/*.csv")`` gives, also through sorted, enumerate and tqdm."""
        names = module.names(scope, call.function) if isinstance(call.function, (Ref, Attribute)) else ()
        if "builtins.enumerate" in names and call.args and tuple(path) == (1,):
            inner = call.args[0]
            return self._paths.looped(module, scope, inner, (), depth - 1)
        if path:
            return _UNKNOWN
        if {"builtins.sorted", "builtins.list", "tqdm.tqdm", "tqdm.auto.tqdm", "builtins.reversed"}.intersection(names):
            return self._paths.looped(module, scope, call.args[0], (), depth - 1) if call.args else _UNKNOWN
        if {"glob.glob", "glob.iglob"}.intersection(names) or _receiver(call)[1] in _LISTING:
            return self.texts(module, scope, call, depth) or _UNKNOWN
        return _UNKNOWN

    # The project's own functions.

    def _own(self, module: Module, scope: int, call: Call, name: str, depth: int) -> Texts:
        definition = self._project.definition(name)
        if definition is None or not definition.is_function or definition.scope.generator:
            return ()
        found = self._paths.returned(definition, depth - 2)
        return distinct(self._bound(module, scope, call, definition, one, depth) for one in found)

    def _bound(self, module: Module, scope: int, call: Call, definition: Definition, path: Text, depth: int) -> Text:
        """A returned text with the call's arguments put in for the parameters."""

        def value(slot: Slot) -> Text | None:
            if (slot.path, slot.scope) != (definition.module.path, definition.index):
                return None
            parameters = definition.scope.parameters
            at = next(i for i, one in enumerate(parameters) if one.name == slot.name)
            given = argument(call, slot.name, at - _implicit(definition, call))
            if given is UNKNOWN:
                return UNKNOWN_TEXT
            outer = max(definition.scope.parent, 0)
            where, index, expr = (module, scope, given) if given is not None else (
                definition.module, outer, parameters[at].default
            )  # fmt: skip
            found = self._folded(where, index, expr, depth) if expr is not None else _UNKNOWN
            return found[0] if len(found) == 1 else UNKNOWN_TEXT

        return filled(path, value) if any(slots(path)) else path


def _implicit(definition: Definition, call: Call) -> int:
    """How many leading parameters the receiver fills."""
    owner = definition.parent
    if owner is None or not owner.is_class:
        return 0
    static = any(isinstance(one, Ref) and one.name == "staticmethod" for one in definition.scope.decorators)
    return 0 if static else 1


def _receiver(call: Call) -> tuple[Expr | None, str]:
    """``x`` and ``method`` of ``x.method(...)``."""
    function = call.function
    if isinstance(function, Ref):
        head, _, last = function.name.rpartition(".")
        return (Ref(head, function.line, function.column) if head else None), last
    if isinstance(function, Attribute):
        head, _, last = function.name.rpartition(".")
        if not head:
            return function.value, last
        return Attribute(function.value, head, function.line, function.column, 0, 0), last
    return None, ""


def _joined(parts: Sequence[Text]) -> Text:
    found = parts[0]
    for part in parts[1:]:
        found = joined(found, part)
    return found


_METHODS: dict[str, Callable[[Sequence[Text]], Text]] = {
    "with_suffix": lambda pair: with_suffix(pair[0], pair[1]),
    "with_name": lambda pair: joined(parent(pair[0]), pair[1]),
    "with_stem": lambda pair: joined(parent(pair[0]), pair[1]),
    "removesuffix": lambda pair: stem(pair[0]),
}
