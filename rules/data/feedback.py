"""Predictions that come back as labels: from a fit's labels, through what was stored, to a model's own output."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from msgspec import Struct

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Call, Const, Expr, If, Ref
from mldebt.facts.walk import statements, walk
from mldebt.finding import Place
from mldebt.module import Module
from mldebt.project.definitions import Definition
from mldebt.project.project import Project
from mldebt.rule import Analysis

from .learning import Learning, Learnings
from .models import CALLED, PREDICTS, Models
from .provenance import Passed, Provenance, Start
from .stores import Put, Stores
from .together import together

_MOST_HOPS = 4
_READ, _PREDICT = "read", "predict"
_HUMAN = re.compile(
    r"human|review|annotat|verif|confirm|correct|gold|manual|expert|curat|audit|adjudicat|ground_?truth|outcome"
    r"|^(?:source|origin|label_?source|labell?ed_by|labell?er|provenance|is_model|is_pred\w*|synthetic)$",
    re.IGNORECASE,
)
_MEANT = re.compile(
    r"pseudo|self_?train|self_?label|self_?learn|distil|teacher|student|semi_?supervis|active_?learn|co_?train"
    r"|weak_?label|weak_?supervis|silver|auto_?label|bootstrap_?label",
    re.IGNORECASE,
)


class Cycle(Struct, frozen=True, eq=False):
    """A prediction that a fit learns from.

    Args:
        learning: The fit.
        reads: Where stores are read, the fit's first.
        puts: Where they are written, the fit's first; the last holds the prediction.
        prediction: The call that predicts.
        kinship: How the model that predicts is known to come from the fit.
        meant: A word that says it is meant: "pseudo_labels"; "" for none.
        reviewed: A test on the way that seems to take people's labels only; "" for none.
    """

    learning: Learning
    reads: tuple[Start, ...]
    puts: tuple[Put, ...]
    prediction: Start
    kinship: str
    meant: str
    reviewed: str

    @property
    def place(self) -> Place:
        return self.puts[-1].place


class Feedback(Analysis):
    """Finds the cycles of a project."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._provenance = project[Provenance]

    @cached_property
    def all(self) -> tuple[Cycle, ...]:
        near = together(self.project, self._readers)
        found: list[Cycle] = []
        for learning in self.project[Learnings].within(near):
            if learning.label is not None:
                found += self._of(learning)
        return tuple(found)

    @property
    def _readers(self) -> frozenset[str]:
        """Files that read what a prediction may have gone into, in one step or more."""
        modules = self.project.modules
        predicts = [
            path
            for path, one in modules.items()
            if one.role == "project" and not one.is_test and not one.mentions.isdisjoint(PREDICTS | CALLED)
        ]
        if not predicts:
            return frozenset()
        writers = together(self.project, predicts)
        readers: frozenset[str] = frozenset()
        for _ in range(_MOST_HOPS):  # what they read may be written on
            more = self.project[Stores].readers(writers | readers)
            if more <= readers:
                break
            readers |= more
        return readers

    def _of(self, learning: Learning) -> Iterator[Cycle]:
        assert learning.label is not None
        starts = self._provenance.of(learning.module, learning.scope, learning.label, self._stop, learning.keys)
        for start in starts:
            if start.kind == _READ:
                yield from self._back(learning, (start,), ())

    def _back(self, learning: Learning, reads: tuple[Start, ...], puts: tuple[Put, ...]) -> Iterator[Cycle]:
        if len(reads) > _MOST_HOPS:
            return
        for put in self.project[Stores].written(reads[-1]):
            starts = self._provenance.of(put.module, put.scope, put.value, self._stop, put.keys, put.users)
            for start in starts:
                if start.kind == _PREDICT and self._is_value(start):
                    cycle = self._cycle(learning, reads, (*puts, put), start)
                    if cycle is not None:
                        yield cycle
                elif start.kind == _READ and not any(start.call is one.call for one in reads):
                    yield from self._back(learning, (*reads, start), (*puts, put))

    def _stop(self, module: Module, scope: int, call: Call) -> str:
        if self.project[Models].is_prediction(module, scope, call):
            return _PREDICT
        return _READ if self.project[Stores].is_read(module, scope, call) else ""

    def _is_value(self, start: Start) -> bool:
        """Whether what is taken is the prediction itself, not a column of that name."""
        names = [key for key in start.keys if isinstance(key, str)]
        return not names or self.project[Models].gives_records(start.module, start.scope, start.call)

    def _cycle(
        self, learning: Learning, reads: tuple[Start, ...], puts: tuple[Put, ...], prediction: Start
    ) -> Cycle | None:
        kinship = self.project[Models].kinship(prediction, learning)
        if not kinship:
            return None
        passed = [*prediction.via, *(one for read in reads for one in read.via)]
        around = [(learning.module, learning.scope), (prediction.module, prediction.scope)]
        around += [(put.module, put.scope) for put in puts]
        around += [(read.module, read.scope) for read in reads]
        around += [(one.module, one.scope) for one in passed]
        places = list(dict.fromkeys((module.definition(scope).name, scope) for module, scope in around))
        scopes = [(self.project.modules[name.partition(":")[0]], scope) for name, scope in places]
        meant = _meant(scopes, puts, passed)
        reviewed = _reviewed(scopes, passed, reads)
        return Cycle(learning, reads, puts, prediction, kinship, meant, reviewed)


def _meant(scopes: Sequence[tuple[Module, int]], puts: Sequence[Put], passed: Sequence[Passed]) -> str:
    """A word on the way that says learning from predictions is the method."""
    words = [put.store for put in puts]
    for module, scope in scopes:
        definition: Definition | None = module.definition(scope)
        while definition is not None and not definition.is_module:
            words.append(definition.scope.name)
            definition = definition.parent
        words += [module.path.rpartition("/")[2], *(use for use in module.scope(scope).uses)]
        words += module.scope(scope).bindings
    return next((word for word in words if _MEANT.search(word)), "")


def _reviewed(scopes: Sequence[tuple[Module, int]], passed: Sequence[Passed], reads: Sequence[Start]) -> str:
    """A test that seems to let people's labels through only."""
    tests: list[Expr] = [one.expr for one in passed if not isinstance(one.expr, Call) or _selects(one.expr)]
    for module, scope in scopes:
        tests += [stmt.test for stmt in statements(module.body(scope)) if isinstance(stmt, If)]
    for test in tests:
        found = next((word for word in _words(test) if _HUMAN.search(word)), "")
        if found:
            return found
    for read in reads:
        for value in read.call.args[:1]:
            text = read.module.constant(read.scope, value)
            if isinstance(text, str) and " " in text:
                _, found_where, condition = text.lower().partition(" where ")
                match = _HUMAN.search(condition) if found_where else None
                if match is not None:
                    return match[0]
        for keyword in read.call.keywords:
            if isinstance(keyword.value, Const) and _HUMAN.search(str(keyword.value.value)):
                return str(keyword.value.value)
    return ""


def _selects(call: Call) -> bool:
    function = call.function
    last = last_segment(function)
    return last in ("query", "filter", "where", "find", "mask", "merge", "join", "update", "combine_first") or any(
        isinstance(one.value, Const) and isinstance(one.value.value, str) for one in call.keywords
    )


def _words(expr: Expr) -> Iterator[str]:
    for node in walk(expr):
        if isinstance(node, Const) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, (Ref, Attribute)):
            yield from node.name.split(".")
