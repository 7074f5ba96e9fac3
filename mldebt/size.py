"""How large the repository is for the score, and how much of it the scan understood."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.score import Coverage

_SAMPLE = 150  # scopes asked about their calls: enough for a percentage, cheap on a million lines


def live_modules(project: Project) -> Iterator[Module]:
    """Project code that an entry, a test or the public API reaches; of files equal to the letter only the first."""
    live = reached(project)
    seen: dict[tuple[int, int], list[Module]] = {}
    for module in project.modules.values():
        if module.path not in live or module.role != "project":
            continue
        facts = module.facts
        alike = seen.setdefault((len(facts.scopes), facts.code_lines), [])
        if facts.code_lines and any(_is_same(module, other) for other in alike):
            continue
        alike.append(module)
        yield module


def _is_same(module: Module, other: Module) -> bool:
    return all(bytes(one) == bytes(two) for one, two in zip(module.facts.bodies, other.facts.bodies, strict=True))


def reached(project: Project) -> frozenset[str]:
    """Paths of the modules something runs, imports or tests; all of them when the project is a library."""
    if project.library:
        return frozenset(project.modules)
    roots = {entry.definition.module.path for entry in project.entries}
    roots |= {module.path for module in project.modules.values() if module.is_test} | set(project.imports.scanned)
    live: set[str] = set()
    for path in sorted(roots):
        if path not in live:
            live |= project.imports.closure(project.modules[path]) | {path}
    return frozenset(live)


def live_lines(project: Project) -> int:
    """Code lines of the live modules."""
    return sum(module.facts.code_lines for module in live_modules(project))


class Counted:
    """Whether a (path, line) is one of the live lines: code, in a live module."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._live = {module.path for module in live_modules(project)}
        self._code: dict[str, frozenset[int]] = {}

    def __call__(self, line: tuple[str, int]) -> bool:
        path, number = line
        if path not in self._live:
            return False
        if path not in self._code:
            self._code[path] = self._project.modules[path].code_line_numbers
        return number in self._code[path]


def coverage(project: Project) -> Coverage:
    """What share of files, calls and launched scripts the scan understood."""
    modules = [module for module in project.modules.values() if module.role == "project"]
    parsed = sum(not module.facts.problems for module in modules)
    return Coverage(
        files_parsed=parsed / len(modules) if modules else 1.0,
        calls_resolved=_calls_resolved(modules),
        entries_understood=project.launches_understood,
        options_owned=1.0,
    )


def _calls_resolved(modules: list[Module]) -> float:
    """The share of calls of plain names and imported chains that link to something, over an even sample of scopes."""
    scopes = [(module, index) for module in modules for index in range(len(module.facts.scopes))]
    step = max(1, len(scopes) // _SAMPLE)
    resolved = asked = 0
    for module, index in scopes[::step]:
        for site in module.call_sites(index):
            asked += 1
            resolved += bool(module.names(index, site.call.function)) or bool(
                module.project.calls.targets(module, index, site.call)
            )
    return resolved / asked if asked else 1.0
