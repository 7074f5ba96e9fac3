"""MLD104 round-trip-conversion."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import ClassVar

from mldebt import cst
from mldebt.facts.schema import Call, Stmt
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, Rule

from .conversions import Conversions
from .round_trips import RoundTrip, RoundTrips

# Methods that mean the same on both sides, arguments included.
_SAME = frozenset({"reshape", "flatten", "ravel", "detach", "clone", "contiguous"})
_LAST_CALL = re.compile(r"\s*\.\s*\w+\s*\([^()]*\)$")
_HOST = re.compile(r"\s*\.\s*(?:cpu\s*\(\s*\)|to\s*\(\s*[\"']cpu[\"']\s*\))$")
_MOVES = re.compile(r"\s*\.\s*(?:to|cuda)\s*\(")


class RoundTripConversion(Rule["cst.Call"]):
    """A value is converted to another library's type and straight back, with nothing done in between.

    `torch.tensor(t.detach().cpu().numpy())`, `np.array(a.tolist())`, `pd.DataFrame(a).values`, `x.cpu().to(device)`:
    every step from the value back to its own type is a conversion, or a method both types have.

    ## Why it is debt

    It is glue with no purpose left: each conversion copies the data or waits for the device, may lose dtype, device,
    gradient or labels on the way, and tells the reader that the other library is needed here when it is not.

    ## How to pay it back

    Stay in one library: `t.detach().clone()`, `a.copy()`, `x.to(device)`. The fix does that where both conversions
    stand in one expression.

    ## When to leave it

    An operation of the other library in between (an index, a clip, a resize, a change of dtype, a contiguous copy)
    makes it a detour with a purpose, and the rule is silent; likewise when the converted value is read elsewhere too,
    when it is not certain that the value had that type before, and for lists of anything but numbers. The JSON round
    trip is a deep copy, not a conversion.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.1 (glue code).
    * PyTorch documentation, `torch.Tensor.numpy`, `torch.from_numpy`, `torch.Tensor.clone`.
    """

    code: ClassVar[str] = "MLD104"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 5
    alone: ClassVar[Alone] = Alone.REPORT
    mentions: ClassVar[frozenset[str]] = frozenset({"numpy", "tolist", "values", "to_numpy", "cpu", "to", "cuda"})
    examples = (
        Bad(
            """
            import torch


            def reload(weights, device):
                return {name: torch.from_numpy(w.cpu().numpy()).to(device) for name, w in weights.items()}


            def copy(t):
                return torch.tensor(t.detach().cpu().numpy())
            """,
            fixed="""
            import torch


            def reload(weights, device):
                return {name: w.detach().to(device) for name, w in weights.items()}


            def copy(t):
                return t.detach().cpu().clone()
            """,
            findings=2,
            anchors=("example.py:5", "example.py:9"),
        ),
        Bad(
            {
                "stats.py": """
                import numpy as np
                import pandas as pd


                def table(n):
                    grid = np.zeros((n, 3))
                    return pd.DataFrame(grid).values


                def copied(n):
                    return np.array(np.arange(n).tolist())
                """,
                "use.py": "from stats import table\n\ntable(3)\n",
            },
            fixed={
                "stats.py": """
                import numpy as np
                import pandas as pd


                def table(n):
                    grid = np.zeros((n, 3))
                    return grid


                def copied(n):
                    return np.arange(n).copy()
                """,
                "use.py": "from stats import table\n\ntable(3)\n",
            },
            findings=2,
        ),
        Bad(
            """
            import torch


            class Buffer:
                def __init__(self, device):
                    self.device = device

                def pull(self, states):
                    host = states.detach().cpu()
                    return host.to(self.device)

                def merge(self, parts):
                    array = torch.cat(parts).numpy()
                    flat = array.reshape(-1)
                    return torch.as_tensor(flat)
            """,
            findings=2,
            anchors=("example.py:10", "example.py:15"),
        ),
        Bad(
            {
                "lib/matrix.py": """
                import numpy as np
                import pandas as pd
                from sklearn.decomposition import PCA
                from sklearn.preprocessing import StandardScaler


                def scaled(path):
                    raw = np.loadtxt(path, delimiter=",")
                    z = StandardScaler().fit_transform(raw)
                    frame = pd.DataFrame(z)
                    matrix = frame.to_numpy()
                    return matrix


                def reduced(x):
                    pca = PCA(8)
                    pca.fit(x)
                    z = pca.transform(x)
                    return pd.DataFrame(z, columns=list("abcdefgh")).values


                def copied(path):
                    frame = pd.read_csv(path)
                    rows = frame.to_dict("records")
                    return pd.DataFrame(rows)
                """,
                "cluster.py": "from lib.matrix import scaled\n\nprint(scaled('x.csv'))\n",
            },
            findings=3,
        ),
        Good(
            """
            import numpy as np
            import pandas as pd
            from sklearn.preprocessing import OneHotEncoder, StandardScaler


            def smoothed(path):
                z = StandardScaler().fit_transform(np.loadtxt(path))
                frame = pd.DataFrame(z).rolling(3).mean()
                return frame.to_numpy()


            def labelled(frame):
                z = StandardScaler().fit_transform(frame)
                table = pd.DataFrame(z, columns=frame.columns)
                table.to_csv("scaled.csv")
                return table.to_numpy()


            def encoded(frame):
                codes = OneHotEncoder().fit_transform(frame)
                return pd.DataFrame(codes).to_numpy()


            def kept(path):
                frame = pd.read_csv(path)
                return pd.DataFrame([row for row in frame.to_dict("records") if row["price"] > 0])
            """
        ),
        Good(
            """
            import numpy as np
            import torch


            def clipped(t):
                array = t.detach().cpu().numpy()
                array = np.clip(array, 0, 1)
                return torch.from_numpy(array)


            def flipped(t):
                return torch.from_numpy(np.ascontiguousarray(t.numpy()[::-1]))
            """
        ),
        Good(
            """
            import numpy as np
            import torch


            def narrowed(t, model, images):
                half = torch.from_numpy(t.numpy().astype(np.float16))
                scores = torch.tensor([float(s) for s in model(images)])
                return half, scores.cpu().to(torch.float32)
            """
        ),
        Good(
            """
            import numpy as np
            import torch


            def masked(t, path):
                array = t.numpy()
                array[array < 0] = 0
                np.save(path, array)
                return torch.from_numpy(array)


            def saved(t, path):
                array = t.numpy()
                np.save(path, array)
                return torch.from_numpy(array)
            """
        ),
        Good(
            """
            import numpy as np
            import pandas as pd
            import torch


            def convert(frame, rows, labels):
                x = torch.tensor(frame.values)
                y = torch.tensor(labels.tolist())
                z = np.array(rows.tolist())
                return x, y, z, pd.DataFrame(rows).values
            """
        ),
        Good(
            """
            import json

            import tensorflow as tf
            import torch


            def bridge(t, config):
                return torch.from_numpy(t.numpy()), json.loads(json.dumps(config))
            """
        ),
        Good(
            """
            import torch


            def staged(x, device):
                pinned = x.cpu().pin_memory()
                return pinned.to(device, non_blocking=True), x.to("cpu").to("cpu")
            """
        ),
    )

    def statements(self, module: Module, /) -> Iterable[tuple[Stmt, int]]:
        trips = module.project[RoundTrips].of(module)
        return {id(trip.statement): (trip.statement, trip.scope) for trip in trips}.values()

    def check(self, node: cst.Call, module: Module, /) -> Iterator[Problem]:
        span = module.place(node).span
        for trip in module.project[RoundTrips].of(module):
            if module.span(trip.call) == span:
                yield _problem(trip, node, module)
                return

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        module = project.modules[problem.place.path]
        trips = project[RoundTrips].of(module)
        trip = next((trip for trip in trips if module.span(trip.call) == problem.place.span), None)
        if trip is None or trip.through or not _SAME.issuperset(trip.between):
            return None
        text = _direct(trip, module)
        if text is None:
            return None
        edit = Edit(Place(module.path, module.span(trip.back.whole)), text)
        return Fix(Applicability.SUGGEST, "stay in one library", (edit,))


def _problem(trip: RoundTrip, node: cst.Call, module: Module) -> Problem:
    known = module.project[Conversions]
    first, second = known.kind(trip.back.row.to).noun, known.kind(trip.there.row.to).noun
    shown = " ".join(module.code(node).split())
    there = Related(module.place(trip.there.whole), f"{first} becomes {second} here")
    return Problem(
        module.place(node),
        f"{first} becomes {second} and {first} again, with nothing done in between"
        + (f" ({shown})" if len(shown) <= 60 else ""),
        (there,) if trip.through else (),
        evidence=(
            f"there by {trip.there.row.name}, back by {trip.back.row.name}",
            f"in between: {', '.join(trip.between) or 'nothing'}"
            + (f"; through {', '.join(trip.through)}, read nowhere else" if trip.through else ""),
        ),
    )


def _direct(trip: RoundTrip, module: Module) -> str | None:
    """The same value without the way there and back, as source text."""
    back, there = trip.back, trip.there
    if not isinstance(there.whole, Call) or (there.row.argument and _others(there.whole)):
        return None
    inner = _slice(module, there.whole)
    if there.row.argument:
        value = _slice(module, there.value) if hasattr(there.value, "end_line") else getattr(there.value, "name", None)
    else:
        value = _LAST_CALL.sub("", inner)
    whole = _slice(module, back.whole)
    at = whole.find(inner)
    if value is None or at < 0:
        return None
    after = whole[at + len(inner) :]
    more = isinstance(back.whole, Call) and back.row.argument and _others(back.whole)
    if more or (back.row.argument and not after.rstrip().endswith(")")):
        return None
    chain = after.rstrip()[:-1].rstrip().rstrip(",") if back.row.argument else _tail(after, back.row.attribute)
    return _kept(trip, value + chain, module)


def _tail(after: str, attribute: bool) -> str:
    """What stands between the two conversions when the second is a method or attribute."""
    return re.sub(r"\s*\.\s*\w+$", "", after) if attribute else _LAST_CALL.sub("", after)


def _kept(trip: RoundTrip, text: str, module: Module) -> str | None:
    """What the conversions did beside converting: cut the gradient, copy, move."""
    back = trip.back
    if back.row.to == "device":
        call = _slice(module, back.whole)
        return text + call[call.rindex(".") :] if text else None
    if back.row.to == "torch":
        end = module.span(back.whole)
        rest = module.text_lines[end.end_line - 1][end.end_column - 1 :]
        if _MOVES.match(rest):
            text = _HOST.sub("", text)
        if ".detach(" not in text:
            text += ".detach()"
    if back.row.copies or trip.there.row.copies:
        text += {"torch": ".clone()", "numpy": ".copy()"}.get(back.row.to, "")
    return f"({text})" if "\n" in text else text


def _others(call: Call) -> bool:
    """Whether a call has more arguments than the value."""
    return len(call.args) + len(call.keywords) != 1


def _slice(module: Module, fact: object) -> str:
    span = module.span(fact)
    rows = module.text_lines[span.line - 1 : span.end_line]
    rows[-1] = rows[-1][: span.end_column - 1]
    rows[0] = rows[0][span.column - 1 :]
    return "\n".join(rows)
