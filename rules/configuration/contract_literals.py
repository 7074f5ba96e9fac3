"""Literals that say what a model's data look like, written out in several files: constants, labels, columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.constants import evaluate
from mldebt.facts.graph import targets
from mldebt.facts.schema import (
    Annotate,
    Assert,
    Assign,
    Attribute,
    Build,
    Call,
    Compare,
    Const,
    Define,
    Expr,
    For,
    Ref,
    Stmt,
    Subscript,
    Unary,
)
from mldebt.facts.walk import children, expressions, statements
from mldebt.rule import Analysis

from .encoded_bodies import DISPLAYS, scopes_holding
from .literal_places import Around

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

Values = tuple[object, ...]  # "text" or "number", the shape, the values
_LEAST = 3  # different values, and files
_MANIFEST = re.compile(
    r"(?:^|/)(?:requirements[^/]*\.txt|pyproject\.toml|setup\.py|environment\.ya?ml|Dockerfile|Pipfile)$"
)
_SKIPPED_FILES = re.compile(r"(?:^|/)(?:setup|conf|noxfile|versioneer|fabfile|tasks)\.py$|(?:^|/)(?:docs?|migrations)/")

# Vocabulary of libraries and of every program: repeating it is no debt.
_ORDINARY = frozenset(
    """train training val valid validation test testing dev eval all unlabeled holdout extra
    red green blue yellow black white orange purple gray grey cyan magenta brown pink r g b c m y k w rgb bgr hsv
    x y z u v w a h s t i j n xyz lat lon
    mean std min max median sum count var avg average first last none null sem mode size unique
    precision recall f1 f1-score f1_score accuracy acc auc loss support micro macro weighted samples binary
    cpu cuda gpu mps tpu xla npu xpu hpu float16 float32 float64 bfloat16 fp16 fp32 bf16 int8 int4 int32 int64 uint8
    bool
    float int str half double auto no yes true false on off 1 0 y n t f
    debug info warning error critical get post put delete patch head options
    linear cosine polynomial constant constant_with_warmup inverse_sqrt step exponential plateau
    adam adamw sgd rmsprop adagrad adadelta adamax nadam relu gelu tanh sigmoid elu selu silu swish leaky_relu softmax
    gini entropy log_loss sqrt log2 auto uniform distance ball_tree kd_tree brute l1 l2 elasticnet liblinear lbfgs saga
    rbf poly input_ids attention_mask token_type_ids labels pixel_values decoder_input_ids position_ids input output
    bs gs ws jpg jpeg png gif bmp tif tiff webp csv json yaml yml txt parquet tsv mp4 avi mov wav mp3 flac
    monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september
    october november december jan feb mar apr jun jul aug sep oct nov dec mon tue wed thu fri sat sun
    small medium large base tiny huge xlarge low high left right center top bottom north south east west
    nearest bilinear bicubic trilinear area zeros ones reflect replicate same valid full channels_first channels_last
    pt tf np pytorch tensorflow jax keras numpy http https""".split()
)
_FILE_END = re.compile(r"^\*?\.\w+$|^[./~\w-]*/[\w./-]*$|^[A-Za-z]:\\")
_WORDS = re.compile(r"^-{1,2}\w|^%|^\W*$")
# Where a repeated list is the library's, the plot's or the command's business.
_HARMLESS_CALL = re.compile(
    r"(?:^|\.)(?:permute|transpose|reshape|view|rearrange|repeat|expand|tile|plot|scatter|hist|bar|barh|subplots?|add_subplot"
    r"|legend|set_\w*|xticks|yticks|xlim|ylim|axis|text|annotate|figure|colorbar|imshow|heatmap|pairplot|add_axes|run|Popen"
    r"|call|check_call|check_output|system|add_argument|option|Choice|setup|print|log|info|debug|warning|parametrize"
    r"|startswith|endswith|isinstance|einsum|getLogger|namedtuple|Enum|Literal|TypeVar|ListedColormap|from_list|cmap"
    r"|linspace|arange|quantile|percentile|quantiles|choice|grid_search|ParameterGrid|uniform|loguniform|suggest_\w+)$"
)
_HARMLESS_ROOTS = frozenset(
    {"matplotlib", "seaborn", "plotly", "bokeh", "altair", "subprocess", "argparse", "click", "setuptools"}
)
_HARMLESS_NAME = re.compile(
    r"(?:^|_)(?:dim|dims|axis|axes|choices|color|colors|colours?|palette|cmap|figsize|bbox|xlim|ylim|ticks|thresholds?|thresh"
    r"|thrs?|alphas?|quantiles?|percentiles?|grid|betas|lrs|rates|ratios|splits?|order|perm|permutation|shape|size|kernel"
    r"|__all__|__slots__|slots|keywords|classifiers|extensions?|exts?|suffix(?:es)?|formats?|cmd|command|argv|modes?|methods"
    r"|metrics|scoring|stopwords?|stop_words|punctuation|widths?|loc|position|rect|legend|markers|linestyles|input_names"
    r"|output_names|dynamic_axes|dtypes?|devices?|backends?|styles?|sizes|scales|steps|bins|edges|param_\w+|search_space"
    r"|C|gamma|alpha|learning_rates?|schedulers?|optimizers?|activations?|extras|requires|install_requires|packages)s?$",
    re.IGNORECASE,
)


_CONTRACT_NAME = re.compile(
    r"(?:^|_)(?:labels?|class(?:es)?|class_?names|names|cols?|columns?|usecols|features?|fields?|categor\w+|targets?|vocab\w*"
    r"|tags?|entit\w+|species|joints?|keypoints?|intents?|emotions?|sentiments?|channels|sensors|variables|vars|subset|drop"
    r"|target_modules|predictors|covariates|inputs|outputs|id2label|label2id|index|by|on|keys?)s?$",
    re.IGNORECASE,
)


class LiteralSite(Struct, frozen=True, eq=False):
    """One place that writes a literal out.

    Args:
        name: The module-level name it is given, "" if none.
        contract: Whether it stands where labels, columns and the like stand, or is a named constant.
    """

    module: Module
    scope: int
    statement: Stmt
    node: Build
    name: str
    contract: bool


class Repeated(Struct, frozen=True):
    """One literal, in at least three files; ``values`` are numbers or texts, ``sites`` in the order of files."""

    values: Values
    sites: tuple[LiteralSite, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(site.module.path for site in self.sites))


class ContractLiterals(Analysis):
    """Finds lists and tuples of at least three different floats or texts that three files of one project write out."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)

    @cached_property
    def repeated(self) -> tuple[Repeated, ...]:
        """By the paths of their sites."""
        found: dict[tuple[str, Values], list[LiteralSite]] = {}
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test or _SKIPPED_FILES.search(module.path):
                continue
            part = self._part(module.path)
            for values, site in _sites(module):
                found.setdefault((part, values), []).append(site)
        groups = [Repeated(values, tuple(sites)) for (_, values), sites in found.items()]
        return tuple(sorted((one for one in groups if _is_repeated(one)), key=lambda one: (one.paths, str(one.values))))

    @cached_property
    def _parts(self) -> frozenset[str]:
        """Folders below the root that have a manifest of their own: projects beside each other."""
        found = (path.rpartition("/")[0] for path in self.project.every if _MANIFEST.search(path))
        return frozenset(folder for folder in found if folder)

    def _part(self, path: str) -> str:
        folder = path.rpartition("/")[0]
        while folder and folder not in self._parts:
            folder = folder.rpartition("/")[0]
        return folder


