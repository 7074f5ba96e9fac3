"""What is known of libraries that fit, split and resample rows (rows.toml)."""

from __future__ import annotations

from mldebt.rule import Analysis, Row, Table


class Fitter(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A class, or with ``function`` a function, that learns from all rows it is given.

    ``kind``: scaler, encoder, imputer, projection, selector, vectoriser, target-encoder, composite (holds others) or
    free (looks at one row at a time, or learns nothing but the names of classes). ``free_with`` is the argument that
    makes it free.
    """

    kind: str
    function: bool = False
    free_with: str = ""


class Splitter(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What takes parts of rows.

    ``form``: parts (returns the parts of each argument), folds (an object whose ``split`` gives row numbers), cross
    (fits and scores on folds of its arguments ``x`` and ``y``) or random (torch's random_split).
    ``shuffle``: always, never, or the default of the argument ``shuffle`` at ``position``: true or false.
    """

    form: str
    shuffle: str = "always"
    position: int | None = None
    grouped: bool = False


class Sampler(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A class whose ``fit_resample`` copies rows, or makes new ones of several."""


class RowKnowledge(Analysis):
    """The tables; linked with the project's own rows."""

    fitters_table = Table("rows.toml", "fitters", Fitter)
    splitters_table = Table("rows.toml", "splitters", Splitter)
    samplers_table = Table("rows.toml", "samplers", Sampler)

    def __init__(self, project) -> None:  # type: ignore[no-untyped-def]
        super().__init__(project)
        self.fitters = project.rows(self.fitters_table)
        self.splitters = project.rows(self.splitters_table)
        self.samplers = project.rows(self.samplers_table)
