"""MLD101 glue-heavy-module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mldebt.facts.schema import Call, Ref
from mldebt.facts.walk import walk
from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .boundaries import Boundaries
from .conversions import Operations
from .crossings import Crossing, Crossings
from .statements import Kind, Statement, StatementReader

_LEAST_SHARE = 0.10  # of conversions, where conversions and forwards together make the case
_LEAST_CROSSINGS = 3
_LEAST_OF_ONE_KIND = 5  # crossings, where all go from the same library to the same other or forwards make the case
_LEAST_CROSSING = 0.25  # of the conversions
_USUAL = "half of the modules of 41 repositories have 4 % or less, one in fifty 21 % or more"
_USUAL_GLUE = "half of the modules of 41 repositories have 34 % or less, one in twenty 58 % or more"
_WORDS_A_LINE = 0.02  # identifiers of conversions a line, each counted once a function: fewer cannot reach the shares
_LEAST_WORDS = 3
_SHOWN = 20


def _trainer(body: str) -> str:
    return f"""
    import numpy as np
    import pandas as pd
    import torch


    def train(path, model, device):
        frame = pd.read_csv(path)
        labels = frame["label"]
        numbers = frame[["a", "b"]]
{body}
        return model
    """


_LINES = (
    "array{n} = np.asarray(numbers)",
    'cast{n} = array{n}.astype("float32")',
    "tensor{n} = torch.from_numpy(cast{n}).unsqueeze(1).to(device)",
    "target{n} = torch.from_numpy(labels.to_numpy())",
    "scores{n} = model(tensor{n})",
    "back{n} = scores{n}.detach().cpu().numpy()",
    "loss{n} = ((scores{n} - target{n}) ** 2).mean()",
)
_GLUE = _trainer("\n".join(f"        {line.format(n=n)}" for n in range(8) for line in _LINES))
# What comes in is a parameter that nothing says the type of, and lists lie between the libraries.
_STORE = """
    import numpy as np
    import pandas as pd
    import torch


    class Store:
        def __init__(self, frame, device):
            self.device = device
            self.columns = frame.columns
    """ + "\n".join(
    f"""
        def column_{n}(self, frame, scores):
            values = frame["c{n}"].to_numpy().astype("float32")
            tensor = torch.from_numpy(values).unsqueeze(1).to(self.device)
            known = scores.detach().cpu().numpy()
            names = frame["name"].tolist()
            table = pd.DataFrame(np.stack(known).tolist())
            return tensor, names, table
    """
    for n in range(6)
)
_LOGIC = _trainer(
    "\n".join(
        f"        {line.format(n=n)}"
        for n in range(8)
        for line in (*_LINES[:1], *(f"value{{n}}_{i} = {i} * len(labels) + {i + 1}" for i in range(9)))
    )
)
_SHAPES = _trainer(
    "\n".join(
        f"        {line.format(n=n)}"
        for n in range(10)
        for line in ("a{n} = model(device)", "b{n} = a{n}.reshape(2, 3)", "c{n} = b{n}.transpose(0, 1).copy()")
    )
)
_THIN = "import numpy as np\nimport pandas as pd\nimport torch\n" + "".join(
    f"""

    def to_batch_{n}(frame: pd.DataFrame, device):
        array = np.asarray(frame.values)
        tensor = torch.from_numpy(array)
        return tensor.unsqueeze(1).to(device)
