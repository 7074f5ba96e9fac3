"""MLD501."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mldebt.facts.schema import Define, Imports
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .boundaries import Boundaries, Boundary, number_of
from .conflicts import told

_FIRST, _REST = "first", "rest"


@dataclass(frozen=True)
class UntypedQuantityAtBoundary(ProjectRule):
    """Functions that at least two other modules call take or give a probability, a threshold, a rate or a duration as
    a bare `float` or `int`. One finding lists them, most called first; those beyond `most` are a second one, info.

    ## Why it is debt

    "The rich information used and produced by ML systems is all too often encoded with plain data types like raw floats
    and integers. In a robust system, a model parameter should know if it is a log-odds multiplier or a decision
    threshold" (Sculley et al. 2015, section 5.5). Where modules meet, the name is all that says it, and positional
    arguments do not even have that: `should_alert(threshold, score)` runs.

    ## How to pay it back

    Give the quantity a type where it crosses modules: `Prob = NewType("Prob", float)`, `Annotated[float,
    Interval(ge=0, le=1)]`, `timedelta`, an enum, a dataclass. The offered fix annotates with `typing.Annotated`, which
    changes nothing at run time and breaks no type check.

    ## When to leave it

    Inside one module, or with one caller, a name is enough. What is annotated `NewType`, `Annotated`, `confloat`, an
    enum or a class of your own is accepted. What has no annotation at all is listed only when a call shows what it is
    given: the result of `predict_proba`, a difference of clocks.

    ## Options

    - `most`: how many functions the finding lists.

    ## References

    - Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.5.
    - https://docs.python.org/3/library/typing.html#typing.Annotated
    - https://github.com/annotated-types/annotated-types
    """

    most: int = 10

    code = "MLD501"
    severity = Severity.MINOR
    confidence = Confidence.MEDIUM
    minutes = 5
    preview = True  # of four findings read, none was worth its owner's time
    examples = (
        Bad(
            {
                "alerts.py": """
                    def should_alert(score: float, threshold: float) -> bool:
                        return score > threshold
                """,
                "serve.py": """
                    from alerts import should_alert


                    def handle(row):
                        return should_alert(row["score"], 0.7)
                """,
                "batch.py": """
                    from alerts import should_alert


                    def run(rows):
                        return [should_alert(row["score"], 0.8) for row in rows]
                """,
            },
            fixed={
                "alerts.py": """
                    from typing import Annotated

                    Threshold = Annotated[float, "threshold"]


                    def should_alert(score: float, threshold: Threshold) -> bool:
                        return score > threshold
                """,
                "serve.py": """
                    from alerts import should_alert


                    def handle(row):
                        return should_alert(row["score"], 0.7)
                """,
                "batch.py": """
                    from alerts import should_alert


                    def run(rows):
                        return [should_alert(row["score"], 0.8) for row in rows]
                """,
            },
            anchors=("alerts.py:1",),
        ),
        Bad(
            {
                "client.py": """
                    import time


                    class Client:
                        def __init__(self, url: str, timeout: float, backoff_ms: int = 200):
                            self.url, self.timeout, self.backoff_ms = url, timeout, backoff_ms

                        def wait(self):
                            time.sleep(self.backoff_ms / 1000)
                """,
                "serve.py": """
                    from client import Client

                    CLIENT = Client("http://a", 3.0)
                """,
                "batch.py": """
                    from client import Client


                    def run():
                        return Client("http://b", 30.0, 500)
                """,
            },
            anchors=("client.py:5",),
        ),
        Bad(
            {
                "scoring.py": """
                    def churn_probability(row) -> float:
                        return 1 / (1 + row["days"])


                    def sample(logits, temperature: float | None = None):
                        return logits if temperature is None else logits / temperature
                """,
                "a.py": """
                    from scoring import churn_probability, sample


                    def one(row):
                        return churn_probability(row), sample(row, 0.7)
                """,
                "b.py": """
                    from scoring import churn_probability, sample


                    def two(row):
                        return churn_probability(row), sample(row)
                """,
            },
        ),
        Bad(
            {
                "retry.py": """
                    import time


                    def with_retry(run, delay_s):
                        try:
                            return run()
                        except OSError:
                            time.sleep(delay_s)
                        return run()
                """,
                "pull.py": "from retry import with_retry\n\nA = with_retry(print, delay_s=2)\n",
                "push.py": "from retry import with_retry\n\nB = with_retry(print, 0.5)\n",
            },
            anchors=("retry.py:4",),
        ),
        Good(
            {
                "alerts.py": """
                    from typing import NewType

                    Prob = NewType("Prob", float)


                    def should_alert(p_failure: Prob, threshold: Prob) -> bool:
                        return p_failure > threshold
                """,
                "serve.py": "from alerts import Prob, should_alert\n\nA = should_alert(Prob(0.1), Prob(0.7))\n",
                "batch.py": "from alerts import Prob, should_alert\n\nB = should_alert(Prob(0.2), Prob(0.8))\n",
            }
        ),
        Good(
            {
                "alerts.py": """
                    def should_alert(score: float, threshold: float) -> bool:
                        return score > threshold
                """,
                "serve.py": "from alerts import should_alert\n\nA = should_alert(0.1, 0.7)\n",
            }
        ),
        Good(
            {
                "alerts.py": """
                    from typing import Annotated

                    from annotated_types import Interval

                    Prob = Annotated[float, Interval(ge=0, le=1)]


                    def should_alert(score: Prob, threshold: Annotated[float, Interval(ge=0, le=1)]) -> bool:
                        return score > threshold
                """,
                "serve.py": "from alerts import should_alert\n\nA = should_alert(0.1, 0.7)\n",
                "batch.py": "from alerts import should_alert\n\nB = should_alert(0.2, 0.8)\n",
            }
        ),
        Good(
            {
                "shapes.py": """
                    def area(width: float, height: float, count: int) -> float:
                        return width * height * count
                """,
                "a.py": "from shapes import area\n\nA = area(1.0, 2.0, 3)\n",
                "b.py": "from shapes import area\n\nB = area(1.0, 2.0, 3)\n",
            }
        ),
        Good(
            {
                "alerts.py": """
                    def should_alert(score: float, threshold: float) -> bool:
                        return score > threshold
                """,
                "serve.py": "from alerts import should_alert\n\nA = should_alert(0.1, 0.7)\n",
                "tests/test_alerts.py": "from alerts import should_alert\n\nB = should_alert(0.2, 0.8)\n",
            }
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        ranked = project[Boundaries].ranked
        first, rest = ranked[: self.most], ranked[self.most :]
        if first:
            yield _problem(first, _FIRST, None)
        if rest:
            yield _problem(rest, _REST, Severity.INFO)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        ranked = project[Boundaries].ranked
        chosen = ranked[: self.most] if problem.symbol == _FIRST else ranked[self.most :]
        modules: dict[str, list[Boundary]] = {}
        for one in chosen:
            modules.setdefault(one.definition.module.path, []).append(one)
        edits = [edit for path, found in modules.items() for edit in _annotated(project.modules[path], found)]
        return Fix(Applicability.SUGGEST, "name the quantities with Annotated", tuple(edits)) if edits else None


def _problem(found: Sequence[Boundary], symbol: str, severity: Severity | None) -> Problem:
    top = found[0]
    slots = ", ".join(f"{slot.name}: {slot.quantity}" for slot in top.slots)
    others = f", and {len(found) - 1} more like it" if len(found) > 1 else ""
    name = top.definition.qualname
    message = f"{name} is called from {len(top.callers)} other modules with bare numbers ({slots}){others}"
    related = [
        Related(
            _place(one),
            f"{one.definition.qualname}: {', '.join(slot.quantity for slot in one.slots)}; {len(one.callers)} modules",
        )
        for one in found[1:]
    ]
    return Problem(
        _place(top),
        message,
        related=tuple(related),
        severity=severity,
        minutes=5 * len(found),
        evidence=(
            *(told(evidence) for one in found for slot in one.slots for evidence in slot.evidences),
            f"called in {', '.join(top.callers[:4])}",
        ),
        symbol=symbol,
    )


def _place(boundary: Boundary) -> Place:
    definition = boundary.definition
    return Place(definition.module.path, Span(definition.scope.line))


def _annotated(module: Module, found: Sequence[Boundary]) -> Iterator[Edit]:
    """The edits of one file: aliases after its imports, and each bare number replaced by one."""
    aliases: dict[str, str] = {}
    for boundary in found:
        for slot in boundary.slots:
            for ref in number_of(slot.annotation) if slot.annotation is not None else ():
                name = "".join(word.capitalize() for word in slot.quantity.replace("-", " ").split())
                if name in module.mentions:
                    return  # the file has something of that name
                aliases[name] = f'{name} = Annotated[{ref.name}, "{slot.quantity}"]'
                yield Edit(module.place(ref), name)
    if not aliases:
        return
    rows = "\n".join(aliases[name] for name in sorted(aliases))
    imports = [stmt for stmt in module.body(0) if isinstance(stmt, Imports)]
    known = "Annotated" in module.facts.scopes[0].bindings
    wanted = "" if known else "from typing import Annotated\n"
    if imports:
        line = max(stmt.end_line for stmt in imports) + 1
        yield Edit(Place(module.path, Span(line)), f"{wanted}\n{rows}\n")
        return
    scopes, body = module.facts.scopes, module.body(0)
    line = min(scopes[one.scope].first_line if isinstance(one, Define) else one.line for one in body)
    yield Edit(Place(module.path, Span(line)), f"{wanted}\n{rows}\n\n\n")
