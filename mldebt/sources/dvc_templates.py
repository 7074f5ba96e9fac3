"""dvc's ``${...}`` templates filled in from params.yaml and ``vars``.

Source: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#templating
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence

from mldebt.sources.artefacts import Leaf, Scalar

Leaves = Callable[[str], "Sequence[Leaf]"]

_TEMPLATE = re.compile(r"(?<!\\)\$\{\s*([\w.\[\]-]+)\s*\}")
_INDEX = re.compile(r"\[(\w+)\]")
_DEFAULT_FILE = "params.yaml"
_LONGEST = 2048  # characters of one value put in
_MOST_FILES = 20


def nothing(path: str) -> Sequence[Leaf]:
    return ()


class Templates:
    """What the templates of one dvc.yaml stand for. A name that several sources give different values is unknown.

    Args:
        own: The leaves of the dvc.yaml.
        directory: Where it lies.
        read: The leaves of another configuration file of the repository, none when it has no such file.
    """

    def __init__(self, own: Sequence[Leaf], directory: str, read: Leaves) -> None:
        self._own, self._directory, self._read = own, directory, read
        self._known: dict[tuple[str, str], dict[tuple[str, ...], Scalar]] = {}

    def fill(self, keys: tuple[str, ...], text: str) -> str:
        """The text of ``stages.<name>.cmd`` with what is known put in; all else stays as written."""
        if "${" not in text:
            return text
        stage = keys[1] if len(keys) > 1 else ""
        directory = next((leaf.value for leaf in self._own if leaf.keys == ("stages", stage, "wdir")), "")
        values = self._values(stage, directory if isinstance(directory, str) else "")

        def value(match: re.Match[str]) -> str:
            shown = _shown(values.get(tuple(_INDEX.sub(r".\1", match[1]).split("."))))
            return match[0] if shown is None or len(shown) > _LONGEST else shown

        return _TEMPLATE.sub(value, text)

    def _values(self, stage: str, directory: str) -> dict[tuple[str, ...], Scalar]:
        known = self._known.get((stage, directory))
        if known is not None:
            return known
        found: dict[tuple[str, ...], Scalar] = {}
        clashing: set[tuple[str, ...]] = set()
        for keys, value in self._sources(stage, directory):
            if keys in found and found[keys] != value:
                clashing.add(keys)
            found[keys] = value
        # What a foreach or a matrix puts in differs from one run to the next.
        known = {
            keys: value for keys, value in found.items() if keys not in clashing and keys[0] not in ("item", "key")
        }
        self._known[(stage, directory)] = known
        return known

    def _sources(self, stage: str, directory: str) -> Sequence[tuple[tuple[str, ...], Scalar]]:
        """Global parameters and variables, and the stage's own, as (keys, value)."""
        found: list[tuple[tuple[str, ...], Scalar]] = []
        files = [(self._directory, _DEFAULT_FILE)]
        base = posixpath.join(self._directory, directory)
        if directory:
            files.append((base, _DEFAULT_FILE))
        for leaf in self._own:
            for prefix, place in ((("vars",), self._directory), (("stages", stage, "vars"), base)):
                if leaf.keys[: len(prefix)] != prefix:
                    continue
                below = leaf.keys[len(prefix) + 1 :]  # after the index in the list
                if below:
                    found.append((below, leaf.value))
                elif isinstance(leaf.value, str):
                    files.append((place, leaf.value))
        for folder, name in files[:_MOST_FILES]:
            path, _, chosen = name.partition(":")
            heads = set(chosen.split(",")) if chosen else set()
            leaves = self._read(posixpath.normpath(posixpath.join(folder, path)))
            found.extend(
                (leaf.keys, leaf.value) for leaf in leaves if leaf.keys and (not heads or leaf.keys[0] in heads)
            )
        return found


def _shown(value: Scalar) -> str | None:
    """A value as dvc writes it into a command; None for what stays as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
