"""MLD210 commented-out-experiment."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import ClassVar

from mldebt.facts.schema import MODULE, Ref
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Severity, Span
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .commented_code import Block, commented_blocks, quoted_blocks

_LEARNING = frozenset(
    """accelerate albumentations allennlp autogluon catboost chainer cuml cv2 datasets deepspeed detectron2 dgl
    diffusers evaluate fastai flax gensim gym gymnasium haiku imblearn jax keras lightgbm lightning mlflow mmcv
    mxnet nltk numpy optax optuna paddle pandas peft polars pytorch_lightning ray scipy sentence_transformers
    shap skimage sklearn spacy stable_baselines3 statsmodels tensorflow tf_keras tf_slim timm tokenizers torch
    torch_geometric torchaudio torchmetrics torchtext torchvision transformers trl wandb xgboost""".split()
)
_GAP = 3  # lines
# How everybody calls them: the import is often deleted when the last use becomes a comment.
_CUSTOMARY = {
    "np": "numpy", "pd": "pandas", "pl": "polars", "tf": "tensorflow", "nn": "torch.nn", "F": "torch.nn.functional",
    "optim": "torch.optim", "jnp": "jax.numpy", "xgb": "xgboost", "lgb": "lightgbm", "sk": "sklearn",
}  # fmt: skip


class CommentedOutExperiment(ProjectRule):
    """Three or more lines of an earlier experiment that were switched off by commenting them out, or by quoting them.

    The lines parse as Python, and at least one call or assignment in them is about a machine-learning library, about
    this project's own functions, or about a variable of the code around.

    ## Why it is debt

    A comment is a branch nobody can select, test or search for by what it did. Readers cannot tell whether the old loss
    was worse, is being tried next, or was left by mistake, and the code in it no longer matches the names around it.
    Commented-out code is among the three most frequent smells in machine-learning repositories.

    ## How to pay it back

    Delete the block: version control has it. If both ways are still wanted, make the choice an option, and let the
    configuration of a run say which one it took. The fix deletes the block.

    ## When to leave it

    Explanations that use code are prose: usage lines and examples, doctests, pseudo-code, shapes (`# x = (B, T, F)`),
    file headers, and what an API call is equivalent to. The rule is silent on them, and on blocks that name nothing of
    machine learning or of the project. Code in tests, examples and vendored files is left alone.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.3.
    * A. Haug et al., "Code smells in machine-learning repositories", 2023.
    * SonarSource rule python:S125, "Sections of code should not be commented out".
    """

    code: ClassVar[str] = "MLD210"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 5
    alone: ClassVar[Alone] = Alone.REPORT
    sensitive_to: ClassVar[frozenset[str]] = frozenset({"locals-renamed"})  # comments are not renamed with the code
    examples = (
        Bad(
            """
            import torch
            from torch.nn.functional import cross_entropy


            def step(model, batch, params):
                x, y = batch
                logits = model(x)
                loss = cross_entropy(logits, y)
                # loss = focal(logits, y, gamma=2.0)
                # loss = loss + 0.1 * dice(logits, y)
                # opt = SGD(params, lr=0.01, momentum=0.9)
                opt = torch.optim.Adam(params)
                loss.backward()
                opt.step()
            """,
            fixed="""
            import torch
            from torch.nn.functional import cross_entropy


            def step(model, batch, params):
                x, y = batch
                logits = model(x)
                loss = cross_entropy(logits, y)
                opt = torch.optim.Adam(params)
                loss.backward()
                opt.step()
            """,
            anchors=("example.py:9",),
        ),
        Bad(
            {
                "train.py": """
                from features import scale, windows


                def prepare(frame):
                    frame = scale(frame)

                    '''
                    frame = windows(frame, 24)
                    frame = frame[frame["hour"] > 6]
                    frame = frame.dropna()
                    '''

                    return frame
                """,
                "features.py": """
                def scale(frame):
                    return frame / frame.max()


                def windows(frame, size):
                    return frame.rolling(size).mean()
                """,
            },
            anchors=("train.py:7",),
        ),
        Bad(
            """
            import numpy as np
            import torch


            def augment(images):
                # old version:
                # for i in range(len(images)):
                #     if np.random.rand() < 0.5:
                #         images[i] = np.fliplr(images[i])
                return torch.flip(images, dims=(3,))


            def optimizer(model):
                return torch.optim.AdamW(model.parameters(), lr=3e-4)
                # return torch.optim.SGD(
                #     model.parameters(),
                #     lr=0.1,
                # )
            """,
            findings=2,
        ),
        Good(
            """
            import torch

            # x = (B, T, F)
            # mask = (B, T)
            # y = (B, T, 1)
            x = torch.zeros(8, 16, 4)
            """
        ),
        Good(
            """
            # Usage:
            # trainer = Trainer(model, lr=0.1)
            # trainer.fit(loader)
            # trainer.save("model.pt")
            import torch


            class Trainer:
                '''Trains.'''
            """
        ),
        Good(
            """
            import torch


            def attend(q, k, v):
                # Equivalent to
                # scores = torch.matmul(q, k.transpose(-2, -1))
                # scores = torch.softmax(scores / q.size(-1) ** 0.5, -1)
                # return torch.matmul(scores, v)
                return torch.nn.functional.scaled_dot_product_attention(q, k, v)
            """
        ),
        Good(
            """
            import logging
            import sys

            log = logging.getLogger(__name__)
            # handler = logging.StreamHandler(sys.stderr)
            # handler.setLevel(logging.DEBUG)
            # log.addHandler(handler)
            """
        ),
        Good(
            """
            import torch

            # The learning rate is warmed up over the first steps, then follows a cosine
            # down to a tenth. A larger batch wants a larger rate; see the table in
            # the paper (section 4), which we could not reproduce.
            rate = 3e-4
            net = torch.nn.Linear(4, 4)
            '''A linear layer (one of many).

            It has no bias.
            '''
            """
        ),
        Good(
            """
            import numpy as np


            def rms(x):
                # >>> x = np.array([1.0, 2.0])
                # >>> y = rms(x)
                # >>> print(np.round(y, 3))
                # y = sqrt(mean(x ** 2))
                return np.sqrt(np.mean(x**2))
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for module in project.modules.values():
            if module.role == "project" and not module.is_test and (module.facts.comments or module.facts.texts):
                yield from self._check(module)

    def _check(self, module: Module) -> Iterator[Problem]:
        groups: list[list[Block]] = []
        every = chain(commented_blocks(module), quoted_blocks(module))
        for block in sorted(every, key=lambda block: block.first):
            if block.quoted and _is_output(block, module):
                continue
            if groups and _together(groups[-1][-1], block, module):
                groups[-1].append(block)
            else:
                groups.append([block])
        for blocks in groups:
            if blocks[0].first > _first_statement(module):
                about = tuple(dict.fromkeys(name for block in blocks for name in _about(block, module)))
                if about:
                    yield _problem(blocks, about, module)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        place = problem.place
        rows = project.modules[place.path].text_lines
        first, last = place.span.line, place.span.end_line
        if last < len(rows) and not rows[last].strip() and (first < 2 or not rows[first - 2].strip()):
            last += 1  # of two blank lines around it, one stays
        left = "\n".join([*rows[: first - 1], *rows[last:], ""])
        try:
            ast.parse(left)
        except SyntaxError:
            return None  # a quoted block is the only statement of its body
        end = (last + 1, 1) if last < len(rows) else (last, len(rows[last - 1]) + 1)
        edit = Edit(Place(place.path, Span(first, 1, *end)), "")
        return Fix(Applicability.SUGGEST, "delete the block", (edit,))


