"""What an expression is worth in the abstract."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mldebt.facts.schema import (
    Attribute,
    Binary,
    Bind,
    Boolean,
    Build,
    Call,
    Compare,
    Comprehension,
    Conditional,
    Const,
    Expr,
    Format,
    If,
    Lambda,
    Opaque,
    Ref,
    Slice,
    Starred,
    Stmt,
    Subscript,
    Unary,
    Wait,
)

from .calling import Callables
from .class_variables import class_variable
from .columns import classes, computed, others, without
from .comprehensions import Comprehensions
from .frames import Frames
from .joining import either
from .outliers import far_out
from .rows import (
    Bound,
    Columns,
    Data,
    Fit,
    Grouped,
    Instance,
    Items,
    Known,
    Mark,
    Names,
    Stat,
    Value,
    View,
)

if TYPE_CHECKING:
    from .running import Run

_FIGURES = frozenset("shape size ndim dtype dtypes empty nbytes".split())
_VIEWS = frozenset("iloc loc iat at ix str dt cat index plot".split())
_ARRAYS = frozenset("values T array data A".split())


class Evaluator:
    """Evaluates expressions where a run stands."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.frames = Frames(self)
        self.callables = Callables(self)
        self.comprehensions = Comprehensions(self)
        self._frame_count = 0
        self._of: dict[type, Callable[[Any], Value]] = {
            Const: lambda expr: Known(expr.value),
            Ref: self.chain,
            Call: self.callables.of,
            Attribute: lambda expr: self.attributes(self.of(expr.value), expr.name),
            Subscript: lambda expr: self.frames.subscript(expr, self.of(expr.value)),
            Build: self.display,
            Binary: lambda expr: self.combined(expr.op, self.of(expr.left), self.of(expr.right), expr),
            Compare: self.compared,
            Comprehension: self.comprehensions.of,
            Conditional: self.conditional,
            Boolean: self.boolean,
            Unary: self.unary,
            Starred: self.inner,
            Wait: self.inner,
            Bind: self.walrus,
            Format: self.text,
            Lambda: lambda _: None,
            Slice: lambda _: None,
            Opaque: lambda _: None,
        }

    def fresh_columns(self) -> Columns:
        """All columns of a frame never seen before."""
        self._frame_count += 1
        return Columns(self._frame_count)

    def of(self, expr: Expr) -> Value:
        run = self.run
        run.steps += 1
        if run.steps > run.most:
            run.stop()
        return self._of[type(expr)](expr)

    def conditional(self, expr: Conditional) -> Value:
        self.of(expr.test)
        return either(self.of(expr.then), self.of(expr.orelse))

    def boolean(self, expr: Boolean) -> Value:
        found: Value = None
        for one in expr.values:
            found = either(found, self.of(one))
        return found

    def unary(self, expr: Unary) -> Value:
        value = self.of(expr.operand)
        if isinstance(value, Known) and expr.op == "-" and isinstance(value.value, (int, float)):
            return Known(-value.value)
        return None if isinstance(value, Known) else value

    def inner(self, expr: Starred | Wait) -> Value:
        return self.of(expr.value) if expr.value is not None else None

    def walrus(self, expr: Bind) -> Value:
        value = self.of(expr.value)
        self.run.set(expr.name, value)
        return value

    def text(self, expr: Format) -> Value:
        for one in expr.parts:
            self.of(one)
        return None

    # Names and attributes.

    def chain(self, ref: Ref) -> Value:
        name = ref.name
        if "." not in name:
            value = self.run.lookup(name)
            return value if value is not None else self.function(name)
        head, _, rest = name.partition(".")
        value = self.run.lookup(head)
        return self.attributes(value, rest) if value is not None else self.function(name)

    def function(self, name: str) -> Value:
        """A function of the project by its linked name."""
        frame, project = self.run.frame, self.run.project
        for linked in project.resolve(frame.module, frame.scope, name):
            if ":" in linked:
                found = project.definition(linked)
                if found is not None and not found.is_module:
                    return Bound(found.name)
                return self.variable(linked)
        return None

    def variable(self, linked: str) -> Value:
        """A variable of another module: ``data.X_train``."""
        path, _, qualname = linked.partition(":")
        module = self.run.project.modules.get(path)
        if module is None or not qualname or len(self.run.frames) > 5:
            return None
        head, _, rest = qualname.partition(".")
        value = self.run.module(module, main=False).get(head)
        return self.attributes(value, rest) if rest and value is not None else value

    def attributes(self, value: Value, names: str) -> Value:
        for name in names.split("."):
            value = self.attribute(value, name)
        return value

    def attribute(self, value: Value, name: str) -> Value:
        if isinstance(value, Data):
            if name in _FIGURES:
                return None
            if name in _VIEWS:
                return View(value, name)
            if name == "columns":
                return Names(value.columns) if value.columns is not None else None
            if name in _ARRAYS:
                return replace(value, columns=None) if name == "data" else value
            columns = value.columns
            return self.frames.column(value, name) if columns is not None and not columns.series else value
        if isinstance(value, Stat):
            return value
        if isinstance(value, Instance):
            return self.member(value, name)
        if isinstance(value, Fit):
            if name == "embedding_" and value.fitted:
                return Data(value.trained, value.fitted)
            return Stat(value.fitted, frozenset()) if name.endswith("_") and value.fitted else None
        if isinstance(value, View):
            return value if name in ("dt", "str", "cat") else value.data
        if isinstance(value, Grouped):
            return replace(value, column=name)
        return value if isinstance(value, Names) and name in ("values", "str") else None

    def member(self, value: Instance, name: str) -> Value:
        if name in value.values:
            return value.values[name]
        method = self.run.project.method(value.name, name)
        if method is None:
            return class_variable(self.run, value.name, name)
        if any(isinstance(one, Ref) and one.name.endswith("property") for one in method.scope.decorators):
            return self.callables.run_method(method, value, [], {})
        return Bound(method.name, value)

    # Displays and operators.

    def display(self, expr: Build) -> Value:
        values: list[Value] = []
        for one in expr.items:
            value = self.of(one)
            if isinstance(one, Starred) and isinstance(value, Items):
                values += value.values
            elif isinstance(one, Starred) and isinstance(value, Names):
                return value
            else:
                values.append(value)
        keys: list[object] = []
        for key in expr.keys:
            found = self.of(key) if key is not None else None
            keys.append(found.value if isinstance(found, Known) else None)
        return Items(tuple(values), expr.kind, tuple(keys), self.run.frame.loops)

    def combined(self, op: str, left: Value, right: Value, fact: object) -> Value:
        if isinstance(left, Names) or isinstance(right, Names):
            return without(left, right) if op == "-" else None
        if isinstance(left, Items) and isinstance(right, Items) and op == "+":
            return Items(left.values + right.values, left.kind, (), left.depth)
        if op == "*" and isinstance(left, Items) and len(left.values) == 1 and isinstance(right, (Known, type(None))):
            return replace(left, values=left.values * 2)
        data = [one for one in (left, right) if isinstance(one, Data)]
        stats = [one for one in (left, right) if isinstance(one, Stat)]
        if data:
            found = data[0] if len(data) == 1 else either(data[0], data[1])
            assert isinstance(found, Data)
            columns = computed([one.columns for one in data])
            marks = [mark for one in stats for mark in one.marks]
            return replace(found.marked(marks), columns=columns)
        if stats:
            return stats[0] if len(stats) == 1 else either(stats[0], stats[1])
        return None

    def compared(self, expr: Compare) -> Value:
        values = [self.of(one) for one in (expr.left, *expr.comparators)]
        data = [one for one in values if isinstance(one, Data)]
        stats = [one for one in values if isinstance(one, Stat)]
        if isinstance(values[0], Names):
            return others(values[0], values[1]) if expr.ops[0] == "!=" else None
        if data:
            marks = [*data[0].marks, *far_out(data[0])]
            marks += [replace(mark, kind="mask") for one in stats for mark in one.marks]
            return Data(data[0].rows, frozenset(marks), classes(computed([one.columns for one in data])))
        return stats[0] if stats else None

    def condition(self, stmt: If) -> None:
        value = self.of(stmt.test)
        if isinstance(value, Stat) and value.test and self.run.frame.loops > 0:
            self.run.event("decide", stmt, (value,), label="the comparison")

    # Changes in place.

    def store(self, target: Subscript, value: Value, stmt: Stmt) -> None:
        self.frames.store(target, value, stmt)

    def delete(self, target: Expr) -> None:
        if isinstance(target, Subscript) and isinstance(target.value, Ref):
            held, key = self.of(target.value), self.frames.names_of(self.of(target.index))
            if isinstance(held, Names):
                self.run.set(target.value.name, None)
            if isinstance(held, Data) and held.columns is not None:
                columns = self.frames.dropped(held.columns, key) if key is not None else None
                self.run.set(target.value.name, replace(held, columns=columns))

    def mark(self, kind: str, data: Data, fact: object, label: str, column: str | None = None) -> Mark:
        return Mark(kind, data.rows, self.run.site(fact), label, column)
