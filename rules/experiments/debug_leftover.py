"""MLD212 debug-leftover."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mldebt.finding import Applicability, Confidence, Fix, Place, Related, Severity, Span
from mldebt.module import CallSite, Module
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .data_cuts import Cut, Reach, data_cuts, early_breaks
from .debug_calls import (
    SHELLS,
    STOPS,
    checks,
    imported_debuggers,
    is_debugging,
    owns,
    shape_prints,
    short_runs,
    stops,
)
from .removal import without

_COMMENT = re.compile(r"#+\s*(?:for |while |only for )?(?:debug(?:ging)?|testing)\b", re.IGNORECASE)
_NEAR = 3  # lines
_TUNED = re.compile(
    r"\b(\w*(?:epochs?|num_workers|n_workers|max_steps|num_steps|batch_size|nrows|n_samples))\s*=\s*(\d+)\b"
)


@dataclass(frozen=True)
class DebugLeftover(ProjectRule):
    """Debugging that was left in: training on the first rows only, a loop that breaks after a few batches, a debugger
    call, checks of every operation, prints of shapes.

    ## Why it is debt

    A cut such as `df = df[:1000]` changes the result of every later run and fails nowhere: the model is trained on a
    tenth of the data and nobody is told. `breakpoint()` stops a job on a cluster for ever, and anomaly detection makes
    each step several times slower.

    ## How to pay it back

    Delete it, or let an option decide: `if cfg.debug: df = df[:1000]`. The fix deletes debugger calls; it is safe.

    ## When to leave it

    What a switch decides (`if args.debug: breakpoint()`) is not reported, nor a cut whose rest is used as well (a
    split), rows chosen by an order (top 100), the truncation of one text, what is cut only to be shown, and what is
    not seen to reach training. Tests, examples and, for cuts, notebooks are left alone.

    ## Options

    * `prints`: so many prints of shapes in one class or function of an imported file are one finding (5).

    ## References

    * J. Gesi et al., "Code Smells in Machine Learning Systems", 2022: unwanted debugging code.
    * https://docs.pytorch.org/docs/stable/autograd.html#anomaly-detection: "should be enabled only for debugging".
    """

    prints: int = 5

    code: ClassVar[str] = "MLD212"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 5
    alone: ClassVar[Alone] = Alone.REPORT
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression


            def load(path):
                frame = pd.read_csv(path)
                frame = frame[:500]
                return frame.drop(columns="y"), frame["y"]


            def main():
                x, y = load("train.csv")
                LogisticRegression(max_iter=200).fit(x, y)


            if __name__ == "__main__":
                main()
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            {
                "train.py": """
                import torch

                from data import loader


                def train(model, optimizer):
                    for step, (x, y) in enumerate(loader()):
                        loss = torch.nn.functional.mse_loss(model(x), y)
                        loss.backward()
                        optimizer.step()
                        breakpoint()
                        if step > 10:
                            break
                """,
                "data.py": """
                import torch


                def loader():
                    return torch.utils.data.DataLoader(torch.zeros(1000, 4), shuffle=True)
                """,
            },
            fixed={
                "train.py": """
                import torch

                from data import loader


                def train(model, optimizer):
                    for step, (x, y) in enumerate(loader()):
                        loss = torch.nn.functional.mse_loss(model(x), y)
                        loss.backward()
                        optimizer.step()
                        if step > 10:
                            break
                """,
                "data.py": """
                import torch


                def loader():
                    return torch.utils.data.DataLoader(torch.zeros(1000, 4), shuffle=True)
                """,
            },
            findings=2,
            anchors=("train.py:11", "train.py:12"),
        ),
        Bad(
            """
            import torch


            def fit(model, batches, optimizer):
                torch.autograd.set_detect_anomaly(True)
                for x, y in batches:
                    if torch.isnan(x).any():
                        import pdb; pdb.set_trace()
                    loss = torch.nn.functional.mse_loss(model(x), y)
                    loss.backward()
                    optimizer.step()
            """,
            fixed="""
            import torch


            def fit(model, batches, optimizer):
                torch.autograd.set_detect_anomaly(True)
                for x, y in batches:
                    if torch.isnan(x).any():
                        pass
                    loss = torch.nn.functional.mse_loss(model(x), y)
                    loss.backward()
                    optimizer.step()
            """,
            findings=2,
        ),
        Bad(
            {
                "net.py": """
                import torch


                class Net(torch.nn.Module):
                    def forward(self, x):
                        print(x.shape)
                        a = x.mean(1)
                        print("a", a.shape)
                        b = a * 2
                        print("b", b.size())
                        c = b + a
                        print(f"c {c.shape}")
                        print(c.shape, a.shape)
                        return c
                """,
                "run.py": """
                from net import Net

                Net()
                """,
            },
            anchors=("net.py:6",),
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression


            def main(debug, path):
                frame = pd.read_csv(path)
                if debug:
                    frame = frame[:500]
                    breakpoint()
                LogisticRegression(max_iter=200).fit(frame.drop(columns="y"), frame["y"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression


            def main(path):
                frame = pd.read_csv(path)
                print(frame.head(10))
                shown = frame.sample(frac=0.01, random_state=0)
                shown.plot()
                train, test = frame[:8000], frame[8000:]
                LogisticRegression(max_iter=200).fit(train.drop(columns="y"), train["y"])
                return test
            """
        ),
        Good(
            """
            import torch


            class Texts(torch.utils.data.Dataset):
                def __init__(self, rows, tokenizer):
                    self.rows, self.tokenizer = rows, tokenizer

                def __getitem__(self, index):
                    ids = self.tokenizer(self.rows[index])
                    ids = ids[:512]
                    return torch.tensor(ids)
            """
        ),
        Good(
            """
            import torch


            def first_batch(loader):
                for batch in loader:
                    break
                return batch


            def evaluate(model, loader):
                for step, batch in enumerate(loader):
                    model(batch)
                    if step > 10:
                        break


            def train(model, loader, optimizer, best=1e9):
                for epoch in range(100):
                    loss = model(first_batch(loader))
                    loss.backward()
                    optimizer.step()
                    if loss > best:
                        break
            """
        ),
        Good(
            """
            import torch


            def fit(model, x, y, args):
                torch.autograd.set_detect_anomaly(args.detect_anomaly)
                if args.verbose:
                    print(x.shape)
                    print(y.shape)
                try:
                    model(x)
                except ValueError:
                    if args.debug:
                        import pdb
                        pdb.set_trace()
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.cluster import KMeans


            def main(path):
                frame = pd.read_csv(path)
                frame = frame.sort_values("score", ascending=False)
                frame = frame.head(100)
                KMeans(n_clusters=3, random_state=0).fit(frame)
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for module in project.modules.values():
            if module.role == "project" and not module.is_test:
                yield from _debuggers(module)
                yield from _cut(module, project)
                yield from self._slow(module)

    def _slow(self, module: Module) -> Iterator[Problem]:
        if module.path.endswith(".ipynb"):
            return
        for left in checks(module):
            yield Problem(module.place(left.site), f"{_shown(left.name)} {left.what}, in every run", symbol=left.name)
        yield from _tuned(module)
        if "shape" in module.mentions or "size" in module.mentions:
            for sites in shape_prints(module):
                if len(sites) >= self.prints and module.project.imports.importers(module.path):
                    yield _prints(module, sites)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        place = problem.place
        module = project.modules[place.path]
        for name, site in module.calls_of(STOPS):
            if module.place(site) == place and owns(site.statement, site.call):
                span = _with_import(module, site, name)
                return Fix(
                    Applicability.SAFE, "delete the debugger call", (without(module, site.statement, span, site.scope),)
                )
        return None


def _with_import(module: Module, site: CallSite, name: str) -> Span:
    """The call, with the ``import pdb;`` before it on its line."""
    span = module.place(site).span
    before = module.text_lines[span.line - 1][: span.column - 1]
    head = name.partition(".")[0]
    match = re.search(rf"(?:^|(?<=[\s;:]))(?:import {head}|from {head} import \w+)\s*;\s*$", before)
    return Span(span.line, match.start() + 1, span.end_line, span.end_column) if match else span


def _debuggers(module: Module) -> Iterator[Problem]:
    main = module.facts.main
    for left in stops(module):
        # A shell at the end of a main block is what running the file is for.
        is_purpose = main is not None and main[0] <= left.site.call.line <= main[1] and left.name in SHELLS
        severity = Severity.INFO if is_purpose else None
        yield Problem(module.place(left.site), f"{_shown(left.name)} {left.what}", severity=severity, symbol=left.name)
    for line, name in imported_debuggers(module):
        place = Place(module.path, Span(line, 1, line, len(module.text_lines[line - 1]) + 1))
        yield Problem(place, f"{name} is imported and not used: the program runs only where that debugger is installed")


def _cut(module: Module, project: Project) -> Iterator[Problem]:
    groups: list[list[tuple[Cut, str]]] = []
    for cut in data_cuts(module):
        if is_debugging(module, cut.scope):
            continue
        there = Reach(project, cut.strong).trained(module, cut.scope, cut.name, cut.stmt.line)
        if there and groups and _belong(groups[-1][-1][0], cut):
            groups[-1].append((cut, there))
        elif there:
            groups.append([(cut, there)])
    for (cut, there), *others in groups:
        yield Problem(
            module.place(cut.stmt),
            f"every run trains on what {cut.text} leaves of the data; no option switches that off",
            tuple(Related(module.place(other.stmt), f"{other.text} of {other.name}") for other, _ in others),
            severity=Severity.MAJOR,
            evidence=(f"reaches training at {there}", "no test around the cut", "the rest is not used"),
        )
    if module.path.endswith(".ipynb"):
        return
    for stmt, scope, text in early_breaks(module):
        if not is_debugging(module, scope):
            yield Problem(module.place(stmt), f"the training loop ends after {text}", severity=Severity.MAJOR)
    for site, text in short_runs(module):
        yield Problem(module.place(site), f"every run of this trainer is cut short: {text}", severity=Severity.MAJOR)


def _belong(first: Cut, second: Cut) -> bool:
    """Features and labels are cut together."""
    return first.scope == second.scope and second.stmt.line - first.stmt.end_line <= _NEAR


def _tuned(module: Module) -> Iterator[Problem]:
    """``num_workers=0  # debug``."""
    for comment in module.facts.comments:
        if not comment.alone and _COMMENT.match(comment.text):
            row = module.text_lines[comment.line - 1]
            found = _TUNED.search(row)
            if found is not None:
                place = Place(module.path, Span(comment.line, found.start() + 1, comment.line, found.end() + 1))
                yield Problem(place, f"{found[1]} is {found[2]} for debugging, as the comment says, in every run")


def _prints(module: Module, sites: list[CallSite]) -> Problem:
    first, *others = sites
    related = tuple(Related(module.place(site), "prints a shape", "cause") for site in others)
    return Problem(module.place(first), f"{len(sites)} prints of shapes run whenever this module is used", related)


def _shown(name: str) -> str:
    return name.removeprefix("builtins.") + ("" if name.endswith(")") else "()")