def _first_statement(module: Module) -> int:
    """The line of the first statement: comments above it are the file's header."""
    body = module.body(0)
    first = body[0].line if body else module.facts.lines + 1
    return min([first, *(scope.first_line for scope in module.facts.scopes[1:2])])


def _about(block: Block, module: Module) -> tuple[str, ...]:
    """The names of learning libraries and of the project that the block stands on."""
    scope = _scope(block, module)
    imported = _imported(block.tree)
    found: dict[str, None] = {}
    calls = 0
    for node in ast.walk(block.tree):
        if isinstance(node, ast.Call):
            calls += 1
            name = _called(node, block, module, scope, imported)
            if name is not None:
                found[name] = None
    for statement in ast.walk(block.tree):
        target = _assigned(statement)
        if target is not None and _is_live(target, module, scope):
            value = getattr(statement, "value", None)
            if isinstance(value, ast.Constant) or (calls and _reads(value, module, scope)):
                found[target] = None
    return tuple(found)


def _scope(block: Block, module: Module) -> int:
    """The scope the block stood in: also at the end of a function, behind its last statement."""
    scopes = module.facts.scopes
    here = module.scope_at(block.first)
    row = module.text_lines[block.first - 1]
    indent = len(row) - len(row.lstrip())
    before = [index for index, scope in enumerate(scopes) if scope.kind != MODULE and scope.end_line < block.first]
    ended = max(before, key=lambda index: (scopes[index].end_line, index), default=0)
    inside = scopes[ended].first_line > scopes[here].first_line and scopes[ended].column < indent
    return ended if ended and inside and not _code_between(module, scopes[ended].end_line, block.first) else here


