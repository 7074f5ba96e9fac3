"""MLD206 copied-variant-file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar

from msgspec import Struct

from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .clones import Clones, Differences
from .philosophy import Philosophy, on_purpose
from .variant_candidates import candidates
from .variant_names import file_version, folder_version

_UNSURE = 0.1  # asked for on top of the threshold where the name alone may be a model's
_ANY_WORD = 0.9  # ``build_double.py`` says nothing of history: only a copy to the letter counts
_NAMED = 0.75  # ``inception_v2.py`` defines ``inception_v2``: published models of one family measure 0.6 to 0.7
_PERSONAL = 0.6  # ``train_jd.py``: two letters may also abbreviate what the file is about
_MENTIONS = 0.4

_TRAINER = """
    import numpy as np
    from sklearn.linear_model import SGDClassifier
    from sklearn.metrics import roc_auc_score

    from churn.data import load


    def batches(x, y, size):
        order = np.random.permutation(len(x))
        for start in range(0, len(x), size):
            index = order[start : start + size]
            yield x[index], y[index]


    def evaluate(model, x, y):
        scores = model.decision_function(x)
        return {"auc": roc_auc_score(y, scores), "positive": float((scores > 0.0).mean())}


    def main(path, epochs=20, lr=0.01):
        x, y = load(path)
        cut = int(0.8 * len(x))
        model = SGDClassifier(loss="log_loss", eta0=lr, learning_rate="constant")
        best = 0.0
        for epoch in range(epochs):
            for xb, yb in batches(x[:cut], y[:cut], 256):
                model.partial_fit(xb, yb, classes=[0, 1])
            result = evaluate(model, x[cut:], y[cut:])
            best = max(best, result["auc"])
            print(epoch, result["auc"], best)
        return model


    if __name__ == "__main__":
        main("data/churn.npz")
    """
_VARIANT = _TRAINER.replace("0.01", "0.003").replace("best = 0.0", "best = -1.0\n        patience = 3")
_DRIFTED = _VARIANT.replace('"log_loss"', '"hinge"').replace("print(epoch, result", "print('epoch', epoch, result")
_REWRITTEN = """
    import torch
    from torch import nn

    from churn.data import dataset


    class Net(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(40, width), nn.ReLU(), nn.Linear(width, 1))

        def forward(self, x):
            return self.layers(x).squeeze(-1)


    def step(net, optimizer, batch, device):
        x, y = (part.to(device) for part in batch)
        loss = nn.functional.binary_cross_entropy_with_logits(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()


    def main(path, epochs=20, lr=0.01, device="cpu"):
        net = Net(128).to(device)
        optimizer = torch.optim.Adam(net.parameters(), lr=lr)
        for epoch in range(epochs):
            losses = [step(net, optimizer, batch, device) for batch in dataset(path)]
            print(epoch, sum(losses) / len(losses))
        torch.save(net.state_dict(), "net.pt")


    if __name__ == "__main__":
        main("data/churn.npz")
    """


class _Pair(Struct, frozen=True):
    first: str
    second: str
    sure: bool


@dataclass(frozen=True)
class CopiedVariantFile(ProjectRule):
    """Versions of one file side by side: the names say version, old, final or copy, and most of the text is equal.

    Measured on token 8-grams with identifiers kept and literals normalised, so that model names such as `wav2vec2` and
    two unrelated trainers are no copies. Notebooks are compared with notebooks, scripts with scripts.

    ## Why it is debt

    Every later fix has to be made in each copy, and somebody must know which copy gave the published result. Copies
    made for an experiment are "dead experimental codepaths" of the size of a file: they go on being imported and
    launched by mistake, and they drift apart.

    ## How to pay it back

    Keep one file. What differs between the copies becomes an option or a configuration file; old versions live in
    version control, under a tag if a paper needs them.

    ## When to leave it

    A repository of single-file implementations repeats itself on purpose. The rule is silent when the README (or the
    head of a file) says so, and where `# Copied from` comments show that a script keeps the copies equal. Models whose
    names end in a number are told from versions by their text. A script exported from a notebook of the same name,
    vendored, generated and test files, migrations, versioned API folders (`v1/`, `v2/`) and pure configuration files
    are left alone.

    ## Options

    * `share` (0.5): the share of the smaller file's 8-grams that must be in the other.
    * `shingles` (150): how many distinct 8-grams the smaller file must have.

    `single-file-implementations = true` among the project's settings switches the rule off.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.3.
    * Y. Tang et al., "An Empirical Study of Refactorings and Technical Debt in Machine Learning Systems", ICSE 2021.
    * B. van Oort et al., "The Prevalence of Code Smells in Machine Learning Projects", WAIN 2021.
    """

    share: float = 0.5
    shingles: int = 150

    code: ClassVar[str] = "MLD206"
    severity: ClassVar[Severity] = Severity.MAJOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 45
    sensitive_to: ClassVar[frozenset[str]] = frozenset({"callee-moved"})  # shared code in a file of its own: the remedy
    examples = (
        Bad({"train.py": _TRAINER, "train_v2.py": _VARIANT}, anchors=("train.py:1",)),
        Bad(
            {"train.py": _TRAINER, "train_final.py": _VARIANT, "train_final_2.py": _DRIFTED, "notes.md": "nothing"},
            anchors=("train.py:1",),
        ),
        Bad({"src/model_old.py": _TRAINER, "src/model.py": _DRIFTED, "README.md": "# churn\nHow to run it.\n"}),
        Bad({"exp_1/train.py": _TRAINER, "exp_2/train.py": _VARIANT}, anchors=("exp_1/train.py:1",)),
        Good({"train.py": _TRAINER, "train_v2.py": _REWRITTEN}),
        Good(
            {
                "ppo.py": _TRAINER,
                "ppo_v2.py": _VARIANT,
                "README.md": "# agents\nEvery algorithm variant lives in one\nself-contained file.\n",
            }
        ),
        Good({"train.py": _TRAINER, "evaluate.py": _VARIANT}),
        Good({"third_party/train.py": _TRAINER, "third_party/train_v2.py": _VARIANT}),
        Good({"conf_v1.py": "lr = 0.1\n" * 60, "conf_v2.py": "lr = 0.1\n" * 59 + "lr = 0.2\n"}),
        Good(
            {"train.py": _TRAINER, "train_v2.py": "from train import main\n\nmain('data/v2.npz', epochs=40, lr=3e-4)\n"}
        ),
        Good({"api/v1/fit.py": _TRAINER, "api/v2/fit.py": _TRAINER.replace("0.8", "0.7")}),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        if project.options.single_file_implementations:
            return
        pairs = list(self._pairs(project))
        groups = [sorted(group) for group in _joined(pairs)]
        philosophy = Philosophy(project)
        for group in sorted(groups):
            if philosophy.covers(group):
                continue
            yield self._problem(project, group, [pair for pair in pairs if pair.first in group])

    def _pairs(self, project: Project) -> Iterator[_Pair]:
        clones = project[Clones]
        for each in candidates(project):
            if not clones.may_share(each.first, each.second, _MENTIONS):
                continue
            found = clones.pair(each.first, each.second)
            wanted = self.share + (0.0 if each.sure else _UNSURE)
            wanted = max(wanted, _NAMED) if each.named else wanted
            alike = found.named.containment >= wanted if each.history else found.raw.jaccard >= _ANY_WORD
            alike = alike and (not each.initials or found.named.jaccard >= _PERSONAL)
            purposely = any(on_purpose(project.modules[path]) for path in (each.first, each.second))
            if alike and found.named.smaller >= self.shingles and not purposely:
                yield _Pair(each.first, each.second, each.sure)

    def _problem(self, project: Project, group: Sequence[str], pairs: Sequence[_Pair]) -> Problem:
        base, *variants = _oldest_first(group)
        clones = project[Clones]
        shares, seen, related, evidence = [], [], [], []
        for path in variants:
            share = clones.pair(base, path).named.containment
            unlike = clones.differences(base, path)
            shares.append(round(100 * share))
            seen.append(unlike)
            head = f"{_percent(share)} of it the same" if share >= self.share else "a copy of another copy"
            related.append(Related(Place(path, Span(1)), f"{head}, {_lines(unlike)}"))
            evidence.append(_table(base, path, unlike))
        pair = clones.pair(base, variants[0])
        size = f"{pair.named.first} and {pair.named.second} distinct token 8-grams, {pair.named.shared} in both"
        evidence.append(f"{size} ({pair.raw.shared} with literals as written)")
        evidence.append("no README says that files repeat each other on purpose")
        return Problem(
            Place(base, Span(1)),
            _message(base, variants, shares, seen),
            tuple(related),
            confidence=None if all(one.sure for one in pairs) else Confidence.MEDIUM,
            evidence=tuple(evidence),
            carries=tuple((path, n) for path in variants for n in sorted(project.modules[path].code_line_numbers)),
            symbol=" ".join(group),
        )


def _joined(pairs: Iterable[_Pair]) -> list[set[str]]:
    """Files that are copies of each other, directly or through others; parallel folders are one group."""
    groups: list[set[str]] = []
    for pair in pairs:
        joined, rest = {pair.first, pair.second}, []
        for group in groups:
            if group & joined or _parallel(group, pair):
                joined |= group
            else:
                rest.append(group)
        groups = [*rest, joined]
    return groups


def _parallel(group: set[str], pair: _Pair) -> bool:
    """Whether a pair in two folders stands beside another pair of the same two folders: one copied experiment."""
    folders = {str(PurePosixPath(path).parent) for path in (pair.first, pair.second)}
    return len(folders) == 2 and folders <= {str(PurePosixPath(path).parent) for path in group}


def _oldest_first(group: Sequence[str]) -> list[str]:
    """The file the others were copied from by their names: the bare name, then versions as people count."""

    def age(path: str) -> tuple[object, ...]:
        marks = (*folder_version(path).marks, *file_version(path).marks)
        counted = [
            (0, int(number), "") if number else (1, 0, word)
            for mark in marks
            for word, number in re.findall(r"([A-Za-z]+)|(\d+)", mark)
        ]
        return (len(PurePosixPath(path).stem.split("_")) if not marks else 99, len(marks), counted, path)

    return sorted(group, key=age)


def _message(base: str, variants: Sequence[str], shares: Sequence[int], unlike: Sequence[Differences]) -> str:
    if len(variants) == 1:
        only = variants[0]
        share = f"{shares[0]} % of the smaller is in the other"
        return f"{only} is a copy of {base} under another name: {share}, {_lines(unlike[0])}"
    named = ", ".join(variants[:4]) + (f" and {len(variants) - 4} more" if len(variants) > 4 else "")
    low, high = min(shares), max(shares)
    share = f"{low} %" if low == high else f"{low} to {high} %"
    return f"{len(variants)} copies of {base} under other names ({named}): {share} of the smaller is in the other"


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"


def _lines(unlike: Differences) -> str:
    if not unlike.lines:
        return "no line of code differs"
    return f"{unlike.lines} of {unlike.same + unlike.lines} lines of code differ"


def _table(base: str, path: str, unlike: Differences) -> str:
    """Which lines differ, and in what where only a value or name does."""
    if not unlike.stretches:
        return f"{base} and {path} have the same code"
    places = ", ".join(
        f"{base}:{each.first[0]}" if each.first else f"{path}:{each.second[0]} (only there)"
        for each in unlike.stretches[:6]
    )
    leaves = "; ".join(f"{ours} -> {theirs}" for ours, theirs in unlike.leaves[:6])
    return f"{base} and {path} differ from {places}" + (f"; single tokens: {leaves}" if leaves else "")
