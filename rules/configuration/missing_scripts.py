"""Whether a script that a command runs is certainly not there: not elsewhere, not created, not somebody else's."""

from __future__ import annotations

import posixpath
import re
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.rule import Analysis

from .command_line import is_literal
from .launches import Launch, Launches, candidates

if TYPE_CHECKING:
    from mldebt.project.project import Project

_PLACEHOLDER = re.compile(
    r"^(?:(?:your|my|some|user|the)[-_]?\w*|script\d*|foo|bar|baz|main_script|training_script|file|filename|name|module|xxx"
    r"|\w*_?script_name|path|hello|hello_world|app|demo|test)\.py$",
    re.IGNORECASE,
)
_MAKERS = frozenset(
    """cp mv ln wget curl tee install rsync scp unzip tar gsutil aws gcloud hf huggingface-cli jupytext jupyter git cat
    echo COPY ADD sed envsubst touch""".split()
)
_WRITES = frozenset(
    {"write_text", "write_bytes", "copyfile", "copy", "copy2", "urlretrieve", "snapshot_download", "write"}
)
_MAKEFILE = re.compile(r"(?:^|/)(?:GNU)?[Mm]akefile$|\.mk$")
# How a code block of a document starts, unless it shows commands; what follows is its title or its text.
_FENCE = r"^[ \t>]*(?:```|~~~)(?!\s*(?:(?:ba|z|c)?sh|shell|console|text)\b)[^\n]*"
_MOST_TEXT = 1 << 20


