"""Code that was switched off by turning it into a comment or a string: blocks of lines that parse as statements."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence

from msgspec import Struct

from mldebt.facts.schema import CLASS, Annotate, Assign, Comment, Ref
from mldebt.module import Module

_FEWEST = 3  # lines
_MOST = 400  # lines of one block that are looked at: longer ones are data or licences
_WORDS = 5  # lines of prose before a block that may be about it
_MOST_PARSES = 60  # per block
# Somebody explains with code: usage, doctest, pseudo-code, what an expression gives.
_PROSE = re.compile(
    r">>>|\.\.\. |\busage\b|\bexamples?\b|\be\.g\.|\bi\.e\.|\bequivalent|\bsame as\b|\bpseudo|\bformat\b|\boutputs?:"
    r"|\binputs?:|\breturns?:|\bshapes?\b|\bnote\b|\bschema\b|\bsnippet|\blooks? like\b|\billustrat|\bfor instance\b"
    r"|\bhow to\b|\bto run\b|\bcan be used\b|\bas follows\b|\byields?:|\bwhere\b.*:$|\brefer to\b|\bsee\b|\bderiv"
    r"|\buncomment\b|\bno longer works\b|\balternative(?:ly)?\b|\binstead of\b|\bbut (?:\w+ ){0,2}(?:fails?|not)\b",
    re.IGNORECASE,
)
# Somebody says that it was switched off.
_DISABLED = re.compile(
    r"\b(?:old|older|previous(?:ly)?|former(?:ly)?|original(?:ly)?|instead(?! of)|disabled?|tr(?:y|ied)"
    r"|deprecated|experiments?|experimental|legacy|unused|was|before|todo|fixme|hack|worse|better|debug\w*|temp\w*"
    r"|enable|for now|remove[d]?|backup|version|baseline|ablation|does(?:n'?t| not) work|didn'?t)\b",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"\w\(|(?<![=!<>])=(?!=)|^\s*(?:for|if|while|with|def|class|else|try|except)\b.*:\s*$"
    r"|^\s*(?:from\s+[\w.]+\s+import\b|import\s+[\w.]+\s*$)"
)
_CONTINUES = re.compile(r"(?:elif|else|except|finally)\b")
_MARKERS = re.compile(r"#\s*(?:%%|In\[|MAGIC|COMMAND|///|type:|fmt:|yapf:|!)|#!|#\s*-\*-")


class Block(Struct, frozen=True):
    """Lines that were code. ``first`` and ``last`` are lines of the file; ``tree`` is what they parse to.

    ``quoted``: a string statement, whose quotes stand on the outer lines.
    """

    first: int
    last: int
    tree: ast.Module
    code_lines: int
    quoted: bool = False


def commented_blocks(module: Module) -> Iterator[Block]:
    """Every run of at least three comment lines that parses, in source order; explanations with code are left out."""
    for run in _runs(module.facts.comments):
        texts = [comment.text for comment in run]
        if any(map(_may_be_code, texts)) and not any(map(_MARKERS.match, texts)):
            yield from _parsed([comment.line for comment in run], _uncommented(run))


def _may_be_code(comment: str) -> bool:
    # Behind a ``#`` only the first two of the pattern's alternatives can match: most comments have neither sign.
    return ("(" in comment or "=" in comment) and _CODE.search(comment) is not None


def quoted_blocks(module: Module) -> Iterator[Block]:
    """Every string statement of at least three lines that parses; docstrings are none."""
    for first, last in module.facts.texts:
        text = "\n".join(module.text_lines[first - 1 : last]).strip()
        match = re.fullmatch(r"([rRuUbB]{0,2})('''|\"\"\"|'|\")(.*?)\2;?", text, re.DOTALL)
        # Prose stops the parser in its first line, long before all its words are looked at.
        tree = _parse(_aligned(match[3].split("\n"))) if match is not None else None
        if match is None or tree is None or _weight(tree) < _FEWEST:
            continue
        if not _explains(match[3]) and not _documents_attribute(module, first):
            yield Block(first, last, tree, _weight(tree), quoted=True)


def _documents_attribute(module: Module, first: int) -> bool:
    """Whether a string stands right below the assignment of a field or constant, where generators of documents look."""
    held = module.statement_at(first - 1)
    if held is None or not isinstance(held[0], (Assign, Annotate)) or held[0].end_line != first - 1:
        return False
    target = held[0].target if isinstance(held[0], Annotate) else held[0].targets[0]
    name = target.name if isinstance(target, Ref) else ""
    return module.scope(held[1]).kind == CLASS or isinstance(held[0], Annotate) or name.isupper()


def _runs(comments: Sequence[Comment]) -> Iterator[list[Comment]]:
    """Comments on lines of their own, one below the other."""
    run: list[Comment] = []
    for comment in comments:
        if not comment.alone:
            continue
        if run and comment.line != run[-1].line + 1:
            if _FEWEST <= len(run) <= _MOST:
                yield run
            run = []
        run.append(comment)
    if _FEWEST <= len(run) <= _MOST:
        yield run


def _uncommented(run: Sequence[Comment]) -> list[str]:
    """The lines without their marks, indented as they were: before the mark, behind it, or both."""
    least = min(comment.column for comment in run)
    return [" " * (comment.column - least) + comment.text[1:] for comment in run]


def _aligned(lines: Sequence[str]) -> list[str]:
    """The lines with the indentation they have in common taken away; a first line without any does not count."""
    rows = [line.expandtabs(4) for line in lines]
    margins = [len(row) - len(row.lstrip()) for row in rows if row.strip()]
    common = min(margins, default=0)
    return [row[common:].rstrip() for row in rows]


def _parsed(numbers: Sequence[int], lines: list[str]) -> Iterator[Block]:
    """The longest stretches that parse, each from where the one before ended."""
    start, budget = 0, _MOST_PARSES
    while start + _FEWEST <= len(lines) and budget > 0:
        end = len(lines)
        tree: ast.Module | None = None
        while end - start >= _FEWEST and budget > 0:
            budget -= 1
            tree, wrong = _attempt(_aligned(lines[start:end]))
            if tree is not None:
                break
            end = min(end - 1, start + max(wrong - 1, 0))
        if tree is None or end - start < _FEWEST:
            start += 1
            continue
        first, last = _trimmed(lines, start, end)
        weight = _weight(tree)
        if last - first >= _FEWEST and weight >= _FEWEST and not _told(lines, first, last):
            yield Block(numbers[first], numbers[last - 1], tree, weight)
        start = end


def _trimmed(lines: Sequence[str], start: int, end: int) -> tuple[int, int]:
    while start < end and not lines[start].strip(" #-=*"):
        start += 1
    while end > start and not lines[end - 1].strip(" #-=*"):
        end -= 1
    return start, end


def _told(lines: Sequence[str], first: int, last: int) -> bool:
    """Whether the words around code say that it explains something. Words of switching off say that it does not."""
    start = first
    while start > max(0, first - _WORDS) and not (
        _CODE.search(lines[start - 1]) and not lines[start - 1].endswith(":")
    ):
        start -= 1
    before = list(lines[start:first])
    if _DISABLED.search("\n".join(before[-2:])):
        return False
    introduced = bool(before) and before[-1].rstrip().endswith(":")
    return introduced or _PROSE.search("\n".join([*before, *lines[last : last + 1]])) is not None


def _explains(text: str) -> bool:
    return _PROSE.search(text) is not None and _DISABLED.search(text) is None


def _attempt(lines: Sequence[str]) -> tuple[ast.Module | None, int]:
    """What the lines parse to, or None and the line (from 1) that does not fit."""
    shift = 0
    text = "\n".join(lines)
    first = next((line for line in lines if line.strip()), "")
    if _CONTINUES.match(first):  # the rest of a statement whose beginning is still code
        text, shift = ("try:\n pass\n" if first.startswith(("except", "finally")) else "if 1:\n pass\n") + text, 2
    stripped = text.rstrip()
    if stripped.endswith(":") and not stripped.rpartition("\n")[2].lstrip().startswith("#"):
        margin = len(stripped.rpartition("\n")[2]) - len(stripped.rpartition("\n")[2].lstrip())
        text = f"{stripped}\n{' ' * (margin + 1)}pass"  # its body is still code
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return None, max(1, (getattr(error, "lineno", None) or 1) - shift)
    return tree, 0


def _parse(lines: Sequence[str]) -> ast.Module | None:
    return _attempt(lines)[0]


def _weight(tree: ast.Module) -> int:
    """How many lines are statements that do something; names, numbers and notes that happen to parse are not."""
    return sum(
        (statement.end_lineno or statement.lineno) - statement.lineno + 1 for statement in tree.body if _acts(statement)
    )


def _acts(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        value = statement.value
        if isinstance(value, ast.Tuple):  # `Blur(p=0.1),`: an element switched off in a list
            return all(isinstance(item, ast.Call) for item in value.elts)
        return isinstance(value, (ast.Call, ast.Await)) or (isinstance(value, ast.Yield) and value.value is not None)
    if isinstance(statement, ast.AnnAssign):
        return statement.value is not None
    if isinstance(statement, ast.Assign):
        return not _is_note(statement)
    return True


def _is_note(statement: ast.Assign) -> bool:
    """``x = (B, T, F)``, ``B = batch size``: shapes and meanings, not computations."""
    value = statement.value
    return isinstance(value, ast.Tuple) and all(isinstance(item, (ast.Name, ast.Constant)) for item in value.elts)
