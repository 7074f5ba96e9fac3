"""Edits that take an option away: its declaration, and the words that set it in scripts and documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mldebt.facts.schema import Do, Stmt
from mldebt.facts.walk import blocks, statements
from mldebt.finding import Edit, Place, Span

from .config_classes import Field
from .launches import Launch, Launches
from .parsers import Declared

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_MOST_TEXT = 1 << 20
_MOST_LINES = 40  # of one command


def setting(project: Project, declared: Declared) -> list[Launch]:
    """The commands that give an option to a program whose parser declares it."""
    flags = frozenset(declared.flags or ())
    found = []
    for launch in project[Launches].all:
        if not launch.target or not _gives(launch, flags):
            continue
        if declared.module.path == launch.target or declared.module.path in project.imports.closure(launch.target):
            found.append(launch)
    return found


def _gives(launch: Launch, flags: frozenset[str]) -> bool:
    return any(word.partition("=")[0] in flags for word in launch.invocation.arguments)


def without_argument(declared: Declared, launches: Sequence[Launch], project: Project) -> tuple[Edit, ...] | None:
    """The edits that delete an ``add_argument`` and what commands give it; None when one of them cannot be told."""
    stmt = declared.statement
    if declared.given or declared.is_positional or not isinstance(stmt, Do) or stmt.value is not declared.call:
        return None
    own = _without_statement(declared.module, stmt, declared.scope)
    if own is None:
        return None
    takes = declared.constant("action") not in ("store_true", "store_false", "store_const", "append_const", "count")
    edits = [own]
    for launch in launches:
        edit = _without_words(project, launch, declared.flags or (), takes=takes)
        if edit is None:
            return None
        edits.append(edit)
    return tuple(dict.fromkeys(edits))


def without_field(field: Field, project: Project) -> tuple[Edit, ...] | None:
    """The edit that deletes a field; None when a constructor is given it, or the class would be left without a body."""
    name = field.name
    spellings = project.spellings(frozenset({field.owner.name}))
    if len(field.owner.body) < 2:
        return None
    for module in project.modules.values():
        for index in module.scopes_using(spellings):
            for site in module.call_sites(index):
                last = getattr(site.call.function, "name", "").rpartition(".")[2]
                given = {keyword.name for keyword in site.call.keywords}
                if last in spellings and (site.call.args or given & {name, None}):
                    return None
    edit = _without_statement(field.owner.module, field.statement, field.owner.index)
    return None if edit is None else (edit,)


def _without_statement(module: Module, stmt: Stmt, scope: int) -> Edit | None:
    """The edit that deletes a statement's lines; None when other code stands on them, or nothing would be left."""
    rows = module.text_lines
    before = rows[stmt.line - 1].encode()[: stmt.column]
    last = rows[stmt.end_line - 1]
    if before.strip() or ";" in last.split("#")[0] or _is_alone(module, stmt, scope):
        return None
    if stmt.end_line >= len(rows):
        return None
    return Edit(Place(module.path, Span(stmt.line, 1, stmt.end_line + 1, 1)), "")


def _is_alone(module: Module, stmt: Stmt, scope: int) -> bool:
    """Whether a statement is all there is in its block."""
    for block in (module.body(scope), *(arm for one in statements(module.body(scope)) for arm in blocks(one))):
        if len(block) == 1 and block[0] is stmt:
            return True
    return False


def _without_words(project: Project, launch: Launch, flags: Sequence[str], *, takes: bool) -> Edit | None:
    """The edit that deletes an option and its value from the text of a command."""
    if launch.command.kind in ("python", "notebook"):
        return None
    rows = list(_rows(project, launch.place.path))
    first = launch.place.span.line
    for flag in flags:
        value = _value(launch, flag) if takes else ""
        if value is None:
            continue
        word = re.compile(rf"(?<=\s){re.escape(flag)}{_valued(value)}(?=\s|$)")
        for number in range(first, min(first + _MOST_LINES, len(rows) + 1)):
            row = rows[number - 1]
            match = word.search(row)
            if match is not None:
                return _cut(launch.place.path, number, row, match)
            if not row.rstrip().endswith("\\"):
                break
    return None


def _valued(value: str) -> str:
    return rf"(?:=|\s+)[\"']?{re.escape(value)}[\"']?" if value else ""


def _value(launch: Launch, flag: str) -> str | None:
    """The value a command gives an option; None when it does not give it, or gives several."""
    words = launch.invocation.arguments
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name != flag:
            continue
        if equals:
            return value
        following = words[index + 1 : index + 2]
        more = words[index + 2 : index + 3]
        if not following or following[0].startswith("--") or (more and not more[0].startswith("-")):
            return None
        return following[0]
    return None


def _cut(path: str, number: int, row: str, match: re.Match[str]) -> Edit:
    start, end = match.span()
    alone = not row[:start].strip() and row[end:].strip() in ("\\", "")
    if alone and row[end:].strip() == "\\":
        return Edit(Place(path, Span(number, 1, number + 1, 1)), "")
    while end < len(row) and row[end] in " \t":
        end += 1
    if end == len(row):
        start = len(row[:start].rstrip())
    return Edit(Place(path, Span(number, start + 1, number, end + 1)), "")


def _rows(project: Project, path: str) -> Iterator[str]:
    text = project.content(path, _MOST_TEXT).decode("utf-8", errors="replace")
    yield from text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
