"""verdicts.csv: what each curve shows, by stated margins, corrected over categories.

The order of the rules is part of the method: flat, non-monotone, plateaued, improving, and
undetermined when none holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.inference.arm_curves import ArmCurves, Curve, join
from analysis.inference.bootstrap import percentile_bounds
from analysis.inference.contrasts import slope_weights, tail_scales
from analysis.inference.covariance import Covariance, Estimate
from analysis.inference.evidence import Evidence, estimate_contrasts
from analysis.inference.multiplicity import holm
from analysis.options import CurveOptions
from analysis.power.design import Precision, components_of, detectable, required_sample_size
from analysis.tables import OVERALL

FLAT, NON_MONOTONE, PLATEAUED = "flat", "non-monotone", "plateaued"
IMPROVING, UNDETERMINED = "improving", "undetermined"
DIRECTIONAL = ("tail", "drop", "rise")
CLAIMS = ("flat", "drop", "plateau", "tail")
# Never are all four claims of a curve false: if nothing drops and the tail does not rise, the tail
# is level, so there was a rise before it (a plateau) or there is no change at all (flat).
MOST_FALSE = 3


def verdict_rows(
    panel: ArmCurves, replicates: dict[str, np.ndarray], options: CurveOptions
) -> list[dict[str, Any]]:
    """One row per category, overall last; `replicates` is what `means.replicate_means` gives.

    The claims of all categories that `options.corrected` names form one family for Holm's
    correction; overall is a family of its own.
    """
    evidence = {
        name: estimate_contrasts(curve.covariance, panel.cube.scales, options)
        for name, curve in panel.curves.items()
        if _testable(panel, curve, options)
    }
    corrected = correct(evidence, options.corrected)
    return [
        _row(panel, name, curve, evidence.get(name), corrected.get(name, {}), options)
        | _check(panel, replicates.get(name) if name in evidence else None, options)
        for name, curve in panel.curves.items()
    ]


def _check(
    panel: ArmCurves, replicates: np.ndarray | None, options: CurveOptions
) -> dict[str, Any]:
    """The bootstrap's interval of the tail slope."""
    if replicates is None:
        return {}
    scales = panel.cube.scales
    slopes = replicates[:, -len(scales) :] @ slope_weights(scales, tail_scales(scales))
    low, high = percentile_bounds(slopes, options.interval)
    return {"boot_tail_low": low, "boot_tail_high": high}


def correct(evidence: dict[str, Evidence], which: str) -> dict[str, dict[str, float]]:
    """p values by category: of CLAIMS, and of the whole ladder's slope (improved, declined).

    Args:
        which: the claims that Holm's method corrects together, `directional` or `all`. The ladder's
            slope has a correction of its own.
    """
    corrected: dict[str, dict[str, float]] = {}
    for names in ([n for n in evidence if n != OVERALL], [n for n in evidence if n == OVERALL]):
        family = {name: evidence[name] for name in names}
        claims = _all_claims(family) if which == "all" else _directional_claims(family)
        ladders = _ladders(family)
        corrected |= {name: claims[name] | ladders[name] for name in names}
    return corrected


def _all_claims(family: dict[str, Evidence]) -> dict[str, dict[str, float]]:
    keys = [(name, claim) for name in family for claim in CLAIMS]
    p_values = [_p_value(family[name], claim) for name, claim in keys]
    return _by_name(keys, holm(p_values, [name for name, _ in keys], MOST_FALSE))


def _directional_claims(family: dict[str, Evidence]) -> dict[str, dict[str, float]]:
    keys = [(name, claim) for name in family for claim in DIRECTIONAL]
    corrected = _by_name(keys, holm([_p_value(family[name], claim) for name, claim in keys]))
    return {
        name: {
            "flat": family[name].p_flat,
            "drop": p["drop"],
            "plateau": max(family[name].p_level, p["rise"]),
            "tail": p["tail"],
        }
        for name, p in corrected.items()
    }


