"""verdicts.csv: what each curve shows, by stated margins, corrected over categories.

The order of the rules is part of the method: flat, non-monotone, plateaued, improving, and
undetermined when none holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.bootstrap import percentile_bounds
from analysis.contrasts import slope_weights, tail_scales
from analysis.covariance import Covariance, Estimate
from analysis.design import Precision, components_of, detectable, settle
from analysis.evidence import Evidence, inside, weigh
from analysis.multiplicity import holm
from analysis.options import CurveOptions
from analysis.panel import Curve, Panel, join
from analysis.tables import OVERALL

FLAT, NON_MONOTONE, PLATEAUED = "flat", "non-monotone", "plateaued"
IMPROVING, UNDETERMINED = "improving", "undetermined"
CLAIMS = ("tail", "drop", "rise")


def verdict_rows(
    panel: Panel, replicates: dict[str, np.ndarray], options: CurveOptions
) -> list[dict[str, Any]]:
    """One row per category, overall last; `replicates` is what `means.replicate_means` gives.

    The directional claims of all categories (tail up, a drop, a rise before the tail) form one
    family for Holm's correction; overall is a family of its own.
    """
    evidence = {
        name: weigh(curve.covariance, panel.cube.scales, options)
        for name, curve in panel.curves.items()
        if _testable(panel, curve, options)
    }
    corrected = correct(evidence)
    return [
        _row(panel, name, curve, evidence.get(name), corrected.get(name, {}), options)
        | _check(panel, replicates.get(name) if name in evidence else None, options)
        for name, curve in panel.curves.items()
    ]


def _check(panel: Panel, replicates: np.ndarray | None, options: CurveOptions) -> dict[str, Any]:
    """The bootstrap's interval of the tail slope."""
    if replicates is None:
        return {}
    scales = panel.cube.scales
    slopes = replicates[:, -len(scales) :] @ slope_weights(scales, tail_scales(scales))
    low, high = percentile_bounds(slopes, options.interval)
    return {"boot_tail_low": low, "boot_tail_high": high}


def correct(evidence: dict[str, Evidence]) -> dict[str, dict[str, float]]:
    """Holm-corrected p values by category: of the claims, and of the whole ladder's slope."""
    corrected: dict[str, dict[str, float]] = {name: {} for name in evidence}
    for family in ([n for n in evidence if n != OVERALL], [n for n in evidence if n == OVERALL]):
        claims = [(name, claim) for name in family for claim in CLAIMS]
        p_values = [_p_value(evidence[name], claim) for name, claim in claims]
        for (name, claim), p in zip(claims, holm(p_values), strict=True):
            corrected[name][claim] = float(p)
        # Both directions of the ladder's slope are tested, each at the one-sided level.
        ladder = [(name, up) for name in family for up in (True, False)]
        one_sided = [_ladder_p(evidence[name], up) for name, up in ladder]
        for (name, up), p in zip(ladder, holm(one_sided), strict=True):
            corrected[name]["improved" if up else "declined"] = float(p)
    return corrected


def decide(evidence: Evidence, p_holm: dict[str, float], options: CurveOptions) -> str:
    """The verdict of one curve, rules in their order."""
    level = (1 - options.interval) / 2
    steady = inside(evidence.tail, options.tail_margin, options.interval)
    if evidence.same_range and steady:
        return FLAT
    if p_holm["drop"] < level:
        return NON_MONOTONE
    if steady and p_holm["rise"] < level:
        return PLATEAUED
    steep = evidence.tail.value > options.tail_margin
    if p_holm["tail"] < level and steep and evidence.last_step > 0:
        return IMPROVING
    return UNDETERMINED


def _testable(panel: Panel, curve: Curve, options: CurveOptions) -> bool:
    return not _why_not(panel, curve, options)


def _why_not(panel: Panel, curve: Curve, options: CurveOptions) -> str:
    """Why no verdict can be given; empty if it can."""
    if curve.covariance is None:
        return "no verdict: the noise is not known"
    if len(panel.cube.scales) < 2:
        return "no verdict: one scale only"
    if not curve.covariance.total.any():
        return "no verdict: all scores are equal, so there is no noise to measure"
    if curve.missing.max() > options.missing_limit:
        return (
            f"no verdict: up to {curve.missing.max():.0%} of the scores are missing at a scale "
            f"(limit {options.missing_limit:.0%})"
        )
    return ""


