"""Whether a value is text or an integer, and what a collection holds: from calls, annotations, defaults and callers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mldebt.facts.schema import (
    Attribute,
    Binary,
    Boolean,
    Build,
    Call,
    Comprehension,
    Conditional,
    Const,
    Expr,
    Format,
    Opaque,
    Ref,
    Subscript,
)
from mldebt.rule import Analysis

from .origins import CONTEXT, LOOP, PARAMETER, UNTOLD, Origins, Source

if TYPE_CHECKING:
    from mldebt.module import Module

TEXT, INT, OTHER, UNKNOWN_KIND = "text", "int", "other", ""
LINES, ROWS = "[text]", "[[text]]"  # an iterable of texts; of records of texts
_DEEPEST = 6
_TEXTS = frozenset(
    "builtins.str builtins.repr builtins.bytes builtins.ascii builtins.input builtins.chr json.dumps os.path.join "
    "os.path.basename os.path.abspath os.path.dirname os.path.realpath os.path.normpath os.fspath os.getenv "
    "urllib.parse.urlparse re.sub".split()
)
_TEXT_METHODS = frozenset(
    "encode decode lower upper strip lstrip rstrip replace join format as_posix hexdigest isoformat strftime title "
    "casefold removeprefix removesuffix".split()
)
_INTS = frozenset("builtins.int builtins.len builtins.ord builtins.round builtins.hash builtins.id".split())
_LISTINGS = frozenset(
    "os.listdir glob.glob glob.iglob builtins.open io.open pathlib.Path.glob pathlib.Path.rglob pathlib.Path.iterdir "
    "pathlib.Path.open codecs.open gzip.open".split()
)
_RECORDS = frozenset({"csv.reader", "csv.DictReader"})
_CONVERTS = frozenset({"astype", "map", "apply"})
_SPLITS = frozenset({"split", "splitlines", "rsplit", "readlines", "listdir", "findall", "namelist"})
_SAME = frozenset(
    "builtins.sorted builtins.list builtins.tuple builtins.set builtins.frozenset builtins.reversed builtins.iter "
    "tqdm.tqdm tqdm.auto.tqdm numpy.unique numpy.array".split()
)
_WORDS = frozenset({"str", "bytes", "Path", "AnyStr", "PathLike", "LiteralString"})
_RANGES = frozenset(
    "builtins.range numpy.arange torch.arange numpy.where numpy.nonzero numpy.flatnonzero numpy.argsort numpy.argwhere "
    "torch.where torch.nonzero torch.argsort".split()
)
_PATH_TEXTS = frozenset({"name", "stem", "suffix"})


class Kinds(Analysis):
    """``project[Kinds].of(module, scope, expr)``: TEXT, INT, OTHER, or "" when it is not known."""

    def of(self, module: Module, scope: int, expr: Expr) -> str:
        return self._of(module, scope, expr, _DEEPEST)

    def _of(self, module: Module, scope: int, expr: Expr, depth: int) -> str:
        if depth <= 0:
            return ""
        if isinstance(expr, Const):
            return TEXT if isinstance(expr.value, str) else INT if isinstance(expr.value, int) else OTHER
        if isinstance(expr, Opaque):
            return TEXT if expr.kind in ("bytes", "str") else OTHER
        if isinstance(expr, Format):
            return TEXT
        if isinstance(expr, Binary):
            sides = self._of(module, scope, expr.left, depth - 1), self._of(module, scope, expr.right, depth - 1)
            if expr.op in ("+", "%") and sides[0] == TEXT:
                return TEXT
            return INT if sides == (INT, INT) and expr.op != "/" else ""
        if isinstance(expr, (Boolean, Conditional)):
            arms = expr.values if isinstance(expr, Boolean) else [expr.then, expr.orelse]
            return _same(self._of(module, scope, arm, depth - 1) for arm in arms)
        if isinstance(expr, Build) and expr.kind == "tuple":
            kinds = [self._of(module, scope, item, depth - 1) for item in expr.items]
            return TEXT if TEXT in kinds else _same(kinds)
        if isinstance(expr, Call):
            return self._call(module, scope, expr, depth)
        if isinstance(expr, Subscript):
            held = self.held(module, scope, expr.value, depth - 1)
            return TEXT if held in (LINES, TEXT) else INT if held == INT else ""
        if isinstance(expr, Ref):
            return self._name(module, scope, expr, depth)
        return ""

    def _call(self, module: Module, scope: int, call: Call, depth: int) -> str:
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return ""
        names = module.names(scope, function)
        if not _TEXTS.isdisjoint(names):
            return TEXT
        if not _INTS.isdisjoint(names):
            return INT
        if "builtins.tuple" in names and call.args:
            return TEXT if self.held(module, scope, call.args[0], depth - 1) == TEXT else ""
        last = function.name.rpartition(".")[2]
        if not any(":" in name for name in names) and last in _TEXT_METHODS and "." in f"{function.name}.":
            return TEXT if isinstance(function, Attribute) or "." in function.name else ""
        ends = self.project[Origins].of(module, scope, call)
        return _same(self._end(end, depth) for end in ends if end.expr is not call)

    def _name(self, module: Module, scope: int, ref: Ref, depth: int) -> str:
        head, dot, last = ref.name.rpartition(".")
        if dot and last in _PATH_TEXTS and self._is_path(module, scope, Ref(head, ref.line, ref.column)):
            return TEXT
        if not dot and module.definition(scope).is_function:
            declared = self._parameter(module, scope, ref.name)
            if declared == TEXT and all(
                one.kind == PARAMETER for one in self.project.flow(module.definition(scope)).origins(ref)
            ):
                return TEXT  # whatever a caller gives that cannot be read
        return _same(self._end(end, depth) for end in self.project[Origins].of(module, scope, ref))

    def _is_path(self, module: Module, scope: int, expr: Expr) -> bool:
        if any(name.startswith("pathlib.") for name in module.project.types.of(module, scope, expr)):
            return True
        ends = self.project[Origins].of(module, scope, expr)
        return any(end.kind == LOOP and self.held(end.module, end.scope, end.expr) == TEXT for end in ends)

    def _end(self, end: Source, depth: int) -> str:
        if end.kind == LOOP:
            return self._looped(end, depth)
        if end.kind == PARAMETER and isinstance(end.expr, Ref):
            return self._parameter(end.module, end.scope, end.expr.name)
        if end.kind in (UNTOLD, CONTEXT) or isinstance(end.expr, Ref):
            return ""
        if end.path:
            held = self.held(end.module, end.scope, end.expr, depth - 1)
            return held if held in (TEXT, INT) else ""
        return self._of(end.module, end.scope, end.expr, depth - 1)

    def _looped(self, end: Source, depth: int) -> str:
        """One element of what is iterated, or a part of it."""
        iterable, path = end.expr, end.path
        if isinstance(iterable, Call) and path and isinstance(iterable.function, Ref):
            names = end.module.names(end.scope, iterable.function)
            if "builtins.enumerate" in names and iterable.args:
                if path[0] == 0:
                    return INT
                iterable, path = iterable.args[0], path[1:]
        held = self.held(end.module, end.scope, iterable, depth - 1)
        if path:
            return TEXT if held == LINES else ""
        return held if held in (TEXT, INT) else ""

    def _parameter(self, module: Module, scope: int, name: str) -> str:
        for one in module.facts.scopes[scope].parameters:
            if one.name == name:
                words = _annotated(one.annotation)
                if words & _WORDS:
                    return TEXT
                if words:
                    return INT if words == {"int"} else OTHER
                if isinstance(one.default, Const) and isinstance(one.default.value, str):
                    return TEXT
        return ""

    def held(self, module: Module, scope: int, expr: Expr, depth: int = _DEEPEST) -> str:
        """What a collection holds: TEXT, INT, LINES (records of texts), or ""."""
        if depth <= 0:
            return ""
        if isinstance(expr, Build) and expr.kind in ("list", "tuple", "set"):
            return _same(self._of(module, scope, item, depth - 1) for item in expr.items)
        if isinstance(expr, Build) and expr.kind == "dict":
            return _same(self._of(module, scope, key, depth - 1) for key in expr.keys if key is not None)
        if isinstance(expr, Comprehension):
            return self._of(module, scope, expr.key or expr.element, depth - 1)
        if isinstance(expr, Binary) and expr.op in ("+", "|", "-", "&"):
            return _same(self.held(module, scope, one, depth - 1) for one in (expr.left, expr.right))
        if isinstance(expr, Call):
            return self._held_by_call(module, scope, expr, depth)
        if isinstance(expr, Subscript):  # ``np.where(x)[0]``
            return INT if self.held(module, scope, expr.value, depth - 1) == INT else ""
        if isinstance(expr, Ref):
            kinds = set()
            for end in self.project[Origins].of(module, scope, expr):
                if end.kind == LOOP and not end.path:
                    kinds.add(TEXT if self.held(end.module, end.scope, end.expr, depth - 1) == LINES else "")
                elif end.kind == CONTEXT or (not end.path and not isinstance(end.expr, Ref)):
                    kinds.add(self.held(end.module, end.scope, end.expr, depth - 1))
                elif end.kind == PARAMETER and isinstance(end.expr, Ref):
                    kinds.add(self._elements(end.module, end.scope, end.expr.name))
                else:
                    kinds.add("")
            return _same(kinds)
        return ""

    def _held_by_call(self, module: Module, scope: int, call: Call, depth: int) -> str:
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return ""
        names = module.names(scope, function)
        if not _RANGES.isdisjoint(names):
            return INT
        if not _LISTINGS.isdisjoint(names):
            return TEXT
        if not _RECORDS.isdisjoint(names):
            return LINES
        if not _SAME.isdisjoint(names) and call.args:
            return self.held(module, scope, call.args[0], depth - 1)
        if "builtins.map" in names and len(call.args) > 1 and isinstance(call.args[0], Ref):
            mapped = module.names(scope, call.args[0])
            return TEXT if "builtins.str" in mapped else INT if "builtins.int" in mapped else ""
        last = function.name.rpartition(".")[2]
        if last in _SPLITS and not any(":" in name for name in names):
            return TEXT
        if last in _CONVERTS and call.args and isinstance(call.args[0], Ref):  # ``frame["id"].astype(str)``
            to = module.names(scope, call.args[0])
            return TEXT if "builtins.str" in to else INT if "builtins.int" in to else ""
        if last in _TEXT_METHODS and _is_of_texts(function):
            return TEXT
        ends = self.project[Origins].of(module, scope, call)
        return _same(self.held(end.module, end.scope, end.expr, depth - 1) for end in ends if end.expr is not call)

    def _elements(self, module: Module, scope: int, name: str) -> str:
        for one in module.facts.scopes[scope].parameters:
            if one.name == name:
                words = _annotated(one.annotation)
                if words & _WORDS and words & {"list", "List", "Sequence", "Iterable", "set", "Set", "tuple", "Tuple"}:
                    return TEXT
                if "int" in words and not words & {"str", "Any"}:
                    return INT
        return ""


def _is_of_texts(function: Ref | Attribute) -> bool:
    """``column.str.lower``."""
    if isinstance(function, Ref):
        return function.name.rpartition(".")[0].endswith(".str")
    value = function.value
    return isinstance(value, Attribute) and value.name == "str"


def _annotated(annotation: Expr | None) -> set[str]:
    """The identifiers in an annotation."""
    found: set[str] = set()
    pending = [annotation] if annotation is not None else []
    while pending:
        node = pending.pop()
        if isinstance(node, Ref):
            found.add(node.name.rpartition(".")[2])
        elif isinstance(node, Const) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, Subscript):
            pending += [node.value, node.index]
        elif isinstance(node, Binary):
            pending += [node.left, node.right]
        elif isinstance(node, Build):
            pending += node.items
    return found - {"Optional", "Union", "None"}


def _same(kinds: Iterable[str]) -> str:
    """The one kind of all; "" when they differ or one is not known."""
    found = set(kinds)
    return found.pop() if len(found) == 1 else ""
