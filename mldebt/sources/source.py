"""What a readable Python source is: decoded text, with every line traceable to the file it came from."""

from __future__ import annotations

from msgspec import Struct


class CodeCell(Struct, frozen=True):
    """A code cell of a notebook, Databricks or percent-format source, as a range of ``Source.text`` lines.

    ``index`` is 1-based over all cells, Markdown included; ``line`` and ``end_line`` are 1-based, inclusive.
    """

    index: int
    id: str | None
    line: int
    end_line: int


class Magic(Struct, frozen=True):
    """A notebook magic or shell escape, masked in the text: ``%pip install x``, ``!python train.py``, ``%run ./a``.

    ``line`` is the 1-based line of ``Source.text`` it starts on. ``text`` is as written, several lines for a cell
    magic (``%%bash``) or a continued line, joined by newlines.
    """

    line: int
    text: str


class Source(Struct, frozen=True):
    """A Python file or notebook, ready for ``ast.parse``.

    ``text`` is Python with magics masked line for line (columns of other lines unchanged); lines end at ``\\n``,
    ``\\r\\n`` or ``\\r`` only. ``physical[i]`` is the 1-based line in the file of 1-based text line ``i + 1``; empty
    when they are the same. ``cells`` is empty for a plain file; ``notebook`` is true for .ipynb only.
    ``execution_counts`` runs beside ``cells`` of a notebook: what Jupyter wrote in the brackets, None if never run.
    """

    path: str
    text: str
    encoding: str = "utf-8"
    cells: tuple[CodeCell, ...] = ()
    magics: tuple[Magic, ...] = ()
    physical: tuple[int, ...] = ()
    notebook: bool = False
    problems: tuple[tuple[int, str], ...] = ()  # (line of text, message): cells blanked because they do not parse
    execution_counts: tuple[int | None, ...] = ()
