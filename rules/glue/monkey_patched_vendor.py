"""MLD113 monkey-patched-vendor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mldebt.finding import Confidence, Related, Severity
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .patches import Patch, Patches

_SHOWN = 4


class MonkeyPatchedVendor(ProjectRule):
    """A library's module or class is changed at run time: one of its functions, methods or names is replaced.

    `LlamaAttention.forward = flash_forward`, `np.bool = bool`, `torch.load = functools.partial(torch.load, ...)`,
    `setattr(vendor, "name", f)`, `sys.modules["vendor.module"] = stub`, and a library's source taken with
    `inspect.getsource`, edited and executed. Critical when the import of a module that is no program does it: then
    whoever imports it gets a changed library without asking.

    ## Why it is debt

    The library no longer does what its documentation and its version say, for all code of the process, from the moment
    the patch runs. It holds on to private details that the next release may change without notice, and which code sees
    the change depends on the order of imports.

    ## How to pay it back

    Fix the caller (`bool` for `np.bool`), pin the version, use the extension point the library offers (a subclass, a
    registry, an argument), or send the change upstream. What must stay belongs in one function that says which versions
    it fits, called by the program and not by an import.

    ## When to leave it

    What is put back in a `finally`, behind the `yield` of a context manager or in its `__exit__` is changed for a time
    only. Flags a library documents are configuration, and the rule is silent on every constant that is set
    (`ImageFile.LOAD_TRUNCATED_IMAGES`, `plt.rcParams`, `torch.backends.*`, `openai.api_key`), on hooks, callbacks,
    warning categories, attributes of instances, the standard library and tests.

    ## References

    - https://numpy.org/devdocs/release/1.24.0-notes.html (expired deprecations: `np.bool`, `np.float`, ...)
    - Sculley et al., Hidden Technical Debt in Machine Learning Systems, NIPS 2015, 5.1 glue code
    """

    code: ClassVar[str] = "MLD113"
    severity: ClassVar[Severity] = Severity.MAJOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 30
    alone: ClassVar[Alone] = Alone.REPORT
    examples = (
        Bad(
            {
                "patches.py": """
                from transformers.models.llama import modeling_llama


                def forward(self, hidden_states, **kwargs):
                    return self.o_proj(hidden_states)


                def apply():
                    modeling_llama.LlamaAttention.forward = forward
                """,
                "train.py": "from patches import apply\n\napply()\n",
            },
            anchors=("patches.py:9",),
        ),
        Bad(
            """
            import numpy as np

            np.bool = bool
            if not hasattr(np, "float"):
                np.float = float
            """,
            anchors=("example.py:3",),
        ),
        Bad(
            """
            import functools

            import torch

            original = torch.load
            torch.load = functools.partial(original, weights_only=False)
            """,
            anchors=("example.py:6",),
        ),
        Bad(
            """
            import sys
            import types

            import six

            sys.modules["sklearn.externals.six"] = six
            """,
        ),
        Bad(
            """
            import inspect

            from diffusers.models import attention


            def patched():
                text = inspect.getsource(attention.BasicTransformerBlock).replace("gelu", "relu")
                exec(text, vars(attention))
            """,
        ),
        Bad(
            """
            import torch
            from tqdm import tqdm


            def logged(function):
                def run(*args, **kwargs):
                    print(function.__name__)
                    return function(*args, **kwargs)

                return run


            def quiet():
                setattr(tqdm, "__init__", lambda self, *args, **kwargs: None)


            for cls in (torch.nn.Linear, torch.nn.Conv2d):
                cls.forward = logged(cls.forward)
            """,
            findings=2,
        ),
        Good(
            """
            import os

            import matplotlib.pyplot as plt
            import openai
            import pandas as pd
            import torch
            from PIL import Image, ImageFile

            ImageFile.LOAD_TRUNCATED_IMAGES = True
            Image.MAX_IMAGE_PIXELS = None
            plt.rcParams["figure.dpi"] = 120
            torch.backends.cudnn.benchmark = True
            pd.options.display.max_rows = 100
            openai.api_key = os.environ["OPENAI_API_KEY"]
            """
        ),
        Good(
            """
            import torch


            class Net(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.act = torch.nn.ReLU()


            def forward(x):
                return x


            net = Net()
            net.forward = forward
            optimizer = torch.optim.Adam(net.parameters())
            optimizer.step = lambda: None
            Net.extra = forward
            """
        ),
        Good(
            """
            import json
            import sys
            import warnings


            def show(message, category, *rest):
                print(message)


            warnings.showwarning = show
            json.JSONEncoder.default = lambda self, value: str(value)
            sys.modules[__name__] = object()
            """
        ),
        Good(
            {
                "tests/test_model.py": """
                import torch


                def test_load(monkeypatch):
                    monkeypatch.setattr(torch, "load", lambda path: {})
                    torch.save = lambda *args: None
                """,
            }
        ),
        Good(
            """
            import litellm
            import wandb


            def report(response):
                print(response)


            litellm.failure_callback = report
            wandb.run.name = "baseline"
            litellm.success_callback = [report]
            """
        ),
        Good(
            """
            from contextlib import contextmanager

            import torch
            from lightning_utilities.core import rank_zero


            class AppDeprecationWarning(DeprecationWarning):
                pass


            rank_zero.rank_zero_deprecation_category = AppDeprecationWarning


            @contextmanager
            def confined(load):
                library = torch
                before = library.load
                library.load = load
                try:
                    yield
                finally:
                    library.load = before


            class Confined:
                def __enter__(self):
                    self.before = torch.save
                    torch.save = lambda *args: None

                def __exit__(self, *error):
                    torch.save = self.before
            """
        ),
        Good(
            """
            import torch


            class Loader:
                load = torch.load


            Loader.load = torch.jit.load
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        patches = project[Patches]
        programs = {entry.definition.module.path for entry in project.entries}
        for module in project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            groups: dict[tuple[str, int], list[Patch]] = {}
            for patch in patches.of(module):
                groups.setdefault((patch.vendor, patch.scope), []).append(patch)
            for found in groups.values():
                yield _problem(module, found, _on_import(module, found[0], programs))


def _on_import(module: Module, patch: Patch, programs: set[str]) -> bool:
    """Whether importing a module that is no program runs the patch: it stands there, or what does is called there."""
    if module.path in programs or not module.project.imports.importers(module):
        return False
    if patch.scope == 0:
        main = module.facts.main
        return main is None or not main[0] <= patch.statement.line <= main[1]
    calls = (edge for edge in module.project.calls.edges(module.definition(0)))
    return any(edge.target.module is module and edge.target.index == patch.scope for edge in calls)


def _problem(module: Module, patches: list[Patch], on_import: bool) -> Problem:
    first = patches[0]
    others = list(dict.fromkeys(patch.what for patch in patches if patch.what != first.what))
    more = f"; so {'is' if len(others) == 1 else 'are'} {_list(others)}" if others else ""
    where = " whenever this module is imported" if on_import else ""
    return Problem(
        module.place(first.statement),
        f"{first.what} {first.how}{where}{more}",
        tuple(Related(module.place(patch.statement), f"{patch.what} {patch.how}") for patch in patches[1:]),
        severity=Severity.CRITICAL if on_import else None,
        evidence=(
            f"{first.vendor} is neither the project's nor the standard library's",
            "what is set is a function, a class or a name of another library, not a constant",
            *(["the module is imported by others and is no program"] if on_import else []),
        ),
        symbol=first.what,
    )


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
