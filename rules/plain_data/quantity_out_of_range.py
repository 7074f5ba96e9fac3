"""MLD502."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.finding import Confidence, Place, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .ranges import Excess, Ranges


class QuantityOutOfRange(ProjectRule):
    """A number reaches a place whose quantity excludes it: a percentage where a fraction is meant, a threshold no
    probability can pass, a learning rate of 10 for Adam, a division by a temperature of 0.

    ## Why it is debt

    A float carries no unit. `np.quantile(x, 95)` raises, `np.percentile(x, 0.95)` is silently close to the minimum,
    `sigmoid(x) > 50` is silently never true, and the number that is wrong often stands in another file, as a default
    of an option or a field. In a robust system "a model parameter should know if it is a log-odds multiplier or a
    decision threshold" (Sculley et al. 2015, section 5.5).

    ## How to pay it back

    Write the number in the unit of the place it reaches (`0.95`, not `95`), and say the unit where it is declared: in
    the name (`dropout_fraction`), or in the type (`Annotated[float, Interval(ge=0, le=1)]`).

    ## When to leave it

    Counts are legal where a library takes either (`test_size=20`, `max_samples=100`); so are an Adam learning rate
    above 1 for pixels or under a schedule that multiplies it, percentiles below 1 beside their like (0.5 and 99.5), a
    large SGD rate with clipped gradients, and a temperature of 0 that a test keeps from the division.

    ## References

    - Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.5.
    - https://numpy.org/doc/stable/reference/generated/numpy.quantile.html: `q` "between 0 and 1 inclusive".
    - https://numpy.org/doc/stable/reference/generated/numpy.percentile.html: `q` "between 0 and 100 inclusive".
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html: `p` is a probability.
    """

    code = "MLD502"
    severity = Severity.MAJOR
    confidence = Confidence.HIGH
    minutes = 5
    alone = Alone.REPORT
    examples = (
        Bad(
            """
            import numpy as np


            def band(errors):
                return np.quantile(errors, 5), np.quantile(errors, 95)
            """,
            findings=2,
        ),
        Bad(
            {
                "options.py": """
                    from dataclasses import dataclass


                    @dataclass
                    class Options:
                        width: int = 64
                        dropout: float = 50
                """,
                "net.py": """
                    from torch import nn

                    from options import Options


                    class Net(nn.Module):
                        def __init__(self, options: Options):
                            super().__init__()
                            self.drop = nn.Dropout(options.dropout)
                            self.fc = nn.Linear(options.width, 2)
                """,
            },
            anchors=("options.py:7",),
        ),
        Bad(
            {
                "limits.py": "ALERT_ABOVE = 80\n",
                "score.py": """
                    import torch

                    from limits import ALERT_ABOVE


                    def alerts(model, x):
                        risk = torch.sigmoid(model(x))
                        return risk > ALERT_ABOVE
                """,
            },
            anchors=("limits.py:1",),
        ),
        Bad(
            """
            import argparse

            from sklearn.model_selection import train_test_split


            def main(x, y):
                parser = argparse.ArgumentParser()
                parser.add_argument("--test-size", type=float, default=20.0)
                args = parser.parse_args()
                return train_test_split(x, y, test_size=args.test_size, random_state=0)
            """,
            anchors=("example.py:8",),
        ),
        Bad(
            {
                "sampling.py": """
                    import torch


                    def sample(logits, temperature=1.0):
                        weights = torch.softmax(logits / temperature, dim=-1)
                        return torch.multinomial(weights, 1)
                """,
                "generate.py": """
                    from sampling import sample


                    def greedy(model, tokens):
                        return sample(model(tokens), temperature=0)
                """,
            },
            anchors=("generate.py:5",),
        ),
        Bad(
            """
            import numpy as np
            import torch


            def train(model, losses):
                optimizer = torch.optim.Adam(model.parameters(), lr=10)
                clip = np.percentile(losses, 0.95)
                return optimizer, clip
            """,
            findings=2,
        ),
        Good(
            """
            import numpy as np
            from sklearn.model_selection import train_test_split


            def prepare(x, y):
                low, high = np.percentile(x, [0.5, 99.5])
                lowest, highest = np.percentile(x, 0.1), np.percentile(x, 99.9)
                return train_test_split(np.clip(x, low, high), y, test_size=20), lowest, highest
            """
        ),
        Good(
            """
            import torch


            def stylise(image, steps):
                optimizer = torch.optim.Adam([image], lr=10)
                for _ in range(steps):
                    optimizer.step()
            """
        ),
        Good(
            {
                "sampling.py": """
                    import torch


                    def sample(logits, temperature=1.0):
                        if temperature == 0:
                            return logits.argmax(-1)
                        return torch.multinomial(torch.softmax(logits / temperature, dim=-1), 1)
                """,
                "generate.py": """
                    from sampling import sample


                    def greedy(model, tokens):
                        return sample(model(tokens), temperature=0)
                """,
            }
        ),
        Good(
            """
            import torch
            from torch import nn


            def build(percent=50):
                drop = nn.Dropout(percent / 100)
                return drop


            def alerts(model, x, threshold=50):
                confidence = torch.sigmoid(model(x)) * 100
                return confidence > threshold
            """
        ),
        Good(
            """
            import torch
            from torch import nn
            from tensorflow import keras


            def build(model, steps):
                optimizer = torch.optim.SGD(model.parameters(), lr=2.5, momentum=0.9)
                norm = nn.BatchNorm1d(8, momentum=1.0)
                return optimizer, norm, keras.layers.Dropout(1)
            """
        ),
        Good(
            """
            from torch import nn


            class Block(nn.Module):
                def __init__(self, drop=50.0):
                    super().__init__()
                    if drop > 1:
                        drop = drop / 100
                    self.drop = nn.Dropout(drop)
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        causes: dict[tuple[Place, float], list[Excess]] = {}
        for excess in project[Ranges].excesses:
            causes.setdefault((excess.constant, excess.value), []).append(excess)
        for excesses in causes.values():
            yield _problem(excesses)


def _problem(excesses: list[Excess]) -> Problem:
    first = excesses[0]
    direct = first.constant == first.slot
    where = "" if direct else f" at {first.slot.path}:{first.slot.span.line}"
    effects = [one for one in excesses if one.slot != one.constant]
    related = [Related(one.slot, f"{one.target} takes it here", "effect") for one in effects]
    evidence = [f"{first.target} wants a {first.quantity} {first.range}"]
    if first.by is not None:
        evidence.append(f"{first.by.by} at {first.by.place.path}:{first.by.place.span.line} gives a probability")
        related.append(Related(first.by.place, "gives the probability", "counterpart"))
    if not direct:
        evidence.append("nothing rescales it on the way, and no test of it keeps it from there")
    return Problem(
        first.constant,
        f"{first.value:g} reaches {first.target}{where}, where a {first.quantity} is {first.range}",
        related=tuple(related),
        evidence=tuple(evidence),
        symbol=f"{first.value:g} {first.target}",
    )
