"""Calls that split a data set: of what data, with which seed, size and order, and in which programs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, field

from mldebt.facts.arguments import UNKNOWN, Unknown, argument
from mldebt.facts.schema import Attribute, Build, Call, Const, Expr, Ref, Starred, Subscript
from mldebt.facts.walk import children
from mldebt.project.callers import Site, given
from mldebt.rule import Analysis

from .origins import LOOP, VALUE, Origins
from .seeded_paths import SeededPaths

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

TRAIN_TEST = "sklearn.model_selection.train_test_split"
RANDOM_SPLIT = "torch.utils.data.random_split"
_HUB = "datasets.Dataset.train_test_split"
_CALLS = frozenset({TRAIN_TEST, RANDOM_SPLIT, "torch.utils.data.dataset.random_split", _HUB})
_READS = re.compile(
    r"^(pandas\.read_\w+|polars\.(read|scan)_\w+|numpy\.(load|loadtxt|genfromtxt)|torch\.load|joblib\.load|"
    r"sklearn\.datasets\.(load|fetch|make)_\w+|seaborn\.load_dataset|datasets\.(load_dataset|load_from_disk)|"
    r"torchvision\.datasets\.\w+|tensorflow_datasets\.load|(tensorflow\.)?keras\.datasets\.\w+\.load_data|"
    r"pyarrow\.parquet\.read_table|builtins\.open)$"
)
_TRANSFORMS = frozenset({"transform", "fit_transform", "inverse_transform", "apply", "merge"})
_DEEPEST = 7
_MOST = 12

Given = tuple["Module", int, Expr] | Unknown | None


class Split(NamedTuple):
    """One split as one program makes it.

    Args:
        module: The file of the call.
        scope: Its scope there.
        call: The call that splits.
        top: The outermost call that decides on its arguments.
        api: Its qualified name.
        args: What is given for data, seed, size, shuffle and stratify.
    """

    module: Module
    scope: int
    call: Call
    top: Site
    api: str
    args: Mapping[str, Given]


class Settings(Struct, frozen=True):
    """What a split is decided by, as far as it is known: UNKNOWN, or None where it is left out."""

    seed: object
    size: object
    shuffle: object
    stratify: object = field(default=None)


class Splits(Analysis):
    """``project[Splits].all``, ``.data(split)``, ``.settings(split)``, ``.on(entry)``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.all: tuple[Split, ...] = tuple(self._find())

    def _find(self) -> Iterator[Split]:
        for module in self.project.modules.values():
            if module.role != "project" or is_test(module):
                continue
            for name, site in module.calls_of(_CALLS):
                api = RANDOM_SPLIT if name.endswith("random_split") else name
                start = Site(module, site.scope, site.call)
                args: dict[str, Given] = {
                    key: (module, site.scope, value) if value is not None and value is not UNKNOWN else value
                    for key, value in _arguments(api, site.call).items()
                }
                for top, final in self._expanded(start, args, 3):
                    yield Split(module, site.scope, site.call, top, api, final)

    def _expanded(self, top: Site, args: dict[str, Given], depth: int) -> Iterator[tuple[Site, dict[str, Given]]]:
        """The split as each caller of its function has it, where arguments are parameters."""
        definition = top.module.definition(top.scope)
        wanted = {
            key: value[2].name
            for key, value in args.items()
            if isinstance(value, tuple)
            and isinstance(value[2], Ref)
            and value[:2] == (top.module, top.scope)
            and any(one.name == value[2].name for one in definition.scope.parameters)
        }
        sites = [one for one in self.project.callers.of(definition) or () if not is_test(one.module)]
        if not depth or not wanted or not definition.is_function or not sites or len(sites) > _MOST:
            yield top, args
            return
        names = self.project.callers.spellings(definition)
        for site in sites:
            fresh = dict(args)
            for key, parameter in wanted.items():
                value = given(site, definition, parameter, names)
                if value is None:
                    default = next(one.default for one in definition.scope.parameters if one.name == parameter)
                    fresh[key] = None if default is None else (top.module, definition.scope.parent, default)
                else:
                    fresh[key] = UNKNOWN if value is UNKNOWN else (site.module, site.scope, value)
            yield from self._expanded(Site(site.module, site.scope, site.call), fresh, depth - 1)

    def on(self, split: Split, entry: Entry) -> bool:
        """Whether a split is made when an entry runs."""
        module, paths = split.top.module, self.project[SeededPaths]
        return paths.may_run(entry, module) and module.definition(split.top.scope).name in paths.reached(entry)

    def settings(self, split: Split) -> Settings:
        shuffle = self._worth(split.args.get("shuffle"), absent=True)
        stratify = split.args.get("stratify")
        stratified = isinstance(stratify, tuple) and not (isinstance(stratify[2], Const) and stratify[2].value is None)
        return Settings(self._seed(split), self._size(split), shuffle, stratified)

    def _seed(self, split: Split) -> object:
        value = split.args.get("seed")
        if not isinstance(value, tuple):
            return value
        module, scope, expr = value
        if split.api != RANDOM_SPLIT:
            return self._worth(value, absent=None)
        for end in self.project[Origins].of(module, scope, expr):
            call = end.expr
            function = call.function if isinstance(call, Call) and call.args else None
            if (
                isinstance(call, Call)
                and isinstance(function, (Ref, Attribute))
                and function.name.endswith("manual_seed")
            ):
                return end.module.constant(end.scope, call.args[0])
        return UNKNOWN

    def _size(self, split: Split) -> object:
        size = self._worth(split.args.get("size"), absent=None)
        if isinstance(size, (list, tuple)) and len(size) > 1 and all(isinstance(one, (int, float)) for one in size):
            return sum(size[1:])
        train = self._worth(split.args.get("train_size"), absent=None)
        if size is None and isinstance(train, float):
            return round(1 - train, 6)
        return size

    def _worth(self, value: Given, absent: object) -> object:
        if value is None:
            return absent
        if value is UNKNOWN or not isinstance(value, tuple):
            return UNKNOWN
        return value[0].constant(value[1], value[2])

    # Data.

    def data(self, split: Split) -> str | None:
        """The one file or data set a split takes its rows from; None when unknown, or the part of another split."""
        value = split.args.get("data")
        found = self._keys(*value, _DEEPEST) if isinstance(value, tuple) else set()
        return next(iter(found)) if len(found) == 1 and "" not in found else None

    def _keys(self, module: Module, scope: int, expr: Expr, depth: int) -> set[str]:
        """What an expression is read from; "" among them: it is known to be something else."""
        if depth <= 0:
            return {""}
        if isinstance(expr, (Ref, Call)):
            ends = self.project[Origins].of(module, scope, expr, callers=False)
            found: set[str] = set()
            for end in ends:
                if end.expr is expr and isinstance(expr, Ref):
                    head, dot, _ = expr.name.rpartition(".")
                    owner = self._keys(module, scope, Ref(head, expr.line, expr.column), depth - 1) if dot else {""}
                    found |= owner
                elif end.expr is expr and isinstance(expr, Call):
                    found |= self._call(module, scope, expr, depth)
                elif end.kind == LOOP:
                    found.add("")
                elif end.kind == VALUE and isinstance(end.expr, Call):
                    found |= self._call(end.module, end.scope, end.expr, depth - 1)
                elif end.kind == VALUE and end.expr is not expr:
                    found |= self._keys(end.module, end.scope, end.expr, depth - 1)
                else:
                    found.add("")
            return found
        if isinstance(expr, (Attribute, Subscript)):
            return self._keys(module, scope, expr.value, depth - 1)
        parts = [part for part in children(expr) if not isinstance(part, (Const, Starred))]
        return {key for part in parts for key in self._keys(module, scope, part, depth - 1)}

    def _call(self, module: Module, scope: int, call: Call, depth: int) -> set[str]:
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return {""}
        names = module.names(scope, function)
        if not _CALLS.isdisjoint(names):
            return {""}
        name = next((one for one in names if _READS.match(one)), None)
        if name is None and any(":" in one and self._is_class(one) for one in names):
            name = names[0]
        if name is not None:
            return {self._read(module, scope, call, name)}
        last = function.name.rpartition(".")[2]
        receiver: Expr | None = function.value if isinstance(function, Attribute) else None
        if isinstance(function, Ref) and "." in function.name and not names:
            receiver = Ref(function.name.rpartition(".")[0], function.line, function.column)
        if isinstance(function, Ref) and names and any(one.startswith("pandas.DataFrame.") for one in names):
            receiver = Ref(function.name.rpartition(".")[0], function.line, function.column)
        if receiver is not None and last not in _TRANSFORMS:
            return self._keys(module, scope, receiver, depth - 1)
        values = [one for one in call.args[:1] if not isinstance(one, (Const, Starred))]
        return {key for one in values for key in self._keys(module, scope, one, depth - 1)} or {""}

    def _is_class(self, name: str) -> bool:
        found = self.project.definition(name)
        return found is not None and found.is_class and self.project.method(name, "__getitem__") is not None

    def _read(self, module: Module, scope: int, call: Call, name: str) -> str:
        """``pandas.read_csv data/train.csv``; "" when the path is not known."""
        values = [*call.args[:1], *[k.value for k in call.keywords if k.name in ("root", "train", "split", "name")]]
        shown = []
        for value in values:
            constant = module.constant(scope, value)
            if constant is UNKNOWN:
                constant = self._joined(module, scope, value)
            if constant is None:
                return ""
            text = posixpath.normpath(str(constant)) if isinstance(constant, str) else str(constant)
            shown.append(re.sub(r"^(\.\./)+", "", text))
        if not shown and not name.startswith(("sklearn.datasets.", "keras.", "tensorflow.")):
            return ""
        path = bool(values) and not name.startswith(("torchvision.", "datasets.", "sklearn.")) and ":" not in name
        return " ".join(shown) if path else " ".join([name, *shown])

    def _joined(self, module: Module, scope: int, value: Expr) -> str | None:
        """``os.path.join(DATA, "d.csv")``, ``DATA / "d.csv"``, or the constant a name stands for, by its name."""
        names = module.project.resolve(module, scope, value.name) if isinstance(value, Ref) else ()
        if isinstance(value, Call) and isinstance(value.function, (Ref, Attribute)):
            parts = [module.constant(scope, one) for one in value.args]
            joins = value.function.name.rpartition(".")[2] in ("join", "Path", "PurePath", "str")
            if joins and parts and all(isinstance(one, str) for one in parts):
                return posixpath.join(*[str(one) for one in parts])
        if isinstance(value, Build):
            return None
        return names[0] if len(names) == 1 and ":" in names[0] and names[0].rpartition(":")[2] else None


def is_test(module: Module) -> bool:
    """Whether a file tests code: ``test_model.py`` with a main block and no test function tests a model."""
    if not module.is_test:
        return False
    return module.facts.main is None or any(scope.name.startswith("test") for scope in module.facts.scopes)


def _arguments(api: str, call: Call) -> dict[str, Expr | Unknown | None]:
    if api == TRAIN_TEST:
        data: Expr | None = call.args[0] if call.args else None
        named = {key: argument(call, key) for key in ("train_size", "shuffle", "stratify")}
        return {"data": data, "seed": argument(call, "random_state"), "size": argument(call, "test_size"), **named}
    if api == RANDOM_SPLIT:
        return {
            "data": argument(call, "dataset", 0),
            "seed": argument(call, "generator", 2),
            "size": argument(call, "lengths", 1),
        }
    function = call.function
    receiver = function.value if isinstance(function, Attribute) else None
    if isinstance(function, Ref):
        receiver = Ref(function.name.rpartition(".")[0], function.line, function.column)
    return {
        "data": receiver,
        "seed": argument(call, "seed"),
        "size": argument(call, "test_size", 0),
        "shuffle": argument(call, "shuffle"),
    }
