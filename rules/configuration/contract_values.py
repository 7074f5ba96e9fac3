"""What a program gives the parameters its model depends on: sizes, means, labels, columns, sample rates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from mldebt.facts.arguments import UNKNOWN, Unknown, argument
from mldebt.facts.graph import targets
from mldebt.facts.names import binding_scope
from mldebt.facts.schema import (
    CLASS,
    Annotate,
    Assign,
    Attribute,
    Call,
    Const,
    Expr,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import statements, walk
from mldebt.finding import Place
from mldebt.project.callers import given
from mldebt.rule import Analysis

from ..glue.reach import Reach  # noqa: TID252 - installed under another name
from .encoded_bodies import DISPLAYS, scopes_holding
from .lineage import CALL, Lineage
from .parsers import Parsers
from .slots import CONTRACT, Slots

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

_DEEPEST = 4
_SIZE = "image_size"
_LISTS = frozenset({"class_names", "feature_columns"})
_FEATURES = re.compile(r"^(?:x|features?|inputs?|feats|design)(?:_?\w*)?$", re.IGNORECASE)
_MODEL_CALLS = frozenset({"fit", "predict", "predict_proba", "transform", "decision_function", "score", "DMatrix"})
# Keywords that mean one thing wherever a tokenizer or an audio library takes them.
_KEYWORDS = frozenset(
    """max_length max_len max_seq_length sr sample_rate sampling_rate target_sr n_mels n_fft hop_length win_length
    n_mfcc num_mel_bins""".split()
)
_OTHER_LENGTHS = frozenset({"generate", "pipeline", "generation_config", "GenerationConfig", "beam_search", "sample"})
_TOKENS = re.compile(r"token|^tok$|encode_plus|batch_encode", re.IGNORECASE)
_ON_PURPOSE = re.compile(
    r"crop_pct|tta|sliding|multi_?crop|multi_?scale|ten_?crop|five_?crop|progressive|finetune_size"
)
_HEADS = ("args", "opt", "opts", "cfg", "config", "conf", "options", "hparams", "flags", "FLAGS")


class Given(Struct, frozen=True, eq=False):
    """One value a program gives. ``what`` is the parameter: the canonical name, with the kind of call where it matters.

    ``value`` is UNKNOWN when it cannot be told: then nothing is known of the parameter in that program. ``told`` is
    where a caller, or the default of a parameter, gives it, when that is not the call at ``place`` itself.
    """

    what: str
    name: str
    value: Any | Unknown
    module: Module
    scope: int
    place: Place
    how: str
    told: Place | None = None


Told = tuple[Any, Place | None]  # a value or UNKNOWN, and where a caller or a default says it
_UNTOLD: Told = (UNKNOWN, None)


class ContractValues(Analysis):
    """Answers what a program gives each contract parameter."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._slots, self._reach = project[Slots], project[Reach]
        self._callers, self._parsers, self._lineage = project.callers, project[Parsers], project[Lineage]
        self._by_module: dict[str, tuple[Given, ...]] = {}

    def of(self, entry: Entry) -> dict[str, list[Given]]:
        """By parameter, what the code an entry reaches gives it."""
        reached = self._reach.of(entry)
        own = entry.definition.module
        found: dict[str, list[Given]] = {}
        for path in self.project.imports.order(own):
            module = self.project.modules[path]
            if module.role != "project":
                continue
            for one in self._in(module):
                if module.definition(one.scope).name in reached or self._is_read(one, reached):
                    found.setdefault(one.what, []).append(self._effective(one, entry))
        return found

    def _is_read(self, one: Given, reached: frozenset[str]) -> bool:
        """Whether a class's attribute can be read: its methods run."""
        scope = one.module.scope(one.scope)
        return scope.kind == CLASS and any(name.startswith(f"{one.module.path}:{scope.qualname}.") for name in reached)

    def _in(self, module: Module) -> tuple[Given, ...]:
        known = self._by_module.get(module.path)
        if known is None:
            found = [
                *self._filled(module),
                *self._keywords(module),
                *self._omitted(module),
                *self._listed(module),
            ]
            known = self._by_module[module.path] = tuple(found)
        return known

    # Slots of library calls.

    def _filled(self, module: Module) -> Iterator[Given]:
        sizes: dict[int, list[tuple[Call, Given]]] = {}
        for one in self._slots.of(module):
            if one.kind != CONTRACT or self._is_on_purpose(module, one.scope):
                continue
            how = f"{one.api.rpartition('.')[2]}({one.parameter}=...)"
            what = (
                one.name
                if one.name in ("image_mean", "image_std", "sample_rate")
                else f"{one.name} of {_family(one.api)}"
            )
            value = _Pending(one.value)
            item = Given(what, one.name, value, module, one.scope, module.place(one.call), how)
            if one.name == _SIZE and "transforms" in one.api:
                sizes.setdefault(id(one.statement), []).append((one.call, item))
            else:
                yield item
        for pipeline in sizes.values():  # of one statement, the last resize or crop decides
            _, last = max(pipeline, key=lambda pair: (pair[0].line, pair[0].column))
            yield last

    @staticmethod
    def _is_on_purpose(module: Module, scope: int) -> bool:
        """Whether a function says that it tests with another size: crop fractions, sliding windows."""
        facts = module.scope(scope)
        if scope == 0:
            return False
        return any(_ON_PURPOSE.search(chain) for chain in (*facts.uses, *facts.bindings, facts.name))

    def _keywords(self, module: Module) -> Iterator[Given]:
        """``tokenizer(text, max_length=128)``: keywords that speak for themselves, of calls that leave the project."""
        if module.mentions.isdisjoint(_KEYWORD_HOLDERS):
            return
        filled = {id(one.call) for one in self._slots.of(module)}
        for index in range(len(module.facts.scopes)):
            for site in module.call_sites(index):
                call = site.call
                if id(call) in filled or not isinstance(call.function, (Ref, Attribute)):
                    continue
                for keyword in call.keywords:
                    if keyword.name not in _KEYWORDS:
                        continue
                    last = call.function.name.rpartition(".")[2]
                    if last in _OTHER_LENGTHS or any(
                        edge.confidence != "cha" for edge in self.project.calls.targets(module, index, call)
                    ):
                        continue
                    knob = self._slots.knob(keyword.name)
                    if knob is None:
                        continue
                    length = knob.name == "max_length"
                    if length and not (_TOKENS.search(call.function.name) or _is_tokenizer(call)):
                        continue
                    what = "max_length of the tokenizer" if length else knob.name
                    how = f"{last}({keyword.name}=...)"
                    yield Given(what, knob.name, _Pending(keyword.value), module, index, module.place(call), how)

    def _omitted(self, module: Module) -> Iterator[Given]:
        """``librosa.load(path)``: the library's own sample rate."""
        if module.mentions.isdisjoint(_RATE_LIBRARIES):
            return
        rates = self._rates
        for name, (call, _, scope) in module.calls_of(frozenset(rates)):
            parameter, position, default = rates[name]
            if argument(call, parameter, position) is None:
                how = f"{name.rpartition('.')[2]}() without {parameter}"
                yield Given("sample_rate", "sample_rate", default, module, scope, module.place(call), how)

    @cached_property
    def _rates(self) -> dict[str, tuple[str, int | None, Any]]:
        """The calls with a sample rate of their own: parameter, position and default."""
        found = {}
        for name, row in self.project.rows(Slots.slots).items():
            for parameter, slot in row.parameters.items():
                knob = self._slots.knob(slot.knob or parameter)
                if knob is not None and knob.name == "sample_rate" and isinstance(slot.default, (int, float)):
                    found[name] = (parameter, slot.position, slot.default)
        return found

    # Lists of labels and columns.

    def _listed(self, module: Module) -> Iterator[Given]:
        for index in scopes_holding(module, DISPLAYS):
            for stmt in statements(module.body(index)):
                yield from self._named(module, index, stmt)
        for index in module.scopes_using(_MODEL_CALLS) if not module.mentions.isdisjoint(_MODEL_CALLS) else ():
            for site in module.call_sites(index):
                function = site.call.function
                if isinstance(function, (Ref, Attribute)) and function.name.rpartition(".")[2] in _MODEL_CALLS:
                    for arg in site.call.args[:1]:
                        columns = _columns(module, index, arg)
                        if columns is not None:
                            yield Given(
                                "feature_columns", "feature_columns", columns, module, index,
                                module.place(site.call), "columns of the frame",
                            )  # fmt: skip

    def _named(self, module: Module, scope: int, stmt: Stmt) -> Iterator[Given]:
        if isinstance(stmt, Assign):
            bound = [name for target in stmt.targets for name, _ in targets(target)]
        elif isinstance(stmt, Annotate) and isinstance(stmt.target, Ref) and stmt.value is not None:
            bound = [stmt.target.name]
        else:
            return
        if len(bound) != 1 or stmt.value is None:
            return
        last = bound[0].rpartition(".")[2]
        knob = self._slots.knob(last)
        value = _labels(module.constant(scope, stmt.value))
        if knob is not None and knob.name in _LISTS and value is not None:
            yield Given(knob.name, knob.name, value, module, scope, module.place(stmt), bound[0])
        elif _FEATURES.match(last):
            columns = _columns(module, scope, stmt.value)
            if columns is not None:
                yield Given("feature_columns", "feature_columns", columns, module, scope, module.place(stmt), bound[0])

    # Effective values.

    def _effective(self, one: Given, entry: Entry) -> Given:
        if not isinstance(one.value, _Pending):
            return one
        value, told = self._value(one.module, one.scope, one.value.expr, entry, _DEEPEST)
        return replace(one, value=_normal(one.name, value), told=told)

    def _value(self, module: Module, scope: int, expr: Expr, entry: Entry, depth: int) -> Told:
        value = module.constant(scope, expr)
        if value is not UNKNOWN or not depth or not isinstance(expr, Ref):
            return value, None
        head, dot, _ = expr.name.partition(".")
        if dot:
            return self._option(module, scope, expr, entry), None
        bound = binding_scope(module.facts, scope, head)
        if bound is None or bound != scope:
            return _UNTOLD
        definition = module.definition(scope)
        origins = self.project.flow(definition).origins(expr)
        if len(origins) != 1:
            return _UNTOLD
        origin = origins[0]
        if origin.kind == "assign" and origin.value is not None and not origin.path:
            return self._value(module, scope, origin.value, entry, depth - 1)
        if origin.kind != "parameter":
            return _UNTOLD
        return self._parameter(module, scope, head, entry, depth)

    def _parameter(self, module: Module, scope: int, name: str, entry: Entry, depth: int) -> Told:
        """What the program's calls give a parameter: a call's argument beats the default."""
        definition = module.definition(scope)
        default = next((one.default for one in definition.scope.parameters if one.name == name), None)
        reached = self._reach.of(entry)
        sites = self._callers.of(definition)
        if sites is None:
            return _UNTOLD
        found: list[Told] = []
        spellings = self._callers.spellings(definition)
        for site in sites:
            if site.module.definition(site.scope).name not in reached:
                continue
            passed = given(site, definition, name, spellings)
            if passed is UNKNOWN:
                return _UNTOLD
            where, inside, place = site.module, site.scope, site.module.place(site.call)
            if passed is None:
                passed, where, inside, place = default, module, scope, module.place(definition.scope)
            if passed is None:
                return _UNTOLD
            value, told = self._value(where, inside, passed, entry, depth - 1)
            if value is UNKNOWN:
                return _UNTOLD
            found.append((value, told or place))
        if not found:
            value = module.constant(scope, default) if default is not None else UNKNOWN
            return value, module.place(definition.scope)
        return found[0] if all(value == found[0][0] for value, _ in found) else _UNTOLD

    def _option(self, module: Module, scope: int, expr: Ref, entry: Entry) -> Any | Unknown:
        """The default of a command line option nobody passes."""
        owner, _, dest = expr.name.rpartition(".")
        made = self._lineage.of(module, scope, Ref(owner, expr.line, expr.column))
        parsed = any(one.kind == CALL and one.name.endswith("parse_args") for one in made)
        if owner.rpartition(".")[2] not in _HEADS and not parsed:
            return UNKNOWN
        closure = self.project.imports.closure(entry.definition.module)
        declared = [one for one in self._parsers.by_dest.get(dest, ()) if one.module.path in closure]
        if len(declared) != 1:
            return UNKNOWN
        flags = declared[0].flags or ()
        for place in entry.launchers:
            for command in self.project.repository.commands:
                if command.path == place.path and command.line == place.span.line:
                    passed = _passed(command.words, flags)
                    if passed is not None:
                        return passed
        value = declared[0].constant("default")
        return UNKNOWN if value is None else value


