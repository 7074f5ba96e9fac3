"""Whether files repeat each other on purpose: single-file implementations, and copies that a script keeps equal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from mldebt.module import Module
from mldebt.project.project import Project

_README_BYTES = 1 << 18
_HEAD_LINES = 40
_PHILOSOPHY = re.compile(
    r"single[- ]file (?:\w+ )?(?:implementation|script|philosoph|policy|algorithm|reference|design|approach|style)"
    r"|(?:each|every|all)\b[^.]{0,80}\b(?:single|one|own|self-contained|stand-?alone)\b[^.]{0,40}\bfiles?\b"
    r"|(?:each|every|all|files?|scripts?)\b[^.]{0,60}\b(?:self-contained|stand-?alone)\b"
    r"|(?:deliberate|intentional|purpose(?:ly|fully)?|by design)\b[^.]{0,80}\b(?:duplicat|cop(?:y|ies)|repeat)"
    r"|\b(?:duplicat\w*|cop(?:y|ies|ied)|repeat\w*)\b[^.]{0,80}(?:deliberate|intentional|on purpose|by design)"
    r"|not refactored with additional abstractions on purpose",
    re.IGNORECASE,
)
_COPIED_FROM = re.compile(r"#\s*Copied from [\w.]+")  # a copy that a script of the project keeps equal


def on_purpose(module: Module) -> bool:
    """Whether a file says of itself that it is a copy kept equal, or stands alone by design."""
    return is_kept_equal(module) or _says(" ".join(module.text_lines[:_HEAD_LINES]).replace("#", " "))


def is_kept_equal(module: Module) -> bool:
    """Whether a script of the project keeps some of a file equal to what it was copied from."""
    return any(_COPIED_FROM.match(comment.text) for comment in module.facts.comments)


def _says(text: str) -> bool:
    return _PHILOSOPHY.search(" ".join(text.split())) is not None


class Philosophy:
    """Which folders a README or contributing guide declares to hold single-file implementations."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._declared: dict[str, bool] = {}

    def covers(self, group: Sequence[str]) -> bool:
        folders = {folder for path in group for folder in PurePosixPath(path).parents}
        return any(
            self._declares(document)
            for document in self._project.repository.documents
            if PurePosixPath(document).parent in folders
            and PurePosixPath(document).name.lower().startswith(("readme", "contributing"))
        )

    def _declares(self, document: str) -> bool:
        known = self._declared.get(document)
        if known is None:
            text = self._project.content(document, _README_BYTES).decode("utf-8", errors="replace")
            known = self._declared[document] = _says(text)
        return known