""".replace("\n    ", "\n")
    for n in range(12)
)
_PRESETS = "import torch\n\n\n" + "\n\n".join(
    f"def preset_{n}(args):\n"
    + "\n".join(f'    args.option_{i} = getattr(args, "option_{i}", {i})' for i in range(8))
    + "\n    args.weights = torch.tensor([1.0]).cpu().numpy()\n"
    for n in range(6)
)


@dataclass(frozen=True)
class GlueHeavyModule(ProjectRule):
    """A large part of a module's statements does nothing but convert values between libraries.

    Of the simple statements of a module (assignments, returns, calls), a *conversion* has only names, parts, containers
    and calls from the conversion table on its right side; an *attribute forward* is the same without a call. Reported
    when conversions are 21 % of at least 30 statements, or both together 58 % with conversions at 10 %, and at least
    three conversions (five, if all are of one kind or forwards make the case) are seen to go from one library's values
    to another's.

    Of 4,575 modules of 41 public repositories, counted by the rule itself, 2 % reach the first figure (the median is
    4 %, the 95th percentile 15 %) and 5 % the second (the median is 34 %).

    ## Why it is debt

    It is glue code: what the module is about disappears between the steps that carry data from one package to the next,
    and a change of either package touches all of them.

    ## How to pay it back

    Draw one boundary: a function that takes the one library's values and gives the other's (`mldebt why` proposes its
    signature), tested once, called everywhere.

    ## When to leave it

    Boundaries are where glue belongs: a module is one when two thirds of its public functions are thin (four statements
    around one vendor call, checks and logging aside) or take or return the project's own types, or when the option
    names it. Conversions of shape and dtype alone do not count as two libraries, and tables of presets
    (`args.x = getattr(args, "x", 512)`) are configuration.

    ## Options

    - `conversions`: the share of conversions (0.21).
    - `glue`: the share of conversions and attribute forwards together (0.58).
    - `statements`: fewest statements of a module (30).
    - `glue_boundaries`: patterns of paths or module names that are boundaries (none).

    ## References

    - Sculley et al., Hidden Technical Debt in Machine Learning Systems, NIPS 2015, 5.1 glue code
    """

    conversions: float = 0.21
    glue: float = 0.58
    statements: int = 30
    glue_boundaries: tuple[str, ...] = ()

    code: ClassVar[str] = "MLD101"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 60
    examples = (
        Bad(_GLUE, anchors=("example.py:1",)),
        Bad(
            {"pipeline/train.py": _GLUE, "pipeline/run.py": "from pipeline.train import train\n\ntrain('a', None, 0)\n"}
        ),
        Bad(_GLUE.replace("labels.to_numpy()", "labels.values").replace("np.asarray(numbers)", "np.array(numbers)")),
        Bad({"agent/store.py": _STORE, "agent/run.py": "from agent.store import Store\n\nprint(Store(None, 0))\n"}),
        Good(_LOGIC),
        Good(_SHAPES),
        Good(_THIN),
        Good(_PRESETS),
        Good(_GLUE, options={"glue_boundaries": ("example.py",)}),
        Good({"tests/test_train.py": _GLUE}),
        Good(_trainer("\n".join(f"        {line.format(n=n)}" for n in range(2) for line in _LINES))),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        known = project[Operations]
        for module in project.modules.values():
            if module.role != "project" or module.is_test or module.path.endswith(".ipynb"):
                continue
            if self._may_be(module, known):
                yield from self._judged(module, known)

    def _may_be(self, module: Module, known: Operations) -> bool:
        """Whether the file says the words of enough conversions: told without its bodies."""
        facts = module.facts
        if facts.code_lines < self.statements or known.crossing_words.isdisjoint(module.mentions):
            return False
        if len(known.words & module.mentions) < _LEAST_WORDS:
            return False
        words = known.words & module.mentions
        spoken = sum([chain[chain.rfind(".") + 1 :] in words for scope in facts.scopes for chain in scope.uses])
        return spoken >= _WORDS_A_LINE * facts.code_lines

    def _judged(self, module: Module, known: Operations) -> Iterator[Problem]:
        # Crossings first: few files have any, and the kinds of all statements take longer to tell.
        found = Crossings(known, module).all(_LEAST_CROSSINGS)
        if len(found) < _LEAST_CROSSINGS:
            return
        rows = list(StatementReader(known, module).statements())
        count = len(rows)
        conversions = [row for row in rows if row.kind is Kind.CONVERSION]
        glue = len(conversions) + sum(row.kind is Kind.ATTRIBUTE for row in rows)
        share, both = len(conversions) / max(count, 1), glue / max(count, 1)
        if count < self.statements or (share < self.conversions and (both < self.glue or share < _LEAST_SHARE)):
            return
        presets = sum(_is_preset(row) for row in conversions)
        if 2 * presets > len(conversions):
            return
        one_kind = len({(crossing.source, crossing.target) for crossing in found}) < 2
        least = _LEAST_OF_ONE_KIND if one_kind or share < self.conversions else _LEAST_CROSSINGS
        few = len(found) < max(least, _LEAST_CROSSING * len(conversions))
        if few or module.project[Boundaries].is_boundary(module, self.glue_boundaries):
            return
        figure = (share, _USUAL) if share >= self.conversions else (both, _USUAL_GLUE)
        yield _problem(module, count, len(conversions), figure, found, _longest(conversions, known, module))


def _is_preset(row: Statement) -> bool:
    """``args.x = getattr(args, "x", 512)``."""
    return isinstance(row.value, Call) and isinstance(row.value.function, Ref) and row.value.function.name == "getattr"


def _longest(rows: list[Statement], known: Operations, module: Module) -> tuple[Statement, int]:
    reader = StatementReader(known, module)
    lengths = [
        (sum(isinstance(node, Call) and reader.operation(row.scope, node) is not None for node in walk(row.value)), row)
        for row in rows
    ]
    length, row = max(lengths, key=lambda item: item[0])
    return row, length


def _problem(
    module: Module,
    count: int,
    conversions: int,
    figure: tuple[float, str],
    found: list[Crossing],
    longest: tuple[Statement, int],
) -> Problem:
    pairs = Counter((crossing.source, crossing.target) for crossing in found)
    shown = ", ".join(f"{source} -> {target} x{times}" for (source, target), times in pairs.most_common(3))
    (source, target), _ = pairs.most_common(1)[0]
    share, usual = figure
    what = "only convert" if usual is _USUAL else "only convert or forward"
    return Problem(
        Place(module.path, Span(1)),
        f"{share:.0%} of {count} statements {what} ({usual}): {shown}",
        tuple(
            Related(module.place(crossing.call), f"{crossing.source} -> {crossing.target}")
            for crossing in found[:_SHOWN]
        ),
        evidence=(
            f"{conversions} of {count} statements are conversions",
            *(f"{one} -> {other}: {times}" for (one, other), times in pairs.most_common()),
            f"longest chain: {longest[1]} conversions, line {longest[0].statement.line}",
            f"proposed boundary: def to_{target}(values: {source}) -> {target}",
            "fewer than two thirds of the public functions are thin or speak the project's own types",
        ),
        carries=tuple((module.path, line) for line in sorted(module.code_line_numbers)),
    )
