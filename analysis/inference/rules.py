"""The rules that turn the evidence on one curve into a verdict, in their order."""

from __future__ import annotations

from analysis.inference.contrasts import Evidence
from analysis.inference.curves import ArmCurves, mean_interval
from analysis.inference.estimate import Estimate
from analysis.options import CurveOptions

FLAT, NON_MONOTONE, PLATEAUED = "flat", "non-monotone", "plateaued"
IMPROVING, UNDETERMINED = "improving", "undetermined"
AT_FLOOR, AT_CEILING = "at floor", "at ceiling"


def edge_verdict(arm: ArmCurves, name: str, options: CurveOptions) -> str:
    """`at floor` or `at ceiling` where every mean's interval lies within the range margin of 0 or
    1, so that the scores can show no change of more than the margin; else empty.

    The claim needs every interval, so no correction over the scales is due (intersection-union).
    """
    if arm.curves[name].covariance is None:
        return ""
    ends = [
        mean_interval(arm.curves, name, k, options.interval)[:2] for k in range(len(arm.scales))
    ]
    if all(high < options.range_margin for _, high in ends):
        return AT_FLOOR
    return AT_CEILING if all(low > 1 - options.range_margin for low, _ in ends) else ""


def decide(evidence: Evidence, p_values: dict[str, float], options: CurveOptions) -> str:
    """The verdict of one curve from its corrected p values, rules in their order."""
    if p_values["flat"] < options.level:
        return FLAT
    if p_values["drop"] < options.level:
        return NON_MONOTONE
    if p_values["plateau"] < options.level:
        return PLATEAUED
    return IMPROVING if p_values["tail"] < options.level else UNDETERMINED


def tail_region(tail: Estimate, margin: float, level: float) -> str:
    """Where the tail slope lies: below the margin, within it or above it, or what is ruled out.

    Three-sided testing (Goeman, Solari and Stijnen, Statistics in Medicine 29, 2010): the three
    regions are tested at once, each at the level, without a correction, since only one of them
    can hold the truth. That the slope is within is rejected on either side at half the level.
    """
    if tail.p_above(margin) < level / 2:
        return "above margin"
    if tail.p_below(-margin) < level / 2:
        return "below margin"
    not_below, not_above = tail.p_above(-margin) < level, tail.p_below(margin) < level
    if not_below and not_above:
        return "within margin"
    return "not below margin" if not_below else "not above margin" if not_above else "not shown"


def ladder_direction(p_values: dict[str, float], options: CurveOptions) -> str:
    """What the slope over all scales shows: improved, declined or not shown."""
    shown = [claim for claim in ("improved", "declined") if p_values[claim] < options.level]
    return shown[0] if shown else "not shown"
