"""MLD103 repeated-conversion-chain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mldebt.facts.schema import Return
from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from ..experiments.philosophy import Philosophy, on_purpose  # noqa: TID252 - installed under another name
from .chains import SHORTEST, Chain, Chains
from .collections import is_collection
from .version_forks import home

_SHOWN = 40
# Three of these bring a tensor to where it is needed: no decision is in them, and a helper would say no more.
_TENSOR_IDIOMS = (
    frozenset({"detach", "cpu", "numpy", "tolist", "item"}),
    frozenset({"from_numpy", "tensor", "as_tensor", "to", "cuda", "float", "unsqueeze"}),
)
_CONVERTS = re.compile(r"^_*(?:to|as|from|into|convert)_|_(?:to|2)_|[a-z]2[a-z]|^to(?=[A-Z])")
_IDIOM_SITES, _IDIOM_FILES = 8, 5

_PLOT = """
    import matplotlib.pyplot as plt


    def show(tensor):
        image = tensor.detach().cpu().numpy().transpose(1, 2, 0)
        plt.imshow(image)
    """
_EVALUATE = """
    import numpy as np


    def errors(outputs, targets):
        found = np.transpose(outputs.detach().cpu().numpy(), (1, 2, 0))
        wanted = targets.detach().cpu().numpy().transpose(1, 2, 0)
        return np.abs(found - wanted).mean()
    """
_DEMO = """
    def frames(outputs):
        for output in outputs:
            yield output.detach().to("cpu").numpy().transpose(1, 2, 0)
    """
_LOG = """
    def record(writer, tensor):
        tensor = tensor.detach()
        tensor = tensor.cpu()
        array = tensor.numpy()
        writer.add_image("sample", array.transpose(1, 2, 0), dataformats="HWC")
    """


@dataclass(frozen=True)
class RepeatedConversionChain(ProjectRule):
    """The same chain of conversions is written again and again, in several files.

    `.detach().cpu().numpy().transpose(1, 2, 0)`, or `Image.open`, `convert`, `resize`, `to_tensor`, `normalize`: three
    conversions or more of one value, at least one of which changes the library, the device or the container. Methods,
    nested calls and variables in between are one chain; arguments do not count.

    ## Why it is debt

    The chain is the boundary between two libraries, and it has no name and no one place: a change of the channel order,
    the dtype or the device has to be made everywhere, and one forgotten place shows as a wrong picture or number.

    ## How to pay it back

    Give it a name (`to_image(tensor)`), put it into one module, and call that.

    ## When to leave it

    Fewer places than the options say, chains of nothing but shapes (`view`, `transpose`, `contiguous`), Python's own
    conversions (`list(map(str, x))`), tests, notebooks and folders with requirements of their own do not count; nor do
    files that stand alone by design: they or a README say so, or nearly none of many files imports another. A function
    that is called, is named after the conversion (`to_image`) and does nothing else is the helper and no place of its
    own. Three conversions that only bring a tensor somewhere (`detach().cpu().numpy()`,
    `from_numpy(x).to(device).unsqueeze(0)`) need eight places in five files.

    ## Options

    - `sites`: how many places must write the chain (5).
    - `files`: in how many files (3).

    ## References

    - Sculley et al., Hidden Technical Debt in Machine Learning Systems, NIPS 2015, 5.1: "wrap black-box packages into
      common API's"
    - Gesi et al., Code Smells in Machine Learning Systems, 2022: scattered use of ML library
    """

    sites: int = 5
    files: int = 3

    code: ClassVar[str] = "MLD103"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 20
    examples = (
        Bad(
            {"plot.py": _PLOT, "evaluate.py": _EVALUATE, "demo.py": _DEMO, "log.py": _LOG},
            anchors=("demo.py:3",),
        ),
        Bad(
            {
                f"{name}.py": f"""
                import torchvision.transforms as T
                import torchvision.transforms.functional as TF
                from PIL import Image


                def {name}_image(path):
                    image = Image.open(path)
                    image = image.convert("RGB")
                    small = TF.resize(image, [224, 224])
                    return T.Normalize(0.5, 0.5)(T.ToTensor()(small))
                """
                for name in ("train", "validate", "serve", "export", "demo")
            },
        ),
        Bad(
            {
                f"steps/{name}.py": f"""
                import numpy as np
                import torch


                def {name}(frame, model, device):
                    x = torch.from_numpy(np.asarray(frame.values)).to(device)
                    return model(x)
                """
                for name in ("fit", "score", "tune", "explain", "predict")
            },
        ),
        Good({"plot.py": _PLOT, "demo.py": _DEMO, "log.py": _LOG}),
        Good({"evaluate.py": _EVALUATE, "again.py": _EVALUATE, "plot.py": "x = 1\n"}),
        Good(
            {
                "images.py": """
                def to_image(tensor):
                    return tensor.detach().cpu().numpy().transpose(1, 2, 0)
                """,
                **{
                    f"{name}.py": "from images import to_image\n\n\ndef run(tensor):\n    return to_image(tensor)\n"
                    for name in ("plot", "evaluate", "demo", "log", "web")
                },
            }
        ),
        Good(
            {
                f"models/{name}.py": f"""
                def {name}(x, heads):
                    x = x.view(1, -1, heads, 8).transpose(1, 2).contiguous().view(1, heads, -1)
                    return list(map(str, sorted(set(x.shape))))
                """
                for name in ("bert", "gpt", "vit", "t5", "llama", "clip")
            }
        ),
        Good(
            {
                f"{name}.py": f"""
                def {name}(loss):
                    return loss.detach().cpu()
                """
                for name in ("a", "b", "c", "d", "e", "f")
            }
        ),
        Good(
            {
                f"{name}.py": f"""
                def {name}(outputs):
                    values = outputs.detach().cpu().numpy()
                    print(values.mean())
                """
                for name in ("plot", "evaluate", "demo", "log", "web")
            }
        ),
        Good(
            {
                "images.py": """
                def to_image(tensor):
                    return tensor.detach().cpu().numpy().transpose(1, 2, 0)
                """,
                "log.py": _LOG,
                "plot.py": _PLOT,
                "demo.py": _DEMO,
                "show.py": _PLOT,
                "web.py": "from images import to_image\n\n\ndef page(tensor):\n    return to_image(tensor)\n",
            }
        ),
        Good(
            {f"{name}/run.py": _PLOT for name in "abcdef"}
            | {f"{name}/requirements.txt": "torch\n" for name in "abcdef"}
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        homes: dict[str, list[Chain]] = {}
        for chain in project[Chains].all:
            module = chain.module
            # A notebook is read from top to bottom and run alone: it shares no code with others.
            if not module.is_example and not module.path.endswith(".ipynb"):
                homes.setdefault(home(chain.module), []).append(chain)
        philosophy = Philosophy(project)
        for chains in homes.values():
            yield from self._repeated(chains, philosophy)

    def _repeated(self, chains: Sequence[Chain], philosophy: Philosophy) -> Iterator[Problem]:
        parts: dict[tuple[str, ...], dict[int, Chain]] = {}
        for number, chain in enumerate(chains):
            for part in _parts(chain):
                parts.setdefault(part, {})[number] = chain
        taken: set[int] = set()
        for part, found in sorted(parts.items(), key=lambda item: (-len(item[0]), -len(item[1]), item[0])):
            left = {number: chain for number, chain in found.items() if number not in taken}
            written = {number: chain for number, chain in left.items() if not _is_helper(chain)}
            # Where every file has a helper of its own, these are the places.
            left = written if len(left) - len(written) < self.sites else left
            paths = sorted({chain.module.path for chain in left.values()})
            idiom = len(part) == SHORTEST and any(known.issuperset(part) for known in _TENSOR_IDIOMS)
            sites, files = (max(self.sites, _IDIOM_SITES), max(self.files, _IDIOM_FILES)) if idiom else (0, 0)
            if len(left) < max(self.sites, sites) or len(paths) < max(self.files, files) or philosophy.covers(paths):
                continue
            taken.update(left)
            own = [chain for chain in left.values() if not on_purpose(chain.module)]
            enough = len(own) >= self.sites and len({chain.module.path for chain in own}) >= self.files
            if enough and not is_collection(own[0].module.project):
                yield _problem(part, own)


def _is_helper(chain: Chain) -> bool:
    """Whether a function does nothing but a conversion, is named after it and called: the place where it belongs."""
    module, body = chain.module, chain.module.body(chain.scope)
    if not _CONVERTS.search(module.scope(chain.scope).name) or len(body) != 1:
        return False
    if not isinstance(body[0], Return) or body[0].value is not chain.links[-1].whole:
        return False
    return bool(module.project.callers.of(module.definition(chain.scope)))


def _parts(chain: Chain) -> set[tuple[str, ...]]:
    """The runs of three and more conversions in a chain that cross from one library to another."""
    links = chain.links
    runs = ((start, end) for start in range(len(links)) for end in range(start + SHORTEST, len(links) + 1))
    return {chain.names[a:b] for a, b in runs if any(link.row.crosses for link in links[a:b])}


def _problem(part: tuple[str, ...], chains: Sequence[Chain]) -> Problem:
    files = len({chain.module.path for chain in chains})
    first, others = chains[0], chains[1:]
    more = (f"and in {len(others) - _SHOWN} places more",) if len(others) > _SHOWN else ()
    return Problem(
        first.module.place(first.links[-1].whole),
        f"the conversion {' -> '.join(part)} is written {len(chains)} times in {files} files",
        tuple(Related(chain.module.place(chain.links[-1].whole), "the same chain") for chain in others[:_SHOWN]),
        evidence=(
            "methods, nested calls and variables in between are one chain; arguments are left out",
            *more,
        ),
        symbol=" ".join(part),
    )