class _Pending(Struct, frozen=True, eq=False):
    """An expression whose value depends on the program that runs it."""

    expr: Expr


_RATE_LIBRARIES = frozenset({"librosa", "torchaudio"})
_KEYWORD_HOLDERS = frozenset(
    "tokenizer Tokenizer AutoTokenizer librosa torchaudio encode_plus batch_encode_plus tok soundfile".split()
)


def _family(api: str) -> str:
    """What a slot belongs to, where the same name means different things in different calls."""
    head, _, last = api.rpartition(".")
    return "the image" if "transforms" in head or head.startswith("albumentations") else last


def _is_tokenizer(call: Call) -> bool:
    names = {keyword.name for keyword in call.keywords}
    return len(names & {"truncation", "padding", "return_tensors", "return_attention_mask"}) > 0


def _passed(words: Sequence[str], flags: Sequence[str]) -> Any | None:
    """The number or text a command passes for an option; None when it passes none."""
    for at, word in enumerate(words):
        name, equals, text = word.partition("=")
        if name in flags:
            text = text if equals else words[at + 1] if at + 1 < len(words) else ""
            try:
                return float(text) if "." in text else int(text)
            except ValueError:
                return UNKNOWN if not text or "$" in text else text
    return None


def _normal(name: str, value: Any | Unknown) -> Any | Unknown:
    """Values that mean the same become the same: 224 and (224, 224), lists and tuples."""
    if isinstance(value, (list, tuple)):
        plain = tuple(tuple(one) if isinstance(one, list) else one for one in value)
        if name == _SIZE and plain and all(one == plain[0] for one in plain):
            return plain[0]
        if name in ("image_mean", "image_std") and len(plain) == 1:
            return plain[0]
        if name in ("image_mean", "image_std") and plain and all(one == plain[0] for one in plain):
            return plain[0]
        return plain
    return UNKNOWN if value is None or isinstance(value, (bool, dict, frozenset)) else value


