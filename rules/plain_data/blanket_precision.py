"""MLD506."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.facts.schema import Return
from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .conflicts import Conflict, told
from .exact_uses import ExactUses, Held
from .exactness import COUNT, ID, MONEY, TIME, kind_of
from .narrowing import CASTS, COMMON_CASTS, NARROW, Cast, casts
from .quantities import Quantities
from .values import API, NAME, Evidence

_LOSES = {
    ID: "whole numbers above 16,777,216 collide",
    TIME: "seconds of an epoch time are lost",
    MONEY: "cents are lost above 131,072",
    COUNT: "counting stops at 16,777,216",
}
_OTHERS = frozenset({"FloatTensor", "to_numeric", "astype", "float", "dtype"})
_FUNCTIONS = frozenset(
    f"{library}.{name}"
    for library in ("numpy", "torch", "pandas", "tensorflow", "jax.numpy")
    for name in ("float32", "float16", "array", "asarray", "tensor", "as_tensor", "Series", "to_numeric", "read_csv")
)
_LOSES_HALF = "whole numbers above 2,048 collide"
_LOSES_TENTHS = "cents have no exact value"


class BlanketPrecision(ProjectRule):
    """Identifiers, timestamps, money or long counts are cast to float32 (or float16) and then used as exact numbers:
    joined on, grouped by, compared, subtracted, added up.

    ## Why it is debt

    A float32 is exact only up to 2^24 = 16,777,216: `np.float32(16_777_217) == np.float32(16_777_216)`. Two users
    become one, an epoch time is off by a minute, a balance by cents, and nothing fails. "Do not use float32 for all
    data objects" (McAteer 2020).

    ## How to pay it back

    Cast the feature columns only: `X = df[feature_cols].astype("float32")`; keep ids as int64 or text, times as
    datetime64 or int64, money as Decimal or whole cents.

    ## When to leave it

    Features, targets, images and model tensors are rightly float32. Token ids, class labels and positions are small.
    A column of ids that is cast and then only fed to a model is not reported: an exact use has to follow the cast.

    ## References

    - IEEE 754-2019, binary32: 24 bits of significand.
    - McAteer, "Nitpicking Machine Learning Technical Debt", 2020, practice 14.
    - https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.astype.html
    """

    code = "MLD506"
    severity = Severity.MAJOR
    confidence = Confidence.HIGH
    minutes = 10
    preview = True  # every finding that was read was wrong, and mended
    alone = Alone.REPORT
    examples = (
        Bad(
            """
            import pandas as pd


            def score(path, model, names):
                df = pd.read_csv(path)
                df = df.astype("float32")
                df["score"] = model.predict(df)
                return df.merge(names, on="user_id")
            """,
            anchors=("example.py:6",),
        ),
        Bad(
            {
                "load.py": """
                    import numpy as np
                    import pandas as pd


                    def load(path):
                        events = pd.read_parquet(path)
                        events["account_id"] = events["account_id"].astype(np.float32)
                        return events
                """,
                "train.py": """
                    from load import load


                    def totals(path):
                        events = load(path)
                        return events.groupby("account_id").size()
                """,
            },
            anchors=("load.py:7",),
        ),
        Bad(
            """
            import time

            import numpy as np


            def watch(step):
                started = np.float32(time.time())
                step()
                return np.float32(time.time()) - started
            """,
        ),
        Bad(
            """
            import pandas as pd


            def ledger(path):
                rows = pd.read_csv(path, dtype={"amount": "float32"})
                balance = rows["amount"].sum()
                return balance
            """,
        ),
        Bad(
            """
            import torch


            def lookup(rows, table):
                user_ids = torch.tensor(rows["user_id"].values, dtype=torch.float32)
                return table[user_ids.long()]
            """,
        ),
        Bad(
            {
                "load.py": """
                    import pandas as pd


                    def read_events(path):
                        return pd.read_csv(path)
                """,
                "train.py": """
                    import numpy as np

                    from load import read_events


                    def build(path, tiers):
                        events = read_events(path)
                        events = events.astype(np.float32)
                        return events.merge(tiers, on="customer_id")
                """,
            },
            anchors=("train.py:8",),
        ),
        Bad(
            """
            import torch


            class Clicks:
                def __init__(self, frame):
                    self.stamp = torch.from_numpy(frame["event_time"].to_numpy()).to(torch.float16)

                def visits(self):
                    return torch.unique(self.stamp, return_inverse=True)
            """,
            anchors=("example.py:6",),
        ),
        Bad(
            """
            import pandas as pd

            NUMERIC = ["account_id", "age", "balance"]


            def load(path, segments):
                df = pd.read_csv(path)
                df[NUMERIC] = df[NUMERIC].astype("float32")
                return df.join(segments.set_index("account_id"), on="account_id")
            """,
        ),
        Bad(
            """
            import numpy as np
            import pandas as pd

            TYPES = {"order_id": np.float32, "weight": np.float32}


            def orders(path):
                df = pd.read_csv(path, dtype=TYPES)
                return df.drop_duplicates("order_id")
            """,
        ),
        Bad(
            """
            import pandas as pd


            def shrink(path):
                df = pd.read_parquet(path)
                numbers = df.select_dtypes(include=["number"]).columns
                df[numbers] = df[numbers].astype("float32")
                user_ids = df["user_id"]
                return df.drop(columns=["user_id"]), user_ids
            """,
        ),
        Bad(
            """
            import tensorflow as tf


            def batch(row, known_users):
                user_id = tf.cast(row["user_id"], tf.float32)
                return user_id == known_users
            """,
        ),
        Bad(
            """
            import polars as pl


            def load(path, names):
                events = pl.read_parquet(path)
                events = events.with_columns(pl.all().cast(pl.Float32))
                return events.join(names, on="user_id")
            """,
        ),
        Bad(
            """
            from decimal import Decimal


            def settle(rows):
                total = Decimal(0)
                for row in rows:
                    amount = float(row["amount"])
                    total += Decimal(amount)
                return total
            """,
        ),
        Good(
            """
            import pandas as pd


            def features(path, names):
                df = pd.read_csv(path)
                per_user = df.groupby("user_id").mean(numeric_only=True)
                per_user = per_user.astype("float32")
                per_user = per_user.reset_index()
                return per_user.merge(names, on="user_id")
            """
        ),
        Good(
            """
            import pandas as pd


            def features(path):
                df = pd.read_csv(path)
                user_ids = df.pop("user_id")
                df = df.astype("float32")
                df["user_id"] = user_ids
                return df.groupby("user_id").mean()
            """
        ),
        Good(
            """
            def shrink(frame):
                wide = frame.select_dtypes(include="float64").columns
                frame[wide] = frame[wide].astype("float32")
                return frame.drop_duplicates(["user_id", "event_ts"])
            """
        ),
        Good(
            """
            import torch


            def mask(user_ids, blocked):
                is_blocked = torch.isin(user_ids, blocked).float()
                known = user_ids.ne(0).to(torch.float32)
                return is_blocked.unique(), known == 1
            """
        ),
        Good(
            """
            import pandas as pd


            def score(path, model, names, feature_cols):
                df = pd.read_csv(path)
                x = df[feature_cols].astype("float32")
                df["score"] = model.predict(x)
                return df.merge(names, on="user_id")
            """
        ),
        Good(
            """
            import numpy as np
            import pandas as pd


            def features(path, names):
                df = pd.read_csv(path).merge(names, on="user_id")
                df["user_id"] = df["user_id"].astype("int64")
                df["price"] = df["price"].astype(np.float32)
                x = df.drop(columns=["user_id"]).astype("float32")
                return x, df.groupby("user_id").size()
            """
        ),
        Good(
            """
            import torch


            def rotary(position_ids, inv_freq):
                angles = position_ids[:, None].float() * inv_freq
                return torch.cos(angles), torch.sin(angles)
            """
        ),
        Good(
            """
            import numpy as np
            import pandas as pd


            def target(path):
                df = pd.read_csv(path)
                y = df["price"].astype(np.float32).values
                images = np.load("images.npy").astype("float32") / 255
                return images, y, y.sum()
            """
        ),
        Good(
            """
            import time

            import numpy as np


            def watch(step):
                started = time.perf_counter()
                step()
                return np.float32(time.perf_counter() - started)
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        spellings = CASTS | project.spellings(_FUNCTIONS)
        narrow = NARROW | _OTHERS | project.spellings(_FUNCTIONS)
        uses = ExactUses(project, project[Quantities].callers)
        for module in project.modules.values():
            if module.role != "project" or module.is_test or module.mentions.isdisjoint(narrow):
                continue
            calls = spellings if module.mentions.isdisjoint(NARROW) else spellings | COMMON_CASTS
            for index in module.scopes_using(calls):
                for site in module.call_sites(index):
                    for cast in casts(module, index, site):
                        problem = _problem(cast, uses)
                        if problem is not None:
                            yield problem


