"""Steps of data preparation: reads, joins, samplings, writes and re-assignments of frames, file by file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mldebt.facts.schema import (
    FUNCTION,
    Annotate,
    Assign,
    Attribute,
    Call,
    Const,
    Expr,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

READ, JOIN, SAMPLE, WRITE, REASSIGN = "read", "join", "sampling", "write", "re-assignment"
RESULT = "result"  # what a program writes in the end: no step of the preparation, but a sign that it goes somewhere
_MOST_NAMED = 10  # steps of a function that is one
SHORT = 40  # lines of a function whose steps have a name
_FRAMES = frozenset({"pandas", "polars", "dask", "pyspark", "modin", "cudf", "geopandas", "vaex"})
_READS = re.compile(r"^(?:pandas|polars|dask\.dataframe|modin\.pandas|cudf|geopandas)\.(?:read|scan)_\w+$")
_JOINS = frozenset(
    """pandas.merge pandas.concat pandas.merge_asof pandas.merge_ordered polars.concat dask.dataframe.merge
    dask.dataframe.concat cudf.concat cudf.merge functools.reduce""".split()
)
_SAMPLES = frozenset({"sklearn.model_selection.train_test_split", "sklearn.utils.resample", "sklearn.utils.shuffle"})
_JOIN_METHODS = frozenset({"merge", "join", "merge_asof", "unionByName", "union", "crossJoin", "join_asof", "vstack"})
_SAMPLE_METHODS = frozenset({"sample", "fit_resample", "sampleBy", "nlargest", "nsmallest"})
_WRITE_METHODS = frozenset(
    """to_csv to_parquet to_pickle to_feather to_hdf to_json to_excel to_sql to_orc write_csv write_parquet
    write_ipc""".split()
)
_WRITES = frozenset({"joblib.dump", "pickle.dump", "numpy.save", "numpy.savez"})
_NAMED = frozenset({"pipe", "transform"})
# What a program ends with is no intermediate file: predictions, submissions, scores.
_RESULTS = re.compile(
    r"(?:^|[\W_\d])(?:preds?|predictions?|predicted|sub(?:mission)?s?|submit|results?|scores?|oof|y_?(?:hat|pred)|metrics?"
    r"|importances?|reports?)(?=$|[\W_\d])",
    re.IGNORECASE,
)
_WORDS = frozenset({"merge", "concat", "sample", "train_test_split"}) | _WRITE_METHODS


class Step(Struct, frozen=True):
    """One step: its kind, where it stands, and whether a short named function holds it."""

    kind: str
    statement: Stmt
    scope: int
    call: Call | None
    named: bool


class Preparation(Analysis):
    """Answers the preparation steps of a file, in the order of lines."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._steps: dict[str, tuple[Step, ...]] = {}

    def steps(self, module: Module) -> tuple[Step, ...]:
        known = self._steps.get(module.path)
        if known is None:
            roots = {fact.module.partition(".")[0] for fact in module.facts.imports}
            found = list(self._of(module)) if roots & _FRAMES and module.mentions & _WORDS else []
            found.sort(key=lambda step: (step.statement.line, step.statement.column))
            known = self._steps[module.path] = tuple(found)
        return known

    def components(self, module: Module) -> tuple[tuple[Step, ...], ...]:
        """The steps of functions that call each other, with the module's own body where it calls them."""
        steps = self.steps(module)
        scopes = sorted({step.scope for step in steps})
        groups = {scope: {scope} for scope in scopes}
        reached = {scope: self._reached(module, scope) for scope in {0, *scopes}}
        for start, called in sorted(reached.items()):
            together = set().union(*(groups[scope] for scope in sorted({start, *called} & set(scopes))))
            for scope in together:
                groups[scope] = together
        distinct = sorted({tuple(sorted(group)) for group in groups.values()})
        parts = [[step for step in steps if step.scope in group] for group in distinct]
        if module.path.endswith(".ipynb"):
            parts = [piece for part in parts for piece in _begun_anew(part)]
        return tuple(tuple(part) for part in parts)

    def _reached(self, module: Module, scope: int) -> frozenset[int]:
        """The functions of the same file that a body runs, at any distance."""
        found: set[int] = set()
        pending = [scope]
        while pending:
            for edge in self.project.calls.edges(module.definition(pending.pop())):
                target = edge.target
                if target.module is module and target.index not in found:
                    found.add(target.index)
                    pending.append(target.index)
        return frozenset(found)

    def _of(self, module: Module) -> Iterator[Step]:
        for index, scope in enumerate(module.facts.scopes):
            if index and scope.kind != FUNCTION:
                continue
            lines = scope.end_line - scope.line + 1
            named = bool(index) and lines <= SHORT
            steps = list(_Reader(module, index, named).steps())
            # A function of many steps is no step itself, however short its lines make it.
            yield from steps if len(steps) <= _MOST_NAMED else (replace(step, named=False) for step in steps)


