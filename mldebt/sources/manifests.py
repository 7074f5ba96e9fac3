"""What a project declares about itself in requirements files, setup.cfg and environment.yml. Nothing is resolved."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from mldebt.sources.artefacts import Dependency, EntryPoint, Leaf
from mldebt.sources.configs import Assignment

_REQUIREMENT = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?\s*(.*)", re.DOTALL)
_SPECIFIER = re.compile(r"\(?\s*(?:[<>=!~]=?=?|@)\s*\S.*|\s*")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")
_WHEEL = re.compile(r"([A-Za-z0-9._]+)-\d[^/]*\.(?:whl|tar\.gz|zip)")
_CONDA = re.compile(r"(?:[\w-]+::)?([A-Za-z0-9_.-]+)\s*(.*)")
_ENTRY = re.compile(r"([^=\s][^=]*?)\s*=\s*([\w.]+(?:\s*:\s*[\w.]+)?)\s*(?:\[.*\])?")
_RUN_TIME = frozenset({"", "base", "common", "core", "main", "prod", "production", "pip"})
_SEPARATORS = re.compile(r"[-_.]+")


class Manifest(Struct, frozen=True):
    """What one file declares. ``packages`` are directories relative to it, ``""`` asks for automatic discovery."""

    path: str
    name: str | None = None
    requires_python: str | None = None
    installable: bool = False
    packages: tuple[str, ...] = ()
    find_in: tuple[str, ...] = ()  # directories whose packages are declared: find_packages(where)
    include: tuple[str, ...] = ()  # patterns of the names that count in them; none: all
    exclude: tuple[str, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    entry_points: tuple[EntryPoint, ...] = ()
    problems: tuple[tuple[int, str], ...] = ()


def normal_name(name: str) -> str:
    """Return a project's name in its normal form (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()


def requirement(text: str, path: str, line: int, group: str = "") -> Dependency | None:
    """Read one requirement (PEP 508, a URL or VCS link with a name); ``None`` for what names no distribution."""
    text = text.partition(";")[0].strip()
    if match := _EGG.search(text):
        return Dependency(normal_name(match[1]), f"@ {text}", path, line, group)
    if "://" in text.split("@", 1)[0]:
        found = _WHEEL.match(text.rpartition("/")[2])
        return Dependency(normal_name(found[1]), f"@ {text}", path, line, group) if found else None
    match = _REQUIREMENT.fullmatch(text)
    if match is None or not _SPECIFIER.fullmatch(match[3]):
        return None
    return Dependency(normal_name(match[1]), match[3].strip().strip("()").strip(), path, line, group)


def group_of(path: str) -> str:
    """Return the group of a requirements file: ``requirements-dev.txt`` and ``requirements/dev.txt`` are ``dev``."""
    folder, _, name = path.lower().rpartition("/")
    stem = name.rpartition(".")[0]
    rest = re.sub(r"(?:^|[-_.])(?:requirements?|constraints?|reqs?)(?:[-_.]|$)", "", stem).strip("-_.")
    if rest in _RUN_TIME and folder.rpartition("/")[2] in {"tests", "test", "docs", "doc", "dev"}:
        return folder.rpartition("/")[2]
    return "" if rest in _RUN_TIME else rest


def read_requirements(text: str, path: str) -> Manifest:
    """Read a requirements file; options, links without a name and local paths are left out."""
    group = group_of(path)
    found: list[Dependency] = []
    problems: list[tuple[int, str]] = []
    pending: list[str] = []
    first = 0
    for number, line in enumerate(text.split("\n"), 1):
        first = first if pending else number
        pending.append(re.sub(r"(?:^|\s)#.*", "", line).rstrip())
        if pending[-1].endswith("\\"):
            pending[-1] = pending[-1][:-1] + " "
            continue
        entry, pending = "".join(pending).strip(), []
        if entry.startswith(("-e", "--editable")):
            entry = re.sub(r"^(?:-e|--editable)[ =]*", "", entry)
            entry = entry if _EGG.search(entry) else ""
        if not entry or entry.startswith(("-", ".", "/", "file:")):
            continue
        entry = re.split(r"\s--?[a-z]", entry, maxsplit=1)[0]
        dependency = requirement(entry, path, first, group)
        if dependency is not None:
            found.append(dependency)
        elif "://" not in entry and not re.search(r"[/\\{]", entry):
            problems.append((first, f"not a requirement: {entry[:60]}"))
    return Manifest(path, dependencies=tuple(found), problems=tuple(problems))


