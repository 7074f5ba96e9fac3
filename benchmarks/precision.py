"""What was read, and how much of it was right: ``make precision`` recomputes the figures of ``labels/*.jsonl``.

A row is one finding read by one person: repository, version, path, line, code, verdict (right or wrong), reason, and
reader (first or second). The second reader did not know the rule; where both read a finding, agreement is counted.
A row with ``"gone": true`` is a finding the rule no longer gives since it was mended; one with
``"severity": "info"`` is shown only on request and never scored. Both are kept, and counted apart.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

LABELS = Path(__file__).parent / "labels"
ENOUGH = 0.80  # DESIGN 3: below this a rule is preview


def rows(path: Path) -> list[dict[str, Any]]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        row = json.loads(line)
        if row.get("verdict") not in ("right", "wrong") or row.get("reader") not in ("first", "second"):
            sys.exit(f"{path.name}:{number}: verdict must be right or wrong, reader first or second")
        found.append(row)
    return found


def main() -> None:
    titles = ("read", "right", "wrong", "right %", "repos", "twice", "agree", "info", "gone")
    print(f"{'rule':34} " + " ".join(f"{title:>7}" for title in titles))
    for path in sorted(LABELS.glob("*.jsonl")):
        readings: dict[str, dict[tuple[str, ...], str]] = defaultdict(dict)
        gone = info = 0
        for row in rows(path):
            if row.get("gone") or row.get("severity") == "info":
                gone += row["reader"] == "first" and bool(row.get("gone"))
                info += row["reader"] == "first" and not row.get("gone")
                continue
            key = (row["repository"], row["path"], str(row["line"]), row["code"])
            readings[row["reader"]][key] = row["verdict"]
        first, second = readings["first"], readings["second"]
        right = sum(verdict == "right" for verdict in first.values())
        both = [key for key in second if key in first]
        agree = sum(first[key] == second[key] for key in both)
        share = right / len(first) if first else 0.0
        mark = "" if not first or share >= ENOUGH else "  below 80 %: preview"
        print(
            f"{path.stem:34} {len(first):7} {right:7} {len(first) - right:7} {share:7.0%} "
            f"{len({key[0] for key in first}):7} {len(both):7} {agree:7} {info:7} {gone:7}{mark}"
        )


if __name__ == "__main__":
    main()
