"""The quantity of a value (F16): probability, log-probability, logit; who says so, and how much that weighs.

API semantics weigh most, then annotations, then the range of a literal, then a name. Values are followed through
assignments, returns, arguments, ``self.`` and other files; ``out`` is what every way through a model ends in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from mldebt.facts.schema import CLASS, Annotate, Call, Const, Expr, Ref, Subscript
from mldebt.rule import Analysis

from .callers import Callers
from .evaluation import Evaluation
from .knowledge import Knowledge
from .values import ANNOTATION, NAME, RANGE, Constant, Context, Evidence, Frame, Instance, Tensor, Values, Where

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

AnswerT = TypeVar("AnswerT")

_DEEPEST_FORK = 4
_MOST_CONTEXTS = 24
_MOST_SUBCLASSES = 6
_BLANK = Call(Const(None), [], [], 1, 0, 1, 0)


class Sign(Struct, frozen=True):
    """Evidences that a value is of one quantity, strongest first."""

    quantity: str
    evidences: tuple[Evidence, ...]

    @property
    def weight(self) -> int:
        return self.evidences[0].weight


class Quantities(Analysis):
    """Answers what numbers are. One per scan; everything on demand."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.evaluation = project[Evaluation]
        self.knowledge: Knowledge = self.evaluation.calls.knowledge
        self.callers = Callers(project)

    def of(self, module: Module, scope: int, expr: Expr) -> Sign | None:
        """The quantity all alternatives of an expression agree on, whoever runs the scope; None when unknown."""
        (values,), _ = self.evaluation.ask(self.here(module, scope), expr)
        certain = agreed(values)
        evidences = [certain] if certain is not None else []
        evidences += self._weaker(module, scope, expr, values)
        if not evidences:
            return None
        best = max(evidences, key=lambda one: one.weight)
        return Sign(best.quantity, tuple(one for one in evidences if one.quantity == best.quantity))

    def out(self, class_name: str) -> Values:
        """What calling a model of a project class gives on every way through it, its arguments unknown."""
        definition = self.project.definition(class_name)
        if definition is None:
            return (None,)
        where = self.here(definition.module, definition.scope.parent)
        return self.evaluation.calls.apply(where, _BLANK, Instance(class_name), 30)

    def here(self, module: Module, scope: int) -> Where:
        """A scope in a context of its own."""
        return Where(module, scope, Context())

    # Contexts.

    def settled(
        self,
        module: Module,
        scope: int,
        ask: Callable[[Where], tuple[AnswerT | None, Mapping[str, Definition]]],
        *,
        defaults: bool = False,
        most: int = _MOST_CONTEXTS,
        deepest: int = _DEEPEST_FORK,
    ) -> Iterator[AnswerT]:
        """The answers of a question in every context it depends on: callers, constructors, subclasses of ``self``.

        ``ask`` gives an answer or None, and the functions whose callers would tell. ``defaults``: a function nobody
        calls is read as called without arguments. ``most``: how many contexts are asked before giving up;
        ``deepest``: how many callers up.
        """
        asked = 0
        waiting = [(context, 0) for context in self._selves(module, scope)]
        while waiting and asked < most:
            context, depth = waiting.pop(0)
            asked += 1
            answer, needs = ask(Where(module, scope, context))
            if answer is not None:
                yield answer
                continue
            open_needs = [one for name, one in needs.items() if name not in context.frames]
            if depth < deepest and open_needs:
                waiting += [(forked, depth + 1) for forked in self._forked(context, open_needs, defaults)]

    def _selves(self, module: Module, scope: int) -> list[Context]:
        """``self`` may be of the enclosing class or of one derived from it."""
        owner = self.evaluation.receivers.owner(module, scope)
        if owner is None:
            return [Context()]
        found = [Context(selves={owner: Instance(owner)})]
        for derived in self.project.subclasses(owner)[:_MOST_SUBCLASSES]:
            instance = Instance(derived.name)
            found.append(Context(selves=dict.fromkeys(self.project.mro(derived.name), instance)))
        return found

    def _forked(self, context: Context, needs: Sequence[Definition], defaults: bool) -> Iterator[Context]:
        """The context with each of the known calls of the first function that has any."""
        for definition in needs:
            sites = self.callers.of(definition)
            for site in sites:
                frame = Frame(site.call, site.module, site.scope, None, site.skip)
                yield context.fork(definition.name, frame)
            if sites:
                return
        for definition in needs if defaults else ():
            nobody = Frame(_BLANK, definition.module, definition.index, None, 1)
            yield context.fork(definition.name, nobody)
            return

    # Weaker evidence.

    def _weaker(self, module: Module, scope: int, expr: Expr, values: Values) -> Iterator[Evidence]:
        place = module.place(expr)
        for annotation in self._annotations(module, scope, expr):
            quantity = self.named(annotation)
            if quantity is not None:
                yield Evidence(quantity, annotation, place, ANNOTATION)
        if values and all(isinstance(one, Constant) and _is_share(one.value) for one in values):
            yield Evidence("prob", "a number in [0, 1]", place, RANGE)
        if isinstance(expr, Ref):
            quantity = self.named(expr.name.rpartition(".")[2])
            if quantity is not None:
                yield Evidence(quantity, expr.name, place, NAME)

    def _annotations(self, module: Module, scope: int, expr: Expr) -> Iterator[str]:
        if not isinstance(expr, Ref) or "." in expr.name:
            return
        facts = module.facts.scopes[scope]
        annotations = [parameter.annotation for parameter in facts.parameters if parameter.name == expr.name]
        if facts.kind != CLASS:
            flow = self.project.flow(module.definition(scope))
            statements = [origin.statement for origin in flow.origins(expr)]
            annotations += [stmt.annotation for stmt in statements if isinstance(stmt, Annotate)]
        for one in annotations:
            annotation = one
            while isinstance(annotation, Subscript):
                annotation = annotation.value
            if isinstance(annotation, Ref):
                yield annotation.name.rpartition(".")[2]

    def named(self, name: str) -> str | None:
        """The quantity a name speaks of by its last words: ``log_probs`` is logprob, ``class_probs`` prob."""
        return self.knowledge.named(name)


def agreed(values: Values) -> Evidence | None:
    """The evidence of a value all of whose alternatives are of one quantity; None when one is unknown or differs."""
    found = [value.evidence for value in values if isinstance(value, Tensor)]
    if not found or len(found) != len(values) or len({one.quantity for one in found}) > 1:
        return None
    return found[0]


def _is_share(value: object) -> bool:
    return isinstance(value, float) and 0 <= value <= 1
