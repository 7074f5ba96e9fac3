"""MLD114 framework-ping-pong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mldebt.facts.schema import CLASS
from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .boundaries import Boundaries
from .conversions import Operations
from .journeys import Journey, Journeys

_ADAPTS = re.compile(r"wrapper|adapt[eo]r|bridge", re.IGNORECASE)


@dataclass(frozen=True)
class FrameworkPingPong(ProjectRule):
    """In one function a value goes from library to library and back: three libraries or more, four conversions or more.

    Libraries are pandas, polars, NumPy, torch, TensorFlow, JAX, Spark and Arrow. What counts are conversions on one way
    of a value through the function; conversions of other values, or in branches that exclude each other, are not added.

    ## Why it is debt

    Every hop copies the data or waits for a device, and may lose dtypes, indexes, gradients and missing values without
    a word. The reader has to know all these libraries to change one line.

    ## How to pay it back

    Do the work in one library (`df["x"].rolling(3).mean()`), and convert once, at the function's end.

    ## When to leave it

    Modules that are boundaries (see MLD101) convert for a living, and so do classes that are called adapters,
    wrappers or bridges. A way in and a way out, with the work of another
    library in between, is two conversions and fine.

    ## Options

    - `libraries`: how many libraries a value must pass (3).
    - `conversions`: how often it must change (4).
    - `glue_boundaries`: patterns of paths or module names that are boundaries (none).

    ## References

    - Sculley et al., Hidden Technical Debt in Machine Learning Systems, NIPS 2015, 5.1 glue code
    - https://pandas.pydata.org/docs/user_guide/missing_data.html (what dtypes lose on the way)
    """

    libraries: int = 3
    conversions: int = 4
    glue_boundaries: tuple[str, ...] = ()

    code: ClassVar[str] = "MLD114"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 30
    alone: ClassVar[Alone] = Alone.REPORT
    # What ``.numpy()`` is called on may be told by the file's own imports alone.
    sensitive_to: ClassVar[frozenset[str]] = frozenset({"star-import"})
    examples = (
        Bad(
            """
            import jax.numpy as jnp
            import numpy as np
            import pandas as pd
            import torch


            def smooth(df):
                a = torch.tensor(df["x"].to_numpy())
                b = jnp.asarray(a.numpy())
                c = pd.Series(np.asarray(b))
                return c.rolling(3).mean()


            def main(path):
                print(smooth(pd.read_csv(path)))
                print(len(path))
                print(path.upper())
                print(path.lower())
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            """
            import pandas as pd
            import polars as pl
            import torch


            def score(path, model):
                frame = pl.from_pandas(pd.read_csv(path))
                frame = frame.filter(pl.col("x") > 0)
                x = torch.from_numpy(frame.to_numpy())
                y = model(x) * 2
                y = x.abs().detach().cpu().numpy()
                result = pd.DataFrame(y)
                result["path"] = path
                print(result)
                return result
            """,
        ),
        Bad(
            """
            import numpy as np
            import pandas as pd
            import tensorflow as tf
            import torch


            class Stage:
                def run(self, frame: pd.DataFrame):
                    tensor = tf.convert_to_tensor(frame.values)
                    tensor = tf.math.log(tensor)
                    other = torch.tensor(tensor.numpy())
                    other = other.softmax(0)
                    self.last = np.asarray(other.numpy())
                    print(self.last)
                    return self.last
            """,
        ),
        Good(
            """
            import numpy as np
            import pandas as pd
            import torch


            def predict(path, model):
                frame = pd.read_csv(path)
                x = torch.from_numpy(frame.to_numpy()).float()
                y = model(x)
                print(y.shape)
                print(frame.shape)
                return y.detach().cpu().numpy()
            """
        ),
        Good(
            """
            import jax.numpy as jnp
            import pandas as pd
            import tensorflow as tf
            import torch


            def to_any(frame: pd.DataFrame, kind: str):
                array = frame.to_numpy()
                if kind == "torch":
                    result = torch.from_numpy(array)
                elif kind == "jax":
                    result = jnp.asarray(array)
                elif kind == "tensorflow":
                    result = tf.convert_to_tensor(array)
                else:
                    result = array
                print(kind)
                return result
            """
        ),
        Good(
            """
            import numpy as np
            import pandas as pd
            import torch


            def collect(frames: list, tensors: list):
                a = torch.from_numpy(pd.read_csv(frames[0]).to_numpy())
                b = torch.from_numpy(pd.read_csv(frames[1]).to_numpy())
                c = torch.from_numpy(np.load(frames[2]))
                print(a.shape)
                print(b.shape)
                print(c.shape)
                return a, b, c
            """
        ),
        Good(
            """
            import numpy as np
            import torch


            def noise(tensor: torch.Tensor):
                for _ in range(3):
                    array = tensor.detach().cpu().numpy()
                    array = np.fft.fft(array)
                    tensor = torch.from_numpy(np.real(array))
                    print(tensor)
                    print(array)
                return tensor
            """
        ),
        Good(
            """
            import jax.numpy as jnp
            import numpy as np
            import pandas as pd
            import torch


            def smooth(df):
                a = torch.tensor(df["x"].to_numpy())
                b = jnp.asarray(a.numpy())
                return pd.Series(np.asarray(b))
            """,
            options={"glue_boundaries": ("example*",)},
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        known = project[Operations]
        for module in project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            journeys = Journeys(known, module)
            found = [(index, journeys.longest(index)) for index in self._worth(module, known.crossing_words)]
            long = [(index, journey) for index, journey in found if self._is_long(journey)]
            if long and not project[Boundaries].is_boundary(module, self.glue_boundaries):
                yield from (_problem(module, index, journey) for index, journey in long)

    def _is_long(self, journey: Journey) -> bool:
        libraries = {name for step in journey for name in (step.source, step.target)}
        return len(journey) >= self.conversions and len(libraries) >= self.libraries

    def _worth(self, module: Module, words: frozenset[str]) -> list[int]:
        """The functions that say enough words of conversions, and the body of a script."""
        if len(words.intersection(module.mentions)) < self.libraries:
            return []
        found = []
        for index in module.scopes_using(words):
            scope = module.scope(index)
            notebook = index == 0 and module.path.endswith(".ipynb")
            spoken = sum(chain[chain.rfind(".") + 1 :] in words for chain in scope.uses)
            if scope.kind == CLASS or notebook or _ADAPTS.search(scope.qualname.rpartition(".")[0]):
                continue
            if spoken >= self.libraries:
                found.append(index)
        return found


def _problem(module: Module, index: int, journey: Journey) -> Problem:
    scope = module.scope(index)
    way = " -> ".join([journey[0].source, *(step.target for step in journey)])
    related = tuple(Related(module.place(step.at), f"{step.source} -> {step.target}", "path") for step in journey)
    if index:
        row = module.text_lines[scope.line - 1]
        span = Span(scope.line, len(row) - len(row.lstrip()) + 1, scope.line, len(row.rstrip()) + 1)
        place, where = Place(module.path, span), f"{scope.qualname}()"
    else:
        place, where = module.place(journey[0].at), "the script"
    return Problem(
        place,
        f"in {where} a value is converted {len(journey)} times: {way}",
        related,
        evidence=(
            "all conversions are on one way of one value; exclusive branches are not added",
            "the module is no boundary: fewer than two thirds of its public functions are thin",
        ),
        symbol=scope.qualname,
    )
