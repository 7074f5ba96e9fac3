"""Methods of lists, dicts, column names and splitter objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from mldebt.facts.schema import (
    Expr,
    Ref,
)

from .joining import as_data, either
from .rows import (
    Cutter,
    Data,
    Folds,
    Items,
    Names,
    Value,
)
from .tables import TABLE

if TYPE_CHECKING:
    from .calling import Given
    from .evaluating import Evaluator


class Containers:
    """What they return, and how lists grow."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def items(self, items: Items, name: str, given: Given, owner: Expr | None) -> Value:
        if items.kind == TABLE:
            return self.evaluator.callables.tables.method(items, name)
        if items.kind == "list" and name in ("append", "extend", "remove") and isinstance(owner, Ref):
            value = given.get("object", 0)
            if name == "remove":
                kept = tuple(one for one in items.values if one != value)
                self.evaluator.run.set(owner.name, replace(items, values=kept, appended=()))
                return None
            added = value.values if name == "extend" and isinstance(value, Items) else (value,)
            self.evaluator.run.set(owner.name, self.longer(items, added, given))
            return None
        if items.kind == "dict" and name in ("items", "values", "get", "keys"):
            if name == "get":
                key = given.constant("key", 0)
                return items.values[items.keys.index(key)] if key in items.keys else None
            found: Value = None
            for one in items.values:
                found = either(found, one)
            return (
                Items((None, found), "each")
                if name == "items"
                else Items((found,), "list")
                if name == "values"
                else None
            )
        return Items(items.values, items.kind, items.keys) if name == "copy" else None

    def longer(self, items: Items, added: tuple[Value, ...], given: Given) -> Items:
        depth = self.evaluator.run.frame.loops
        values, appended = items.values, items.appended
        for value in added:
            one = value
            if isinstance(one, Data) and one.window and depth > items.depth:
                one = self.evaluator.frames.windows(one, given.call)
            silent = self.evaluator.run.silent
            if silent and depth > items.depth:
                one = self.evaluator.callables.storing.skipped(as_data(one), silent[-1])
            if isinstance(one, Data) and one.element and depth > items.depth:
                twin = [held for held in values if isinstance(held, Data) and held.rows == one.rows]
                if twin and depth in appended:
                    one = one.marked([self.evaluator.mark("copies", one, given.call, "append")])
            values, appended = (*values, one), (*appended, depth)
        return replace(items, values=values, appended=appended)

    def names(self, names: Names, name: str, given: Given, owner: Expr | None) -> Value:
        frames = self.evaluator.frames
        if name in ("drop", "difference", "remove"):
            out = frames.names_of(given.get("labels", 0))
            found = Names(frames.dropped(names.columns, out)) if out is not None else None
            if name == "remove" and isinstance(owner, Ref):
                self.evaluator.run.set(owner.name, found)
                return None
            return found
        if name in ("pop", "clear", "insert", "append", "extend") and isinstance(owner, Ref):
            self.evaluator.run.set(owner.name, None)
        return names if name in ("tolist", "to_list", "copy") else None

    def cutter(self, cutter: Cutter, name: str, given: Given) -> Value:
        if name != "split":
            return None
        data = as_data(given.get("X", 0))
        if data is None:
            return None
        run = self.evaluator.run
        y = given.get("y", 1)
        label = cutter.row.name.rpartition(".")[2]
        run.event(
            "split", given.call, (data, y), random=cutter.random, label=label, part="grouped" * cutter.row.grouped
        )
        return Folds(data, run.site(given.call), cutter.random)
