"""The door to Python sources: bytes of a file in, a :class:`Source` out."""

from __future__ import annotations

from mldebt.sources import cells, notebook
from mldebt.sources.decoding import codepoint_column, decode, lines
from mldebt.sources.source import CodeCell, Magic, Source

__all__ = ["CodeCell", "Magic", "Source", "codepoint_column", "decode", "lines", "read_source", "source_of"]


def read_source(path: str, data: bytes) -> Source:
    """Read a Python file, a Databricks or percent-format source, or a notebook.

    Args:
        path: Relative to the root, posix; its suffix decides how ``data`` is read.
        data: The whole file.

    Raises:
        UnreadableError: It is not text Python would read, or not a notebook; with the physical line.
    """
    if path.lower().endswith(".ipynb"):
        return notebook.read(path, data)
    return source_of(path, *decode(data))


def source_of(path: str, text: str, encoding: str = "utf-8") -> Source:
    """Read a Python file, a Databricks or percent-format source, from text that somebody has decoded already."""
    found = cells.read(text)
    return Source(path, text, encoding, found.cells, found.magics)