def read_environment(leaves: Iterable[Leaf], path: str) -> Manifest:
    """Read a conda environment; packages of its ``pip`` part count like the others."""
    found: list[Dependency] = []
    python = None
    for leaf in leaves:
        if leaf.keys[:1] != ("dependencies",) or not isinstance(leaf.value, str):
            continue
        if "pip" in leaf.keys:
            value = leaf.value.strip()
            dependency = None if value.startswith(("-", ".")) else requirement(value, path, leaf.line)
        else:
            match = _CONDA.fullmatch(leaf.value.strip())
            dependency = Dependency(normal_name(match[1]), match[2].strip(), path, leaf.line) if match else None
        if dependency is not None and dependency.name == "python":
            python = dependency.specifier or None
        elif dependency is not None:
            found.append(dependency)
    return Manifest(path, requires_python=python, dependencies=tuple(found))


def read_setup_cfg(entries: Sequence[Assignment], path: str) -> Manifest:
    """Read the metadata and options of a setup.cfg."""
    by_key = {(entry.section, entry.key.replace("-", "_")): entry for entry in entries}

    def value(section: str, key: str) -> str | None:
        entry = by_key.get((section, key))
        return entry.text.strip() or None if entry else None

    def patterns(key: str) -> tuple[str, ...]:
        return tuple(re.findall(r"[^\s,]+", value("options.packages.find", key) or ""))

    dependencies, entry_points = list[Dependency](), list[EntryPoint]()
    for entry in entries:
        section, key = entry.section, entry.key.replace("-", "_")
        if section == "options.extras_require" or (section, key) == ("options", "install_requires"):
            group = "" if section == "options" else entry.key
            listed = (requirement(text, path, line, group) for line, text in entry.values if text[0] not in "#;")
            dependencies.extend(item for item in listed if item)
        elif section == "options.entry_points":
            entry_points.extend(_entries(entry.key, entry.values, path))
        elif (section, key) == ("options", "scripts"):
            entry_points.extend(script_entry(text, path, line) for line, text in entry.values)
    packages = [text for _, text in by_key[("options", "packages")].values] if ("options", "packages") in by_key else []
    where = value("options.packages.find", "where")
    finds = any(text.startswith("find") for text in packages)
    return Manifest(
        path,
        name=value("metadata", "name"),
        requires_python=value("options", "python_requires"),
        installable=("metadata", "name") in by_key,
        packages=tuple(text.replace(".", "/") for text in packages if not text.startswith("find")),
        find_in=(where or ".",) if finds else (),
        include=patterns("include"),
        exclude=patterns("exclude"),
        dependencies=tuple(dependencies),
        entry_points=tuple(entry_points),
    )


def _entries(group: str, lines: Iterable[tuple[int, str]], path: str) -> Iterator[EntryPoint]:
    for line, text in lines:
        if match := _ENTRY.fullmatch(text.strip()):
            yield EntryPoint(group, match[1], re.sub(r"\s", "", match[2]), path, line)


def entry_point_lines(group: str, lines: Iterable[tuple[int, str]], path: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of lines ``name = module:object``."""
    return tuple(_entries(group, lines, path))


def script_entry(target: str, path: str, line: int) -> EntryPoint:
    """Return an installed script; its file is relative to the manifest's directory."""
    full = posixpath.normpath(posixpath.join(path.rpartition("/")[0], target.strip()))
    return EntryPoint("scripts", posixpath.basename(full), full, path, line)
