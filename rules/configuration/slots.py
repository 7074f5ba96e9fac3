"""Hyperparameter slots (catalogue A.3): which arguments of library calls are knobs, and what they are given.

``slots.toml`` holds the names and the calls; users add rows under ``[tool.mldebt.knowledge]``, keys ``knobs`` and
``slots``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, Unknown, argument
from mldebt.facts.schema import Attribute, Call, Expr, Ref, Stmt
from mldebt.finding import Place
from mldebt.rule import Analysis, Row, Table

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.project import Project

_NEVER = 1_000_000  # more arguments than any call has
CONTRACT, TUNING, PERFORMANCE, SEED = "contract", "tuning", "performance", "seed"


class Knob(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A hyperparameter: its canonical ``name``, its ``kind``, and the other names it goes by."""

    kind: str
    aliases: tuple[str, ...] = ()


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One argument of a call. ``knob``: what it sets, when its own name does not say; ``default``: unset is unknown."""

    knob: str = ""
    position: int | None = None
    default: Any | msgspec.UnsetType = msgspec.UNSET


class SlotRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The knobs among the arguments of the call ``name``."""

    parameters: Mapping[str, Parameter]


class Filled(Struct, frozen=True, eq=False):
    """An argument a call gives to a slot: ``Adam(p, lr=3e-4)`` fills ``lr`` of ``torch.optim.Adam``.

    ``value`` is the expression given; ``constant`` what it is worth, UNKNOWN when that is not known.
    """

    knob: Knob
    api: str
    parameter: str
    value: Expr
    default: Any | Unknown
    module: Module
    scope: int
    statement: Stmt
    call: Call

    @property
    def name(self) -> str:
        """The knob's canonical name."""
        return self.knob.name

    @property
    def kind(self) -> str:
        """contract, tuning, performance or seed."""
        return self.knob.kind

    @property
    def constant(self) -> Any | Unknown:
        return self.module.constant(self.scope, self.value)

    @property
    def place(self) -> Place:
        """The place of the value where it has one of its own, else of the call."""
        return self.module.place(self.value if hasattr(self.value, "end_line") else self.call)


class Slots(Analysis):
    """Answers which knobs the calls of a file turn."""

    knobs: ClassVar[Table[Knob]] = Table("slots.toml", "knobs", Knob)
    slots: ClassVar[Table[SlotRow]] = Table("slots.toml", "slots", SlotRow)

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._filled: dict[str, tuple[Filled, ...]] = {}
        self._asked: dict[str, Knob | None] = {}

    @cached_property
    def _by_name(self) -> dict[str, Knob]:
        rows = self.project.rows(self.knobs).values()
        return {name.lower(): knob for knob in rows for name in (*knob.aliases, knob.name)}

    @cached_property
    def _rows(self) -> Mapping[str, SlotRow]:
        return self.project.rows(self.slots)

    def knob(self, name: str) -> Knob | None:
        """The knob a written name stands for: ``learning_rate``, ``LR`` and ``--learning-rate`` are ``lr``."""
        if name not in self._asked:
            self._asked[name] = self._by_name.get(name.lower().lstrip("-").replace("-", "_"))
        return self._asked[name]

    @cached_property
    def spoken(self) -> frozenset[str]:
        """The identifiers of the project that stand for a knob; single letters do not."""
        return frozenset([name for name in self.project.callers.identifiers if len(name) > 1 and self.knob(name)])

    def of(self, module: Module) -> tuple[Filled, ...]:
        """The slots the calls of a file fill, in the order of its scopes and lines; defaults are not among them."""
        known = self._filled.get(module.path)
        if known is None:
            known = self._filled[module.path] = tuple(self._find(module))
        return known

    @cached_property
    def all(self) -> tuple[Filled, ...]:
        """Those of all files of the project itself, tests left out."""
        modules = self.project.modules.values()
        return tuple(one for module in modules if module.role == "project" and not module.is_test
                     for one in self.of(module))  # fmt: skip

    @cached_property
    def _arguments(self) -> Mapping[str, tuple[frozenset[str], int]]:
        """What fills a slot of the calls an identifier may spell: keywords, and from how many arguments on."""
        found: dict[str, tuple[frozenset[str], int]] = {}
        for name, row in self._rows.items():
            positions = [one.position for one in row.parameters.values() if one.position is not None]
            least = min(positions, default=_NEVER)
            for spelling in self.project.spellings({name}):
                keywords, first = found.get(spelling, (frozenset(), _NEVER))
                found[spelling] = (keywords | row.parameters.keys(), min(first, least))
        return found

    def _calls(self, module: Module) -> Iterator[tuple[str, CallSite]]:
        """The calls with slots. Which function is called costs most to tell, so arguments are looked at first."""
        arguments = self._arguments
        for index in module.scopes_using(arguments.keys()):
            for site in module.call_sites(index):
                call = site.call
                function = call.function
                if not isinstance(function, (Ref, Attribute)):
                    continue
                known = arguments.get(function.name.rpartition(".")[2])
                if known is None:
                    continue
                if len(call.args) > known[1] or any(keyword.name in known[0] for keyword in call.keywords):
                    name = next((name for name in module.names(index, function) if name in self._rows), None)
                    if name is not None:
                        yield name, site

    def _find(self, module: Module) -> list[Filled]:
        found: list[Filled] = []
        for name, (call, statement, scope) in self._calls(module):
            for parameter, slot in self._rows[name].parameters.items():
                value = argument(call, parameter, slot.position)
                knob = self.knob(slot.knob or parameter)
                if value is None or value is UNKNOWN or knob is None:
                    continue
                default = UNKNOWN if slot.default is msgspec.UNSET else slot.default
                found.append(Filled(knob, name, parameter, value, default, module, scope, statement, call))
        return found
