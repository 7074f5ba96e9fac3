"""One file and no project around it: the facts, judge, settings and waivers of a scan, without its walk of the tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mldebt import judge, waivers
from mldebt.config import Config
from mldebt.facts.extract import deep_recursion
from mldebt.finding import Finding, ScanError
from mldebt.locating import Located
from mldebt.project.project import Project, ProjectOptions
from mldebt.reading import bundled
from mldebt.registry import Registry
from mldebt.rulebook import Rulebook
from mldebt.sources.artefacts import Repository
from mldebt.sources.ignores import Excludes
from mldebt.sources.roles import role
from mldebt.sources.text import source_of

_NOQA = re.compile(r"#?\s*noqa\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Told:
    """What one file shows by itself: findings in source order, and rules that crashed."""

    findings: tuple[Finding, ...] = ()
    errors: tuple[ScanError, ...] = ()


class Alone:
    """Judges files of one repository one by one, each as if nothing else were there.

    Args:
        root: The repository: settings and paths count from there.
        config: The root's configuration.
        registry: The rules there are; those that are silent without a project are not asked.
    """

    def __init__(self, root: Path, config: Config, registry: Registry) -> None:
        self._root, self._config, self._registry = root, config, registry
        self._excludes = Excludes.of(config.exclude, config.extend_exclude)
        self._books: dict[str, tuple[Config, Rulebook]] = {}

    def told(self, path: str, text: str, tree: ast.Module) -> Told:
        """What a file shows.

        ``# noqa`` is whoever calls to honour; ``# mldebt: ignore`` is honoured here. That a waiver silences nothing is
        never said: what it silences may need the project.

        Args:
            path: Relative to the root, posix.
            text: The file's text, line ends as ``\\n``.
            tree: What ``ast`` made of ``text``.
        """
        if self._excludes.match(path):
            return Told()
        config, rulebook = self._settings(path.rpartition("/")[0])
        with deep_recursion():
            project = self._project(path, text, tree, config)
            if project is None:
                return Told()
            verdict = judge.judge(project, rulebook, alone=True)
            found = [finding for _, _, finding in verdict.found if finding.place.path == path]
            located = Located(project, ())
            ours = [waiver for waiver in located.waivers(()) if not _NOQA.match(waiver.text)]
            waived = waivers.apply(found, ours, located.extent, rulebook.known, ran=())
            project.close()
        shown = [
            finding
            for finding in (*waived.kept, *waived.meta)
            if config.selects(finding.code)
            and not config.ignored(finding.code, path)
            and finding.severity >= config.severity
            and finding.confidence >= config.confidence
        ]
        return Told(tuple(sorted(shown, key=lambda finding: (finding.place, finding.code))), tuple(verdict.errors))

    def _settings(self, folder: str) -> tuple[Config, Rulebook]:
        """The settings of the files in a folder: configuration files on the way there have their say."""
        if folder not in self._books:
            nested = [f"{above}/{name}" for above in _down_to(folder) for name in ("mldebt.toml", "pyproject.toml")]
            config = self._config.with_nested([path for path in nested if (self._root / path).is_file()])
            self._books[folder] = (config, Rulebook(self._registry, config))
        return self._books[folder]

    def _project(self, path: str, text: str, tree: ast.Module, config: Config) -> Project | None:
        """A project of this one file; None when it is not the project's own code, or was not understood."""
        data = text.encode("utf-8", "surrogatepass")
        source = source_of(path, text)
        seen = role(path, data, len(data))
        held = bundled(source, seen, (), tree)
        if seen != "project" or held.facts.problems:
            return None
        return Project(
            root=self._root,
            facts={path: held.facts},
            repository=Repository(),
            every=frozenset({path}),
            options=ProjectOptions(
                knowledge=config.knowledge,
                library=config.library,
                experiment_dirs=config.experiment_dirs,
                single_file_implementations=config.single_file_implementations,
                assume=config.assume,
            ),
            load=lambda _: source,
        )


def _down_to(folder: str) -> Iterator[str]:
    """A folder and those around it, the outermost first: ``a``, ``a/b``, ``a/b/c``."""
    parts = folder.split("/") if folder else []
    yield from ("/".join(parts[: depth + 1]) for depth in range(len(parts)))
