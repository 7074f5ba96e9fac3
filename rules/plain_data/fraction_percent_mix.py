"""MLD503."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.finding import Confidence, Severity
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .conflicts import Conflict, related, told
from .shares import Shares
from .unit_flows import UnitFlows
from .values import API


class FractionPercentMix(ProjectRule):
    """A fraction stands where a percentage is meant, or the reverse: a parameter gets 0.83 at one call and 91 at
    another, `accuracy_score` is compared with 90, a `_pct` option reaches `np.quantile` without a division by 100.

    ## Why it is debt

    Nothing in a float says whether 0.5 is half or half a percent. The report shows 0.83 % for 83 %, the gate
    `accuracy > 90` never opens, and the mistake is found by whoever reads the numbers, late.

    ## How to pay it back

    Keep fractions in the code and percentages in the text that people read; convert where the two meet, and say which
    one it is in the name (`_pct`, `_frac`) or in the type (`Annotated[float, Interval(ge=0, le=1)]`).

    ## When to leave it

    Rates and ratios may exceed 1; a name alone never decides. Reported is what an API (`accuracy_score`,
    `np.quantile`), a conversion (`* 100`, `:.1%`) or an annotation bounds. Counts beside fractions (`test_size=20`)
    and a `val_percent=0.1` that is used as a fraction throughout are left alone.

    ## References

    - Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.5.
    - https://numpy.org/doc/stable/reference/generated/numpy.percentile.html: `q` of 0 to 100, `quantile`: 0 to 1.
    - https://docs.python.org/3/library/string.html#formatspec: `%` multiplies the number by 100.
    """

    code = "MLD503"
    severity = Severity.MAJOR
    confidence = Confidence.HIGH
    minutes = 10
    alone = Alone.REPORT
    examples = (
        Bad(
            {
                "report.py": """
                    def report(coverage):
                        print(f"coverage {coverage:.1%}")
                """,
                "nightly.py": """
                    from report import report

                    report(coverage=0.83)
                """,
                "weekly.py": """
                    from report import report

                    report(coverage=91)
                """,
            },
            anchors=("weekly.py:3",),
        ),
        Bad(
            """
            from sklearn.metrics import accuracy_score


            def gate(model, x, y):
                score = accuracy_score(y, model.predict(x))
                return score > 90
            """,
        ),
        Bad(
            {
                "options.py": """
                    import argparse


                    def parse():
                        parser = argparse.ArgumentParser()
                        parser.add_argument("--tail-pct", type=float, required=True)
                        return parser.parse_args()
                """,
                "clip.py": """
                    import numpy as np

                    from options import parse


                    def limits(x):
                        args = parse()
                        return np.quantile(x, args.tail_pct)
                """,
            },
            anchors=("clip.py:8",),
        ),
        Bad(
            """
            from sklearn.metrics import f1_score


            def summary(y, predicted):
                return {"f1_pct": f1_score(y, predicted)}
            """,
        ),
        Bad(
            {
                "pricing.py": """
                    from dataclasses import dataclass


                    @dataclass
                    class Offer:
                        price: float
                        discount: float = 0.1

                        def total(self):
                            return self.price - self.price * self.discount

                        def label(self):
                            return f"{self.discount * 100:.0f} % off"
                """,
                "shop.py": """
                    from pricing import Offer

                    SUMMER = Offer(20.0, discount=0.25)
                    WINTER = Offer(30.0, discount=15)
                """,
            },
            anchors=("shop.py:4",),
        ),
        Good(
            """
            import numpy as np
            from sklearn.metrics import accuracy_score


            def gate(model, x, y, tail_pct):
                score = accuracy_score(y, model.predict(x))
                accuracy_pct = score * 100
                return score > 0.9, accuracy_pct > 90, np.quantile(x, tail_pct / 100), np.percentile(x, tail_pct)
            """
        ),
        Good(
            """
            def speed_up(ratio):
                print(f"{ratio:.1f} times faster")


            speed_up(0.8)
            speed_up(12)
            """
        ),
        Good(
            """
            from sklearn.model_selection import train_test_split


            def split(rows, test_size=0.2):
                return train_test_split(rows, test_size=test_size, random_state=0)


            def run(rows):
                return split(rows, 0.1), split(rows, test_size=50)
            """
        ),
        Good(
            """
            from sklearn.model_selection import train_test_split


            def split(rows, val_percent=0.1):
                return train_test_split(rows, test_size=val_percent, random_state=0)
            """
        ),
        Good(
            {
                "report.py": """
                    def report(coverage):
                        print(f"coverage {coverage:.1%}")
                """,
                "nightly.py": """
                    from report import report

                    report(coverage=0.83)
                    report(coverage=1)
                    report(coverage=91 / 100)
                """,
            }
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        found: dict[object, Conflict] = {}
        for conflict in (*project[UnitFlows].of("share"), *project[Shares].conflicts):
            measured = next((one for one in conflict.evidences if one.weight >= API), conflict.evidences[0])
            found.setdefault(measured.place, conflict)
        for conflict in found.values():
            yield Problem(
                conflict.place,
                conflict.what,
                related=tuple(related(conflict)),
                evidence=(*map(told, conflict.evidences), "no division or product by 100 stands between them"),
                symbol=conflict.cause,
            )