def _labels(value: Any | Unknown) -> tuple[str, ...] | None:
    """The texts of a list, or of a map between texts and their numbers, in order."""
    if isinstance(value, dict) and len(value) > 1:
        numbers = dict(value)
        if all(isinstance(key, int) for key in numbers):
            value = [numbers[key] for key in sorted(numbers)]
        elif all(isinstance(one, int) and not isinstance(one, bool) for one in numbers.values()):
            value = sorted(numbers, key=lambda key: numbers[key])
    if isinstance(value, (list, tuple)) and len(value) > 1 and all(isinstance(one, str) for one in value):
        return tuple(value)
    return None


def _columns(module: Module, scope: int, expr: Expr) -> tuple[str, ...] | None:
    """The columns of ``frame[["a", "b"]]`` and of what is taken of it: ``frame[COLUMNS].values``."""
    if isinstance(expr, Ref):
        origins = module.project.flow(module.definition(scope)).origins(expr)
        if len(origins) == 1 and origins[0].kind == "assign" and origins[0].value is not None and not origins[0].path:
            expr = origins[0].value
    for node in walk(expr):
        if isinstance(node, Subscript) and not isinstance(node.index, Const):
            found = module.constant(scope, node.index)
            if isinstance(found, list) and len(found) > 1 and all(isinstance(one, str) for one in found):
                return tuple(found)
    return None
