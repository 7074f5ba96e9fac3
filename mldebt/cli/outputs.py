"""What goes where: the main format to standard output or a file, and further formats to files of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from mldebt.errors import UsageError
from mldebt.settings.formats import FORMATS


@dataclass(frozen=True, slots=True)
class Output:
    """One report: in which format, and in which file; None is standard output."""

    format: str
    path: Path | None = None


def parsed(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """``FORMAT:FILE``, ``FORMAT`` or ``FILE`` as (format, file), each "" if not said.

    What stands before the first colon is a format only if there is one of that name: ``./a:b.txt`` is a file.
    """
    found = []
    for value in values:
        name, colon, file = value.partition(":")
        if name not in FORMATS or (colon and not file):
            name, file = "", value
        found.append((name, file))
    return tuple(found)


def outputs(given: Iterable[tuple[str, str]], main: str) -> tuple[Output, ...]:
    """All reports of one scan.

    Args:
        given: ``--output`` as ``parsed``.
        main: The format ``--output-format`` or the configuration says; to standard output unless told otherwise.

    Raises:
        UsageError: Two reports would go to the same place.
    """
    words = tuple(given)
    found = [Output(name or main, Path(file) if file else None) for name, file in words]
    if all(name and file for name, file in words):
        found.insert(0, Output(main))
    for index, output in enumerate(found):
        if any(other.path == output.path for other in found[:index]):
            raise UsageError(f"two reports would go to {output.path or 'standard output'}")
    return tuple(found)
