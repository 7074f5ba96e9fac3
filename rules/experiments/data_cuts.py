"""Where a program throws away most of its data unconditionally, and whether what is left is trained on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mldebt.facts.graph import displayed, targets
from mldebt.facts.schema import (
    CLASS,
    Annotate,
    Assign,
    Attribute,
    Augment,
    Build,
    Call,
    Compare,
    Const,
    Define,
    Expr,
    For,
    If,
    Jump,
    Ref,
    Return,
    Slice,
    Stmt,
    Subscript,
    With,
)
from mldebt.facts.walk import calls, expressions, statements, walk
from mldebt.module import Module
from mldebt.project.callers import Site, given
from mldebt.project.project import Project

from .guards import Guarded, called, guarded

_DEEPEST = 5  # calls between the cut and the training
_MOST_ROWS = 200_000
_MOST_BATCHES = 1000
_ORDERED = frozenset("sort sort_values nlargest nsmallest sorted argsort most_common value_counts topk rank".split())
_TRAINS = frozenset(
    """fit fit_generator partial_fit fit_predict fine_tune finetune train_on_batch fit_one_cycle fit_transform
    cross_val_score cross_validate train_test_split""".split()
)
_DATASETS = {"lightgbm.Dataset": 0, "xgboost.DMatrix": 0, "catboost.Pool": 0}
_LOADS = frozenset({"pandas.read_csv", "pandas.read_table", "pandas.read_parquet", "pandas.read_excel"})
_ISLICE = frozenset({"itertools.islice"})
_SUBSET = frozenset({"torch.utils.data.Subset", "torch.utils.data.dataset.Subset"})
_CUTTING = _LOADS | _SUBSET
_METHODS = frozenset({"head", "sample", "select"})
_HELD_OUT = re.compile(r"(?:^|_)(?:val|valid|validation|eval|test|dev|holdout)", re.IGNORECASE)
# Run once per sample, or on purpose on less.
_PER_ITEM = re.compile(
    r"__getitem__|__call__|__iter__|forward|collate|tokeni[sz]e|preprocess_(?:text|image)|truncat|debug|smoke|sanity"
    r"|overfit|toy|tiny|profil|bench|dry_?run|demo|plot|visuali|show|preview|inspect|predict|test",
    re.IGNORECASE,
)
_WORDS = frozenset("fit head sample select take islice Subset nrows read_csv backward DataLoader iloc array".split())


class Cut(NamedTuple):
    """A statement that keeps the first rows of something; ``name`` is what the rest is called after it."""

    module: Module
    scope: int
    stmt: Stmt
    name: str
    text: str
    strong: bool  # the rows are a table's or dataset's, whatever the code around says


def data_cuts(module: Module) -> Iterator[Cut]:
    """Every cut of a file that no test decides on and no loop repeats."""
    if _WORDS.isdisjoint(module.mentions) or module.path.endswith(".ipynb"):
        return
    for index, scope in enumerate(module.facts.scopes):
        if scope.kind != CLASS and not _PER_ITEM.search(scope.name):
            body = module.body(index)
            if not any(_may_cut(module, index, stmt) for stmt in statements(body)):
                continue
            for one in guarded(body):
                if not one.tests and not one.loops and isinstance(one.stmt, (Assign, Annotate)):
                    yield from _cuts(module, index, one.stmt, body)


def _may_cut(module: Module, scope: int, stmt: Stmt) -> bool:
    """Whether a statement, as it is written, may be a cut: asked of every statement, before anything is resolved."""
    if not isinstance(stmt, (Assign, Annotate)) or stmt.value is None:
        return False
    values = [stmt.value]
    while values:
        value = values.pop()
        if isinstance(value, Build):
            values += value.items
        elif isinstance(value, Subscript):
            if _first_rows(value.index):
                return True
        elif isinstance(value, Call) and _is_written(module, scope, value):
            return True
    return False


def _is_written(module: Module, scope: int, call: Call) -> bool:
    """Whether a call is of one of the names we know; a name the function binds may stand for any."""
    last = called(call)
    if last in _METHODS or last in module.project.spellings(_CUTTING):
        return True
    return isinstance(call.function, Ref) and call.function.name in module.scope(scope).bindings


def _cuts(module: Module, scope: int, stmt: Assign | Annotate, body: Sequence[Stmt]) -> Iterator[Cut]:
    if stmt.value is None:
        return
    for target in stmt.targets if isinstance(stmt, Assign) else [stmt.target]:
        for name, path in targets(target):
            value, rest = displayed(stmt.value, path)
            if rest or _HELD_OUT.search(name.rpartition(".")[2]):
                continue
            found = _cut(module, scope, name, value, body)
            if found is not None:
                yield Cut(module, scope, stmt, name, *found)
                return


def _cut(module: Module, scope: int, name: str, value: Expr, body: Sequence[Stmt]) -> tuple[str, bool] | None:
    """How an expression keeps only the first rows, and whether of a dataset for sure."""
    if isinstance(value, Subscript):
        count = _first_rows(value.index)
        base = value.value
        strong = isinstance(base, Ref) and base.name.endswith(".iloc")
        held = base.name.removesuffix(".iloc") if isinstance(base, Ref) else ""
        if count and held == name and not _is_ordered(module, scope, base, held, body):
            return f"[:{count}]", strong
        return None
    if not isinstance(value, Call):
        return None
    method = called(value)
    if method in _METHODS and isinstance(value.function, (Ref, Attribute)):
        return _by_method(module, scope, name, value, body)
    if not _is_written(module, scope, value):
        return None
    names = module.names(scope, value.function)
    nrows = next((one.value for one in value.keywords if one.name == "nrows"), None)
    if not _LOADS.isdisjoint(names) and isinstance(nrows, Const) and _is_count(nrows.value):
        return f"nrows={nrows.value}", True
    if not _SUBSET.isdisjoint(names) and len(value.args) == 2 and (rows := _range(value.args[1])):
        others = [one for one in _calls(body) if not _SUBSET.isdisjoint(module.names(scope, one.function))]
        return (f"Subset(range({rows}))", True) if len(others) == 1 else None
    return None


def _by_method(module: Module, scope: int, name: str, call: Call, body: Sequence[Stmt]) -> tuple[str, bool] | None:
    """``df = df.head(100)``, ``df = pd.read_csv(p).sample(frac=0.01)``, ``small = ds.select(range(100))``."""
    method = called(call)
    receiver: Expr = call.function
    if isinstance(receiver, Ref):
        receiver = Ref(receiver.name.rpartition(".")[0], receiver.line, receiver.column)
    elif isinstance(receiver, Attribute):
        receiver = receiver.value
    root = receiver
    while isinstance(root, (Call, Attribute, Subscript)):
        if isinstance(root, Call) and (called(root) in _ORDERED or called(root) == "groupby"):
            return None
        root = root.function if isinstance(root, Call) else root.value
    loads = isinstance(receiver, Call) and not _LOADS.isdisjoint(module.names(scope, receiver.function))
    base = root.name if isinstance(root, Ref) else ""
    same = base == name or base.startswith(f"{name}.")
    rows = call.args[0] if call.args else None
    if method == "select":
        count = _range(rows) if rows is not None else 0
        selects = [
            one for one in _calls(body) if called(one) == "select" and _root(one).split(".")[0] == base.split(".")[0]
        ]
        return (f".select(range({count}))", True) if count and len(selects) == 1 else None
    if (not same and not loads) or _is_ordered(module, scope, root, base, body):
        return None
    if method == "head":
        value = rows.value if isinstance(rows, Const) else None
        return (f".head({value})", True) if _is_count(value) else None
    given_ = {one.name: one.value for one in call.keywords}
    if any(called(one) == "sample" and _root(one).partition(".")[0] != base.partition(".")[0] for one in _calls(body)):
        return None  # as many of this class as of that
    part, count_ = given_.get("frac"), given_.get("n", rows)
    if isinstance(part, Const) and isinstance(part.value, float) and 0 < part.value <= 0.5:
        return f".sample(frac={part.value})", True
    if isinstance(count_, Const) and _is_count(count_.value) and "replace" not in given_:
        return f".sample(n={count_.value})", True
    return None


def _root(call: Call) -> str:
    node: Expr = call.function
    while isinstance(node, (Call, Attribute, Subscript)):
        node = node.function if isinstance(node, Call) else node.value
    return node.name if isinstance(node, Ref) else ""


def _calls(body: Sequence[Stmt]) -> list[Call]:
    return [call for stmt in statements(body) for call in calls(stmt)]


def _first_rows(index: Expr) -> int:
    """The count of ``[:n]``; 0 for any other index."""
    if not isinstance(index, Slice) or index.step is not None or not isinstance(index.upper, Const):
        return 0
    starts = index.lower is None or (isinstance(index.lower, Const) and index.lower.value == 0)
    return int(index.upper.value) if starts and _is_count(index.upper.value) else 0  # type: ignore[arg-type]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 < value <= _MOST_ROWS


def _range(expr: Expr) -> int:
    if isinstance(expr, Call) and called(expr) in ("range", "arange") and len(expr.args) == 1:
        count = expr.args[0]
        return int(count.value) if isinstance(count, Const) and _is_count(count.value) else 0  # type: ignore[arg-type]
    return 0


def _is_ordered(module: Module, scope: int, base: Expr, name: str, body: Sequence[Stmt]) -> bool:
    """Whether the rows were put in an order, so that the first are chosen, or the others are used elsewhere."""
    for stmt in statements(body):
        for expr in expressions(stmt):
            for node in walk(expr):
                if (
                    isinstance(node, Call)
                    and _root(node).partition(".")[0] == name.partition(".")[0]
                    and called(node) in _ORDERED
                ):
                    return True
                if isinstance(node, Subscript) and isinstance(node.value, Ref) and isinstance(node.index, Slice):
                    held = node.value.name.removesuffix(".iloc")
                    if held == name and node.index.lower is not None and node.index.upper is None:
                        return True  # the rest is used: a split
    if isinstance(base, Ref) and name:
        for origin in module.project.flow(module.definition(scope)).origins(Ref(name, base.line, base.column)):
            value = origin.value
            if value is not None and any(isinstance(one, Call) and called(one) in _ORDERED for one in walk(value)):
                return True
    return False


def early_breaks(module: Module) -> Iterator[tuple[Stmt, int, str]]:
    """Training loops that end after a few batches: the statement, its scope, and after how many."""
    if "backward" not in module.mentions and "train_on_batch" not in module.mentions:
        return
    for index in module.scopes_using(("backward", "train_on_batch", "apply_gradients")):
        for one in guarded(module.body(index)):
            if isinstance(one.stmt, For) and not one.tests and _learns(one.stmt.body):
                yield from ((stmt, index, text) for stmt, text in _breaks(module, index, one))


def _breaks(module: Module, scope: int, one: Guarded) -> Iterator[tuple[Stmt, str]]:
    loop = one.stmt
    assert isinstance(loop, For)
    counter = ""
    sliced = loop.iterable
    if isinstance(sliced, Call) and "builtins.enumerate" in module.names(scope, sliced.function) and sliced.args:
        counter = next((name for name, path in targets(loop.target) if path == (0,)), "")
        sliced = sliced.args[0]
    if isinstance(sliced, Call) and not _ISLICE.isdisjoint(module.names(scope, sliced.function)):
        count = sliced.args[1] if len(sliced.args) == 2 else None
        if isinstance(count, Const) and _is_count(count.value):
            yield loop, f"{count.value} batches: islice({count.value})"
    for stmt in loop.body:
        if isinstance(stmt, Jump) and stmt.kind == "break" and _per_batch(loop, one):
            yield stmt, "one batch: an unconditional break"
        if isinstance(stmt, If) and counter and not stmt.orelse and len(stmt.body) <= 2:
            limit = _limit(stmt.test, counter)
            if limit is not None and isinstance(stmt.body[-1], Jump) and stmt.body[-1].kind == "break":
                yield stmt, f"{limit} batches: `if {counter} ... {limit}: break`"


def _per_batch(loop: For, one: Guarded) -> bool:
    """Whether a loop goes over data: not over epochs or attempts, which a ``break`` may end for a reason."""
    return not (isinstance(loop.iterable, Call) and called(loop.iterable) in ("range", "count", "cycle"))


def _limit(test: Expr, counter: str) -> int | None:
    if not isinstance(test, Compare) or len(test.ops) != 1 or test.ops[0] not in (">", ">=", "=="):
        return None
    limit = test.comparators[0]
    value = limit.value if isinstance(limit, Const) else None
    is_counter = isinstance(test.left, Ref) and test.left.name == counter
    return value if is_counter and isinstance(value, int) and 0 <= value <= _MOST_BATCHES else None


def _learns(body: Sequence[Stmt]) -> bool:
    return any(
        called(call) in ("backward", "train_on_batch", "apply_gradients")
        for stmt in statements(body)
        for call in calls(stmt)
    )


class Reach:
    """Follows a name forward to a training call: through assignments, returns, arguments and attributes of ``self``."""

    def __init__(self, project: Project, strong: bool) -> None:
        self._project, self._strong = project, strong
        self._seen: set[tuple[str, str]] = set()

    def trained(self, module: Module, scope: int, name: str, line: int, depth: int = _DEEPEST) -> str:
        """Where the data ends up, ``path:line``; "" when nothing is seen to train on it."""
        definition = module.definition(scope)
        key = (definition.name, name)
        if not depth or key in self._seen:
            return ""
        self._seen.add(key)
        held = {name}
        for one in sorted(guarded(module.body(scope)), key=lambda one: (one.stmt.line, one.stmt.column)):
            stmt = one.stmt
            if stmt.line <= line or (isinstance(stmt, Define)):
                continue
            read = _mentions(stmt, held)
            if not read:
                continue
            found = self._used(module, scope, stmt, held, depth)
            if found:
                return found
            if isinstance(stmt, Return):
                found = self._returned(module, scope, depth)
                if found:
                    return found
            new = {one for one in _bound(stmt) if not _HELD_OUT.search(one.rpartition(".")[2])}
            held |= new
            found = next(
                (
                    there
                    for attribute in sorted(new)
                    if attribute.startswith("self.") and (there := self._kept(module, scope, attribute, depth))
                ),
                "",
            )
            if found:
                return found
        if name.startswith("self."):
            return self._kept(module, scope, name, depth)
        return self._outside(module, held, depth) if scope == 0 else ""

    def _used(self, module: Module, scope: int, stmt: Stmt, held: set[str], depth: int) -> str:
        """What a statement's calls do with it."""
        if isinstance(stmt, For) and _learns(stmt.body) and _holds(stmt.iterable, held):
            return f"{module.path}:{stmt.line}"
        for call in calls(stmt):
            name = called(call)
            given_ = [*call.args, *(one.value for one in call.keywords if not _HELD_OUT.search(one.name or ""))]
            if any(_holds(one, held) for one in given_) and (
                name in _TRAINS - {"train_test_split"} or (name == "Trainer" and self._hugging(call, held))
            ):
                return f"{module.path}:{call.line}"
            if not _DATASETS.keys().isdisjoint(module.names(scope, call.function)) and any(
                _holds(one, held) for one in given_
            ):
                return f"{module.path}:{call.line}"
            if name == "backward" and self._strong and _root(call).split(".")[0] in held:
                return f"{module.path}:{call.line}"
            if any(_holds(one, held) for one in given_):
                found = self._passed(module, scope, call, held, depth)
                if found:
                    return found
        return ""

    @staticmethod
    def _hugging(call: Call, held: set[str]) -> bool:
        return any(one.name == "train_dataset" and _holds(one.value, held) for one in call.keywords)

    def _passed(self, module: Module, scope: int, call: Call, held: set[str], depth: int) -> str:
        """What a project function does with the argument."""
        for edge in self._project.calls.targets(module, scope, call):
            if edge.confidence == "cha" or edge.target.is_module:
                continue
            spellings = self._project.callers.spellings(edge.target)
            for parameter in edge.target.scope.parameters:
                value = given(Site(module, scope, call), edge.target, parameter.name, spellings)
                if isinstance(value, (Ref, Subscript, Attribute, Call)) and _holds(value, held):
                    found = self.trained(edge.target.module, edge.target.index, parameter.name, 0, depth - 1)
                    if found:
                        return found
        return ""

    def _returned(self, module: Module, scope: int, depth: int) -> str:
        """What the callers do with what the function returns."""
        for site in self._project.callers.of(module.definition(scope)) or ():
            for one in guarded(site.module.body(site.scope)):
                if any(call is site.call for call in calls(one.stmt)):
                    if one.tests:
                        continue
                    if isinstance(one.stmt, For) and _learns(one.stmt.body):
                        return f"{site.module.path}:{one.stmt.line}"
                    for name in sorted(_bound(one.stmt)):
                        found = self.trained(site.module, site.scope, name, one.stmt.line, depth - 1)
                        if found:
                            return found
                    found = self._nested(site.module, site.scope, one.stmt, site.call, depth)
                    if found:
                        return found
        return ""

    def _nested(self, module: Module, scope: int, stmt: Stmt, inner: Call, depth: int) -> str:
        """``model.fit(load(path))``."""
        for call in calls(stmt):
            if (
                call is not inner
                and called(call) in _TRAINS
                and any(node is inner for arg in call.args for node in walk(arg))
            ):
                return f"{module.path}:{call.line}"
        return ""

    def _kept(self, module: Module, scope: int, attribute: str, depth: int) -> str:
        """What the other methods of the class do with ``self.data``."""
        parent = module.scope(scope).parent
        if parent < 1 or module.scope(parent).kind != CLASS:
            return ""
        for index, other in enumerate(module.facts.scopes):
            if (
                other.parent == parent
                and index != scope
                and any(one == attribute or one.startswith(f"{attribute}.") for one in other.uses)
            ):
                found = self.trained(module, index, attribute, 0, depth - 1)
                if found:
                    return found
        bases = self._project.mro(module.definition(parent).name)
        return (
            f"{module.path}:{module.scope(parent).line}"
            if any(one.endswith(("utils.data.Dataset", "utils.data.dataset.Dataset")) for one in bases)
            else ""
        )

    def _outside(self, module: Module, held: set[str], depth: int) -> str:
        """What functions of the file do with a variable of the module."""
        for index, scope in enumerate(module.facts.scopes):
            names = held.intersection(scope.uses) - scope.bindings.keys() if index else ()
            for name in sorted(names):
                found = self.trained(module, index, name, 0, depth - 1)
                if found:
                    return found
        return ""


def _bound(stmt: Stmt) -> set[str]:
    found: set[str] = set()
    if isinstance(stmt, (Annotate, Augment, For)):
        found.update(name for name, _ in targets(stmt.target))
    elif isinstance(stmt, Assign):
        found.update(name for target in stmt.targets for name, _ in targets(target))
    elif isinstance(stmt, With):
        found.update(name for item in stmt.items if item.target is not None for name, _ in targets(item.target))
    return found


def _mentions(stmt: Stmt, held: set[str]) -> bool:
    return any(_holds(expr, held) for expr in expressions(stmt))


def _holds(expr: Expr, held: set[str]) -> bool:
    return any(
        isinstance(node, Ref) and (node.name in held or any(node.name.startswith(f"{one}.") for one in held))
        for node in walk(expr)
    )
