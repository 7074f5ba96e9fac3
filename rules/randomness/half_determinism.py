from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.finding import Confidence, Place, Related, Severity
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .determinism import Determinism, Flag
from .seeded_paths import SeededPaths

if TYPE_CHECKING:
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

_MOST = 4


class HalfDeterminism(ProjectRule):
    """A program says that it is deterministic, and takes it back.

    It lets cuDNN choose algorithms by measuring them, or runs operations that no flag it sets makes deterministic.

    ## Why it is debt

    Whoever reads `cudnn.deterministic = True` trusts the numbers of two runs to agree. With `cudnn.benchmark = True`
    the algorithm, and with it the rounding, depends on what else the GPU is doing; `scatter_add`, the backward of a
    bilinear `interpolate` or a CTC loss add in another order each time.

    ## How to pay it back

    Decide, and write the decision down as one option: either `torch.use_deterministic_algorithms(True)` with
    `cudnn.benchmark = False`, which raises where an operation has no deterministic kernel, or no claim at all.

    ## When to leave it

    Only programs that claim determinism with a flag of cuDNN, `deterministic=True` or
    `use_deterministic_algorithms(True)` are looked at; seeds alone are no such claim, and fast and inexact is a good
    choice where nobody claims otherwise. Flags under an option are not reported, unless the option itself is called
    deterministic or reproducible.

    ## References

    - PyTorch, Reproducibility: https://pytorch.org/docs/stable/notes/randomness.html
    - PyTorch, use_deterministic_algorithms:
      https://pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html
    - TensorFlow, enable_op_determinism:
      https://www.tensorflow.org/api_docs/python/tf/config/experimental/enable_op_determinism
    """

    code = "MLD409"
    severity = Severity.MINOR
    confidence = Confidence.MEDIUM
    minutes = 10

    examples = (
        Bad(
            """
            import torch


            def main():
                torch.manual_seed(0)
                torch.backends.cudnn.deterministic = True
                torch.backends.cudnn.benchmark = True
                model = torch.nn.Linear(4, 1)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in torch.load("batches.pt"):
                    loss = ((model(x) - y) ** 2).mean()
                    loss.backward()
                    optimizer.step()


            if __name__ == "__main__":
                main()
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            {
                "repro.py": """
                    import torch
                    from torch.backends import cudnn


                    def fix(seed):
                        torch.manual_seed(seed)
                        cudnn.deterministic = True
                        cudnn.benchmark = False
                    """,
                "train.py": """
                    import torch

                    from repro import fix


                    def main():
                        fix(1)
                        torch.backends.cudnn.benchmark = True
                        model = torch.nn.Linear(4, 1)
                        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                        for x, y in torch.load("batches.pt"):
                            loss = ((model(x) - y) ** 2).mean()
                            loss.backward()
                            optimizer.step()


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("train.py:8",),
        ),
        Bad(
            {
                "model.py": """
                    import torch
                    import torch.nn.functional as F


                    class Net(torch.nn.Module):
                        def __init__(self):
                            super().__init__()
                            self.conv = torch.nn.Conv2d(3, 1, 3)

                        def forward(self, x):
                            return F.interpolate(self.conv(x), scale_factor=2, mode="bilinear")
                    """,
                "train.py": """
                    import torch

                    from model import Net


                    def main():
                        torch.manual_seed(1)
                        torch.backends.cudnn.deterministic = True
                        torch.backends.cudnn.benchmark = False
                        model = Net()
                        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                        for x, y in torch.load("batches.pt"):
                            loss = ((model(x) - y) ** 2).mean()
                            loss.backward()
                            optimizer.step()


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("train.py:8",),
        ),
        Bad(
            """
            import pytorch_lightning as pl


            def main(model, data):
                trainer = pl.Trainer(max_epochs=3, deterministic=True, benchmark=True)
                trainer.fit(model, data)
            """
        ),
        Bad(
            {
                "model.py": """
                    from torch import nn


                    class Recognizer(nn.Module):
                        def __init__(self):
                            super().__init__()
                            self.head = nn.GRU(80, 32)
                            self.ctc = nn.CTCLoss()

                        def loss(self, x, y, sizes):
                            return self.ctc(self.head(x)[0].log_softmax(-1), y, *sizes)
                    """,
                "train.py": """
                    import argparse

                    import torch

                    from model import Recognizer


                    def main():
                        parser = argparse.ArgumentParser()
                        parser.add_argument("--deterministic", action="store_true", help="bit-exact reruns")
                        args = parser.parse_args()
                        torch.manual_seed(0)
                        if args.deterministic:
                            torch.backends.cudnn.deterministic = True
                        model = Recognizer()
                        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                        for x, y, sizes in torch.load("batches.pt"):
                            model.loss(x, y, sizes).backward()
                            optimizer.step()


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("train.py:14",),
        ),
        Good(
            """
            import torch


            def main(args):
                torch.manual_seed(0)
                if args.deterministic:
                    torch.backends.cudnn.deterministic = True
                    torch.backends.cudnn.benchmark = False
                else:
                    torch.backends.cudnn.benchmark = True
                torch.nn.Linear(4, 1)(torch.zeros(4)).backward()


            if __name__ == "__main__":
                main(torch.load("args.pt"))
            """
        ),
        Good(
            """
            import torch


            def main(cfg):
                torch.manual_seed(0)
                torch.backends.cudnn.benchmark = True
                torch.nn.Linear(4, 1)(torch.zeros(4)).backward()


            if __name__ == "__main__":
                main(None)
            """
        ),
        Good(
            """
            import torch


            def main(cfg):
                torch.backends.cudnn.deterministic = True
                torch.backends.cudnn.benchmark = cfg.fast
                torch.nn.Linear(4, 1)(torch.zeros(4)).backward()


            if __name__ == "__main__":
                main(torch.load("cfg.pt"))
            """
        ),
        Good(
            """
            import torch

            torch.backends.cudnn.benchmark = True


            def fix(seed):
                torch.manual_seed(seed)
                torch.backends.cudnn.deterministic = True
                torch.backends.cudnn.benchmark = False


            def main():
                fix(0)
                torch.nn.Linear(4, 1)(torch.zeros(4)).backward()


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import torch


            def main():
                torch.use_deterministic_algorithms(True)
                torch.backends.cudnn.deterministic = True
                up = torch.nn.Upsample(scale_factor=2, mode="bilinear")
                up(torch.zeros(1, 1, 4, 4, requires_grad=True)).sum().backward()


            if __name__ == "__main__":
                main()
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        flags = project[Determinism].flags
        for flag in flags:
            if flag.kind == "both":
                yield _contradiction(flag, flag)
        claims = [flag for flag in flags if flag.kind in ("claim", "strict")]
        if not claims:
            return
        seen: set[int] = set()
        for entry in project.entries:
            paths = project[SeededPaths]
            if entry.is_test or not any(paths.may_run(entry, flag.definition.module) for flag in claims):
                continue
            reached = project[SeededPaths].reached(entry)
            here = [flag for flag in flags if flag.definition.name in reached]
            for problem, fact in _judged(project, entry, [flag for flag in here if flag in claims], here, reached):
                if id(fact) not in seen:
                    seen.add(id(fact))
                    yield problem


def _judged(
    project: Project, entry: Entry, claims: list[Flag], here: list[Flag], reached: frozenset[str]
) -> Iterator[tuple[Problem, object]]:
    for claim in claims:
        for flag in here:
            if flag.kind == "benchmark" and flag.sure and claim.kind in ("claim", "strict"):
                if _comes_last(project, flag, claim, here):
                    yield _contradiction(flag, claim), flag.fact
            elif flag.kind == "unordered" and claim.kind == "strict" and claim.text.startswith("enable_op"):
                yield _contradiction(flag, claim), flag.fact
    claims = [claim for claim in claims if claim.sure]
    if not claims or any(flag.kind == "strict" for flag in here) or "train" not in project.roles(entry):
        return
    found = [
        (module.place(call), name)
        for path in sorted({name.partition(":")[0] for name in reached})
        for module in [project.modules[path]]
        for name, call, scope in project[Determinism].operations(module)
        if module.definition(scope).name in reached
    ]
    if found:
        yield _missing(claims[0], found), claims[0].fact


def _contradiction(flag: Flag, claim: Flag) -> Problem:
    place = flag.definition.module.place(flag.fact)
    if flag is claim:
        return Problem(place, f"{flag.text} asks for determinism and for algorithms chosen by measuring")
    there = claim.definition.module.place(claim.fact)
    return Problem(
        place,
        f"{flag.text} takes back {claim.text}: what is claimed to be deterministic is not",
        (Related(there, f"claimed here: {claim.text}"),),
        evidence=(f"{claim.text} at {there.path}:{there.span.line}", "no option decides on what takes it back"),
    )


def _missing(claim: Flag, found: list[tuple[Place, str]]) -> Problem:
    names = list(dict.fromkeys(name.rpartition(".")[2] for _, name in found))
    text = "{} has no deterministic kernel"
    related = tuple(Related(place, text.format(name), "effect") for place, name in found[:_MOST])
    return Problem(
        claim.definition.module.place(claim.fact),
        f"{claim.text} claims determinism, but does not cover {', '.join(names[:3])}, which training runs",
        related,
        evidence=("no call of torch.use_deterministic_algorithms(True)",),
    )


def _comes_last(project: Project, flag: Flag, claim: Flag, here: list[Flag]) -> bool:
    """Whether ``benchmark = True`` is what holds in the end."""
    line = flag.fact.line
    offs = [one for one in here if one.kind == "no-benchmark"]
    if any(one.definition is flag.definition and one.fact.line > line for one in offs):
        return False
    others = [one for one in offs if one.definition is not flag.definition]
    if not others:
        return True
    # What is switched off in a function stays off, unless that runs before: it is called above.
    edges = project.calls.edges(flag.definition)
    before = {edge.target.name for edge in edges if edge.call is not None and edge.call.line < line}
    after = {edge.target.name for edge in edges if edge.call is not None and edge.call.line > line}
    return all(one.definition.name in before and one.definition.name not in after for one in others)
