"""Commands out of YAML and INI pipelines: GitHub, GitLab, CircleCI, Azure, Travis, dvc, MLproject, pre-commit, tox."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from mldebt.sources.artefacts import Command, Leaf
from mldebt.sources.configs import assignments
from mldebt.sources.dvc_templates import Leaves, Templates, nothing
from mldebt.sources.places import Layout, Place, Shell
from mldebt.sources.shell import read_script
from mldebt.sources.yaml_leaves import Reading

_AZURE = re.compile(r"(?:^|/)\.?azure[^/]*(?:/.*)?\.ya?ml$")
_CHECKOUT = re.compile(
    r"\$\{\{\s*github\.workspace\s*\}\}|\$\((?:Build\.SourcesDirectory|System\.DefaultWorkingDirectory)\)"
)
_SCRIPTS = frozenset({"script", "before_script", "after_script", "install", "before_install", "after_success"})


class _Text(Struct, frozen=True):
    """One shell text of a pipeline: the keys it stands under, the line it starts on, the text line for line."""

    keys: tuple[str, ...]
    line: int
    text: str


def pipeline_kind(path: str) -> str | None:
    """Tell which pipeline a YAML file is by its path, ``None`` when it is none."""
    name = path.rpartition("/")[2]
    if name in {"dvc.yaml", "dvc.yml"}:
        return "dvc"
    if name == "MLproject":
        return "mlproject"
    if name == ".pre-commit-config.yaml":
        return "pre-commit"
    if path.startswith(".github/") or name in {"action.yml", "action.yaml"}:
        return "github"
    if path.startswith(".circleci/"):
        return "circle"
    if name.startswith((".gitlab-ci", "bitbucket-pipelines")) or path.startswith(".gitlab/") or name == ".travis.yml":
        return "script"
    return "azure" if _AZURE.search(path) else None


def pipeline_commands(
    kind: str, text: str, reading: Reading, path: str, layout: Layout, leaves: Leaves = nothing
) -> list[Command]:
    """Return the commands of a pipeline file that ``reading`` was made from.

    ``leaves`` reads another configuration file of the repository: dvc's templates are filled in from such.
    """
    values = {leaf.keys: leaf.value for leaf in reading.leaves}
    own = path.rpartition("/")[0]

    def setting(*keys: str) -> str | None:
        value = values.get(keys)
        return value if isinstance(value, str) else None

    if kind == "pre-commit":
        return _hooks(reading.leaves, path, layout)
    texts = _texts(text, reading, _IS_SCRIPT[kind])
    if kind == "dvc":
        templates = Templates(reading.leaves, own, leaves)
        texts = (replace(one, text=templates.fill(one.keys, one.text)) for one in texts)
        return _run(texts, path, "dvc", layout, lambda keys: _below(own, _dvc_directory(keys, setting), layout))
    if kind == "mlproject":
        return _run(texts, path, "mlproject", layout, lambda keys: Place(own))
    return _run(texts, path, "ci", layout, lambda keys: _below("", _ci_directory(keys, setting), layout))


def _github(keys: tuple[str, ...]) -> bool:
    return len(keys) > 2 and keys[-1] == "run" and keys[-3] == "steps"


def _circle(keys: tuple[str, ...]) -> bool:
    return keys[-2:] == ("run", "command") or (keys[-1] == "run" and keys[-2:-1] != ("parameters",))


def _script(keys: tuple[str, ...]) -> bool:
    stem = tuple(key for key in keys if not key.isdigit())
    return bool(stem) and stem[-1] in _SCRIPTS


def _azure(keys: tuple[str, ...]) -> bool:
    return keys[-1] in {"script", "bash"}


def _dvc(keys: tuple[str, ...]) -> bool:
    stem = keys[:-1] if keys[-1].isdigit() else keys
    return stem[:1] == ("stages",) and stem[-1] == "cmd"


def _mlproject(keys: tuple[str, ...]) -> bool:
    return keys[:1] == ("entry_points",) and keys[-1] == "command"


_IS_SCRIPT: Mapping[str, Callable[[tuple[str, ...]], bool]] = MappingProxyType(
    {
        "github": _github,
        "circle": _circle,
        "script": _script,
        "azure": _azure,
        "dvc": _dvc,
        "mlproject": _mlproject,
    }
)
_Setting = Callable[..., str | None]


def _texts(text: str, reading: Reading, is_script: Callable[[tuple[str, ...]], bool]) -> Iterator[_Text]:
    lines = text.split("\n")
    for index, leaf in enumerate(reading.leaves):
        if not isinstance(leaf.value, str) or not leaf.keys or not is_script(leaf.keys):
            continue
        style, first, last = reading.blocks.get(index, ("", leaf.line, leaf.line))
        if not style:
            yield _Text(leaf.keys, leaf.line, leaf.value)
            continue
        body = lines[first - 1 : last]
        margin = min((len(line) - len(line.lstrip()) for line in body if line.strip()), default=0)
        body = [line[margin:].rstrip("\r") for line in body]
        # A folded scalar is one line to the shell but where a blank or an indented line stands.
        folded = style == ">"
        yield _Text(leaf.keys, first, "\n".join(_folded(body) if folded else body))


def _folded(lines: Sequence[str]) -> Iterator[str]:
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        joins = line.strip() and after.strip() and not line.endswith("\\") and not after.startswith((" ", "\t"))
        yield line + " \\" if joins else line


def _run(
    texts: Iterator[_Text], path: str, kind: str, layout: Layout, directory: Callable[[tuple[str, ...]], Place]
) -> list[Command]:
    """Run texts one after the other; those of one list of a job share a shell, as GitLab and Travis do it."""
    found: list[Command] = []
    shell, job = None, None
    for text in texts:
        stem = text.keys[:-1] if text.keys[-1].isdigit() else text.keys
        if shell is None or not text.keys[-1].isdigit() or stem != job:
            shell = Shell(path, kind, layout, directory(stem))
        job = stem
        found.extend(shell.run(read_script(text.text, text.line)))
    return found


def _dvc_directory(keys: tuple[str, ...], setting: _Setting) -> str:
    return setting(*keys[:-1], "wdir") or ""


def _ci_directory(keys: tuple[str, ...], setting: _Setting) -> str:
    """The directory of a step, else of its job, else of the file."""
    step = keys[:-1]
    for name in ("working-directory", "workingDirectory", "working_directory"):
        if value := setting(*step, name):
            return value
    job = keys[: keys.index("steps")] if "steps" in keys else step
    return (
        setting(*job, "defaults", "run", "working-directory")
        or setting("defaults", "run", "working-directory")
        or setting(*job, "working_directory")
        or ""
    )


def _below(base: str, directory: str, layout: Layout) -> Place:
    """A directory that a pipeline names, below ``base``; one of CircleCI's home (``~/repo``) is the checkout."""
    directory = _CHECKOUT.sub(".", directory)
    if re.fullmatch(r"~/[\w.-]+", directory):
        directory = ""
    joined = posixpath.normpath(posixpath.join(base, directory))
    joined = "" if joined == "." else joined
    return Place(joined, sure=True) if joined in layout.directories else Place("", sure=False)