class MissingScripts(Analysis):
    """Answers which launches run a script that the repository does not have."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._texts: dict[str, str] = {}

    def missing(self, launch: Launch) -> str:
        """The path of the script that is missing, "" when there is no certainty."""
        if launch.target or not launch.invocation.certain or not launch.command.sure:
            return ""
        if launch.invocation.module is not None:
            return self._missing_module(launch, launch.invocation.module)
        script = launch.invocation.script or ""
        if not script.endswith(".py") or not is_literal(script) or script.startswith(("/", "~", "..")) or ":" in script:
            return ""
        paths = candidates(launch.command, launch.invocation)
        if any(path in self.project.every for path in paths) or self._may_come(script, launch):
            return ""
        return "" if self._somebody_elses(launch, paths[0]) else paths[0]

    def _missing_module(self, launch: Launch, name: str) -> str:
        """``python -m pkg.train`` of a package that is the project's."""
        head, dot, _ = name.partition(".")
        directories = {path.rpartition("/")[0] for path in self.project.modules}
        here = [base for base in (launch.command.directory, "", "src") if posixpath.join(base, head) in directories]
        if not dot or not here or launch.command.path == "":
            return ""
        path = name.replace(".", "/")
        endings = (f"/{path}.py", f"/{path}/__main__.py", f"/{path}/__init__.py", f"/{path}.ipynb", f"/{path}.pyx")
        if any(f"/{one}".endswith(endings) for one in self.project.every):
            return ""
        if not any(one.startswith(f"{posixpath.join(here[0], head)}/") for one in self.project.modules):
            return ""
        script = posixpath.join(here[0], f"{path}.py")
        return "" if self._may_come(script, launch) else script

    # Who else may bring the file.

    def _may_come(self, script: str, launch: Launch) -> bool:
        name = posixpath.basename(script)
        stem = name.removesuffix(".py")
        if f"{stem}.ipynb" in self._basenames or self._is_ignored(script):
            return True
        parts = {name, stem, *posixpath.dirname(posixpath.normpath(script)).split("/")}
        for command, _ in self.project[Launches].commands:
            words = command.words
            if not words:
                continue
            if words[0].rpartition("/")[2] not in _MAKERS and words[0] not in _MAKERS:
                continue
            if words[:2] == ("git", "clone") and any(_last(word) in parts for word in words[2:]):
                return True
            if any(_last(word) in (name, stem) for word in words[1:]):
                return True
            if words[:2] == ("git", "clone") and command.path == launch.command.path:
                return True
        if name in self._arguments:
            return True
        written = re.compile(rf"(?:>\s*|tee\s+(?:-a\s+)?|%%writefile\s+|-O\s+|-o\s+)[\"']?(?:\S*/)?{re.escape(name)}\b")
        artefacts = {command.path for command in self.project.repository.commands} | {launch.command.path}
        if any(written.search(self._text(path)) for path in sorted(artefacts)) or self._is_written(name):
            return True
        if any(written.search(text) for module in self.project.modules.values() for _, text in module.facts.magics):
            return True
        made = re.compile(rf"^(?:[^\s:#]*/)?{re.escape(name)}\s*:(?!=)", re.MULTILINE)
        return any(made.search(self._text(path)) for path in sorted(artefacts) if _MAKEFILE.search(path))

    @cached_property
    def _arguments(self) -> frozenset[str]:
        """Names of files that programs are told to write, or may be: ``python generate.py --out build/job.py``."""
        found: set[str] = set()
        for launch in self.project[Launches].all:
            for word in launch.invocation.arguments:
                value = word.rpartition("=")[2] if word.startswith("-") else word
                if value.endswith((".py", ".ipynb")):
                    found.add(posixpath.basename(value))
        return frozenset(found)

    def _is_written(self, name: str) -> bool:
        """Whether Python code that writes files names it."""
        return any(
            any(posixpath.basename(text) == name for text in module.facts.strings)
            and not _WRITES.isdisjoint(module.facts.mentions)
            for module in self.project.modules.values()
        )

    @cached_property
    def _basenames(self) -> frozenset[str]:
        return frozenset(path.rpartition("/")[2] for path in self.project.every)

    def _is_ignored(self, script: str) -> bool:
        """Whether .gitignore or .gitmodules speaks of it: it is there on somebody's disk."""
        name, top = posixpath.basename(script), posixpath.normpath(script).partition("/")[0]
        folders = ["", *posixpath.dirname(posixpath.normpath(script)).split("/")]
        for depth in range(len(folders)):
            file = posixpath.join(*folders[: depth + 1], ".gitignore")
            lines = {line.strip().strip("/") for line in self._text(file).splitlines()}
            if lines & {name, script, top if "/" in script else name, *folders[depth + 1 :]}:
                return True
        modules = re.findall(r"path\s*=\s*(\S+)", self._text(".gitmodules"))
        return any(script.startswith(f"{path}/") for path in modules)

    def _text(self, path: str) -> str:
        """An artefact's text, "" when it cannot be read; a notebook's is its source's."""
        if path not in self._texts:
            text = ""
            if path in self.project.every and path not in self.project.modules:
                text = self.project.content(path, _MOST_TEXT).decode("utf-8", errors="replace")
            self._texts[path] = text
        return self._texts[path]

    # Whose script it is.

    def _somebody_elses(self, launch: Launch, path: str) -> bool:
        """In documents: a placeholder, a reader's own script, another repository's, or one run from elsewhere."""
        name = posixpath.basename(path)
        directory = posixpath.dirname(path)
        exists = not directory or any(one.startswith(f"{directory}/") for one in self.project.every)
        if not launch.documented and launch.command.kind != "notebook":
            return False
        if _PLACEHOLDER.match(name) or (self.project.library and not directory):
            return True
        if launch.documented and (self._is_below(name, launch.command.path) or self._is_shown(name, launch)):
            return True
        if not exists and not self._launched_below(directory, launch):
            return True
        if directory:
            return False
        # A bare name: the document is read with the root as its directory when its other commands are.
        return name in self._basenames and not self._run_from_root(launch)

    def _is_below(self, name: str, document: str) -> bool:
        """Whether the document's directory has such a file somewhere: its prose may say to run it from there."""
        home = posixpath.dirname(document)
        return name in self._basenames and any(
            one.rpartition("/")[2] == name and (not home or one.startswith(f"{home}/")) for one in self.project.every
        )

    def _is_shown(self, name: str, launch: Launch) -> bool:
        """Whether a code block of the document is the script's text for the reader to save, named in its first line."""
        spelled = rf"[`\"'*]*(?:[\w.-]*/)*{re.escape(name)}[`\"'*]*"
        first = (
            rf"{_FENCE}\n(?:[ \t>]*(?:#![^\n]*)?\n)*[ \t>]*#+\s*(?:(?i:file(?:name)?|save as)\s*:?\s+)?{spelled}\s*$"
        )
        title = rf"{_FENCE}(?<=[\s:=\"'{{]){spelled}[\s\"'}}]*$"
        text = self._text(launch.command.path)
        return any(re.search(one, text, re.MULTILINE) for one in (first, title))

    def _launched_below(self, directory: str, launch: Launch) -> bool:
        """Whether the directory's parent exists, so that only its last part is gone."""
        parent = posixpath.dirname(directory)
        return bool(parent) and any(one.startswith(f"{parent}/") for one in self.project.every)

    def _run_from_root(self, launch: Launch) -> bool:
        return any(
            one.command.path == launch.command.path
            and one.target
            and one.target == posixpath.normpath(one.invocation.script or "")
            for one in self.project[Launches].all
        )


def _last(word: str) -> str:
    """What a path, a URL or a clone's address ends in."""
    return posixpath.basename(word.rstrip("/")).removesuffix(".git")
