"""What library layers and models give: activations, the tail of a Sequential, a Keras model's last layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN as NOT_KNOWN
from mldebt.facts.arguments import argument
from mldebt.facts.graph import targets
from mldebt.facts.schema import (
    Annotate,
    Assign,
    Attribute,
    Augment,
    Binary,
    Build,
    Call,
    Const,
    Expr,
    If,
    Ref,
    Starred,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import blocks, expressions, walk

from .knowledge import LayerRow, canonical
from .returns import truth
from .values import (
    UNKNOWN,
    Constant,
    Display,
    Evidence,
    Instance,
    Named,
    Super,
    Tensor,
    Value,
    Values,
    Where,
)

if TYPE_CHECKING:
    from .calling import Calls
    from .evaluation import Evaluation

_SEQUENTIAL = frozenset({"torch.nn.Sequential", "keras.Sequential"})
_MODELS = frozenset({"keras.Model", "keras.Functional"})
_ACTIVATIONS = {"softmax": "prob", "sigmoid": "prob", "log_softmax": "logprob", "linear": "logit", None: "logit"}
_HEADS = ("fc", "classifier", "head", "heads")  # where zoo models keep their last layer
_ADDS = frozenset({"append", "add", "add_module", "extend"})

_BLANK = Call(Const(None), [], [], 1, 0, 1, 0)  # a layer inside a container: what it is fed is not followed

Item = tuple[Where, Expr] | None  # None: something is added there, nobody knows what


class Layers:
    """Evaluates calls of library layers for one ``Evaluation``."""

    def __init__(self, evaluation: Evaluation, calls: Calls) -> None:
        self._evaluation = evaluation
        self._calls = calls
        self._project = evaluation.project

    def called(self, where: Where, call: Call, instance: Instance, depth: int) -> Values:
        """What calling an instance of a library class gives."""
        name = canonical(instance.name)
        if name in _SEQUENTIAL or name in _MODELS:
            return self.output(instance, depth) if instance.call is not None else UNKNOWN
        if is_pretrained(name):
            return (
                self._tail(instance.where, self._headed(instance.where, instance.call), depth)
                if instance.where and instance.call
                else UNKNOWN
            )
        row = self._calls.knowledge.rows(self._calls.knowledge.layers).get(name)
        if row is None:
            return UNKNOWN
        return self._applied(where, call, instance, name, row, depth)

    def _applied(self, where: Where, call: Call, instance: Instance, name: str, row: LayerRow, depth: int) -> Values:
        if row.activation is not None and instance.call is not None and instance.where is not None:
            found = self._activation(instance.where, instance.call, row, depth)
            if found != ("keeps",):
                return tuple(None if quantity is None else self._tensor(quantity, name, instance) for quantity in found)
        if row.keeps:
            given = argument(call, "input", 0)
            return UNKNOWN if given is None or given is NOT_KNOWN else self._evaluation.of(where, given, depth)
        return (self._tensor(row.gives, name, instance, where, call),)

    def _tensor(
        self, quantity: str, name: str, instance: Instance, where: Where | None = None, call: Call | None = None
    ) -> Tensor:
        home, at = (instance.where, instance.call) if instance.call is not None else (where, call)
        assert home is not None
        return Tensor(Evidence(quantity, name, home.module.place(at)))

    def _activation(self, where: Where, call: Call, row: LayerRow, depth: int) -> tuple[str | None, ...]:
        """The quantities the ``activation`` argument gives; ("keeps",) for an unknown position of none."""
        position = None if row.activation is None or row.activation < 0 else row.activation
        values = self._calls.given(where, call, "activation", position, depth) or (Constant(None),)
        return tuple(self._quantity(value) for value in values)

    def _quantity(self, value: Value) -> str | None:
        if isinstance(value, Constant):
            if value.value is not None and not isinstance(value.value, str):
                return None
            return _ACTIVATIONS.get(value.value, "other")
        if isinstance(value, Named):
            row = self._calls.knowledge.row(self._calls.knowledge.functions, value.name)
            return row.gives or None if row is not None else None
        if isinstance(value, Instance):
            layer = self._calls.knowledge.row(self._calls.knowledge.layers, value.name)
            return layer.gives or None if layer is not None else None
        return None

    # Models.

    def output(self, instance: Instance, depth: int) -> Values:
        """What a Sequential or a Keras model ends in."""
        call, where = instance.call, instance.where
        if call is None or where is None:
            return UNKNOWN
        if canonical(instance.name) in _MODELS:
            values = self._calls.given(where, call, "outputs", 1, depth)
            return tuple(value if isinstance(value, Tensor) else None for value in values) or UNKNOWN
        return self._tail(where, [*self._listed(where, call), *self._added(where, call, depth)], depth)

    def inherited(self, where: Where, call: Call, instance: Instance, depth: int) -> Values:
        """Calling a project's class whose ``forward`` is a library's: a subclass of Sequential, Linear, Softmax."""
        for base in self._project.mro(instance.name):
            if ":" in base or base == "?":
                continue
            made = self._made_by_super(instance, base)
            if canonical(base) in _SEQUENTIAL | _MODELS:
                return self.output(made, depth) if made is not None else UNKNOWN
            row = self._calls.knowledge.row(self._calls.knowledge.layers, base)
            if row is not None and row.activation is None:
                return self._applied(where, call, made or Instance(base), canonical(base), row, depth)
            return UNKNOWN
        return UNKNOWN

    def super_called(self, where: Where, call: Call, value: Super, name: str, depth: int) -> Values:
        """``super().forward(x)`` where the base is a library's."""
        if name not in ("forward", "call", "__call__"):
            return UNKNOWN
        return self.inherited(where, call, value.instance, depth)

    def _made_by_super(self, instance: Instance, base: str) -> Instance | None:
        """The base part of an instance, made by the last ``super().__init__`` of its classes."""
        context = self._evaluation.members.within(instance, self._evaluation.current)
        inits = [self._project.definition(f"{one}.__init__") for one in self._project.mro(instance.name) if ":" in one]
        for definition in reversed([one for one in inits if one is not None]):
            for site in definition.module.call_sites(definition.index):
                function = site.call.function
                if isinstance(function, Attribute) and function.name == "__init__":
                    return Instance(base, site.call, Where(definition.module, definition.index, context))
        return Instance(base, instance.call, instance.where) if instance.call is not None else None

    def _tail(self, where: Where, items: Sequence[Item], depth: int) -> Values:
        """What the last layer that changes a quantity gives."""
        for item in reversed(items):
            if item is None:
                return UNKNOWN
            home, expr = item
            values = self._evaluation.of(home, expr, depth)
            results: list[Value] = []
            keeps = False
            for value in values:
                if not isinstance(value, Instance):
                    return UNKNOWN
                row = self._calls.knowledge.row(self._calls.knowledge.layers, value.name)
                if row is not None and row.keeps and row.activation is None:
                    keeps = True
                    continue
                results += self._calls.apply(value.where or home, _BLANK, value, depth)
            if not keeps:
                return tuple(results) or UNKNOWN
            if results:
                return UNKNOWN
        return UNKNOWN

    def _listed(self, where: Where, call: Call) -> Iterator[Item]:
        """The layers a Sequential is made of, in order."""
        for keyword in call.keywords:
            if keyword.name is None:
                yield None
            elif keyword.name == "layers":
                yield from self._items(where, keyword.value)
        whole = len(call.args) == 1
        for arg in call.args:
            if isinstance(arg, Starred):
                yield from self._items(where, arg.value)
            elif whole and not (isinstance(arg, Call) and not _is_ordered(arg)):
                yield from self._items(where, arg.args[0] if isinstance(arg, Call) and arg.args else arg)
            else:
                yield where, arg

    def _items(self, where: Where, expr: Expr) -> Iterator[Item]:
        """The elements of a list, tuple or list of pairs."""
        if isinstance(expr, Build):
            for index, item in enumerate(expr.items):
                if isinstance(item, Starred):
                    yield from self._items(where, item.value)
                elif expr.kind != "dict" and isinstance(item, Build) and len(item.items) == 2:
                    yield where, item.items[1]
                elif expr.kind != "dict" or expr.keys[index] is not None:
                    yield where, item
                else:
                    yield None
        elif isinstance(expr, Binary) and expr.op == "+":
            yield from self._items(where, expr.left)
            yield from self._items(where, expr.right)
        elif isinstance(expr, Ref):
            yield from self._grown(where, expr)
        elif isinstance(expr, Call) and isinstance(expr.function, Ref) and _is_ordered(expr) and expr.args:
            yield from self._items(where, expr.args[0])
        else:
            yield None

    def _grown(self, where: Where, ref: Ref) -> Iterator[Item]:
        """A list that is filled step by step in its own scope; None where a layer may be or not be added."""
        items: list[Item] = []
        known = False
        for stmt, sure in self._ways(where, where.module.body(where.scope), True):
            if stmt.line >= ref.line:
                break
            if isinstance(stmt, (Assign, Annotate)) and stmt.value is not None and ref.name in _names(stmt):
                items = list(self._items(where, stmt.value)) if not _mentions(stmt.value, ref.name) else [None]
                known = True
                items += [] if sure else [None]
            elif isinstance(stmt, Augment) and isinstance(stmt.target, Ref) and stmt.target.name == ref.name:
                items += self._items(where, stmt.value) if sure else [None]
            else:
                for expr in expressions(stmt):
                    items += [one if sure else None for one in self._additions(where, expr, ref.name)]
        if not known and items == []:
            values = self._evaluation.of(where, ref, 12)
            if len(values) == 1 and isinstance(values[0], Display):
                items = list(self._items(values[0].where, values[0].build))
                known = True
        yield from items if known else [None]

    def _ways(self, where: Where, body: Sequence[Stmt], sure: bool) -> Iterator[tuple[Stmt, bool]]:
        """Statements in order, and whether each certainly runs; what a decided test rules out is left out."""
        for stmt in body:
            yield stmt, sure
            if isinstance(stmt, If):
                holds = truth(self._evaluation, where, stmt.test, 12)
                if holds is not False:
                    yield from self._ways(where, stmt.body, sure and holds is True)
                if holds is not True:
                    yield from self._ways(where, stmt.orelse, sure and holds is False)
            else:
                for block in blocks(stmt):
                    # A loop that adds layers runs at least once, else nobody would have written it.
                    yield from self._ways(where, block, sure)

    def _additions(self, where: Where, expr: Expr, owner: str) -> Iterator[Item]:
        """What ``owner.append(x)`` and its like in an expression add."""
        for node in walk(expr):
            if not isinstance(node, Call) or not isinstance(node.function, Ref):
                continue
            head, _, method = node.function.name.rpartition(".")
            if head != owner:
                continue
            if method in _ADDS and node.args:
                value = node.args[-1]
                if method == "extend":
                    yield from self._items(where, value)
                else:
                    yield where, value
            elif method in ("insert", "pop", "remove", "__setitem__"):
                yield None

    def _added(self, where: Where, call: Call, depth: int) -> list[Item]:
        """Layers added to a Sequential after it was made, in the function that made it."""
        owner = None
        items: list[Item] = []
        for stmt, sure in self._ways(where, where.module.body(where.scope), True):
            if owner is None:
                if isinstance(stmt, (Assign, Annotate)) and stmt.value is not None and _holds(stmt.value, call):
                    owner = next(iter(_names(stmt)), None)
                continue
            for expr in expressions(stmt):
                items += [one if sure else None for one in self._additions(where, expr, owner)]
            if isinstance(stmt, Assign) and owner in _names(stmt):
                break
        return items

    def _headed(self, where: Where, call: Call) -> list[Item]:
        """The head put on a pretrained model in the function that made it: ``model.fc = nn.Sequential(...)``."""
        owner = None
        items: list[Item] = [None]
        for stmt, sure in self._ways(where, where.module.body(where.scope), True):
            if not isinstance(stmt, (Assign, Annotate)) or stmt.value is None:
                continue
            if owner is None:
                owner = next(iter(_names(stmt)), None) if _holds(stmt.value, call) else None
                continue
            for target in stmt.targets if isinstance(stmt, Assign) else [stmt.target]:
                if isinstance(target, Ref) and target.name in [f"{owner}.{head}" for head in _HEADS]:
                    items.append((where, stmt.value) if sure else None)
                elif isinstance(target, Subscript) and isinstance(target.value, Ref):
                    items += [None] if target.value.name.startswith(f"{owner}.") else []
        return items


def is_pretrained(name: str) -> bool:
    """Whether a library's function builds a classifier of its model zoo."""
    last = name.rpartition(".")[2]
    return name == "timm.create_model" or (
        name.startswith("torchvision.models.") and last.islower() and not last.startswith(("get_", "list_"))
    )


def _is_ordered(call: Call) -> bool:
    return isinstance(call.function, Ref) and call.function.name.rpartition(".")[2] in ("OrderedDict", "dict", "list")


def _names(stmt: Assign | Annotate) -> Iterator[str]:
    for target in stmt.targets if isinstance(stmt, Assign) else [stmt.target]:
        yield from (name for name, path in targets(target) if not path)


def _mentions(expr: Expr, name: str) -> bool:
    return any(isinstance(node, Ref) and node.name == name for node in walk(expr))


def _holds(expr: Expr, call: Call) -> bool:
    return any(node is call for node in walk(expr))
