"""The versions lock files pin. Lock files are large: they are read by pattern, line by line, and never parsed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mldebt.sources.artefacts import Dependency
from mldebt.sources.manifests import normal_name, read_requirements

# ``[[package]]`` tables of uv, Poetry, PDM and PEP 751 begin with the name, and the version follows at once.
_TOML = re.compile(r"^name = \"([^\"\n]+)\"\nversion = \"([^\"\n]+)\"", re.MULTILINE)
_CONDA = re.compile(r"^- name: ([\w.-]+)\n  version: ['\"]?([\w.+!-]+)", re.MULTILINE)
_PIPFILE = re.compile(r"^        \"([\w.-]+)\": \{[^{}]*?\"version\": \"==([^\"\n]+)\"", re.MULTILINE)
_TOML_NAMES = ("uv.lock", "poetry.lock", "pdm.lock")
_CONDA_NAMES = ("conda-lock.yml", "conda-lock.yaml")


def may_pin(name: str) -> bool:
    """Whether a file of this name (in lower case) is a lock of a Python environment that ``locked`` reads."""
    lock = name.startswith("requirements") and name.endswith(".lock")
    return lock or name in (*_TOML_NAMES, *_CONDA_NAMES, "pipfile.lock") or name.startswith("pylock.")


def locked(text: str, path: str) -> tuple[Dependency, ...]:
    """The distributions a lock file of a Python environment pins, each with ``==version``; () for other lock files."""
    name = path.rpartition("/")[2].lower()
    if name in _TOML_NAMES or name.startswith("pylock."):
        return tuple(_matches(_TOML, text, path))
    if name in _CONDA_NAMES:
        return tuple(_matches(_CONDA, text, path))
    if name == "pipfile.lock":
        return tuple(_matches(_PIPFILE, text, path))
    if name.startswith("requirements") and name.endswith(".lock"):
        found = read_requirements(text, path).dependencies
        return tuple(dependency for dependency in found if dependency.specifier.startswith("=="))
    return ()


def _matches(pattern: re.Pattern[str], text: str, path: str) -> Iterator[Dependency]:
    line, at = 1, 0
    for match in pattern.finditer(text):
        line, at = line + text.count("\n", at, match.start()), match.start()
        yield Dependency(normal_name(match[1]), f"=={match[2]}", path, line)
