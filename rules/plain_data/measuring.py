"""What names, units and statistics add to the evaluation when a question is about measures, not about models.

``Evaluation`` asks here only in its measuring mode: then a parameter or an entry ``timeout_ms`` that nobody knows
stands for milliseconds, ``x / 1000`` converts, ``logp.mean()`` stays a log-probability, and loops give elements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Call, Const, Expr, Ref, Starred, Stmt, Subscript

from .units import Units
from .values import NAME, UNKNOWN, Constant, Display, Evidence, Instance, Member, Tensor, Value, Values, Where

if TYPE_CHECKING:
    from mldebt.facts.graph import Origin

    from .evaluation import Evaluation

Path = tuple["int | str", ...]
_LOOKUPS = frozenset({"get", "getenv", "getint", "getfloat", "pop"})
_PAIRS = frozenset({"max", "min", "topk", "sort", "median", "mode", "kthvalue", "cummax", "cummin"})
_EXTREMES = frozenset({"min", "max", "maximum", "minimum"})
_CLASSES = frozenset({"ToTensor"})
_PARTS = frozenset({"values", "T", "mT", "data", "real"})
_LINEAR, _LOG = "prob", "logprob"
# Statistics that a quantity does not survive: a sum of probabilities is none.
_BREAKS = {_LINEAR: frozenset({"sum", "cumsum", "diff"}), _LOG: frozenset({"abs", "diff"})}


class Measuring:
    """Answers for one ``Evaluation`` in its measuring mode."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self.units: Units = evaluation.project[Units]
        self._quantities: dict[str, str | None] = {}

    # Names.

    def spoken(self, where: Where, name: str, at: Expr | Stmt, values: Values) -> Values:
        """The values, those nobody knows replaced by what a name says; a plain number is of the unit in its name."""
        unit = self.units.named(name)
        if unit is None and all(one is not None and not isinstance(one, Member) for one in values):
            return values
        row = self.units.field(name, where.module)
        if row is not None:
            owner = f"{row.libraries[0]}'s {name}" if row.libraries else name
            return (Tensor(Evidence(row.gives, owner, where.module.place(at))),)
        said = unit or self._quantity(name)
        if said is None:
            return values
        return tuple(self._said(where, name, at, said, unit, one) for one in values or UNKNOWN)

    def _said(self, where: Where, name: str, at: Expr | Stmt, said: str, unit: str | None, value: Value) -> Value:
        if value is None or isinstance(value, Member) or (unit and _number(value) is not None):
            return Tensor(Evidence(said, name, where.module.place(at), NAME))
        return value

    def _quantity(self, name: str) -> str | None:
        """Probability or log-probability, by a name's last words."""
        if name not in self._quantities:
            self._quantities[name] = self._evaluation.calls.knowledge.named(name)
        found = self._quantities[name]
        return found if found in (_LINEAR, _LOG) else None

    def subscript(self, where: Where, expr: Subscript, values: Values) -> Values:
        """``cfg["timeout_ms"]``; the indices in ``x.max(1)[1]`` are none of x's."""
        if isinstance(expr.index, Const):
            if isinstance(expr.index.value, str):
                return self.spoken(where, expr.index.value, expr, values)
            if _last(expr.value) in _PAIRS and isinstance(expr.value, Call) and expr.index.value != 0:
                return UNKNOWN
        return values

    def call(self, where: Where, call: Call, values: Values) -> Values:
        """``cfg.get("timeout_ms", 500)``, ``elapsed_ms()``."""
        last = _last(call)
        if last in _LOOKUPS and call.args and isinstance(call.args[0], Const) and isinstance(call.args[0].value, str):
            return self.spoken(where, call.args[0].value, call, values or UNKNOWN)
        return self.spoken(where, last, call, values) if values and None in values and last else values

    # Rows.

    def function(self, where: Where, call: Call, name: str, depth: int) -> Values | None:
        """What a library's function gives; None when no row says."""
        row = self.units.function(name)
        if row is None or name.rpartition(".")[2] in _CLASSES:
            return None
        if row.gives:
            return (Tensor(Evidence(row.gives, name, where.module.place(call))),)
        given = [arg for arg in call.args if not isinstance(arg, Starred)]
        if not given:
            return UNKNOWN
        last = name.rpartition(".")[2]
        parts = given if last in _EXTREMES else given[:1]
        values = [one for part in parts for one in self._evaluation.of(where, part, depth)]
        values = [one for value in values for one in self._elements(value, depth)]
        tensors = tuple(value for value in values if not isinstance(value, Constant))
        if any(isinstance(one, Tensor) and last in _BREAKS.get(one.evidence.quantity, ()) for one in values):
            return UNKNOWN
        return tensors or tuple(values[:1])

    def _elements(self, value: Value, depth: int) -> Values:
        if isinstance(value, Display) and value.build.kind != "dict" and len(value.build.items) <= 8:
            items = [item for item in value.build.items if not isinstance(item, Starred)]
            return tuple(one for item in items for one in self._evaluation.of(value.where, item, depth)) or UNKNOWN
        return (value,)

    def method(self, where: Where, call: Call, value: Value, name: str) -> Values | None:
        """What a method gives; None when no row says."""
        if name == "log_prob" and isinstance(value, Instance) and value.name in self.units.distributions:
            by = f"{value.name.rpartition('.')[2]}.log_prob()"
            return (Tensor(Evidence(_LOG, by, where.module.place(call))),)
        row = self.units.reading(name)
        if row is None:
            return None
        if row.gives:
            return (Tensor(Evidence(row.gives, f"{name}()", where.module.place(call))),)
        if not isinstance(value, Tensor):
            return None
        return UNKNOWN if name in _BREAKS.get(value.evidence.quantity, ()) else (value,)

    def called(self, where: Where, call: Call, instance: Instance) -> Values | None:
        """What an instance of a library's class gives: ``ToTensor()(image)``."""
        row = self.units.function(instance.name)
        if row is None or not row.gives:
            return None
        return (Tensor(Evidence(row.gives, instance.name, where.module.place(call))),)

    def attribute(self, value: Value, name: str) -> Values | None:
        """``x.max(1).values``."""
        return (value,) if isinstance(value, Tensor) and name in _PARTS else None

    # Definitions.

    def origin(self, where: Where, origin: Origin, depth: int) -> Values | None:
        """Elements of loops, what ``+=`` adds, the first of ``values, indices = x.max(1)``; None: as usual."""
        value, path = origin.value, origin.path
        if value is None:
            return None
        if origin.kind == "loop":
            value, path = _iterated(value, path)
            if path:
                return UNKNOWN
            values = self._evaluation.of(where, value, depth)
            found = tuple(one for item in values for one in self._elements(item, depth))
            return tuple(one if isinstance(one, (Tensor, Constant)) else None for one in found)
        if origin.kind == "augment":
            return tuple(
                one if isinstance(one, Tensor) and one.evidence.quantity != _LINEAR else None
                for one in self._evaluation.of(where, value, depth)
            )
        if origin.kind == "assign" and path and isinstance(value, Call) and _last(value) in _PAIRS:
            return self._evaluation.of(where, value, depth) if path == (0,) else UNKNOWN
        return None

    # Arithmetic.

    def keeps_sign(self, value: Tensor) -> bool:
        """Whether the negative of a quantity is of the same one: of a duration, not of a log-probability."""
        return self.units.dimension(value.evidence.quantity) is not None

    def combined(self, op: str, left: Value, right: Value) -> tuple[Value] | None:
        """``left op right`` where units or log space tell more than quantities do; None: as usual."""
        for one, other, flipped in ((left, right, False), (right, left, True)):
            if isinstance(one, Tensor):
                if self.units.dimension(one.evidence.quantity) is not None:
                    return (self._unit(op, one, other, flipped),)
                found = _log_or_linear(op, one, other, flipped)
                if found is not None:
                    return (found,)
        return None

    def _unit(self, op: str, one: Tensor, other: Value, flipped: bool) -> Value:
        unit = one.evidence.quantity
        if isinstance(other, Tensor):
            return one if op in ("+", "-") and other.evidence.quantity == unit else None
        number = _number(other)
        if op in ("+", "-", "%"):
            # What is added to a measured time is a time: else the sum would be wrong already.
            return None if op == "%" and flipped else _shifted(one)
        if op not in ("*", "/", "//") or number is None or not number or (flipped and op != "*"):
            return None
        scaled = self.units.scaled(unit, number if op == "*" else 1 / number)
        if scaled is None or scaled == unit:
            return one if scaled else None
        evidence = one.evidence
        return Tensor(Evidence(scaled, evidence.by, evidence.place, evidence.weight))


