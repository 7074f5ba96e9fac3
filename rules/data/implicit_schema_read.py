"""MLD610."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from posixpath import dirname

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import Expr
from mldebt.finding import Confidence, Place, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from ..glue.artefacts import Artefacts  # noqa: TID252 - installed under another name
from .table_reads import TableRead, TableReads

_STATES = frozenset("dtype usecols schema names converters columns dtypes schema_overrides".split())
# Options that change values, with the defaults of pandas.
_CHANGES: Mapping[str, tuple[object, ...]] = {
    "sep": (",", None),
    "delimiter": (None, ","),
    "parse_dates": (None, False),
    "na_values": (None,),
    "index_col": (None,),
    "header": ("infer", 0),
    "decimal": (".",),
    "thousands": (None,),
    "skiprows": (None, 0),
    "keep_default_na": (True,),
    "comment": (None,),
    "true_values": (None,),
    "false_values": (None,),
}
# What does later what an option does while reading.
_MADE_UP = {"parse_dates": "to_datetime", "index_col": "set_index", "na_values": "replace"}
_ABSENT = object()
_SHOWN = 5


class ImplicitSchemaRead(ProjectRule):
    """A table is read without saying which columns of which types it has; or two files of the project read one table
    with options that give other values.

    ## Why it is debt

    The types are guessed from the rows of the day: one stray text turns a column of numbers into objects, leading
    zeros of an identifier vanish, `NA` becomes a missing value. Where one file names the missing values and parses the
    dates and another one does not, the two work with different data under one name, and neither says so.

    ## How to pay it back

    One function reads the table, with `dtype`, `usecols`, `parse_dates` and `na_values`, and every other file calls it.
    Formats that carry their types (Parquet, Feather) need none of this.

    ## When to leave it

    The missing schema alone is `info`, on paths that train or predict, and evidence rather than debt. Reading one
    table in two ways is `minor`, among notebooks alone `info`. Silent there: reads of other columns, options that only
    choose rows or save memory (`usecols`, `nrows`, `dtype`), the defaults written out, files that parse the dates or
    set the index after the read, reads through one function of the project, and tests.

    ## References

    - Zhang, Cruz, van Deursen, "Code Smells for Machine Learning Applications", CAIN 2022, smell 4.
    - https://pandas.pydata.org/docs/reference/api/pandas.read_csv.html
    """

    code = "MLD610"
    severity = Severity.INFO
    confidence = Confidence.HIGH
    minutes = 5
    examples = (
        Bad(
            {
                "train.py": """
                    import pandas as pd
                    from sklearn.linear_model import Ridge

                    types = {"cost": float}
                    events = pd.read_csv("data/events.csv", na_values=["-"], parse_dates=["time"], dtype=types)
                    Ridge().fit(events[["age"]], events["cost"])
                    """,
                "report.py": """
                    import pandas as pd

                    events = pd.read_csv("data/events.csv", usecols=["age", "cost", "time"])
                    events.to_excel("report.xlsx")
                    """,
            },
            anchors=("train.py:5",),
        ),
        Bad(
            {
                "settings.py": """
                    EVENTS = "data/events.csv"
                    """,
                "clean.py": """
                    import pandas as pd

                    from settings import EVENTS


                    def main():
                        pd.read_csv(EVENTS, sep=";", index_col="id").to_parquet("data/clean.parquet")


                    if __name__ == "__main__":
                        main()
                    """,
                "plot.py": """
                    import pandas as pd

                    from settings import EVENTS


                    def main():
                        pd.read_csv(EVENTS).plot()


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("plot.py:7",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            events = pd.read_csv("data/events.csv")
            Ridge().fit(events[["age"]], events["cost"])
            """,
            anchors=("example.py:4",),
        ),
        Good(
            {
                "events.py": """
                    import pandas as pd


                    def read_events(path):
                        return pd.read_csv(path, na_values=["-"], dtype={"age": float, "cost": float})
                    """,
                "train.py": """
                    from sklearn.linear_model import Ridge

                    from events import read_events

                    events = read_events("data/events.csv")
                    Ridge().fit(events[["age"]], events["cost"])
                    """,
                "report.py": """
                    from events import read_events

                    read_events("data/events.csv").to_excel("report.xlsx")
                    """,
            }
        ),
        Good(
            {
                "train.py": """
                    import pandas as pd
                    from sklearn.linear_model import Ridge

                    events = pd.read_csv("data/events.csv", sep=",", usecols=["age", "cost"])
                    Ridge().fit(events[["age"]], events["cost"])
                    """,
                "report.py": """
                    import pandas as pd

                    times = pd.read_csv("data/events.csv", parse_dates=["time"], usecols=["time"], nrows=10)
                    times.to_excel("report.xlsx")
                    """,
            }
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            events = pd.read_parquet("data/events.parquet")
            more = pd.read_csv("data/more.csv", dtype={"age": float}, usecols=["age", "cost"])
            Ridge().fit(events[["age"]], events["cost"])
            """
        ),
        Good(
            """
            import pandas as pd

            pd.read_csv("data/events.csv").plot()
            """
        ),
        Good(
            {
                "one.py": """
                    import pandas as pd

                    OPTIONS = load_options()
                    pd.read_csv("data/events.csv", **OPTIONS).plot()
                    """,
                "two.py": """
                    import pandas as pd

                    pd.read_csv("data/events.csv", sep=";").plot()
                    """,
            }
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        reads = project[TableReads]
        told: set[Place] = set()
        for first, others, option in _divergent(project, reads):
            if first.place in told:
                continue
            told |= {first.place, *(one.place for one in others)}
            tries = all(one.module.path.endswith(".ipynb") for one in (first, *others))
            yield Problem(
                first.place,
                f"{option} of this read differs from that of the same table in {_files(others)}",
                related=tuple(Related(one.place, "the same table, read in another way") for one in others[:_SHOWN]),
                severity=Severity.INFO if tries else Severity.MINOR,
                evidence=("all paths lead to one artefact", "no function of the project reads it for all"),
                symbol=option,
            )
        for group in _guessing(reads, told):
            first, entries = group[0], reads.entries(group[0])
            what = first.name.rpartition(".")[2]
            yield Problem(
                first.place,
                f"{what} guesses columns and types; {entries[0].name} works with what it guesses",
                related=tuple(Related(one.place, "guesses as well") for one in group[1:]),
                evidence=("neither dtype, usecols nor a schema is given",),
                symbol=what,
            )


def _guessing(reads: TableReads, told: Collection[Place]) -> list[list[TableRead]]:
    """Reads that state nothing and that some program works with, by file."""
    found: dict[str, list[TableRead]] = {}
    for read in reads.all:
        options = read.options
        guesses = read.is_untyped and options is not None and not _STATES & options.keys()
        if guesses and read.place not in told and reads.entries(read):
            found.setdefault(read.module.path, []).append(read)
    return list(found.values())


def _files(reads: Sequence[TableRead]) -> str:
    paths = list(dict.fromkeys(read.module.path for read in reads))
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more files"


def _divergent(project: Project, reads: TableReads) -> Iterator[tuple[TableRead, list[TableRead], str]]:
    """Of each artefact the read that differs from most of those in other files, and these."""
    known = {read.place: read for read in reads.all}
    if not any(read.options for read in known.values()):
        return
    for node in project[Artefacts].nodes.values():
        places = dict.fromkeys(one.via or one.place for one in node.reads if "*" not in node.pattern)
        here = [known[place] for place in places if place in known]
        if len({read.module.path for read in here}) > 1:
            outside = node.pattern.startswith(("../", "/")) or "input/" in node.pattern
            found = _odd_one_out(here, outside)
            if found is not None:
                yield found


def _odd_one_out(reads: Sequence[TableRead], outside: bool) -> tuple[TableRead, list[TableRead], str] | None:
    """``outside``: the path leads out of the repository, where each directory may mean another file by it."""
    best: tuple[TableRead, list[TableRead], str] | None = None
    for one in reads:
        others, option = [], ""
        for other in reads:
            apart = outside and dirname(one.module.path) != dirname(other.module.path)
            found = _difference(one, other) if one.module is not other.module and not apart else ""
            if found:
                others.append(other)
                option = option or found
        if others and (best is None or len(others) >= len(best[1])):
            best = one, others, option
    return best


def _difference(one: TableRead, other: TableRead) -> str:
    """The first option that gives the two other values, for columns that both read."""
    ones, others = one.options, other.options
    if ones is None or others is None or one.name != other.name:
        return ""
    for option, defaults in _CHANGES.items():
        left, right = _value(one, ones, option, others, other), _value(other, others, option, ones, one)
        made_up = _MADE_UP.get(option)
        if left is UNKNOWN or right is UNKNOWN or any(made_up in read.module.mentions for read in (one, other)):
            continue
        if left != right and not (_is_default(left, defaults) and _is_default(right, defaults)):
            return option
    return ""


def _value(
    read: TableRead, own: Mapping[str, Expr], option: str, others: Mapping[str, Expr], other: TableRead
) -> object:
    given = own.get(option)
    if given is None or (option in ("skiprows", "header") and "names" in own):  # the head is replaced, not lost
        return _ABSENT
    value = read.module.constant(read.site.scope, given)
    if option == "parse_dates" and isinstance(value, (list, tuple)) and "usecols" in others:
        columns = other.module.constant(other.site.scope, others["usecols"])
        if not isinstance(columns, (list, tuple)) or not all(isinstance(name, str) for name in columns):
            return UNKNOWN
        value = tuple(name for name in value if name in columns) or _ABSENT
    return tuple(value) if isinstance(value, list) else value


def _is_default(value: object, defaults: tuple[object, ...]) -> bool:
    return value is _ABSENT or any(value is one or value == one for one in defaults)