def _code_between(module: Module, end: int, first: int) -> bool:
    return any(row.strip() and not row.lstrip().startswith("#") for row in module.text_lines[end : first - 1])


def _imported(tree: ast.Module) -> dict[str, str]:
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update({alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return found


def _called(node: ast.Call, block: Block, module: Module, scope: int, imported: dict[str, str]) -> str | None:
    """What a call is to, when that is a learning library's or the project's own."""
    written = _chain(node.func)
    if written is None:
        return None
    head, dot, rest = written.partition(".")
    names = module.names(scope, Ref(written, block.first, 0))
    if not names and dot and not _is_bound(head, module, scope):
        names = (_CUSTOMARY.get(head, head) + dot + rest,)
    if head in imported:
        names = (imported[head] + dot + rest,)
    for name in names:
        if ":" in name:
            if module.project.definition(name) is not None:
                return written
        elif name.partition(".")[0] in _LEARNING:
            return name
    if any(":" in name for name in names) and dot:  # a method of a variable of some module
        owner, _, method = written.rpartition(".")
        members = module.project.types.members(module, scope, Ref(owner, block.first, 0), method)
        return next((name for name in members if name.partition(".")[0] in _LEARNING), None)
    return None


def _is_bound(name: str, module: Module, scope: int) -> bool:
    scopes = module.facts.scopes
    while scope > 0:
        if name in scopes[scope].bindings or name in scopes[scope].inner:
            return True
        scope = scopes[scope].parent
    return name in scopes[0].bindings


def _chain(node: ast.expr) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _assigned(statement: ast.AST) -> str | None:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        return _chain(statement.targets[0])
    return _chain(statement.target) if isinstance(statement, (ast.AugAssign, ast.AnnAssign)) else None


def _is_live(name: str, module: Module, scope: int) -> bool:
    """Whether the code around assigns or reads this variable or attribute too."""
    facts = module.facts.scopes
    if "." in name:
        return any(name in one.uses for one in facts)
    return name in facts[scope].bindings or name in facts[scope].uses


def _reads(value: ast.expr | None, module: Module, scope: int) -> bool:
    if value is None:
        return False
    facts = module.facts.scopes
    known = {*facts[scope].bindings, *facts[0].bindings}
    return any(isinstance(node, ast.Name) and node.id in known for node in ast.walk(value))


def _is_output(block: Block, module: Module) -> bool:
    """Whether the text shows what the statement above it prints, or what the comment above it announces."""
    above = next((row.strip() for row in reversed(module.text_lines[: block.first - 1]) if row.strip()), "")
    return above.startswith(("print(", "pprint(", "display(")) or (above.startswith("#") and above.endswith(":"))


def _together(one: Block, next_one: Block, module: Module) -> bool:
    """Whether two blocks are one: nothing but blank lines and comments between them, and few of those."""
    between = module.text_lines[one.last : next_one.first - 1]
    return len(between) <= _GAP and all(not row.strip() or row.lstrip().startswith("#") for row in between)


def _problem(blocks: Sequence[Block], about: tuple[str, ...], module: Module) -> Problem:
    first, last = blocks[0].first, blocks[-1].last
    rows = module.text_lines
    indent = len(rows[first - 1]) - len(rows[first - 1].lstrip())
    how = "quoted" if blocks[0].quoted else "commented out"
    named = ", ".join(about[:3]) + (" and more" if len(about) > 3 else "")
    return Problem(
        Place(module.path, Span(first, indent + 1, last, len(rows[last - 1].rstrip()) + 1)),
        f"{last - first + 1} lines of code are {how} here and never run ({named})",
        evidence=(
            f"the lines parse as Python and {sum(block.code_lines for block in blocks)} of them do something",
            f"linked names in them: {', '.join(about)}",
            "nothing around them says that they are an example, a doctest or a note of shapes",
        ),
        carries=tuple((module.path, line) for line in range(first, last + 1)),
        symbol="\n".join(ast.unparse(block.tree) for block in blocks),
    )
