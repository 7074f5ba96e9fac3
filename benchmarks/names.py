"""How often a linked name agrees with libcst: ``python benchmarks/names.py DIRECTORY...``.

Of all calls for which libcst's ``QualifiedNameProvider`` gives exactly one name, and that from an import or a builtin,
the share whose linked name is that name, or what that name is re-exported from. Every disagreement is listed.

Only calls of plain chains (``a.b.c()``) are asked: for ``torch.stack(x).sum()`` libcst says ``torch.stack.sum``, which
names nothing.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider, QualifiedNameProvider, QualifiedNameSource

from mldebt.errors import UnreadableError
from mldebt.facts.extract import extract
from mldebt.facts.schema import Ref
from mldebt.finding import Span
from mldebt.module import CallSite, Module
from mldebt.project.project import Project, ProjectOptions
from mldebt.sources.artefacts import Repository
from mldebt.sources.discover import discover
from mldebt.sources.text import Source, read_source

_SOURCES = (QualifiedNameSource.IMPORT, QualifiedNameSource.BUILTIN)


def project_of(root: Path) -> Project:
    """The project of a directory's Python files alone, without its other artefacts."""
    sources: dict[str, Source] = {}
    for file in discover(root).python:
        with suppress(UnreadableError):
            sources[file.path] = read_source(file.path, (root / file.path).read_bytes())
    facts = {path: extract(source)[0] for path, source in sources.items()}
    return Project(root, facts, Repository(), frozenset(sources), ProjectOptions(), sources.__getitem__)


def expected(module: Module) -> Iterator[tuple[Span, str, bool]]:
    """Span, name and whether it is a builtin, of every call libcst is sure of."""
    try:
        wrapper = MetadataWrapper(cst.parse_module(module.source.text), unsafe_skip_copy=True)
    except cst.ParserSyntaxError as error:
        print(f"{module.path}:{error.raw_line}: libcst: {error.message}", file=sys.stderr)
        return
    positions = wrapper.resolve(PositionProvider)
    for node, names in wrapper.resolve(QualifiedNameProvider).items():
        found = names() if callable(names) else names
        if isinstance(node, cst.Call) and found is not None and len(found) == 1:
            (name,) = found
            if name.source in _SOURCES:
                at = positions[node]
                span = Span(at.start.line, at.start.column + 1, at.end.line, at.end.column + 1)
                yield span, name.name, name.source is QualifiedNameSource.BUILTIN


def absolute(module: Module, name: str) -> str:
    """libcst leaves the dots of a relative import in front."""
    level = len(name) - len(name.lstrip("."))
    return module.project.packages.absolute_name(module.path, level, name[level:]) if level else name


def agrees(project: Project, ours: tuple[str, ...], theirs: str, builtin: bool) -> bool:
    """Whether our only name is theirs or what theirs is re-exported from."""
    if len(ours) != 1:
        return False
    if builtin:  # libcst leaves off attributes of builtins: str.join is builtins.str
        return f"{ours[0]}.".startswith(f"{theirs}.")
    if ":" not in ours[0]:
        return ours[0] == theirs or ours == project.linked(theirs)
    path, _, qualname = ours[0].partition(":")
    return f"{project.import_name(path)}.{qualname}" == theirs or _follow(project, theirs) == ours


def _follow(project: Project, theirs: str) -> tuple[str, ...]:
    """What an absolute name means: seen from the root, else from the one file whose path ends like it."""
    return project.linked(theirs) or next(
        (
            project.resolver.attribute((f"{target}:",), rest)
            for head, rest in _splits(theirs)
            if (target := project.packages.find("-", head)) is not None
        ),
        (),
    )


def _splits(dotted: str) -> Iterator[tuple[str, str]]:
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        yield ".".join(parts[:count]), ".".join(parts[count:])


def sites(module: Module) -> dict[Span, tuple[int, CallSite]]:
    """Every call of a file and its scope, by span."""
    indexes = range(len(module.facts.scopes))
    return {module.span(site.call): (index, site) for index in indexes for site in module.call_sites(index)}


def compare(root: Path) -> tuple[int, int]:
    """Calls libcst is sure of, and those that agree; prints the others."""
    project = project_of(root)
    asked = right = 0
    for module in project.modules.values():
        here = sites(module)
        for span, raw, builtin in expected(module):
            theirs = absolute(module, raw)
            found = here.get(span)
            if found is None:  # in an annotation, or in a lambda's default: the facts keep no call there
                continue
            index, site = found
            if not isinstance(site.call.function, Ref):
                continue
            ours = project.resolve(module, index, site.call.function.name)
            asked += 1
            if agrees(project, ours, theirs, builtin):
                right += 1
            else:
                print(f"{root.name}/{module.path}:{span.line}: libcst {theirs}, mldebt {' | '.join(ours) or 'unknown'}")
        gc.collect(0)
    return asked, right


def main() -> None:
    for directory in sys.argv[1:]:
        root = Path(directory).resolve()
        asked, right = compare(root)
        print(f"{root.name}: {right} of {asked} calls agree, {100 * right / asked if asked else 100:.2f} %")


if __name__ == "__main__":
    main()
