"""MLD107 pass-through-wrapper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from mldebt.facts.schema import CLASS, Ref
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.module import Module
from mldebt.project.definitions import Definition
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .forwards import Forward, Forwards, Use, has_siblings, middle_man, names_a_concept, says_why
from .teaching import Teaching

_LOAD = """
    import torch


    def load_weights(path):
        return torch.load(path)
    """
_CHAIN = """
    import json


    def read(path):
        with open(path) as file:
            return json.load(file)


    def read_scores(path):
        return read(path)


    def load_scores(path):
        return read_scores(path)


    def plot(path):
        print(load_scores(path))


    def table(path):
        return list(load_scores(path))
    """


class PassThroughWrapper(ProjectRule):
    """A function, method or class only hands its arguments on to one other, and adds nothing of its own.

    Its whole body is one call with the same arguments in the same order, and it adds no default, check, type, renamed
    argument, log line or cache. Reported when it has one caller, in its own package; or when what it calls is such a
    wrapper itself, and all callers are in one package.

    ## Why it is debt

    Every reader has to open it to find out that nothing happens there. An abstraction is worth its name when it reduces
    the work of those who call it; one caller of a forwarding function has to know the callee's arguments anyway.

    ## How to pay it back

    Call what it calls. The fix does that and deletes the wrapper where it is a function whose callers all stand in its
    own file, give arguments by position only and mean the same by the callee's name.

    ## When to leave it

    What callers of several packages share, what narrows the surface of a library to a few methods, overrides and
    implementations of an interface, functions handed over by name, deprecation aliases and all that a text or a comment
    gives a reason for: the rule is silent on them, as on everything a library exports. So it is on a name that says
    more than the callee's (`net_input(x, w)` for `np.dot(x, w)`), on one of a family of names in its file
    (`expand_numbers` beside `expand_dates`), and in courses.

    ## References

    - Fowler, Refactoring, 2nd ed. 2018: Middle Man, Inline Function
    - Ousterhout, A Philosophy of Software Design, 2018, 7.1 pass-through methods
    """

    code: ClassVar[str] = "MLD107"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 10
    # A static method has a decorator.
    sensitive_to: ClassVar[frozenset[str]] = frozenset({"made-methods"})
    examples = (
        Bad(
            """
            import torch


            def load_weights(path):
                return torch.load(path)


            def restore(net, path):
                net.load_state_dict(load_weights(path))
                return net
            """,
            fixed="""
            import torch


            def restore(net, path):
                net.load_state_dict(torch.load(path))
                return net
            """,
            anchors=("example.py:4",),
        ),
        Bad(
            {
                "weights.py": _LOAD,
                "train.py": """
                from weights import load_weights


                def restore(net, path):
                    net.load_state_dict(load_weights(path))
                """,
            },
            anchors=("weights.py:4",),
        ),
        Bad(_CHAIN, anchors=("example.py:13",)),
        Bad(
            """
            import torch


            class Trainer:
                def __init__(self, net):
                    self.net = net

                def _compute(self, batch, target):
                    return self._loss(batch, target)

                def _loss(self, batch, target):
                    return ((self.net(batch) - target) ** 2).mean()

                def step(self, batch, target):
                    self._compute(batch, target).backward()
            """,
            anchors=("example.py:8",),
        ),
        Bad(
            """
            class Store:
                def put(self, key, value):
                    print(key, value)

                def get(self, key):
                    return key.lower()


            class StoreManager:
                def __init__(self, store):
                    self.store = store

                def put(self, key, value):
                    return self.store.put(key, value)

                def get(self, key):
                    return self.store.get(key)


            def main():
                manager = StoreManager(Store())
                manager.put("a", 1)
                print(manager.get("a"))
            """,
            anchors=("example.py:9",),
        ),
        Bad(
            {
                "fusion/model.py": """
                import torch
                from torch import nn
                from torch.nn import functional as F


                class Fusion(nn.Module):
                    def __init__(self, a, b, n):
                        super().__init__()
                        self.left, self.right = nn.Linear(a, 64), nn.Linear(b, 64)
                        self.head = nn.Linear(128, n)

                    def _concat(self, tensors, dim):
                        return torch.cat(tensors, dim)

                    @staticmethod
                    def _pad_right(x, widths):
                        padded = F.pad(x, widths)
                        return padded

                    def forward(self, x, y):
                        z = self._concat([self.left(x).relu(), self._pad_right(y, (0, 1))], -1)
                        return self.head(z)
                """,
                "fusion/train.py": "from fusion.model import Fusion\n\nprint(Fusion(1, 2, 3))\n",
            },
            findings=2,
        ),
        Good(
            {
                "net.py": """
                import torch
                from torch import nn


                class Base(nn.Module):
                    def _join(self, tensors, dim):
                        raise NotImplementedError

                    def forward(self, tensors):
                        return self._join(tensors, 1)


                class Wide(Base):
                    def _join(self, tensors, dim):
                        return torch.cat(tensors, dim)


                class Net(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.apply(self._initialise)

                    def _initialise(self, module):
                        nn.init.normal_(module)

                    def forward(self, x):
                        return x
                """,
                "train.py": "from net import Net, Wide\n\nprint(Net()(1), Wide()([]))\n",
            }
        ),
        Good(
            {
                "weights.py": _LOAD,
                "train/run.py": "from weights import load_weights\n\nprint(load_weights('a'))\n",
                "serve/app.py": "from weights import load_weights\n\nprint(load_weights('a'))\n",
            }
        ),
        Good(
            """
            import functools
            import logging

            import torch


            def load_on_cpu(path):
                return torch.load(path, map_location="cpu")


            def load_typed(path: str) -> dict:
                return torch.load(path)


            def load_default(path="model.pt"):
                return torch.load(path)


            @functools.cache
            def load_once(path):
                return torch.load(path)


            def load_logged(path):
                logging.info("loading %s", path)
                return torch.load(path)


            def load_renamed(path):
                return torch.load(f=path)


            print(load_on_cpu("a"), load_typed("a"), load_default("a"))
            print(load_once("a"), load_logged("a"), load_renamed("a"))
            """
        ),
        Good(
            """
            from abc import ABC, abstractmethod

            import torch


            class Reader(ABC):
                @abstractmethod
                def read(self, path): ...


            class TorchReader(Reader):
                def read(self, path):
                    return torch.load(path)


            class Net(torch.nn.Module):
                def forward(self, x):
                    return self.run(x)

                def run(self, x):
                    return torch.relu(x)


            print(TorchReader().read("a"))
            """
        ),
        Good(
            """
            import torch


            def load_checkpoint(path):
                \"\"\"Deprecated alias of torch.load.\"\"\"
                return torch.load(path)


            def collate(batch):
                return torch.stack(batch)


            print(load_checkpoint("a"), torch.utils.data.DataLoader([], collate_fn=collate))
            """
        ),
        Good(
            """
            import wandb


            class Tracker:
                def __init__(self, run):
                    self.run = run

                def log(self, metrics):
                    return self.run.log(metrics)

                def finish(self, code):
                    return self.run.finish(code)


            tracker = Tracker(wandb.init())
            tracker.log({})
            tracker.finish(0)
            """
        ),
        Good(
            {
                "pyproject.toml": '[project]\nname = "weights"\n',
                "weights/__init__.py": "from weights.io import load_weights\n",
                "weights/io.py": _LOAD,
                "weights/use.py": "from weights.io import load_weights\n\nprint(load_weights('a'))\n",
            }
        ),
        Good(
            {
                "cleaners.py": """
                import re

                from numbers_in_text import normalize_numbers


                def expand_dates(text):
                    return re.sub("[.]", " ", text)


                def expand_numbers(text):
                    return normalize_numbers(text)


                def clean(text):
                    return expand_numbers(expand_dates(text))
                """,
                "numbers_in_text.py": "def normalize_numbers(text):\n    return text.replace('1', 'one')\n",
            }
        ),
        Good(
            """
            import numpy as np


            def net_input(x, w):
                return np.dot(x, w)


            def predict(x, w):
                return np.where(net_input(x, w) > 0, 1, 0)
            """
        ),
        Good(
            """
            def release(path):
                print("released", path)


            class Manager:
                def release(self, path):
                    release(path)

                def close(self):
                    print("closed")


            Manager().close()
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        forwards = project[Forwards]
        found = {name: uses for name, one in forwards.all.items() if (uses := self._worth(one, forwards, project))}
        # A chain is one cause: the outermost is reported, those inside are related.
        inside = {name for outer in found for name in forwards.all[outer].names if len(found.get(name, ())) == 1}
        for name, uses in found.items():
            if name not in inside:
                chain = [forwards.all[one] for one in forwards.all[name].names if one in forwards.all]
                yield _problem(forwards.all[name], uses, chain)
        for module in project.modules.values():
            if module.role == "project" and not module.is_test:
                for index, scope in enumerate(module.facts.scopes):
                    if scope.kind == CLASS and len(scope.bindings) > 2 and not scope.bases:
                        yield from _middle_man(module.definition(index), forwards)

    def _worth(self, forward: Forward, forwards: Forwards, project: Project) -> list[Use]:
        """The uses of a wrapper that is not worth having; none when it is, or when that cannot be told."""
        definition = forward.definition
        name = definition.scope.name
        if project.library and not name.startswith("_"):
            return []
        if forwards.is_named_in_text(name) or says_why(forward) or not _is_plain(definition):
            return []
        if names_a_concept(forward) or has_siblings(forward, forwards.all):
            return []
        teaching = project[Teaching]
        if teaching.is_exercise(definition.module) or teaching.is_course(definition.module):
            return []
        uses = forwards.uses(definition)
        if not uses or any(use.site is None for use in uses) or any(use.module.is_test for use in uses):
            return []
        if definition.scope.name.startswith("_") and any(use.module is not definition.module for use in uses):
            return []
        packages = {use.package for use in uses}
        nested = any(name in forwards.all for name in forward.names)
        home = str(_package(definition.module))
        return uses if (len(uses) == 1 or nested) and packages == {home} else []

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        forwards = project[Forwards]
        forward = next((one for one in forwards.all.values() if _header(one.definition) == problem.place), None)
        if forward is None:
            return None
        uses = forwards.uses(forward.definition)
        edits = _inlined(forward, uses)
        return Fix(Applicability.SUGGEST, f"call {forward.callee} itself", tuple(edits)) if edits else None


def _is_plain(definition: Definition) -> bool:
    """A function of a module; or a method that no other class has: a private one, or one of a class of no bases."""
    parent = definition.parent
    if parent is None or not parent.is_class:
        return parent is not None and parent.is_module
    project = definition.module.project
    name = definition.scope.name
    private = name.startswith("_")
    if (parent.scope.bases and not private) or parent.scope.decorators or project.subclasses(parent.name):
        return False
    others = (
        scope
        for module in project.modules.values()
        if name in module.mentions
        for scope in module.facts.scopes
        if scope.kind == CLASS and name in scope.bindings
    )
    return sum(1 for _ in others) == 1


def _package(module: Module) -> str:
    return Use(module, 0, None, 0).package


def _header(definition: Definition) -> Place:
    """Where the function is named: ``def`` to the end of the line."""
    scope, module = definition.scope, definition.module
    row = module.text_lines[scope.line - 1]
    return Place(module.path, Span(scope.line, len(row) - len(row.lstrip()) + 1, scope.line, len(row.rstrip()) + 1))


def _problem(forward: Forward, uses: Sequence[Use], chain: Sequence[Forward]) -> Problem:
    definition = forward.definition
    callers = "its one caller" if len(uses) == 1 else f"its {len(uses)} callers, all in one package,"
    says = f", which only hands them on as well: {callers} could call that" if chain else f": {callers} could do that"
    return Problem(
        _header(definition),
        f"{definition.scope.name}() only hands its arguments on to {forward.callee}(){says}",
        (
            *(Related(use.module.place(use.site), "called here") for use in uses if use.site is not None),
            *(Related(_header(one.definition), f"only hands on to {one.callee}()") for one in chain),
        ),
        evidence=(
            "no default, check, type, decorator, renamed argument or statement of its own",
            "no override, no reference but calls, not exported, not named in a text or configuration",
        ),
        symbol=definition.name,
    )


def _middle_man(definition: Definition, forwards: Forwards) -> Iterator[Problem]:
    found = middle_man(definition)
    project = definition.module.project
    if found is None or project.subclasses(definition.name) or project.library:
        return
    uses = forwards.uses(definition)
    sites = [use for use in uses if use.site is not None]
    if len(uses) != 1 or len(sites) != 1 or sites[0].site is None or len(sites[0].site.call.args) != 1:
        return
    classes = project.types.of(sites[0].module, sites[0].scope, sites[0].site.call.args[0])
    if len(classes) != 1 or ":" not in classes[0] or sites[0].module.is_test:
        return  # what narrows a library is worth having
    attribute, methods = found
    yield Problem(
        _header(definition),
        f"all {len(methods)} methods of {definition.scope.name} only forward to {attribute}, a "
        f"{classes[0].rpartition(':')[2]}, under the same names",
        (Related(sites[0].module.place(sites[0].site), "made here, and nowhere else"),),
        evidence=(f"methods: {', '.join(methods)}", "no bases, no subclasses, one construction"),
        symbol=definition.name,
    )


def _inlined(forward: Forward, uses: Sequence[Use]) -> list[Edit]:
    """Edits that call the callee itself and delete the wrapper; [] where text does not show how."""
    definition, module = forward.definition, forward.definition.module
    if definition.parent is None or definition.parent.is_class or forward.call.keywords or not forward.returns:
        return []
    edits: list[Edit] = []
    for use in uses:
        call = use.site.call if use.site is not None else None
        if call is None or call.keywords or use.module is not module or not isinstance(call.function, Ref):
            return []
        if module.names(use.scope, forward.callee) != forward.names:
            return []
        edits.append(Edit(Place(module.path, module.span(call.function)), forward.callee))
    last = definition.scope.end_line
    while last < len(module.text_lines) and not module.text_lines[last].strip():
        last += 1
    return [*edits, Edit(Place(module.path, Span(definition.scope.first_line, 1, last + 1, 1)), "")]