def _is_repeated(one: Repeated) -> bool:
    if one.values[0] == "text" and not any(site.contract for site in one.sites):
        return False
    # A demo is one more place that must agree, but two that are no example make the contract.
    scripts = {
        site.module.path for site in one.sites if site.module.path.endswith(".py") and not site.module.is_example
    }
    return len(one.paths) >= _LEAST and len(scripts) >= 2


def _sites(module: Module) -> Iterator[tuple[Values, LiteralSite]]:
    for index in scopes_holding(module, DISPLAYS):
        for stmt in statements(module.body(index)):
            if isinstance(stmt, (Assert, Define)):
                continue
            for root in expressions(stmt, module.facts.scopes):
                for node, around, values in _displays(root):
                    if not _is_harmless(module, index, stmt, node, around):
                        named = _name(stmt, index, node)
                        yield values, LiteralSite(module, index, stmt, node, named, _is_contract(stmt, node, around))


def _displays(root: Expr) -> Iterator[tuple[Build, Around, Values]]:
    """The outermost constant lists and tuples of an expression that say something, with what they stand in."""
    stack: list[tuple[Expr, Around]] = [(root, ())]
    while stack:
        node, around = stack.pop()
        kind = type(node)
        if kind is Ref or kind is Const:
            continue
        if isinstance(node, Build) and node.kind in ("list", "tuple") and node.items and _is_plain(node):
            values = told(evaluate(node)) if len(node.items) > 1 else None
            if values is not None:
                yield node, around, values
            continue
        inner = (node, *around)
        stack += [(child, inner) for child in reversed(children(node))]


def told(value: object) -> Values | None:
    """What makes two literals the same: texts, or the shape and the numbers. None when the value says too little."""
    if not isinstance(value, (list, tuple)):
        return None
    flat = list(_flattened(value))
    texts = [one for one in flat if isinstance(one, str)]
    if texts:
        return ("text", (), *texts) if len(texts) == len(flat) and _is_telling(texts) else None
    numbers = [float(one) for one in flat if isinstance(one, (int, float)) and not isinstance(one, bool)]
    if len(numbers) < len(flat) or not (_is_table(value) or _is_measured(flat, numbers)):
        return None
    return ("number", _shape(value), *numbers)


