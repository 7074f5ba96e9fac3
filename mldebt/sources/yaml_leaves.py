"""YAML text as scalars with lines, from libyaml's events: nothing is constructed, what precedes an error is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import yaml
from msgspec import Struct, field

from mldebt.sources.artefacts import Leaf, Scalar

MAX_LEAVES = 20_000
MAX_DEPTH = 64
_MAX_NUMBER = 100  # characters: int() of a longer one takes quadratic time or is refused

_CORE = "tag:yaml.org,2002:"
_TEMPLATE = re.compile(r"\{\{|\{%")
# PyYAML's safe resolver (YAML 1.1): `1e-4` is a string for it, `yes` a boolean.
_BOOLEANS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]+|0|[1-9][0-9_]*)")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?)")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TYPED_START = frozenset("-+.0123456789~nNtTfFyYoO")

_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Reading(Struct, frozen=True):
    """The scalars of a text. ``skipped``: ``problem`` is a template or a limit rather than a defect of the file.

    ``blocks`` maps an index of ``leaves`` to the style (``|`` or ``>``), first and last line of a YAML block scalar.
    """

    leaves: tuple[Leaf, ...]
    problem: tuple[int, str] | None = None
    skipped: bool = False
    blocks: Mapping[int, tuple[str, int, int]] = field(default_factory=dict)


def read_yaml(text: str) -> Reading:
    """Return the scalars of all documents, up to ``MAX_LEAVES`` with aliases expanded and ``MAX_DEPTH`` levels."""
    events = _Events()
    try:
        problem = events.run(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        line, message = _explain(error)
        if _TEMPLATE.search(text):
            return Reading((), (line, "a template rather than YAML: not read"), skipped=True)
        return events.result((line, f"not valid YAML: {message}"))
    return events.result(problem, skipped=problem is not None and not events.aliased)


def _explain(error: yaml.YAMLError) -> tuple[int, str]:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        return (mark.line + 1 if mark else 1), str(error.problem or error.context or "cannot be parsed")
    return 1, str(error).splitlines()[0]


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


class _Frame(Struct):
    """An open mapping or list. ``key`` is the mapping's key at hand, ``None`` while one is awaited."""

    mapping: bool
    anchor: str | None
    start: int  # index of its first leaf
    depth: int  # keys above it
    as_key: bool = False  # it is itself a key of the mapping around it
    merging: bool = False  # it is the value of `<<`
    key: str | None = None
    index: int = 0
    own: set[str] = field(default_factory=set)
    merged: list[int] = field(default_factory=list)  # indexes of leaves that came through `<<`


