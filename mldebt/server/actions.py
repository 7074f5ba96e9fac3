"""What an editor offers at a finding: its fix, a waiver, its rule's page."""

from __future__ import annotations

import ast
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator

from lsprotocol import types

from mldebt.finding import Applicability, Finding
from mldebt.page import markdown, meta_markdown
from mldebt.server.checking import Checked, Shown
from mldebt.server.documents import Document, Open
from mldebt.server.positions import Text, covers
from mldebt.settings.selectors import META

_REASON = "TODO: say why"
_HASHES = re.compile(r"\.(?:ya?ml|toml|sh|bash|cfg|ini|mk)$|(?:^|/)(?:Dockerfile|Makefile)[^/]*$|\.dockerfile$", re.I)


def at(checked: Checked, uri: str, where: types.Range) -> list[Shown]:
    """What is shown at a range of a document."""
    return [one for one in checked.shown.get(uri, ()) if covers(one.diagnostic.range, where)]


def hover(checked: Checked, uri: str, position: types.Position) -> types.Hover | None:
    """The pages of the rules that found something at a position."""
    found = at(checked, uri, types.Range(position, position))
    pages = {str(one.diagnostic.code): page(checked, str(one.diagnostic.code)) for one in found}
    if not pages:
        return None
    content = types.MarkupContent(types.MarkupKind.Markdown, "\n---\n\n".join(pages.values()))
    return types.Hover(content, found[0].diagnostic.range)


def page(checked: Checked, code: str) -> str:
    """A rule's page, as ``mldebt rule`` shows it."""
    rule = checked.registry.rule(code)
    return markdown(rule) if rule else meta_markdown(code) if code in META else f"# {code}\n"


def actions(checked: Checked, uri: str, where: types.Range, now: Open, *, versioned: bool) -> list[types.CodeAction]:
    """Quick fixes at a range. What was typed since the scan may be anywhere: then there are none.

    Args:
        checked: The last scan.
        uri: The document.
        where: The range.
        now: What is open.
        versioned: Whether the client takes edits of a version of a document.
    """
    made: list[types.CodeAction] = []
    for one in at(checked, uri, where):
        if one.finding is None or one.spot is None:
            continue
        for title, edits, preferred in (*_fix(checked, one.finding), *_waiver(one, one.finding)):
            if all(_unchanged(document, checked, now) for document in edits):
                edit = _edit(edits, checked, versioned=versioned)
                kind = types.CodeActionKind.QuickFix
                made.append(types.CodeAction(title, kind, [one.diagnostic], preferred or None, edit=edit))
    return made


Edits = dict[str, list[types.TextEdit]]


def _fix(checked: Checked, finding: Finding) -> Iterator[tuple[str, Edits, bool]]:
    if finding.fix is None or not finding.fix.edits or checked.places is None:
        return
    edits: defaultdict[str, list[types.TextEdit]] = defaultdict(list)
    for edit in finding.fix.edits:
        spot = checked.places.edited(edit.place)
        if spot is None:
            return
        edits[spot.uri].append(types.TextEdit(spot.range, edit.text))
    safe = finding.fix.applicability is Applicability.SAFE
    yield f"{finding.code}: {finding.fix.message}{'' if safe else ' (check the result)'}", dict(edits), safe


def _waiver(one: Shown, finding: Finding) -> Iterator[tuple[str, Edits, bool]]:
    if finding.code in META or one.spot is None or one.spot.document is None or not one.spot.exact:
        return
    edit = waiver(one.spot.document, one.spot.range.start.line + 1, finding.code, one.path)
    if edit is not None:
        yield f"Leave {finding.code} here, and say why", {one.spot.uri: [edit]}, False


def waiver(document: Document, line: int, code: str, path: str) -> types.TextEdit | None:
    """The edit that waives a rule at a line: behind a statement of one line, above a longer one.

    Args:
        document: The open text.
        line: From 1.
        code: The rule's.
        path: The file's, which says what a comment is there; of a notebook's cell, the notebook's.
    """
    text, comment = document.text, f"mldebt: ignore[{code}] {_REASON}"
    if path.endswith((".py", ".pyi", ".pyw", ".ipynb")):
        first, last = _statement(text, line)
        return _behind(text, first, f"  # {comment}") if first == last else _above(text, first, f"# {comment}")
    if path.lower().endswith((".md", ".markdown")):
        return _above(text, line, f"<!-- {comment} -->")
    if _HASHES.search(path) and not text.row(line - 1).rstrip().endswith("\\"):
        return _above(text, line, f"# {comment}")
    return None


def _behind(text: Text, line: int, comment: str) -> types.TextEdit:
    row = text.row(line)
    end = text.position(line, len(row.rstrip()) + 1)
    return types.TextEdit(types.Range(end, text.position(line, len(row) + 1)), comment)


def _above(text: Text, line: int, comment: str) -> types.TextEdit:
    row = text.row(line)
    start = text.position(line, 1)
    return types.TextEdit(types.Range(start, start), f"{row[: len(row) - len(row.lstrip())]}{comment}\n")


def _statement(text: Text, line: int) -> tuple[int, int]:
    """First and last line of the innermost statement at a line: of a compound one, its header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return line, line
    found = (line, line)
    for node in ast.walk(tree):  # from the outside in
        if isinstance(node, ast.stmt):
            first, last = _header(node)
            if first <= line <= last:
                found = (first, last)
    return found


def _header(node: ast.stmt) -> tuple[int, int]:
    decorators = [each.lineno for each in getattr(node, "decorator_list", ())]
    body = getattr(node, "body", ()) or getattr(node, "cases", ())
    last = node.end_lineno or node.lineno
    if body:
        inner = body[0].pattern.lineno if isinstance(body[0], ast.match_case) else body[0].lineno
        inner = min([inner, *(each.lineno for each in getattr(body[0], "decorator_list", ()))])
        last = max(node.lineno, inner - 1)
    return min([node.lineno, *decorators]), last


def _unchanged(uri: str, checked: Checked, now: Open) -> bool:
    before, after = checked.open.documents.get(uri), now.documents.get(uri)
    return (before is None and after is None) or (
        before is not None and after is not None and before.text.text == after.text.text
    )


def _edit(edits: Edits, checked: Checked, *, versioned: bool) -> types.WorkspaceEdit:
    if not versioned:
        return types.WorkspaceEdit(changes=edits)
    changes: list[types.TextDocumentEdit | types.CreateFile | types.RenameFile | types.DeleteFile] = []
    for uri, made in edits.items():
        document = checked.open.documents.get(uri)
        identifier = types.OptionalVersionedTextDocumentIdentifier(uri, document.version if document else None)
        changes.append(types.TextDocumentEdit(identifier, list(made)))
    return types.WorkspaceEdit(document_changes=changes)
