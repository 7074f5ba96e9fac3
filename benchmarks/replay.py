"""Does the baseline keep its word over real histories? ``replay.py REPOSITORY... [--lag 20 --lag 100]``

From each repository's first-parent history commits are taken at even steps. The debt of the older commit of a pair
becomes a baseline (written and read back), the newer commit is matched against it, and ``git diff -M -U0`` says which
lines are the same. Counted are

- resurfaced: of the debt on unchanged lines, what is called new;
- leaked: of the debt on added lines, what is called known. A line that was deleted elsewhere in the same diff with the
  same debt on it was moved, not added, and is counted apart;
- edited: of the debt on edited lines, what is called new. That is policy, not truth.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mldebt import baseline
from mldebt.baseline import Baseline, Key
from mldebt.baseline_format import parse, render
from mldebt.config import Request
from mldebt.configure import CommandLine, configure
from mldebt.errors import UsageError
from mldebt.finding import Severity
from mldebt.pipeline import Outcome, scan
from mldebt.registry import Registry, installed
from mldebt.settings.files import Settings
from mldebt.sources.snapshot import of_commit

_READ = tuple(f"*.{suffix}" for suffix in "py pyi ipynb sh bash yml yaml toml cfg ini md rst mk".split())
_MOST_LINES = 12
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True)
class Found:
    """One finding of a commit: where it is in the file on disk, and what the baseline knows it by."""

    path: str
    line: int
    rule: str
    key: Key
    message: str
    text: str  # the line, without blanks
    lines: tuple[int, ...]  # all lines of the anchor


@dataclass
class Diff:
    """``git diff -M -U0`` of two commits, from the newer side."""

    was: dict[str, str] = field(default_factory=dict)  # new path to old path, of renamed and edited files
    created: set[str] = field(default_factory=set)
    hunks: defaultdict[str, list[tuple[int, int, int, int]]] = field(default_factory=lambda: defaultdict(list))
    deleted: set[str] = field(default_factory=set)  # lines without blanks

    def origin(self, path: str, line: int) -> tuple[str, str, int]:
        """("same", old path, old line), ("added", ...) or ("edited", ...) of a line of the newer commit."""
        if path in self.created:
            return ("added", "", 0)
        shift = 0
        for start, removed, begin, added in self.hunks.get(path, ()):
            first = begin if added else begin + 1  # "+7,0" stands behind line 7
            if added and first <= line < first + added:
                return ("edited" if removed else "added", self.was.get(path, path), start)
            if line >= first + added:
                shift = (start + removed if removed else start + 1) - (first + added)
        return ("same", self.was.get(path, path), line + shift)


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=True)
    return done.stdout.decode("utf-8", "replace")


def commits(root: Path, step: int, number: int) -> list[str]:
    """Up to ``number`` commits, ``step`` first-parent commits apart, the oldest first."""
    history = git(root, "log", "--first-parent", "--format=%H", "HEAD").split()
    return history[: step * number : step][::-1]


def read_diff(root: Path, old: str, new: str) -> Diff:
    """The diff, by the line; file names with quotes or blanks are rare and left alone."""
    diff = Diff()
    before = after = ""
    options = ("-M", "-U0", "--no-color", "--no-ext-diff", old, new, "--", *_READ)
    for row in git(root, "-c", "core.quotePath=false", "diff", *options).split("\n"):
        if row.startswith("--- "):
            before = row[6:] if row != "--- /dev/null" else ""
        elif row.startswith("+++ "):
            after = row[6:] if row != "+++ /dev/null" else ""
            if not before:
                diff.created.add(after)
            elif after:
                diff.was[after] = before
        elif row.startswith("rename to "):
            diff.was[row[10:]] = before
        elif row.startswith("rename from "):
            before = row[12:]
        elif match := _HUNK.match(row):
            start, removed, begin, added = (int(n) if n is not None else 1 for n in match.groups())
            if after:
                diff.hunks[after].append((start, removed, begin, added))
        elif row.startswith("-"):
            diff.deleted.add("".join(row[1:].split()))
    return diff


class Replay:
    """Scans commits of one repository, written out from its object store: the clone need not hold its data files."""

    def __init__(self, clone: Path, folder: Path, cache: Path, registry: Registry, words: Sequence[str]) -> None:
        self._clone, self._root, self._cache, self._registry = clone, folder / clone.name, cache, registry
        self._written: dict[str, bytes] = {}
        self._root.mkdir()
        line = CommandLine(severity=Severity.INFO, preview=True, select=tuple(words) or None)
        self._config = configure(Settings(self._root, isolated=True), registry.announced, line, registry.tables)

    def findings(self, commit: str) -> list[Found]:
        listing, files = (tree := of_commit(self._clone, commit, ((), ()), ())).listing, tree.files
        read = {*(file.path for file in listing.python), *listing.artefacts}
        self._write({path: files.read(path, sys.maxsize) if path in read else b"" for path in listing.every})
        request = Request(self._root, config=self._config, cache_dir=self._cache, jobs=1)
        return list(_found(scan(request, self._registry)))

    def _write(self, wanted: dict[str, bytes]) -> None:
        for path in self._written.keys() - wanted.keys():
            (self._root / path).unlink()
        for path, content in wanted.items():
            if self._written.get(path) != content:
                (self._root / path).parent.mkdir(parents=True, exist_ok=True)
                (self._root / path).write_bytes(content)
        self._written = wanted


def _found(outcome: Outcome) -> Iterator[Found]:
    for finding, key in zip(outcome.side.found, outcome.side.keys, strict=True):
        path, line = finding.place.path, finding.place.span.line
        module = outcome.project.modules.get(path)
        texts = module.text_lines if module is not None else []
        text = "".join(texts[line - 1].split()) if 0 < line <= len(texts) else ""
        # A notebook's line on disk is another one than that of its code.
        physical = module.source.physical if module is not None and path.endswith(".ipynb") else ()
        last = min(finding.place.span.end_line, line + _MOST_LINES - 1)
        lines = tuple(physical[number - 1] if physical else number for number in range(line, last + 1))
        yield Found(path, lines[0], finding.code, key, finding.message, text, lines)


def judge(diff: Diff, old: Sequence[Found], new: Sequence[Found], tell: bool) -> Counter[str]:
    """The counts of one pair of commits."""
    known = parse(render(Baseline.of(found.key for found in old), "replay").encode())
    taken = baseline.match([found.key for found in new], known.entries).entry_of
    there = Counter((found.path, found.line, found.rule) for found in old)
    deleted = {(found.rule, found.text) for found in old if found.text in diff.deleted}
    counts: Counter[str] = Counter(old=len(old))
    # Those that are known first: of two at a line where one was before, the other one was caused by a change elsewhere.
    for found, entry in sorted(zip(new, taken, strict=True), key=lambda pair: pair[1] is None):
        kind, path, line = diff.origin(found.path, found.line)
        if kind == "same" and any(diff.origin(found.path, other)[0] != "same" for other in found.lines):
            kind = "edited"
        if kind == "same" and not there[path, line, found.rule]:
            kind = "caused"
        elif kind == "same":
            there[path, line, found.rule] -= 1
        elif kind == "added" and (found.rule, found.text) in deleted:
            kind = "moved"
        counts[kind] += 1
        counts[f"{kind} new"] += entry is None
        wrong = (kind == "same" and entry is None) or (kind == "added" and entry is not None)
        if tell and wrong:
            verdict = "resurfaced" if entry is None else "leaked"
            print(f"    {verdict}: {found.path}:{found.line} {found.rule} {found.message}", file=sys.stderr)
    return counts


def replay(source: Path, folder: Path, registry: Registry, wanted: argparse.Namespace) -> dict[int, Counter[str]]:
    """The counts of one repository, by lag."""
    clone = folder / "clone" / source.name
    subprocess.run(["git", "clone", "-q", "--shared", "--no-checkout", str(source), str(clone)], check=True)
    place = Replay(clone, folder, Path(wanted.cache or folder / "cache"), registry, wanted.select)
    step = min(wanted.lag)
    chain = commits(clone, step, wanted.commits)
    scans = [place.findings(commit) for commit in chain]
    totals: dict[int, Counter[str]] = {}
    for lag in wanted.lag:
        counts = totals[lag] = Counter[str]()
        stride = lag // step
        for index in range(len(chain) - stride):
            old, new = chain[index], chain[index + stride]
            counts += judge(read_diff(clone, old, new), scans[index], scans[index + stride], wanted.tell)
            counts["pairs"] += 1
    return totals


TITLES = ("pairs", "old", "same", "resurfaced", "%", "added", "leaked", "%", "moved", "new", "edited", "new", "caused")


def row(name: str, counts: Counter[str]) -> str:
    """One line of the table; of ``caused`` findings, all of which are new debt, those called known are in brackets."""
    same, again, added = counts["same"], counts["same new"], counts["added"]
    leaked = added - counts["added new"]
    cells = [
        counts["pairs"], counts["old"], same, again, f"{again / same:.2%}" if same else "-", added, leaked,
        f"{leaked / added:.2%}" if added else "-", counts["moved"], counts["moved new"], counts["edited"],
        counts["edited new"], f"{counts['caused']} ({counts['caused'] - counts['caused new']})",
    ]  # fmt: skip
    return f"{name:32}" + "".join(f"{cell!s:>11}" for cell in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--lag", type=int, action="append", help="first-parent commits between the two of a pair")
    parser.add_argument("--commits", type=int, default=9, help="commits of each repository")
    parser.add_argument("--select", action="append", default=[], help="rules; all of them, previews too, by default")
    parser.add_argument("--cache", help="where facts are kept between runs")
    parser.add_argument("--tell", action="store_true", help="name what went wrong on standard error")
    wanted = parser.parse_args()
    wanted.lag = sorted(wanted.lag or [20, 100])
    totals: dict[int, Counter[str]] = {lag: Counter() for lag in wanted.lag}
    print(f"{'repository (lag)':32}" + "".join(f"{title:>11}" for title in TITLES))
    for source in wanted.repositories:
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = replay(source.resolve(), Path(folder), installed(), wanted)
            except (subprocess.CalledProcessError, UsageError) as error:
                print(f"{source.name}: left out: {error}", file=sys.stderr)
                continue
            for lag, counts in found.items():
                print(row(f"{source.name} ({lag})", counts), flush=True)
                totals[lag] += counts
    for lag, counts in totals.items():
        print(row(f"all ({lag})", counts))


if __name__ == "__main__":
    main()