class _Reader:
    """Reads one body: which variables are frames, and what is done to them."""

    def __init__(self, module: Module, scope: int, named: bool) -> None:
        self._module, self._scope, self._named = module, scope, named
        self._frames: set[str] = set()

    def steps(self) -> Iterator[Step]:
        body = list(statements(self._module.body(self._scope)))
        for stmt in body:
            for expr in expressions(stmt):
                for node in walk(expr):
                    if isinstance(node, Call) and isinstance(node.function, (Ref, Attribute)):
                        kind = self._kind(node, node.function)
                        if kind:
                            yield Step(kind, stmt, self._scope, node, self._named)
                        if self._is_in_place(node, node.function):
                            yield Step(REASSIGN, stmt, self._scope, node, self._named)
            if isinstance(stmt, (Assign, Annotate)) and stmt.value is not None:
                yield from self._assigned(stmt, stmt.value)

    def _assigned(self, stmt: Assign | Annotate, value: Expr) -> Iterator[Step]:
        targets = stmt.targets if isinstance(stmt, Assign) else [stmt.target]
        names = [target.name for target in targets if isinstance(target, Ref)]
        again = [name for name in names if name in self._frames and _reads(value, name)]
        if again:
            piped = any(isinstance(node, Attribute) and node.name in _NAMED for node in walk(value))
            own = self._is_own(value)
            if not self._joins(value):  # which is a step already
                yield Step(REASSIGN, stmt, self._scope, None, self._named or piped or own)
        if self._is_frame(value):
            self._frames.update(names)

    def _joins(self, value: Expr) -> bool:
        return any(
            isinstance(node, Call)
            and isinstance(node.function, (Ref, Attribute))
            and self._kind(node, node.function) == JOIN
            for node in walk(value)
        )

    def _is_own(self, value: Expr) -> bool:
        """Whether a frame goes through a function of the project: ``df = clean(df)``."""
        if not isinstance(value, Call) or not isinstance(value.function, Ref):
            return False
        return any(":" in name for name in self._module.names(self._scope, value.function))

    def _is_frame(self, value: Expr) -> bool:
        node: Expr = value
        while True:
            if isinstance(node, Call):
                function = node.function
                if isinstance(function, Ref):
                    head = function.name.partition(".")[0]
                    if head in self._frames:
                        return True
                    names = self._module.names(self._scope, function)
                    if any(_READS.match(name) or name in _JOINS or name == "pandas.DataFrame" for name in names):
                        return True
                    own = any(":" in name for name in names)
                    return own and any(isinstance(arg, Ref) and arg.name in self._frames for arg in node.args)
                node = function
            elif isinstance(node, (Attribute, Subscript)):
                node = node.value
            else:
                return isinstance(node, Ref) and node.name.partition(".")[0] in self._frames

    def _kind(self, call: Call, function: Ref | Attribute) -> str:
        last = function.name.rpartition(".")[2]
        if isinstance(function, Ref):
            names = self._module.project.resolve(self._module, self._scope, function.name)
            for name in names:
                if _READS.match(name):
                    return READ
                if name in _JOINS:
                    return JOIN
                if name in _SAMPLES:
                    return SAMPLE
                if name in _WRITES:
                    return RESULT if _is_result(call) else WRITE
            if names:
                return ""
        if last in _WRITE_METHODS and (call.args or call.keywords):
            return RESULT if _is_result(call) else WRITE
        if last in _JOIN_METHODS and self._on_frame(function):
            return JOIN
        if last in _SAMPLE_METHODS and (last == "fit_resample" or self._on_frame(function)):
            return SAMPLE
        return ""

    def _is_in_place(self, call: Call, function: Ref | Attribute) -> bool:
        """``df.drop(columns=..., inplace=True)``."""
        given = next((one.value for one in call.keywords if one.name == "inplace"), None)
        return isinstance(given, Const) and given.value is True and self._on_frame(function)

    def _on_frame(self, function: Ref | Attribute) -> bool:
        node: Expr = function
        if isinstance(node, Ref):
            return node.name.partition(".")[0] in self._frames
        return self._is_frame(node.value) if isinstance(node, Attribute) else False


def _is_result(call: Call) -> bool:
    """Whether the frame or the file has a name of what a program is run for."""
    for node in walk(call):
        text = node.name if isinstance(node, (Ref, Attribute)) else node.value if isinstance(node, Const) else ""
        if isinstance(text, str) and _RESULTS.search(text):
            return True
    return False


def _reads(value: Expr, name: str) -> bool:
    return any(isinstance(node, Ref) and node.name.partition(".")[0] == name for node in walk(value))


def _begun_anew(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """The pieces of a notebook that reads its first file again for each of several demonstrations."""
    piece: list[Step] = []
    seen: set[str] = set()
    for step in steps:
        first = step.call.args[0] if step.call is not None and step.call.args else None
        path = first.value if step.kind == READ and isinstance(first, Const) else None
        if isinstance(path, str) and path in seen:
            yield piece
            piece, seen = [], set()
        if isinstance(path, str):
            seen.add(path)
        piece.append(step)
    yield piece


def counted(steps: Sequence[Step]) -> Counter[str]:
    """Steps by kind."""
    return Counter(step.kind for step in steps)