def _shifted(one: Tensor) -> Value:
    """``x - 255`` of a pixel is of no range that has a name."""
    return None if one.evidence.quantity in ("unit pixels", "byte pixels") else one


def _log_or_linear(op: str, one: Tensor, other: Value, flipped: bool) -> Value:
    """What arithmetic with numbers nobody knows leaves of a probability or log-probability."""
    quantity = one.evidence.quantity
    if isinstance(other, Tensor) or (flipped and op == "/"):
        return None
    number = _number(other)
    if quantity == _LOG and op == "/" and (number is None or number > 0):
        return one  # an average or a temperature: still log space
    if quantity == _LOG and op == "*" and number is not None and number > 0:
        return one
    if (
        quantity == _LINEAR
        and op in ("*", "/")
        and number is not None
        and 0 < (number if op == "*" else 1 / number) <= 1
    ):
        return one
    return None


def _iterated(value: Expr, path: Path) -> tuple[Expr, Path]:
    """What a loop takes an element of: through ``enumerate`` and ``zip``."""
    if isinstance(value, Call) and path and isinstance(value.function, Ref):
        name, step = value.function.name, path[0]
        if name == "enumerate" and step == 1 and value.args:
            return value.args[0], path[1:]
        if name == "zip" and isinstance(step, int) and step < len(value.args):
            return value.args[step], path[1:]
    return value, path


def _last(expr: Expr) -> str:
    function = expr.function if isinstance(expr, Call) else expr
    return last_segment(function)


def _number(value: Value) -> float | None:
    number = value.value if isinstance(value, Constant) else None
    return number if isinstance(number, (int, float)) and not isinstance(number, bool) else None