def _ladders(family: dict[str, Evidence]) -> dict[str, dict[str, float]]:
    """Both directions of the ladder's slope, each tested at the one-sided level."""
    keys = [(name, claim) for name in family for claim in ("improved", "declined")]
    return _by_name(keys, holm([_p_value(family[name], claim) for name, claim in keys]))


def _by_name(keys: list[tuple[str, str]], p_values: np.ndarray) -> dict[str, dict[str, float]]:
    named: dict[str, dict[str, float]] = {name: {} for name, _ in keys}
    for (name, claim), p in zip(keys, p_values, strict=True):
        named[name][claim] = float(p)
    return named


def decide(evidence: Evidence, p_holm: dict[str, float], options: CurveOptions) -> str:
    """The verdict of one curve, rules in their order."""
    level = (1 - options.interval) / 2
    if p_holm["flat"] < level:
        return FLAT
    if p_holm["drop"] < level:
        return NON_MONOTONE
    if p_holm["plateau"] < level:
        return PLATEAUED
    steep = evidence.tail.value > options.tail_margin
    if p_holm["tail"] < level and steep and evidence.last_step > 0:
        return IMPROVING
    return UNDETERMINED


def _testable(panel: ArmCurves, curve: Curve, options: CurveOptions) -> bool:
    return not _why_not(panel, curve, options)


def _why_not(panel: ArmCurves, curve: Curve, options: CurveOptions) -> str:
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
    """Uncorrected p value of a claim."""
    rise = 1.0 if evidence.rise is None else evidence.rise.p_above(0.0)
    return {
        "flat": evidence.p_flat,
        "drop": evidence.drop.p_value,
        "rise": rise,
        "plateau": max(evidence.p_level, rise),
        "tail": evidence.tail.p_above(0.0),
        "improved": evidence.ladder.p_above(0.0),
        "declined": 1.0 - evidence.ladder.p_above(0.0),
    }[claim]


def _row(
    panel: ArmCurves,
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
        "corrected": options.corrected,
        "n_items": curve.sample.n_items,
        "n_seeds": curve.sample.means.shape[1],
    }
    if evidence is None:
        return row | {"note": join(curve.note, _why_not(panel, curve, options))}
    level = (1 - options.interval) / 2
    verdict = decide(evidence, p_holm, options)
    claim = {FLAT: "flat", NON_MONOTONE: "drop", PLATEAUED: "plateau"}.get(verdict, "tail")
    row |= _estimates(evidence, panel.cube.scales, options.interval)
    row |= {
        "verdict": verdict,
        "ladder": next((w for w in ("improved", "declined") if p_holm[w] < level), "not shown"),
        "p_value": _p_value(evidence, claim),
        "p_holm": p_holm[claim],
        "noise": curve.covariance.noise,
    }
    needed, remark = _design(curve.covariance, evidence, panel.cube.scales, options)
    if verdict == UNDETERMINED and evidence.unseen >= options.tail_margin:
        remark = join(
            "all scores are equal at some scales, where the true mean may lie up to "
            f"{evidence.unseen:.2f} away: too few items to say that nothing changes",
            remark,
        )
    if verdict == UNDETERMINED:
        remark = join(_lost(evidence, p_holm, level), remark)
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


def _lost(evidence: Evidence, p_holm: dict[str, float], level: float) -> str:
    """What the curve would show by itself and does not after the correction."""
    for claim, words in (("flat", "flat"), ("plateau", "a plateau"), ("tail", "rises")):
        p = _p_value(evidence, claim)
        if p < level <= p_holm[claim]:
            return (
                f"{words} by itself (p = {p:.3f}), not after the correction over the claims of "
                f"all categories (p = {p_holm[claim]:.2f})"
            )
    return ""


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
    enough = required_sample_size(
        components, len(scales), options.tail_margin, level, options.power
    )
    if enough is None:
        return columns, "no design of up to 40 seeds and 100,000 items would settle it"
    columns["items_needed"], columns["seeds_needed"] = enough
    return columns, ""
