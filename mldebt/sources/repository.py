"""Everything a repository says about itself outside its Python sources, read once and tolerant of what is broken."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, field

from mldebt.sources.artefacts import (
    Command,
    ConfigFile,
    Dependency,
    EntryPoint,
    Leaf,
    Recipe,
    Repository,
    Scalar,
)
from mldebt.sources.commands import just_commands, make_commands, script_commands
from mldebt.sources.configs import FORMATS, assignments, read_config, read_toml, toml_text
from mldebt.sources.containers import docker_commands
from mldebt.sources.documents import document_commands
from mldebt.sources.launchers import Invocation, python_invocation
from mldebt.sources.locks import locked, may_pin
from mldebt.sources.manifests import Manifest, normal_name, read_environment, read_requirements, read_setup_cfg
from mldebt.sources.packages import declared_packages
from mldebt.sources.pipelines import pipeline_commands, pipeline_kind, tox_commands
from mldebt.sources.places import Layout
from mldebt.sources.pyproject import read_pipfile, read_pyproject
from mldebt.sources.recipes import make_recipes, snake_recipes
from mldebt.sources.setup_script import read_setup
from mldebt.sources.yaml_leaves import Reading

__all__ = [
    "Command",
    "ConfigFile",
    "Dependency",
    "EntryPoint",
    "Invocation",
    "Leaf",
    "Repository",
    "Scalar",
    "python_invocation",
    "read_repository",
]

MAX_BYTES = 1 << 20
MAX_LOCK_BYTES = 1 << 23  # a larger one is not read in part: it would pin half of an environment
MAX_SMALL_BYTES = 1 << 18  # of JSON, INI and setup.py: a larger one is data
MAX_SHELL_CHARACTERS = 1 << 18

_MANIFESTS = frozenset({"pyproject.toml", "setup.cfg", "setup.py"})
_LOCKS = frozenset(
    """poetry.lock uv.lock pdm.lock pipfile.lock conda-lock.yml conda-lock.yaml pixi.lock pylock.toml package-lock.json
    yarn.lock pnpm-lock.yaml dvc.lock requirements.lock environment.lock.yml flake.lock cargo.lock""".split()
)
_NOT_CONFIGS = re.compile(
    r"\.schema\.json$|(?:^|/)(?:schema|tokenizer|vocab|tokenizer_config|special_tokens_map|added_tokens|merges"
    r"|package|composer|labels?|annotations?|dataset(?:_infos?)?|results?|metrics)\.json$|\.(?:geo|topo)json$"
)
_REQUIREMENTS = re.compile(r"(?:.*[-_.])?(?:requirements?|constraints?)(?:[-_.].*)?\.(?:txt|in|pip)$|requirements$")
_REQUIREMENTS_FOLDER = re.compile(r"(?:^|/)(?:requirements?|reqs)/[^/]+\.(?:txt|in)$")
_ENVIRONMENT = re.compile(r"(?:(?:conda[-_]?)?env(?:ironment)?(?:[-_.].*)?|conda|.*[-_]env(?:ironment)?)\.ya?ml$")
_DOCKERFILE = re.compile(r"(?:.*[-_.])?(?:dockerfile|containerfile)(?:[-_.].*)?$")
_SHELL_SUFFIXES = (".sh", ".bash", ".zsh", ".slurm", ".sbatch", ".slrm", ".pbs", ".qsub", ".lsf")
_DOCUMENT_SUFFIXES = (".md", ".markdown", ".rst")
_MAKEFILES = frozenset({"makefile", "gnumakefile"})
_SHELL_SHEBANG = re.compile(r"#!.*\b(?:ba|da|k|z)?sh\b")
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
Read = Callable[[str, int], bytes]
_Placed = TypeVar("_Placed", Command, Dependency, EntryPoint, Recipe)


def read_repository(
    root: Path, artefacts: Sequence[str], every: Collection[str] = (), read: Read | None = None
) -> Repository:
    """Read the artefacts below ``root``; none of them is run.

    No other file is opened but ``setup.py`` and what a Makefile or dvc.yaml reads: included files and parameters.

    Args:
        root: The repository's directory.
        artefacts: Paths relative to the root with ``/``, as discovery chose them.
        every: All files of the repository, ``artefacts`` included. They say which directories and scripts exist, so
            without them a command's directory is often not sure, and packages are not found.
        read: Reads the first bytes of a path; None: from disk.
    """
    known = {*every, *artefacts}
    manifests = [path for path in known if path == "setup.py" or path.endswith("/setup.py")]
    paths = {*artefacts, *manifests}
    collector = _Collector(root, Layout.of(known, ()), read or _on_disk(root))
    for path in sorted(paths & _MANIFESTS):
        collector.take(path)
    collector.name_layout()  # before the first `cd` into a clone of the project is met
    for path in sorted(paths - _MANIFESTS):
        collector.take(path)
    return collector.repository(frozenset(every))


def _on_disk(root: Path) -> Read:
    def read(path: str, limit: int) -> bytes:
        with (root / path).open("rb") as file:
            return file.read(limit)

    return read


class _Collector(Struct):
    root: Path
    layout: Layout
    read: Read
    manifests: list[Manifest] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    recipes: list[Recipe] = field(default_factory=list)
    configs: list[ConfigFile] = field(default_factory=list)
    locks: list[str] = field(default_factory=list)
    locked: list[Dependency] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    problems: list[tuple[str, int, str]] = field(default_factory=list)
    skipped: list[tuple[str, int, str]] = field(default_factory=list)

    def name_layout(self) -> None:
        names = {self.root.resolve().name.lower()}
        for manifest in self.manifests:
            if manifest.name and "/" not in manifest.path:
                normal = normal_name(manifest.name)
                names |= {manifest.name.lower(), normal, normal.replace("-", "_")}
        self.layout = Layout(self.layout.files, self.layout.directories, frozenset(names))

    def take(self, path: str) -> None:
        """Read one artefact into the values it gives."""
        name = path.rpartition("/")[2].lower()
        if name in _LOCKS or name.endswith(".lock"):
            self.locks.append(path)
            self.locked.extend(locked(self._text(path, MAX_LOCK_BYTES) or "", path) if may_pin(name) else ())
            return
        if name.endswith(_DOCUMENT_SUFFIXES):
            self.documents.append(path)
        suffix = name[name.rfind(".") :] if "." in name else ""
        form = FORMATS.get(suffix, "yaml" if name == "mlproject" else "toml" if name == "pipfile" else "")
        if form == "json" and (_NOT_CONFIGS.search(path.lower()) or not suffix):
            return
        small = form in {"json", "ini"} or name == "setup.py"
        text = self._text(path, MAX_SMALL_BYTES if small else MAX_BYTES)
        if text is None:
            return
        if form:
            self._config(path, name, form, text)
        elif _REQUIREMENTS.match(name) or _REQUIREMENTS_FOLDER.search(path.lower()):
            self._manifest(read_requirements(text, path))
        elif name == "setup.py":
            self._manifest(read_setup(text, path))
        else:
            self._launchers(path, name, text)

    def _text(self, path: str, limit: int) -> str | None:
        """The file's text, ``None`` with a note when it cannot be read or is too large."""
        try:
            data = self.read(path, limit + 1)
        except OSError as error:
            self.problems.append((path, 1, error.strerror or str(error)))
            return None
        if len(data) > limit:
            self.skipped.append((path, 1, f"larger than {limit >> 10} KiB: not read"))
            return None
        encoding, start = next(((e, len(bom)) for bom, e in _BOMS if data.startswith(bom)), ("utf-8", 0))
        return data[start:].decode(encoding, errors="replace").replace("\r\n", "\n").replace("\r", "\n")

    def _other(self, path: str) -> str | None:
        """The text of another file that an artefact refers to, if the repository has it."""
        return self._text(path, MAX_SMALL_BYTES) if path in self.layout.files else None

    def _leaves(self, path: str) -> Sequence[Leaf]:
        form = FORMATS.get(path[path.rfind(".") :].lower(), "") if "." in path else ""
        text = self._other(path) if form else None
        return read_config(text, form).leaves if text is not None else ()

    def _manifest(self, manifest: Manifest) -> None:
        self.manifests.append(manifest)
        self.problems.extend((manifest.path, line, message) for line, message in manifest.problems)

    def _launchers(self, path: str, name: str, text: str) -> None:
        if len(text) > MAX_SHELL_CHARACTERS and not name.endswith(_DOCUMENT_SUFFIXES):
            self.skipped.append((path, 1, f"larger than {MAX_SHELL_CHARACTERS >> 10} KiB: commands not read"))
        elif name.endswith(_DOCUMENT_SUFFIXES):
            self.commands.extend(document_commands(text, path, self.layout))
        elif name in _MAKEFILES or name.endswith(".mk"):
            self.commands.extend(make_commands(text, path, self.layout, self._other))
            self.recipes.extend(make_recipes(text, path, self._other))
        elif name == "snakefile" or name.endswith(".smk"):
            self.recipes.extend(snake_recipes(text, path))
        elif name in {"justfile", ".justfile"}:
            self.commands.extend(just_commands(text, path, self.layout))
        elif _DOCKERFILE.match(name):
            self.commands.extend(docker_commands(text, path, self.layout))
        elif name.endswith(_SHELL_SUFFIXES) or _SHELL_SHEBANG.match(text[:200]):
            self.commands.extend(script_commands(text, path, self.layout))

    def _config(self, path: str, name: str, form: str, text: str) -> None:
        if form == "toml":
            toml = toml_text(text)
            reading = read_toml(toml)
            if name == "pyproject.toml":
                self.manifests.append(read_pyproject(toml, path))
            elif name == "pipfile":
                self.manifests.append(read_pipfile(toml, path))
        else:
            reading = read_config(text, form)
        if form == "ini" and name == "setup.cfg":
            self.manifests.append(read_setup_cfg(assignments(text)[0], path))
        elif form == "ini" and name == "tox.ini":
            self.commands.extend(tox_commands(text, path, self.layout))
        elif form == "yaml":
            self._pipeline(path, name, text, reading)
        self.configs.append(ConfigFile(path, form, reading.leaves, reading.problem))
        if reading.problem is not None:
            (self.skipped if reading.skipped else self.problems).append((path, *reading.problem))

    def _pipeline(self, path: str, name: str, text: str, reading: Reading) -> None:
        kind = pipeline_kind(path)
        if kind is not None:
            self.commands.extend(pipeline_commands(kind, text, reading, path, self.layout, self._leaves))
        elif _ENVIRONMENT.match(name):
            self.manifests.append(read_environment(reading.leaves, path))

    def repository(self, every: frozenset[str]) -> Repository:
        """Put together what was found, sorted by path and line."""
        at_root = [manifest for manifest in self.manifests if "/" not in manifest.path]
        projects = [manifest for manifest in self.manifests if manifest.installable]
        top = [manifest for manifest in projects if "/" not in manifest.path]
        below = [manifest for manifest in projects if manifest.path.count("/") == 1]
        main = top or below
        requires = _first(manifest.requires_python for manifest in sorted(at_root or main, key=_precedence))
        return Repository(
            name=_first(manifest.name for manifest in sorted(main, key=_precedence)),
            requires_python=requires,
            packages=declared_packages(main, every),
            installable=bool(main),
            dependencies=_sorted(item for manifest in self.manifests for item in manifest.dependencies),
            entry_points=_sorted(item for manifest in self.manifests for item in manifest.entry_points),
            commands=_sorted(self.commands),
            recipes=_sorted(self.recipes),
            configs=tuple(sorted(self.configs, key=lambda config: config.path)),
            lock_files=tuple(sorted(self.locks)),
            locked=_sorted(self.locked),
            documents=tuple(sorted(self.documents)),
            problems=tuple(sorted(set(self.problems))),
            skipped=tuple(sorted(set(self.skipped))),
        )


def _precedence(manifest: Manifest) -> tuple[int, str]:
    order = ("pyproject.toml", "setup.cfg", "setup.py")
    name = manifest.path.rpartition("/")[2]
    return order.index(name) if name in order else len(order), manifest.path


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)


def _sorted(items: Iterable[_Placed]) -> tuple[_Placed, ...]:
    return tuple(sorted(items, key=lambda item: (item.path, item.line)))
