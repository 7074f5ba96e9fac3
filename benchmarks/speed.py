"""How long a scan takes and what it needs: ``python benchmarks/speed.py DIR... [--jobs N] [--cached] [--runs N]``.

For each directory: files, lines, CPU, wall and peak memory of one cold scan, findings by rule, and the ratio of its CPU
to a bare ``ast.parse`` of the same files in a process of its own. With several runs the medians are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from mldebt.sources.discover import discover

_BASELINE = """
import ast, sys, warnings
warnings.simplefilter("ignore")
for name in sys.stdin.read().split("\\0"):
    try:
        ast.parse(open(name, "rb").read())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
"""


class Run(NamedTuple):
    """CPU and wall in seconds, peak memory in MiB, and what was printed."""

    cpu: float
    wall: float
    peak: float
    output: str


def measured(command: list[str], text: str = "", bytecode: str = "") -> Run:
    """One finished process, by the operating system's own accounting; ``bytecode`` is where compiled modules lie."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": bytecode} if bytecode else {}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as taken:
        given.write(text.encode())
        given.seek(0)
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=given, stdout=taken, env=environment)
        _, _, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = 0
        taken.seek(0)
        return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, taken.read().decode())


def median(runs: list[Run]) -> Run:
    cpu, wall, peak = (statistics.median(getattr(run, name) for run in runs) for name in ("cpu", "wall", "peak"))
    return Run(cpu, wall, peak, runs[-1].output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--cached", action="store_true", help="also scan again from a filled cache")
    parser.add_argument("--select", help="rules to run; default all")
    options = parser.parse_args()
    for directory in options.directories:
        show(directory, options)


def show(directory: Path, options: argparse.Namespace) -> None:
    files = [directory / file.path for file in discover(directory).python]
    sources = [path for path in files if path.suffix != ".ipynb"]
    lines = sum(path.read_bytes().count(b"\n") for path in sources)
    names = "\0".join(map(str, sources))
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as bytecode:
        scan = [
            str(Path(sys.executable).with_name("mldebt")),
            "scan",
            str(directory),
            "--root",
            str(directory),
            "--isolated",
        ]
        scan += ["-j", str(options.jobs), "--output-format", "json", "--cache-dir", cache]
        scan += ["--select", options.select] if options.select else []
        bare, cold, warm = [], [], []
        # Installed programs have their bytecode: compiling mldebt itself is no part of a scan.
        measured([*scan[:2], bytecode, "--no-cache", "-q"], bytecode=bytecode)
        for _ in range(options.runs):
            bare.append(measured([sys.executable, "-c", _BASELINE], names, bytecode))
            cold.append(measured([*scan, "--no-cache"], bytecode=bytecode))
            if options.cached:
                measured(scan, bytecode=bytecode)
                warm.append(measured(scan, bytecode=bytecode))
    base, run = median(bare), median(cold)
    report = json.loads(run.output)
    print(f"{directory.name}: {len(files)} files, {lines} lines")
    print(f"  ast.parse {figures(base)}")
    print(f"  scan      {figures(run)}   {run.cpu / base.cpu:.2f} x ast.parse")
    if warm:
        again = median(warm)
        print(f"  again     {figures(again)}   {again.cpu / run.cpu:.2f} of cold")
    rules = Counter(finding["code"] for finding in report["findings"])
    print("  findings  " + (", ".join(f"{code} {count}" for code, count in sorted(rules.items())) or "none"))


def figures(run: Run) -> str:
    return f"{run.cpu:7.2f} s CPU {run.wall:7.2f} s wall {run.peak:7.0f} MiB"


if __name__ == "__main__":
    main()
