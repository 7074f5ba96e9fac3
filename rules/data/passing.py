"""What library calls pass on of the values they are given, column by column where that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import Attribute, Build, Call, Const, Expr, Lambda, Ref, Starred
from mldebt.facts.walk import given_values

from .mutations import called, owner

if TYPE_CHECKING:
    from .provenance import Where, _Search

_SPLITS = frozenset({"train_test_split", "shuffle", "resample"})
# Objects that hold what they do to data, not data: what they are given passes, not they.
_DOERS = frozenset(
    """transform fit_transform inverse_transform fit_resample encode encode_plus tokenize tokenizer batch_encode_plus
    decode batch_decode""".split()
)
_RUNNERS = frozenset(
    {"apply", "map", "applymap", "imap", "imap_unordered", "starmap", "pipe", "transform", "thread_map"}
)
# Calls that say nothing about values: sizes, names, and what is only looked at.
_NOTHING = frozenset(
    """len range print isinstance hasattr type id now time today open exists getenv info debug warning error uuid4 str
    getLogger get_logger mkdir seed rand randn randint zeros ones empty eye full arange linspace""".split()
)
_LABELLED = frozenset({"DMatrix", "QuantileDMatrix", "Dataset", "Pool"})
_STACKS = frozenset({"zip", "TensorDataset", "ArrayDataset"})


class Passing:
    """Follows a call of a library into what it is given."""

    def __init__(self, search: _Search) -> None:
        self._search = search

    def call(self, where: Where, call: Call) -> None:
        function = call.function
        last = called(where.module, where.scope, function)
        if last in _NOTHING and not (last == "str" and call.args):
            return
        for handler in (self._structural, self._by_column, self._run):
            if handler(where, call, last):
                return
        self._everything(where, call, last)

    def _everything(self, where: Where, call: Call, last: str) -> None:
        held = owner(call.function)
        if held is not None and last not in _DOERS and self._is_value(where, held):
            self._search.follow(where, held)
        elif not isinstance(call.function, (Ref, Attribute)):
            self._search.follow(where, call.function)
        for value in given_values(call):
            if not isinstance(value, (Const, Lambda)):
                self._search.follow(where, value)

    def _is_value(self, where: Where, held: Expr) -> bool:
        """Whether a receiver is a value, rather than a module: ``frame`` of ``frame.copy()``, not ``np``."""
        if not isinstance(held, Ref):
            return True
        names = self._search.project.resolve(where.module, where.scope, held.name)
        return not names or any(":" in name for name in names)

    def _structural(self, where: Where, call: Call, last: str) -> bool:
        """Calls whose result is a tuple of what they are given."""
        keys, args = where.keys, call.args
        first = keys[0] if keys and isinstance(keys[0], int) else None
        if last in _STACKS and first is not None and not any(isinstance(one, Starred) for one in args):
            if 0 <= first < len(args):
                self._search.follow(where.with_keys(keys[1:]), args[first])
            return True
        if last in _SPLITS and first is not None:
            at = first // 2 if last == "train_test_split" else first
            if 0 <= at < len(args) and not isinstance(args[at], Starred):
                self._search.follow(where.with_keys(keys[1:]), args[at])
                return True
        if last in ("fit_resample", "fit_sample") and first is not None and first < len(args):
            self._search.follow(where.with_keys(keys[1:]), args[first])
            return True
        held = owner(call.function)
        if last == "enumerate" and first is not None and args:
            if first == 1:
                self._search.follow(where.with_keys(keys[1:]), args[0])
            return True
        if held is not None and not args and last in ("items", "iterrows", "iteritems") and first is not None:
            if first == 1:
                self._search.follow(where.with_keys(keys[1:]), held)
            return True
        if held is not None and last in ("itertuples", "values", "tolist", "to_dict", "to_numpy", "fetchall"):
            self._search.follow(where, held)
            return True
        return False

    def _by_column(self, where: Where, call: Call, last: str) -> bool:
        """Methods of frames and records that name columns."""
        held = owner(call.function)
        column = where.keys[0] if where.keys and isinstance(where.keys[0], str) else None
        if last in ("dict", "DataFrame", "OrderedDict", "Series", "from_dict", "Record", "Namespace") and column:
            named = [one.value for one in call.keywords if one.name == column]
            if named and last not in ("DataFrame", "Series"):
                self._search.follow(where.with_keys(where.keys[1:]), named[0])
                return True
        if held is None:
            return False
        if last in ("pop", "get", "getlist") and call.args:
            key = where.module.constant(where.scope, call.args[0])
            if isinstance(key, (str, int)) and not isinstance(key, bool) and self._is_value(where, held):
                self._search.follow(where.taking(key), held)
                return True
        if last == "assign":
            given = [one for one in call.keywords if one.name == column or column is None]
            for one in given:
                self._search.follow(where.with_keys(where.keys[1:] if column else where.keys), one.value)
            if not (given and column):
                self._search.follow(where, held)
            return True
        if last == "drop" and column is not None:
            if not self._drops(where, call, column):
                self._search.follow(where, held)
            return True
        if last == "rename":
            self._search.follow(where.with_keys(self._renamed(where, call)), held)
            return True
        return False

    @staticmethod
    def _drops(where: Where, call: Call, column: str) -> bool:
        for given in (argument(call, "columns"), argument(call, "labels", 0)):
            if given is not None and given is not UNKNOWN:
                value = where.module.constant(where.scope, given)
                if value == column or (isinstance(value, (list, tuple)) and column in value):
                    return True
        return False

    @staticmethod
    def _renamed(where: Where, call: Call) -> tuple[str | int, ...]:
        """The keys before a renaming."""
        given = argument(call, "columns") or argument(call, "mapper", 0)
        if not where.keys or not isinstance(given, Build) or given.kind != "dict":
            return where.keys
        for old, new in zip(given.keys, given.items, strict=False):
            if old is not None and where.module.constant(where.scope, new) == where.keys[0]:
                before = where.module.constant(where.scope, old)
                return (before, *where.keys[1:]) if isinstance(before, (str, int)) else where.keys
        return where.keys

    def _run(self, where: Where, call: Call, last: str) -> bool:
        """``frame.apply(score, axis=1)``: what the function makes of each row, and the rows."""
        if last not in _RUNNERS:
            return False
        ran = False
        for value in given_values(call):
            if isinstance(value, Lambda):
                self._search.follow(where, value.body)
                ran = True
            elif isinstance(value, Ref) and (target := self._function(where, value)) is not None:
                inner = where.within(target.module, target.index, ())
                for one in self._search.provenance.returned(target)[:4]:
                    self._search.follow(inner, one)
                ran = True
        held = owner(call.function)
        if ran and held is not None and self._is_value(where, held):
            self._search.follow(where, held)
        return ran

    def _function(self, where: Where, ref: Ref):  # type: ignore[no-untyped-def]
        for name in where.module.names(where.scope, ref):
            target = self._search.project.definition(name) if ":" in name else None
            if target is not None and target.is_function:
                return target
        return None