def _hooks(leaves: Sequence[Leaf], path: str, layout: Layout) -> list[Command]:
    """The entries of local hooks, with their arguments."""
    hooks = [leaf for leaf in leaves if leaf.keys[:1] == ("repos",) and len(leaf.keys) > 2]
    local = {leaf.keys[1] for leaf in hooks if leaf.keys[2:] == ("repo",) and leaf.value == "local"}
    given: dict[tuple[str, ...], list[str]] = {}
    for leaf in hooks:
        if leaf.keys[-2] == "args":
            given.setdefault(leaf.keys[:-2], []).append(str(leaf.value))
    found: list[Command] = []
    for leaf in hooks:
        if leaf.keys[-1] != "entry" or leaf.keys[1] not in local:
            continue
        arguments = tuple(given.get(leaf.keys[:-1], ()))
        shell = Shell(path, "ci", layout, Place(""))
        for command in shell.run(read_script(str(leaf.value), leaf.line)):
            words = command.words + arguments
            found.append(Command(words, path, leaf.line, "ci", command.directory, command.sure))
    return found


def tox_commands(text: str, path: str, layout: Layout) -> list[Command]:
    """Return the commands of a tox.ini; ``{posargs}`` and its like stay in the words."""
    entries, _ = assignments(text)
    own = path.rpartition("/")[0]
    places = {entry.section: entry.text for entry in entries if entry.key in {"changedir", "change_dir"}}
    found: list[Command] = []
    for entry in entries:
        if entry.key not in {"commands", "commands_pre", "commands_post"} or not entry.section.startswith("testenv"):
            continue
        directory = places.get(entry.section, "").replace("{toxinidir}", ".")
        shell = Shell(path, "ci", layout, _below(own, directory, layout))
        if entry.values:
            first = entry.values[0][0]
            body = [""] * (entry.values[-1][0] - first + 1)
            for number, value in entry.values:
                body[number - first] = value.removeprefix("- ")
            found.extend(shell.run(read_script("\n".join(body), first)))
    return found
