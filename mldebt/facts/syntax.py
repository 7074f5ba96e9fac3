"""Parsing: text in, ``ast`` out, and a clear word where Python itself refuses."""

from __future__ import annotations

import ast
import re
import sys
import warnings

from mldebt.errors import UnreadableError

# Signs of syntax newer than an interpreter that rejects it, with the version that brought it.
_NEWER = (
    ((3, 11), re.compile(r"^\s*except\s*\*", re.MULTILINE)),
    ((3, 12), re.compile(r"^\s*(?:type\s+\w+(?:\[.*\])?\s*=|(?:async\s+)?def\s+\w+\[|class\s+\w+\[)", re.MULTILINE)),
    ((3, 14), re.compile(r"(?<![\w\"'])[tT][rR]?[\"']")),
    ((3, 14), re.compile(r"^\s*except\s+[\w.]+\s*,\s*[\w.]+(?:\s*,\s*[\w.]+)*\s*:", re.MULTILINE)),
)
_PYTHON_2 = re.compile(r"^\s*(?:print\s+[\"'\w%]|exec\s+[\"'\w]|raise\s+\w+\s*,\s*[\"'])", re.MULTILINE)
_PYTHON_2_EXCEPT = re.compile(r"^\s*except\s+[\w.]+\s*,\s*[a-z]\w*\s*:", re.MULTILINE)


def parse(text: str, path: str, *, top_level_await: bool = False) -> ast.Module:
    """The syntax tree of Python source.

    Raises:
        UnreadableError: ``ast`` refuses the text: it is no Python, Python 2, newer than this interpreter, or nested
            too deeply. The line is that of ``text``.
    """
    flags = ast.PyCF_ONLY_AST | (ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if top_level_await else 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = compile(text, path, "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        raise UnreadableError(_explained(error, text), error.lineno or 1) from None
    except (RecursionError, MemoryError):
        raise UnreadableError("nested too deeply for Python's own parser") from None
    except (ValueError, OverflowError) as error:
        raise UnreadableError(str(error)) from None
    assert isinstance(tree, ast.Module)
    return tree


def _explained(error: SyntaxError, text: str) -> str:
    message = error.msg or "invalid syntax"
    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    if _PYTHON_2.search(text) or (_PYTHON_2_EXCEPT.search(text) and "parenthes" in message):
        return f"does not parse: {message} (this looks like Python 2)"
    for version, sign in _NEWER:
        if sys.version_info < version and sign.search(text):
            return f"needs Python {version[0]}.{version[1]} to be read, this is {this}: {message}"
    if sys.version_info < (3, 12) and "f-string" in message:
        return f"needs Python 3.12 to be read, this is {this}: {message}"
    return f"does not parse: {message}"
