"""MLD511 shapeless-array-api."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mldebt.finding import Confidence, Related, Severity
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .array_functions import ArrayFunctions, package_of

_SHOWN = 20
_TENSORS = "(q: torch.Tensor, k: torch.Tensor):"
_TYPED = '(q: Float[torch.Tensor, "b t d"], k: Float[torch.Tensor, "b s d"]):'


def _functions(count: int, head: str, tail: str = "return q @ k") -> str:
    """A module of functions, as many as the examples need."""
    rows = [f"def attend_{number}{head}\n    {tail}\n" for number in range(count)]
    return "import torch\n\n\n" + "\n\n".join(rows)


@dataclass(frozen=True)
class ShapelessArrayApi(ProjectRule):
    """Hardly any of a package's public functions that take or give arrays, tensors or frames say of which shape, or
    with which columns.

    ## Why it is debt

    An array carries its numbers and nothing else. Whoever calls the function finds out by running it whether it wants
    (batch, time) or (time, batch); broadcasting turns many mistakes into wrong results instead of errors.

    ## How to pay it back

    State shapes where the type is: `q: Float[Tensor, "b h t d"]` with jaxtyping, pandera's `DataFrame[Schema]` for
    frames, or at least `(B, T, C)` in the docstring. Begin with the functions most files call.

    ## When to leave it

    A hint for a whole package, shown as information and never scored. Small packages, private functions and tests are
    not counted; a comment, a docstring, an `einops` pattern or a schema in the annotation counts as a statement.

    ## Options

    * `functions`: packages with fewer such functions are left alone (20).
    * `share`: the share that has to be stated (0.2).

    ## References

    * https://docs.kidger.site/jaxtyping/
    * https://pandera.readthedocs.io/en/stable/dataframe_models.html
    """

    functions: int = 20
    share: float = 0.2

    code: ClassVar[str] = "MLD511"
    severity: ClassVar[Severity] = Severity.INFO
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 60
    collects = (ArrayFunctions,)
    sensitive_to: ClassVar[frozenset[str]] = frozenset({"made-methods"})
    examples = (
        Bad({"net/__init__.py": "", "net/attention.py": _functions(20, _TENSORS)}),
        Bad({"attention.py": _functions(25, "(q, k):", "return q.transpose(0, 1) @ k")}),
        Bad({"net/a.py": _functions(12, "(q, k):", "return q.view(-1) @ k"), "net/b.py": _functions(12, _TENSORS)}),
        Good({"net/attention.py": _functions(19, _TENSORS)}),
        Good({"net/attention.py": _functions(25, f"{_TENSORS}  # (B, T, C)")}),
        Good({"net/attention.py": _functions(25, _TYPED)}),
        Good({"net/text.py": _functions(25, "(q: str, k: int) -> str:", "return q * k")}),
        Good({"tests/test_net.py": _functions(25, _TENSORS)}),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        packages: dict[str, list[tuple[Module, int, bool]]] = {}
        for path, found in project.collected(ArrayFunctions).items():
            module = project.modules[path]
            if module.is_test or module.is_example or module.role != "project" or path.endswith(".ipynb"):
                continue
            for one in found:
                packages.setdefault(package_of(module), []).append((module, one.scope, one.stated))
        for package, functions in sorted(packages.items()):
            bare = [(module, scope) for module, scope, stated in functions if not stated]
            stated_share = 1 - len(bare) / len(functions)
            if len(functions) >= self.functions and stated_share < self.share:
                yield _problem(package, bare, len(functions))


def _problem(package: str, bare: list[tuple[Module, int]], count: int) -> Problem:
    places = [module.place(module.scope(index)) for module, index in bare[:_SHOWN]]
    where = f"in {package}/" if package else "at the root"
    return Problem(
        places[0],
        f"of {count} public functions {where} that take or give arrays, {count - len(bare)} state a shape or schema",
        tuple(Related(place, "states no shape") for place in places[1:]),
        evidence=("annotations, docstrings, comments and einops patterns were looked at",),
        symbol=package,
    )
