"""Repository artefacts as typed values: manifests, launch commands, configuration leaves."""

from __future__ import annotations

from msgspec import Struct

Scalar = str | int | float | bool | None


class Dependency(Struct, frozen=True):
    """A declared requirement. ``name`` is normalised (PEP 503); ``specifier`` is as written, ``""`` when unpinned."""

    name: str
    specifier: str
    path: str
    line: int
    group: str = ""  # extra or dependency group; "" for run-time


class EntryPoint(Struct, frozen=True):
    """A declared entry point.

    ``group`` is ``console_scripts``, ``gui_scripts`` or a plug-in group, with ``target`` as ``pkg.mod:obj``; or
    ``scripts`` (setup.py and setup.cfg), with ``target`` as the script's path relative to the root.
    """

    group: str
    name: str
    target: str
    path: str
    line: int


class Command(Struct, frozen=True):
    """One simple command as somebody would run it.

    ``words`` are shell words after continuation lines are joined and comments dropped; variables stay as ``$X``
    or ``${X}`` (resolved when assigned a constant once in the same file). ``kind`` is shell, make, docker, ci,
    dvc, mlproject, readme or notebook. ``directory`` is where it runs, relative to the root, when ``cd``,
    WORKDIR or ``working-directory`` says so; else the directory the artefact would be run from (``""`` = root).
    ``sure`` is false when the directory cannot be told (``git clone X && cd X``, a ``cd`` into a variable).
    """

    words: tuple[str, ...]
    path: str
    line: int
    kind: str
    directory: str = ""
    sure: bool = True


class Recipe(Struct, frozen=True):
    """A rule of a Makefile or Snakefile (``kind`` make, snakemake): what is made of what.

    Paths are relative to ``directory``, as written but for variables with one value; unknown parts are ``*``.
    """

    name: str
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    path: str
    line: int
    kind: str
    directory: str = ""


class Leaf(Struct, frozen=True):
    """One scalar of a YAML, JSON, TOML or INI file: ``keys`` from the top, list indexes as decimal strings.

    Leaves reached through a YAML alias or ``<<`` stand once for each place, on the line where they are written.
    """

    keys: tuple[str, ...]
    value: Scalar
    line: int
    tag: str = ""  # a YAML tag that is not of the core schema, as written: ``!function``; nothing is constructed


class ConfigFile(Struct, frozen=True):
    """A parsed configuration file. ``problem`` says why it could not be read to the end (line, message)."""

    path: str
    format: str  # yaml, json, toml, ini
    leaves: tuple[Leaf, ...]
    problem: tuple[int, str] | None = None


class Repository(Struct, frozen=True):
    """What the repository says about itself outside its Python sources."""

    name: str | None = None
    requires_python: str | None = None
    packages: tuple[str, ...] = ()  # directories of declared packages, relative to the root
    installable: bool = False  # declares a build: [project], setup.py with setup(), setup.cfg [metadata], poetry
    dependencies: tuple[Dependency, ...] = ()
    entry_points: tuple[EntryPoint, ...] = ()
    commands: tuple[Command, ...] = ()
    recipes: tuple[Recipe, ...] = ()
    configs: tuple[ConfigFile, ...] = ()
    lock_files: tuple[str, ...] = ()
    locked: tuple[Dependency, ...] = ()  # what lock files of Python environments pin
    documents: tuple[str, ...] = ()  # README and other Markdown or reStructuredText files
    problems: tuple[tuple[str, int, str], ...] = ()  # (path, line, message): artefacts that are broken
    skipped: tuple[tuple[str, int, str], ...] = ()  # the same for what is no defect: too large, a template
