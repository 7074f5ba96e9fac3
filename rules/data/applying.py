"""Functions given to a call as an argument: ``reduce(lambda a, b: a.merge(b), frames)``, ``frame.pipe(add)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from mldebt.facts.schema import Call, Expr, Lambda, Ref

from .rows import Bound, Data, Items, Value

if TYPE_CHECKING:
    from .calling import Given
    from .evaluating import Evaluator

_MOST = 12  # tables of one reduction that are joined one by one


class Applying:
    """What such calls return."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def reduced(self, given: Given) -> Value:
        """``functools.reduce(function, frames)``."""
        function = given.expr("function", 0)
        parts = self.parts(given.get("iterable", 1), given)
        if function is None or not 2 <= len(parts) <= _MOST:
            return None
        found = parts[0]
        for part in parts[1:]:
            found = self.applied(function, [found, part], given)
        return found

    def parts(self, value: Value, given: Given) -> list[Value]:
        """The tables of a list. One that a loop or a comprehension made stands for several that were read."""
        values = list(value.values) if isinstance(value, Items) and value.kind != "dict" else [value]
        if len(values) == 1 and isinstance(one := values[0], Data) and all(rows.how == "source" for rows in one.rows):
            run = self.evaluator.run
            other = run.rows("source", run.site(given.call), part="the others")
            values.append(replace(one, rows=frozenset((other,)), marks=frozenset()))
        return values

    def piped(self, data: Data, given: Given) -> Value:
        """``frame.pipe(function, ...)``."""
        function = given.expr("func", 0)
        found = self.applied(function, [data, *given.args[1:]], given) if function is not None else None
        return found if found is not None else replace(data, columns=None)

    def applied(self, function: Expr, args: list[Value], given: Given) -> Value:
        """What a function gives for values."""
        if isinstance(function, Lambda):
            return self.inlined(function, args)
        run = self.evaluator.run
        keywords = {key: one for key, one in given.keywords.items() if key not in ("func", "function", "iterable")}
        if isinstance(function, Call):
            made = self.evaluator.callables.given(function)
            names = run.frame.module.names(run.frame.scope, function.function)
            if "functools.partial" not in names or not function.args:
                return None
            inner = replace(given, args=[*made.args[1:], *args], keywords={**made.keywords, **keywords})
            return self.named(function.args[0], replace(inner, open=given.open or made.open))
        return self.named(function, replace(given, args=args, keywords=keywords))

    def inlined(self, function: Lambda, args: list[Value]) -> Value:
        frame = self.evaluator.run.frame
        before = frame.names
        frame.names = {**before, **dict(zip(function.parameters, args, strict=False))}
        found = self.evaluator.of(function.body)
        frame.names = before
        return found

    def named(self, function: Expr, given: Given) -> Value:
        if not isinstance(function, Ref):
            return None
        value = self.evaluator.of(function)
        if isinstance(value, Bound):
            definition = self.evaluator.run.project.definition(value.name)
            wrapped = definition is None or bool(definition.scope.decorators)  # nobody knows what else it does
            return None if wrapped else self.evaluator.callables.bound(value, given)
        linked = next(iter(self.evaluator.run.frame.module.names(self.evaluator.run.frame.scope, function)), "")
        return self.evaluator.callables.library.of(linked, given) if linked and ":" not in linked else None
