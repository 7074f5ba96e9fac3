"""A made-up report of a small training repository: twelve findings, a notebook, a waiver, a broken file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from mldebt.finding import (
    Applicability,
    Cell,
    Confidence,
    Edit,
    Finding,
    Fix,
    Place,
    Related,
    ScanError,
    Severity,
    Span,
    Waived,
)
from mldebt.fingerprint import stamp
from mldebt.report.result import NotebookLines, PracticeResult, Report, Sheet
from mldebt.score import Coverage, score
from mldebt.sources.text import CodeCell
from mldebt.weights import Reference

SNIPPETS = {
    ("train.py", 12): "    model = build_model(cfg)",
    ("train.py", 31): "    loader = DataLoader(AugmentedImages(cfg.root), batch_size=cfg.batch_size, num_workers=8)",
    ("train.py", 44): "    loaders = make_loaders(cfg)",
    ("train.py", 97): "    main()",
    ("data.py", 17): "        return DataLoader(dataset, shuffle=True)",
    ("data.py", 42): "        crop = self.rng.integers(0, 32, size=2)",
    ("data.py", 58): "    x_train, x_test = train_test_split(x, test_size=0.2)",
    ("config.py", 9): '    parser.add_argument("--amp", type=bool, default=False)',
    ("model.py", 20): "        dropout = getattr(cfg, 'dropout', 0.5)",
    ("model.py", 71): "        return F.softmax(self.head(x), dim=-1)",
    ("evaluate.py", 15): "    if accuracy > 85:",
    ("losses.py", 3): "# loss = focal(logits, y, gamma=2.0)",
    ("losses.py", 4): "# loss = loss + 0.1 * dice(logits, y)",
    ("losses.py", 5): "# opt = SGD(params, lr=0.01, momentum=0.9)",
    ("scripts/run.sh", 4): "python train.py --learning-rate 1e-3 --epochs 90 \\",
    ("old/train_v2.py", 1): "import argparse",
    ("explore.ipynb", 8): "split = train_test_split(df)",
    ("utils.py", 1): "import json",
}


def finding(code: str, name: str, place: Place, message: str, **changes: Any) -> Finding:
    made = Finding(code, name, message, place, Severity.MINOR, Confidence.HIGH, 5)
    return replace(made, carries=((place.path, place.span.line),), anchor=f"{place.path}{place.span}", **changes)


def at(path: str, line: int, column: int = 1, end_column: int = 1, end_line: int | None = None) -> Place:
    return Place(path, Span(line, column, end_line or line, end_column))


def twelve() -> list[Finding]:
    major, critical = Severity.MAJOR, Severity.CRITICAL
    split = at("data.py", 58, 23, 57)
    seeded = Fix(
        Applicability.SUGGEST, "pass random_state=cfg.seed", (Edit(at("data.py", 58, 56, 56), ", random_state=0"),)
    )
    return [
        finding(
            "MLD401",
            "unseeded-entry-path",
            at("data.py", 17, 16, 49),
            "torch draws the order of the training data, and nothing on the way from main() seeds torch: "
            "no two runs of train.py agree.",
            severity=major,
            minutes=15,
            scope="make_loader",
            related=(
                Related(at("train.py", 97), "the entry", "path"),
                Related(at("train.py", 44), "main() calls make_loaders()", "path"),
                Related(at("data.py", 17), "DataLoader(shuffle=True) draws from torch", "path"),
            ),
        ),
        finding(
            "MLD406",
            "rng-object-shared-across-workers",
            at("data.py", 42, 16, 48),
            "Every DataLoader worker starts from a copy of self.rng, so all eight workers draw the same crops.",
            severity=critical,
            minutes=15,
            scope="AugmentedImages.__getitem__",
            related=(Related(at("train.py", 31), "the workers are forked here", "cause"),),
        ),
        finding(
            "MLD404",
            "unseeded-sklearn-object",
            split,
            "train_test_split draws a new split on every run.",
            severity=major,
            fix=seeded,
            scope="load",
        ),
        finding(
            "MLD309",
            "boolean-option-trap",
            at("config.py", 9, 5, 59),
            '--amp False is read as True: bool("False") is true.',
            severity=major,
            fix=Fix(Applicability.SUGGEST, "use action=argparse.BooleanOptionalAction", ()),
        ),
        finding(
            "MLD303",
            "config-fallback-conflict",
            at("model.py", 20, 19, 47),
            "cfg.dropout falls back to 0.5 here and to 0.1 in train.py: which one trains depends on the caller.",
            severity=critical,
            minutes=10,
            scope="Net.__init__",
            related=(
                Related(at("config.py", 30), "declared with the default 0.1", "counterpart"),
                Related(at("train.py", 12), "built here", "effect"),
            ),
        ),
        finding(
            "MLD505",
            "double-activation-loss",
            at("model.py", 71, 16, 47),
            "forward returns probabilities, and CrossEntropyLoss in train.py applies softmax again.",
            severity=critical,
            confidence=Confidence.MEDIUM,
            minutes=10,
        ),
        finding(
            "MLD502",
            "quantity-out-of-range",
            at("evaluate.py", 15, 8, 21),
            "accuracy is a fraction: it is never above 85.",
            severity=major,
        ),
        finding(
            "MLD210",
            "commented-out-experiment",
            at("losses.py", 3, 1, 43, 5),
            "Three lines of an experiment left as comments.",
            fix=Fix(Applicability.SAFE, "delete the comment", (Edit(at("losses.py", 3, 1, 1, 6), ""),)),
        ),
        finding(
            "MLD312",
            "stale-launch-command",
            at("scripts/run.sh", 4, 17, 32),
            "train.py has no option --learning-rate; the nearest is --lr.",
            severity=major,
        ),
        finding(
            "MLD206",
            "copied-variant-file",
            at("old/train_v2.py", 1),
            "87 % of this file is train.py.",
            severity=major,
            minutes=45,
            related=(Related(at("train.py", 1), "the other copy", "counterpart"),),
        ),
        finding(
            "MLD404",
            "unseeded-sklearn-object",
            at("explore.ipynb", 8, 9, 29),
            "train_test_split draws a new split on every run.",
            cell=Cell(3, "a1b2", 2),
        ),
        finding(
            "MLD105",
            "junk-drawer-module",
            at("utils.py", 1),
            "41 functions on 9 subjects, imported by 14 modules.",
            minutes=60,
        ),
    ]


def report_of(findings: list[Finding], **changes: Any) -> Report:
    stamped = stamp((one, "") for one in findings)
    waived = (
        Waived(stamp([(replace(findings[-1], place=at("misc.py", 1)), "misc")])[0], "inline", "moves out in May", 1),
    )
    coverage = Coverage(1.0, 0.874, 1.0, 0.66)
    result = score(
        stamped,
        waived,
        applicable=frozenset("12345"),
        live_lines=2140,
        reference=Reference.shipped(),
        coverage=coverage,
    )
    values: dict[str, Any] = {
        "root": "/repo",
        "version": "0.1.0",
        "findings": tuple(stamped),
        "waived": waived,
        "score": result,
        "practices": (
            PracticeResult("P17", "settings from one place", "wired", (at("conf/config.yaml", 1),)),
            PracticeResult(
                "P23",
                "a reproducibility checklist",
                "missing",
                (),
                "add REPRODUCIBILITY.md with the command, the seed and the lock file",
            ),
            PracticeResult("P25", "regular time for debt", "not-visible"),
        ),
        "coverage": coverage,
        "files": 34,
        "errors": (ScanError("MLD001", "legacy/convert.py", 12, "Missing parentheses in call to 'print'; Python 2?"),),
        "snippets": SNIPPETS,
        "notebooks": {
            "explore.ipynb": NotebookLines(
                (10, 11, 12, 13, 30, 31, 32, 50, 51),
                (CodeCell(1, "c0", 1, 4), CodeCell(3, "a1b2", 7, 9)),
            )
        },
    }
    return Report(**(values | changes))


@pytest.fixture
def report() -> Report:
    return report_of(twelve())


def contents() -> dict[str, bytes]:
    """The files of the snippets: each line where it belongs, the others blank."""
    files: dict[str, dict[int, str]] = {}
    for (path, line), text in SNIPPETS.items():
        files.setdefault(path, {})[line] = text
    written = {path: [rows.get(line, "") for line in range(1, max(rows) + 1)] for path, rows in files.items()}
    source = json.dumps(written.pop("explore.ipynb")[-1] + "\n")
    notebook = [*["{}"] * 49, f"    {source},"]
    return {path: "\n".join([*rows, ""]).encode() for path, rows in {**written, "explore.ipynb": notebook}.items()}


@pytest.fixture
def whole() -> Report:
    """The report as formats for programs get it: with files, rules and nothing left to guess."""
    sheets = {
        code: Sheet(code, name, "randomness", f"What {name} says.", f"# {name}\n\nA page.\n", severity, sure, 5)
        for code, name, severity, sure in (
            ("MLD401", "unseeded-entry-path", Severity.MAJOR, Confidence.HIGH),
            ("MLD505", "double-activation-loss", Severity.CRITICAL, Confidence.MEDIUM),
        )
    }
    return replace(report_of(twelve()), contents=contents(), sheets=sheets)


@pytest.fixture
def legacy() -> Report:
    """Two hundred findings."""
    many = [
        replace(one, place=replace(one.place, path=f"pkg/{number}/{one.place.path}"))
        for number in range(17)
        for one in twelve()
    ]
    here = report_of(twelve())
    return replace(report_of(many), errors=here.errors)