def _held(cast: Cast) -> Iterator[Held]:
    """Where the value is at first: from its statement on; an attribute in every method of its file's classes."""
    module, line = cast.module, cast.statement.line
    if isinstance(cast.statement, Return) or not cast.holder:
        yield Held(module, cast.scope, "", line, cast.call)
        return
    yield Held(module, cast.scope, cast.holder, line)
    if cast.holder.startswith("self."):
        for index in module.scopes_using((cast.holder.rpartition(".")[2],)):
            if index != cast.scope:
                yield Held(module, index, cast.holder, 0)


def _problem(cast: Cast, uses: ExactUses) -> Problem | None:
    found = uses.first(_held(cast), cast.kind, cast.column)
    if found is None:
        return None
    use, what = found
    kind = cast.kind or kind_of(what) or ID
    place = cast.module.place(cast.call)
    used = use.module.place(use.node)
    narrow = Evidence(f"a float of few digits ({cast.to})", f"the cast to {cast.to}", place, API)
    exact = Evidence(f"an exact {kind}", use.by, used, API)
    conflict = Conflict(place, "", (narrow, exact), kind)
    loses = _LOSES_HALF if cast.to in ("float16", "half", "f2") else _LOSES[kind]
    loses = _LOSES_TENTHS if "binary" in cast.to else loses
    whole = "the whole frame, with " if cast.whole else ""
    named = Evidence(f"an {kind}" if kind[0] in "aio" else f"a {kind}", what, place, NAME)
    return Problem(
        place,
        f"{whole}{what}, {named.quantity}, is cast to {cast.to}, where {loses}, and then used exactly: {use.by}",
        related=(Related(used, f"{use.by} needs it exact", "effect"),) if used != place else (),
        severity=Severity.MINOR if kind == COUNT else None,
        evidence=(*map(told, conflict.evidences), told(named), "no cast to an exact type stands before it"),
        symbol=f"{kind} {what}",
    )
