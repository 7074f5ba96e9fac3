"""What the score is measured against: half-lives, weights and grades, as shipped in ``reference.json``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from mldebt.errors import ConfigurationError
from mldebt.finding import Confidence, Finding, Severity


class FamilyReference(msgspec.Struct, frozen=True):
    """One family. ``half_life`` is in weighted minutes per kLOC, ``weight`` is its share before renormalising."""

    digit: str
    name: str
    half_life: float
    weight: float
    core: bool
    reason: str = ""


class Threshold(msgspec.Struct, frozen=True):
    """The lowest value that earns ``grade``."""

    grade: str
    lowest: float = msgspec.field(name="from")


class Caps(msgspec.Struct, frozen=True):
    """The best grade left with an open critical finding, and with a core family below a value."""

    critical: str
    core_family: str
    core_family_below: float


class Reference(Struct, frozen=True):
    """A calibration of the score. ``grades`` runs from best to worst."""

    model: int
    families: tuple[FamilyReference, ...]
    grades: tuple[Threshold, ...]
    caps: Caps
    year: int = 0
    note: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Reference:
        """From JSON. Raises ConfigurationError naming the field that does not fit."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise ConfigurationError(f"score reference: {error}") from error

    @classmethod
    def shipped(cls) -> Reference:
        """The reference of this version of mldebt."""
        return cls.parse((Path(__file__).parent / "reference.json").read_bytes())

    def reweighted(self, weights: Mapping[str, float]) -> Reference:
        """The same with the user's weights, by family name or digit. Raises ConfigurationError for unknown ones."""
        left = dict(weights)
        families = tuple(
            msgspec.structs.replace(family, weight=float(left.pop(family.name, left.pop(family.digit, family.weight))))
            for family in self.families
        )
        if left:
            names = ", ".join(family.name for family in self.families)
            raise ConfigurationError(f"unknown family {min(left)!r} in the score's weights; families are {names}")
        if any(family.weight < 0 for family in families):
            raise ConfigurationError("the score's weights cannot be negative")
        return replace(self, families=families)

    def shares(self, applicable: Collection[str]) -> dict[str, float]:
        """Weights of the applicable families by digit, adding up to one; empty when none of them weighs anything."""
        weights = {family.digit: family.weight for family in self.families if family.digit in applicable}
        whole = sum(weights.values())
        return {digit: weight / whole for digit, weight in weights.items()} if whole > 0 else {}

    def grade(self, value: float) -> str:
        return next((step.grade for step in self.grades if value >= step.lowest), self.grades[-1].grade)

    def worse(self, one: str, other: str) -> str:
        order = [step.grade for step in self.grades]
        return max(one, other, key=order.index)


def severity_weight(severity: Severity) -> float:
    """Catalogue 6.2: info never counts, a critical finding counts four times a minor one."""
    return (0.0, 0.5, 1.0, 2.0)[severity]


def confidence_weight(confidence: Confidence) -> float:
    return (0.0, 0.7, 1.0)[confidence]


def weighted_minutes(finding: Finding) -> float:
    """What a finding brings to its rule's sum: minutes times severity times confidence; nothing for a preview."""
    if finding.preview:
        return 0.0
    return severity_weight(finding.severity) * confidence_weight(finding.confidence) * finding.minutes


def rank_weight(rank: int) -> float:
    """Weight of a rule's ``rank``-th dearest finding: a noisy rule must not decide the score (catalogue 6.2)."""
    return min(1.0, 10 / rank)