def _p_value(evidence: Evidence, claim: str) -> float:
    if claim == "drop":
        return evidence.drop.p_value
    estimate = evidence.tail if claim == "tail" else evidence.rise
    return 1.0 if estimate is None else estimate.p_above(0.0)


def _ladder_p(evidence: Evidence, up: bool) -> float:
    p = evidence.ladder.p_above(0.0)
    return p if up else 1.0 - p


def _row(
    panel: Panel,
    name: str,
    curve: Curve,
    evidence: Evidence | None,
    p_holm: dict[str, float],
    options: CurveOptions,
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "judge": panel.cube.judge,
        "arm": panel.cube.arm,
        "category": name,
        "verdict": UNDETERMINED,
        "ladder": "not shown",
        "margin": options.tail_margin,
        "range_margin": options.range_margin,
        "n_items": curve.sample.n_items,
        "n_seeds": curve.sample.means.shape[1],
    }
    if evidence is None:
        return row | {"note": join(curve.note, _why_not(panel, curve, options))}
    level = (1 - options.interval) / 2
    verdict = decide(evidence, p_holm, options)
    claim = {NON_MONOTONE: "drop", PLATEAUED: "rise"}.get(verdict, "tail")
    row |= _estimates(evidence, panel.cube.scales, options.interval)
    row |= {
        "verdict": verdict,
        "ladder": next((w for w in ("improved", "declined") if p_holm[w] < level), "not shown"),
        "p_value": _p_value(evidence, claim),
        "p_holm": p_holm[claim],
        "noise": curve.covariance.noise,
    }
    needed, remark = _design(curve.covariance, evidence, panel.cube.scales, options)
    if verdict == UNDETERMINED and p_holm["tail"] >= level > row["p_value"]:
        remark = join(
            f"rises by itself (p = {row['p_value']:.3f}), not after the correction over the claims "
            f"of all categories (p = {row['p_holm']:.2f}): more seeds would help most",
            remark,
        )
    if verdict != UNDETERMINED:
        remark = ""
        needed = {"detectable": needed["detectable"]}
    if verdict in (FLAT, PLATEAUED) and _moves(evidence.tail, options.interval):
        remark = join(remark, "the tail still moves, by less than the margin")
    if verdict == NON_MONOTONE and evidence.drop.earlier == 0:
        remark = join(remark, "the drop is from the first scale: a decline rather than a hump")
    if evidence.rise is None:
        remark = join(remark, "ladder too short for a rise before the tail: no plateau can show")
    return row | needed | {"note": join(curve.note, remark)}


def _moves(tail: Estimate, coverage: float) -> bool:
    low, high = tail.interval(coverage)
    return low > 0 or high < 0


def _estimates(evidence: Evidence, scales: np.ndarray, coverage: float) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for prefix, estimate in (("tail", evidence.tail), ("ladder", evidence.ladder)):
        columns[f"{prefix}_slope"] = estimate.value
        columns[f"{prefix}_low"], columns[f"{prefix}_high"] = estimate.interval(coverage)
    if evidence.rise is not None:
        columns["rise"] = evidence.rise.value
        columns["rise_low"], columns["rise_high"] = evidence.rise.interval(coverage)
    drop = evidence.drop
    return columns | {
        "drop_from": int(scales[drop.earlier]),
        "drop_to": int(scales[drop.later]),
        "drop": drop.estimate.value,
        "drop_bound": drop.bound,
    }


def _design(
    covariance: Covariance, evidence: Evidence, scales: np.ndarray, options: CurveOptions
) -> tuple[dict[str, Any], str]:
    """The smallest detectable tail slope, what would settle it, and a remark."""
    level = (1 - options.interval) / 2
    measured = Precision(np.array(evidence.tail.se), np.array(evidence.tail.df))
    columns: dict[str, Any] = {"detectable": float(detectable(measured, level, options.power))}
    components = components_of(covariance, scales)
    if not components.run_measured:
        return columns, "what would settle it is unknown: run at least two seeds, or state run_sd"
    enough = settle(components, len(scales), options.tail_margin, level, options.power)
    if enough is None:
        return columns, "no design of up to 40 seeds and 100,000 items settles it"
    columns["items_needed"], columns["seeds_needed"] = enough
    return columns, ""
