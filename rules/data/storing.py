"""What is written to files and read from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from mldebt.facts.schema import (
    Binary,
)

from .rows import (
    Data,
    Fit,
    Known,
    Mark,
    Site,
)

if TYPE_CHECKING:
    from .calling import Given
    from .evaluating import Evaluator


class Storing:
    """Files by their names: what one program writes, another one reads."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def file_name(self, given: Given, position: int = 0) -> str:
        """The name of the file a call is given, directories left out; empty when not known."""
        names = (
            "path",
            "path_or_buf",
            "filepath_or_buffer",
            "file",
            "filename",
            "fname",
            "io",
            "filepath",
            "model_file",
        )
        expr = next((one for one in map(given.expr, names) if one is not None), None) or given.expr("", position)
        if isinstance(expr, Binary) and expr.op == "/":
            expr = expr.right
        run = self.evaluator.run
        value = run.frame.module.constant(run.frame.scope, expr) if expr is not None else None
        if not isinstance(value, str) and isinstance(found := given.get("", position), Known):
            value = found.value
        name = value.rpartition("/")[2] if isinstance(value, str) else ""
        return name if "." in name and "*" not in name else ""

    def written(self, data: Data, given: Given, position: int = 0) -> None:
        """Rows in a file: whoever reads it gets what was fitted on all of them."""
        name = self.file_name(given, position)
        marks = frozenset(
            mark
            for mark in data.kinds("fit")
            if mark.rows and all(not rows.is_part() for rows in (*mark.rows, *data.rows))
        ).union(data.kinds("predicted"), data.kinds("join"))
        if name and marks:
            files = self.evaluator.run.files.rows
            self.evaluator.run.changes += 1
            files[name] = files.get(name, frozenset()) | marks

    def read(self, data: Data, given: Given) -> Data:
        run = self.evaluator.run
        name = self.file_name(given)
        run.reads |= {name} - {""}
        return data.marked(replace(mark, rows=data.rows) for mark in run.files.rows.get(name, ()))

    def dumped(self, fit: Fit, name: str) -> None:
        """A model in a file."""
        files = self.evaluator.run.files.models
        if name and fit.at is not None and fit.sure:
            files[name] = fit

    def loaded(self, name: str, given: Given) -> Fit | None:
        """The model that some program of the project leaves in a file."""
        run = self.evaluator.run
        run.reads |= {name} - {""}
        held = run.files.models.get(name)
        return Fit(held.name, run.site(given.call), kind="model", at=held.at) if held is not None else None

    def skipped(self, data: Data | None, site: Site) -> Data:
        """An item of a list that lacks those whose reading failed."""
        run = self.evaluator.run
        if data is None:
            data = Data(frozenset((run.rows("source", site),)))
        return data.marked([Mark("lost", data.rows, site, "the handler that goes on")])