def _is_plain(node: Build) -> bool:
    """Whether all is written out: numbers, texts and rows of them."""
    return all(
        isinstance(item, Const)
        or (isinstance(item, Unary) and isinstance(item.operand, Const))
        or (isinstance(item, Build) and item.kind in ("list", "tuple") and _is_plain(item))
        for item in node.items
    )


def _flattened(value: Sequence[object]) -> Iterator[object]:
    for one in value:
        if isinstance(one, (list, tuple)):
            yield from _flattened(one)
        else:
            yield one


def _is_measured(flat: Sequence[object], numbers: Sequence[float]) -> bool:
    """Several fractions that are no grid of values to try."""
    floats = {one for one in flat if isinstance(one, float)}
    return len(floats) >= _LEAST and sum(not one.is_integer() for one in floats) > 1 and not _is_grid(numbers)


def _is_table(value: Sequence[object]) -> bool:
    """Rows of whole numbers, such as anchors."""
    rows = [row for row in value if isinstance(row, (list, tuple)) and len(row) > 1]
    return len(rows) == len(value) >= _LEAST and len(set(_flattened(value))) >= 2 * _LEAST


def _shape(value: object) -> tuple[object, ...]:
    return tuple(_shape(one) for one in value) if isinstance(value, (list, tuple)) else ()


def _is_telling(texts: Sequence[str]) -> bool:
    """Whether a list of texts is this project's: labels, columns; not words any program uses."""
    own = {text for text in texts if text.strip().lower() not in _ORDINARY and len(text.strip()) > 1}
    if len(set(texts)) < _LEAST or len(own) < 2:
        return False
    return not any(_FILE_END.match(text) or _WORDS.match(text) or len(text) > 60 for text in texts)


def _is_grid(values: Sequence[float]) -> bool:
    """Round numbers in order: thresholds, learning rates to try, quantiles."""
    ordered = list(values) in (sorted(values), sorted(values, reverse=True))
    return ordered and all(
        len(f"{abs(value):.6e}".partition("e")[0].replace(".", "").rstrip("0")) <= 2 for value in values
    )


def _is_harmless(module: Module, scope: int, stmt: Stmt, node: Expr, around: Around) -> bool:
    child: Expr = node
    for parent in around:
        if isinstance(parent, Compare):
            return True
        if isinstance(parent, Subscript) and parent.value is child:
            return True
        if isinstance(parent, Call) and isinstance(parent.function, (Ref, Attribute)) and parent.function is not child:
            keyword = next((one.name for one in parent.keywords if one.value is child), None)
            if (keyword and _HARMLESS_NAME.search(keyword)) or _HARMLESS_CALL.search(parent.function.name):
                return True
            names = module.project.resolve(module, scope, parent.function.name)
            if any(name.partition(".")[0] in _HARMLESS_ROOTS for name in names):
                return True
        if isinstance(parent, Build) and parent.kind == "dict":
            key = next((key for key, item in zip(parent.keys, parent.items, strict=True) if item is child), None)
            if isinstance(key, Const) and isinstance(key.value, str) and _HARMLESS_NAME.search(key.value):
                return True
        child = parent
    if isinstance(stmt, For) and stmt.iterable is node:
        return True
    bound = stmt.targets if isinstance(stmt, Assign) else [stmt.target] if isinstance(stmt, Annotate) else []
    names_bound = [name for one in bound for name, _ in targets(one)]
    return any(_HARMLESS_NAME.search(name.rpartition(".")[2]) for name in names_bound)


def _is_contract(stmt: Stmt, node: Expr, around: Around) -> bool:
    """Whether a list of texts stands where labels or columns do: by its name, its argument, or as a frame's columns."""
    child: Expr = node
    for parent in around:
        if isinstance(parent, Subscript) and parent.index is child:
            return True
        if isinstance(parent, Call):
            keyword = next((one.name for one in parent.keywords if one.value is child), None)
            if keyword:
                return _CONTRACT_NAME.search(keyword) is not None
        if isinstance(parent, Build) and parent.kind == "dict":
            key = next((key for key, item in zip(parent.keys, parent.items, strict=True) if item is child), None)
            if isinstance(key, Const) and isinstance(key.value, str):
                return _CONTRACT_NAME.search(key.value) is not None
        child = parent
    bound = stmt.targets if isinstance(stmt, Assign) else [stmt.target] if isinstance(stmt, Annotate) else []
    names = [name.rpartition(".")[2] for one in bound for name, _ in targets(one)]
    return any(_CONTRACT_NAME.search(name) or name.isupper() for name in names)


def _name(stmt: Stmt, scope: int, node: Expr) -> str:
    if scope == 0 and isinstance(stmt, Assign) and stmt.value is node and len(stmt.targets) == 1:
        target = stmt.targets[0]
        if isinstance(target, Ref) and "." not in target.name:
            return target.name
    return ""
