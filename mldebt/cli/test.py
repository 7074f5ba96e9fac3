"""``mldebt test``: rules held to their own examples, for those who write rules."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mldebt.cli.installed import settings_of
from mldebt.cli.main import FINDINGS, OK
from mldebt.cli.options import GroupedCommand, grouped, plugin_options, talk_options
from mldebt.cli.terminal import emit, say
from mldebt.errors import UsageError
from mldebt.registry import LOCAL, Registry, installed, with_files
from mldebt.rule import AnyRule, Bad
from mldebt.settings.selectors import Vocabulary
from mldebt.sources.discover import find_root
from mldebt.testing import Case, cases, mistake, omissions, unpaid

_testing = grouped("Testing")


@click.command("test", cls=GroupedCommand)
@click.argument("rules", nargs=-1, metavar="[RULES]...")
@_testing("--no-variants", is_flag=True, help="Only the examples as written, no other spellings of them.")
@_testing("-x", "--exitfirst", is_flag=True, help="Stop at the first failure.")
@plugin_options
@talk_options
def command(rules: tuple[str, ...], **given: Any) -> int:
    """Run the examples of rules, as written and in other spellings, and check what their fixes make of them.

    RULES are codes, prefixes (MLD4), names, families, installed rule packages, and rule files or folders, which are
    loaded and trusted because they are named; the default is all rules there are.

    Leaves with 0 when every rule does what its examples say, 1 when one does not, 2 when a rule cannot be loaded.
    """
    registry, chosen = _chosen(rules, given)
    tally = _Tally(len(chosen))
    for rule in chosen:
        for lack in omissions(rule) if not given["quiet"] else ():
            say(f"note: {rule.code} {rule.name()}: {lack}")
        tally.untested += [rule] if not rule.examples else []
    with tempfile.TemporaryDirectory(prefix="mldebt-test-") as folder:
        for case, words in _failures(chosen, registry, Path(folder), tally, variants=not given["no_variants"]):
            emit(_shown(case, words))
            if given["exitfirst"]:
                break
    for rule in tally.untested:
        emit(f"FAIL {rule.code} {rule.name()}: it has no examples\n")
    if not given["quiet"]:
        emit(tally.words())
    return FINDINGS if tally.failures or tally.untested else OK


@dataclass
class _Tally:
    """What was run so far."""

    rules: int
    examples: int = 0
    rewrites: int = 0
    failures: int = 0

    def __post_init__(self) -> None:
        self.untested: list[type[AnyRule]] = []

    def words(self) -> str:
        failed = self.failures + len(self.untested)
        counts = [(self.rules, "rule"), (self.examples, "example"), (self.rewrites, "rewrite")]
        run = ", ".join(f"{number:,} {word}{'' if number == 1 else 's'}" for number, word in counts)
        return f"{run}: {'all as they should be' if not failed else f'{failed:,} failed'}"


def _chosen(words: Sequence[str], given: dict[str, Any]) -> tuple[Registry, tuple[type[AnyRule], ...]]:
    """The registry with the rule files that were named, and the rules the words stand for."""
    settings = settings_of(find_root((), given.get("root"), Path.cwd()), given)
    plugins = {path.resolve(): path for path in settings.plugins}
    registry = with_files(plugins.values()) if plugins else installed()
    files = [word for word in words if _named(word, registry) is None and os.path.exists(word)]  # noqa: PTH110
    if files:
        plugins |= {Path(word).resolve(): Path(word) for word in files}
        registry = with_files(plugins.values())
    if not words:
        return registry, tuple(registry.rules)
    chosen: set[type[AnyRule]] = set()
    for word in words:
        package = f"{LOCAL}.at{list(plugins).index(Path(word).resolve())}" if word in files else word
        found = _named(package, registry)
        if not found:
            raise UsageError(f"{word}: there is no rule in it" if word in files else _unknown(word, registry))
        chosen |= found
    return registry, tuple(rule for rule in registry.rules if rule in chosen)


def _named(word: str, registry: Registry) -> frozenset[type[AnyRule]] | None:
    """The rules a selector or a package's name stands for; None when it is neither."""
    package = word.replace("-", "_")
    inside = frozenset(rule for rule in registry.rules if f"{rule.__module__}.".startswith(f"{package}."))
    if inside:
        return inside
    try:
        codes = Vocabulary.of(registry.rules).expand(word)
    except UsageError:
        return None
    return frozenset(rule for rule in registry.rules if rule.code in codes)


def _unknown(word: str, registry: Registry) -> str:
    packages = {rule.__module__.partition(".")[0] for rule in registry.rules}
    vocabulary = Vocabulary.of(registry.rules)
    return vocabulary.unknown(word, [*vocabulary.codes, *vocabulary.names, *vocabulary.families, *packages])


def _failures(
    rules: Sequence[type[AnyRule]], registry: Registry, folder: Path, tally: _Tally, *, variants: bool
) -> Iterator[tuple[Case, str]]:
    """Every case that goes wrong, and how."""
    for rule in rules:
        for case in cases(rule):
            if case.variant and not variants:
                continue
            number = tally.examples + tally.rewrites
            tally.rewrites += bool(case.variant)
            tally.examples += not case.variant
            words = mistake(case, folder / str(number), registry)
            words = words or unpaid(case, folder / f"{number}-fixed", registry)
            if words:
                tally.failures += 1
                yield case, words


def _shown(case: Case, words: str) -> str:
    kind = "bad" if isinstance(case.example, Bad) else "good"
    spelling = f", rewritten ({case.variant})" if case.variant else ""
    lines = [f"FAIL {case.rule.code} {case.rule.name()}, example {case.number + 1} ({kind}){spelling}: {words}"]
    for path, text in case.files.items():
        lines.append(f"--- {path}")
        lines += [f"{number:>4} | {row}".rstrip() for number, row in enumerate(text.splitlines(), 1)]
    return "\n".join(lines) + "\n"