class _Events:
    def __init__(self) -> None:
        self.leaves: list[Leaf] = []
        self.blocks: dict[int, tuple[str, int, int]] = {}
        self.dropped: set[int] = set()  # indexes of leaves that a mapping overrides
        self.aliased = False  # a limit was met while an alias was expanded
        self._frames: list[_Frame] = []
        self._keys: tuple[str, ...] = ()
        self._anchors: dict[str, tuple[int, int, int]] = {}

    def run(self, events: Iterable[yaml.Event]) -> tuple[int, str] | None:
        """Take the events; return the line and reason when a limit ends it early."""
        for event in events:
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                if len(self._frames) >= MAX_DEPTH:
                    return _line(event), f"nested deeper than {MAX_DEPTH} levels: not read further"
                self._open(event)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self._close()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event.anchor)
            if len(self.leaves) >= MAX_LEAVES:
                what = "aliases expand to more" if self.aliased else "more"
                return _line(event), f"{what} than {MAX_LEAVES} values: not read further"
        return None

    def _step(self) -> tuple[str, ...] | None:
        """The keys of the value that comes now, ``None`` when it is a mapping's key."""
        if not self._frames:
            return ()
        frame = self._frames[-1]
        if not frame.mapping:
            frame.index += 1
            return self._keys if frame.merging else (*self._keys, str(frame.index - 1))
        if frame.key is None:
            return None
        return self._keys if frame.key == "<<" else (*self._keys, frame.key)

    def _done(self) -> None:
        if self._frames and self._frames[-1].mapping:
            self._frames[-1].key = None

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        keys = self._step()
        if keys is None:
            frame = self._frames[-1]
            frame.key = event.value
            if event.value != "<<":
                frame.own.add(event.value)
            return
        line = _line(event)
        if event.style in {"|", ">"} and event.end_mark:
            self.blocks[len(self.leaves)] = (event.style, line + 1, event.end_mark.line)
        tag = event.tag or ""
        value = _tagged(event.value, tag) if tag else typed(event.value) if event.implicit[0] else event.value
        if event.anchor:
            self._anchors[event.anchor] = (len(self.leaves), len(self.leaves) + 1, len(keys))
        self.leaves.append(Leaf(keys, value, line, "" if tag.startswith(_CORE) and ":python/" not in tag else tag))
        self._done()

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        keys = self._step()
        merging = bool(keys is not None and self._frames and self._frames[-1].key == "<<")
        mapping = isinstance(event, yaml.MappingStartEvent)
        frame = _Frame(mapping, event.anchor, len(self.leaves), len(self._keys), keys is None, merging)
        self._frames.append(frame)
        self._keys = (*self._keys, "?") if keys is None else keys

    def _close(self) -> None:
        frame = self._frames.pop()
        if frame.merged:
            self._drop_overridden(frame)
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.start, len(self.leaves), len(self._keys))
        if frame.merging:
            self._frames[-1].merged.extend(range(frame.start, len(self.leaves)))
        self._keys = self._keys[: frame.depth]
        if frame.as_key:
            self.dropped.update(range(frame.start, len(self.leaves)))
            self._frames[-1].key = "?"  # what it is called cannot be told
        else:
            self._done()

    def _alias(self, anchor: str | None) -> None:
        keys = self._step()
        if keys is None:
            self._frames[-1].key = "?"
            return
        start, end, depth = self._anchors.get(
            anchor or "", (0, 0, 0)
        )  # unknown: a recursive alias, no leaves of its own
        room = MAX_LEAVES - len(self.leaves)
        self.aliased = end - start >= room
        merging = bool(self._frames) and self._frames[-1].key == "<<"
        for index in range(start, min(end, start + room)):
            if index in self.dropped:
                continue
            leaf = self.leaves[index]
            if index in self.blocks:
                self.blocks[len(self.leaves)] = self.blocks[index]
            if merging:
                self._frames[-1].merged.append(len(self.leaves))
            self.leaves.append(Leaf(keys + leaf.keys[depth:], leaf.value, leaf.line, leaf.tag))
        self._done()

    def _drop_overridden(self, frame: _Frame) -> None:
        """Mark merged leaves whose key the mapping writes itself, or an earlier merge already gave."""
        at = len(self._keys)
        given: set[tuple[str, ...]] = set()
        for index in frame.merged:
            keys = self.leaves[index].keys
            if keys in given or (len(keys) > at and keys[at] in frame.own):
                self.dropped.add(index)
            given.add(keys)

    def result(self, problem: tuple[int, str] | None, *, skipped: bool = False) -> Reading:
        if not self.dropped:
            return Reading(tuple(self.leaves), problem, skipped, self.blocks)
        kept = [index for index in range(len(self.leaves)) if index not in self.dropped]
        blocks = {new: self.blocks[old] for new, old in enumerate(kept) if old in self.blocks}
        return Reading(tuple(self.leaves[index] for index in kept), problem, skipped, blocks)


def _tagged(value: str, tag: str) -> Scalar:
    return typed(value) if tag in {_CORE + "int", _CORE + "float", _CORE + "bool", _CORE + "null"} else value


def typed(value: str) -> Scalar:
    """Return a plain scalar as PyYAML's safe loader types it; dates stay text."""
    if not value:
        return None
    if value[0] not in _TYPED_START or len(value) > _MAX_NUMBER:
        return value
    if value in _NULLS:
        return None
    lower = value.lower()
    if lower in _BOOLEANS and value in {lower, lower.capitalize(), lower.upper()}:
        return _BOOLEANS[lower]
    if _INTEGER.fullmatch(value):
        digits = value.replace("_", "")
        plain = digits.lstrip("+-")
        base = 8 if plain.isdigit() and len(plain) > 1 and plain[0] == "0" else 10 if plain.isdigit() else 0
        return int(digits, base)
    if _FLOAT.fullmatch(value):
        return float(value.replace("_", ""))
    if _INFINITE.fullmatch(value):
        return float(lower.replace(".", ""))
    if _SEXAGESIMAL.fullmatch(value):
        return _sexagesimal(value.replace("_", ""))
    return value


def _sexagesimal(value: str) -> Scalar:
    sign = -1 if value[0] == "-" else 1
    number: float = 0
    for part in value.lstrip("+-").split(":"):
        number = number * 60 + (float(part) if "." in part else int(part))
    return sign * number
