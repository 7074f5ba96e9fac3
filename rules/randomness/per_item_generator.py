"""The fix of MLD406: make the generator in ``__getitem__``, from the seed and the index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.schema import FUNCTION, Assign, Call, Const, Ref, Starred
from mldebt.facts.walk import expressions, position, statements, walk
from mldebt.finding import Applicability, Edit, Fix, Place, Span

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition

_SEEDED_BY_TUPLES = frozenset({"numpy.random.default_rng", "numpy.random.RandomState"})


def made_per_item(module: Module, line: int) -> Fix | None:
    """A fix for ``self.rng = np.random.default_rng(seed)`` at a line.

    None unless NumPy makes it from one seed, only ``__getitem__`` of that very class draws from it, and no name there
    is ``rng`` already.
    """
    held = module.statement_at(line)
    stmt = held[0] if held is not None else None
    if held is None or not isinstance(stmt, Assign) or len(stmt.targets) != 1 or not isinstance(stmt.value, Call):
        return None
    target, call = stmt.targets[0], stmt.value
    if not isinstance(target, Ref) or target.name.count(".") != 1 or len(call.args) != 1 or call.keywords:
        return None
    if isinstance(call.args[0], Starred) or (isinstance(call.args[0], Const) and call.args[0].value is None):
        return None
    item = _getitem(module, held[1])
    if item is None or not _SEEDED_BY_TUPLES.intersection(module.names(held[1], call.function)):
        return None
    receiver, attribute = target.name.split(".")
    reads = list(_reads(module, item, attribute))
    own = item.scope.parameters[0].name
    if not reads or any(scope != item.index for scope, _ in reads) or "rng" in item.scope.bindings:
        return None
    return _written(module, item, stmt, reads=[ref for _, ref in reads], names=(receiver, attribute, own))


def _getitem(module: Module, init: int) -> Definition | None:
    """``__getitem__(self, index)`` of the class whose ``__init__`` is scope ``init``."""
    scopes = module.facts.scopes
    if scopes[init].name != "__init__":
        return None
    for index, scope in enumerate(scopes):
        if scope.parent == scopes[init].parent and scope.kind == FUNCTION and scope.name == "__getitem__":
            return module.definition(index) if len(scope.parameters) == 2 and scope.body_line > scope.line else None
    return None


def _reads(module: Module, item: Definition, attribute: str) -> Iterator[tuple[int, Ref]]:
    """References to the attribute anywhere in the file, of whatever object, with their scopes."""
    for index in module.scopes_using({attribute}) + [
        other for other, scope in enumerate(module.facts.scopes) if any(f".{attribute}." in use for use in scope.uses)
    ]:
        for stmt in statements(module.body(index)):
            targets = {id(target) for target in stmt.targets} if isinstance(stmt, Assign) else set()
            for expr in expressions(stmt, module.facts.scopes):
                for node in walk(expr):
                    if isinstance(node, Ref) and id(node) not in targets and attribute in node.name.split(".")[1:]:
                        yield index, node


def _written(
    module: Module, item: Definition, stmt: Assign, reads: list[Ref], names: tuple[str, str, str]
) -> Fix | None:
    receiver, attribute, own = names
    call = stmt.value
    assert isinstance(call, Call)
    where = position(call.args[0]) or (call.line, 0)
    whole, first = module.span(call), item.body[0] if item.body else None
    if first is None or whole.line != whole.end_line or stmt.line != stmt.end_line or where[0] != call.line:
        return None
    text = module.text_lines[call.line - 1][whole.column - 1 : whole.end_column - 1]
    function, _, seed = text.partition("(")
    line = module.text_lines[first.line - 1]
    indent = line[: len(line) - len(line.lstrip())]
    made = f"rng = {function}(({own}.{attribute}_seed, {item.scope.parameters[1].name}))"
    start = Span(stmt.line, module.span(stmt).column, whole.end_line, whole.end_column)
    edits = [
        Edit(Place(module.path, start), f"{receiver}.{attribute}_seed = {seed.removesuffix(')').strip()}"),
        Edit(Place(module.path, Span(first.line, 1, first.line, 1)), f"{indent}{made}\n"),
    ]
    for ref in {(ref.line, ref.column): ref for ref in reads}.values():
        if not ref.name.startswith(f"{own}.{attribute}"):
            return None
        at = module.span(ref)
        end = at.column + len(own) + 1 + len(attribute)
        edits.append(Edit(Place(module.path, Span(at.line, at.column, at.line, end)), "rng"))
    message = "make the generator for each item from the seed and the index (add the epoch to vary it)"
    return Fix(Applicability.SUGGEST, message, tuple(edits))
