"""Curves, verdicts and differences, as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Mean score of one (judge, arm, category) at one scale, with its interval."""

    judge: str
    arm: str
    category: str
    scale: int
    mean: float | None
    low: float | None
    high: float | None
    n_items: int | None
    n_seeds: int | None
    n_missing: int | None
    note: str


@dataclass(frozen=True, slots=True)
class CurveRow:
    """One category of a curve table: a point, or None, for each scale of the table."""

    category: str
    points: list[CurvePoint | None]
    sparkline: Sparkline | None


@dataclass(frozen=True, slots=True)
class CurveTable:
    """Mean scores of one (judge, arm): categories x scales."""

    judge: str
    arm: str
    scales: list[int]
    rows: list[CurveRow]
    notes: list[str]
    """Distinct remarks of the points, in order of appearance; a point's mark is its index + 1."""


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A small drawing of one curve, in a box of 110 x 40 units; y is 0 at the top."""

    dots: list[tuple[float, float]]
    line: str
    band: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with the ends of its interval; None where it cannot be known."""

    value: float | None
    low: float | None
    high: float | None

    @property
    def known(self) -> bool:
        """Whether both the number and its interval are there: only then may it be claimed."""
        return None not in (self.value, self.low, self.high)


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """The verdict on one (judge, arm, category); slopes are score per doubling of the data."""

    category: str
    verdict: str
    ladder: str
    tail: Estimate
    rise: Estimate
    margin: float | None
    detectable: float | None
    items_needed: int | None
    seeds_needed: int | None
    n_items: int | None
    n_seeds: int | None
    drop: str
    """The clearest drop, in words; empty if there is none."""
    note: str


@dataclass(frozen=True, slots=True)
class VerdictTable:
    """The verdicts of one (judge, arm)."""

    judge: str
    arm: str
    rows: list[VerdictRow]
    margins: str
    """The equivalence margins behind the verdicts, in words."""
    noise: list[str]
    """Which noise the intervals hold."""
    notes: list[str]
    """Distinct remarks of the rows, in order of appearance; a row's mark is its index + 1."""


@dataclass(frozen=True, slots=True)
class ArmDifference:
    """Overall mean of arm_a minus that of arm_b, paired, at one scale, by one judge."""

    judge: str
    scale: int
    arm_a: str
    arm_b: str
    difference: Estimate
