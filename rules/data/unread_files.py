"""Data files of a repository that nothing reads (MLD606)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import cached_property

from mldebt_rules.glue.artefacts import Artefacts
from mldebt_rules.glue.patterns import matches

from mldebt.finding import Place
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

from .mutations import called

_ASIDE = re.compile(r"(?:^|/)(?:tests?|testing|fixtures?|examples?|tutorials?|docs?|samples?|demos?)/", re.IGNORECASE)
_SUFFIXES = (".csv", ".tsv", ".parquet", ".feather", ".npy", ".npz", ".jsonl", ".xlsx", ".arrow")
# What finds files by looking, or gives a path nobody sees here.
_SEARCHES = frozenset(
    """glob iglob rglob listdir iterdir scandir walk load_dataset ImageFolder DatasetFolder list_files argv
    ArgumentParser click typer hydra OmegaConf environ getenv input upload_file COPY connect open_dataset
    files read_directory add_argument""".split()
)
_READS = frozenset(
    """read_csv read_table read_parquet read_feather read_excel read_json loadtxt genfromtxt load open scan_csv
    scan_parquet read_text read_bytes""".split()
)


class UnreadFiles(Analysis):
    """Answers for projects all of whose readings are known."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)

    @cached_property
    def all(self) -> tuple[tuple[Place, str, str], ...]:
        """Where a neighbour is read, the file, and the neighbour."""
        kept = [path for path in sorted(self.project.every) if path.endswith(_SUFFIXES) and not self._is_aside(path)]
        if not 2 <= len(kept) <= 200 or not self._is_all_known:
            return ()
        return tuple(self._found(kept))

    @staticmethod
    def _is_aside(path: str) -> bool:
        return _ASIDE.search(path) is not None

    def _found(self, kept: list[str]) -> Iterator[tuple[Place, str, str]]:
        nodes = self.project[Artefacts].nodes
        read = {node.pattern: node.reads[0].place for node in nodes.values() if node.reads}
        touched = [node.pattern for node in nodes.values()]
        for path in kept:
            if any(matches(pattern, path) or path.startswith(f"{pattern}/") for pattern in touched):
                continue
            name = posixpath.basename(path)
            if name in self._texts or posixpath.splitext(name)[0] in self._texts:
                continue
            beside = next((one for one in read if posixpath.dirname(one) == posixpath.dirname(path)), None)
            if beside is not None:
                yield read[beside], path, beside

    @cached_property
    def _texts(self) -> frozenset[str]:
        """File names that code, configuration and commands mention."""
        found = {text.rpartition("/")[2] for module in self.project.modules.values() for text in module.facts.strings}
        for file in self.project.repository.configs:
            found |= {str(leaf.value).rpartition("/")[2] for leaf in file.leaves if isinstance(leaf.value, str)}
        for command in self.project.repository.commands:
            found |= {word.rpartition("/")[2] for word in getattr(command, "words", ())}
        return frozenset(found)

    @property
    def _is_all_known(self) -> bool:
        modules = [one for one in self.project.modules.values() if one.role == "project" and not one.is_test]
        if any(module.mentions & _SEARCHES for module in modules) or any(one.facts.magics for one in modules):
            return False
        places = {
            (one.via or one.place).path + f":{(one.via or one.place).span.line}"
            for node in self.project[Artefacts].nodes.values()
            for one in node.accesses
        }
        return all(f"{module.path}:{line}" in places for module in modules for line in self._reading(module))

    @staticmethod
    def _reading(module: Module) -> Iterator[int]:
        """The lines of calls that may read data."""
        for scope in module.scopes_using(_READS):
            for site in module.call_sites(scope):
                if called(module, scope, site.call.function) in _READS:
                    names = module.names(scope, site.call.function)
                    if not any(":" in name for name in names):  # what a function of the project reads stands in it
                        yield site.call.line
