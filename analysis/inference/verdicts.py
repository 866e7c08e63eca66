"""verdicts.csv: what each curve shows, by stated margins, corrected over categories.

The order of the rules is part of the method: at floor and at ceiling, flat, non-monotone,
plateaued, improving, and undetermined when none holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.inference.contrasts import Evidence, estimate_contrasts, tail_weights
from analysis.inference.covariance import UNMEASURED, Covariance
from analysis.inference.curves import ArmCurves, Curve, join
from analysis.inference.families import is_primary, label_verdict
from analysis.inference.missing import tipping_point
from analysis.inference.multiplicity import CLAIMS, correct, number_of_claims
from analysis.inference.one_seed import smooth_estimate
from analysis.inference.refusals import too_many_missing, why_no_claim, why_no_estimate
from analysis.inference.rules import (
    FLAT,
    NON_MONOTONE,
    PLATEAUED,
    UNDETERMINED,
    decide,
    edge_verdict,
    ladder_direction,
    tail_region,
)
from analysis.inference.sensitivity import sensitivities
from analysis.options import CurveOptions
from analysis.power.design import components_of, required_sample_size, seeds_of
from analysis.power.simulate import simulate_power
from analysis.tables import OVERALL


def verdict_rows(arm: ArmCurves, options: CurveOptions) -> list[dict[str, Any]]:
    """One row per category, overall last."""
    refusals = {
        name: _no_verdict(why_no_estimate(curve, arm.scales, options))
        for name, curve in arm.curves.items()
    }
    evidence = {
        name: estimate_contrasts(curve.covariance, arm.scales, options)
        for name, curve in arm.curves.items()
        if not refusals[name]
    }
    withheld = {
        name: _no_verdict(reason)
        for name in evidence
        if (reason := why_no_claim(arm.curves[name], tail_weights(arm.scales)))
    }
    claims = {name: each for name, each in evidence.items() if name not in withheld}
    primary = {
        name for name in claims if is_primary(options, arm.scores.judge, arm.scores.arm, name)
    }
    p_values = correct(claims, options.corrected, primary)
    rows = []
    for name, curve in arm.curves.items():
        row: dict[str, Any] = arm.key(name) | {
            "verdict": UNDETERMINED,
            "ladder": "not shown",
            "margin": options.tail_margin,
            "range_margin": options.range_margin,
            "corrected": options.corrected,
            "n_items": curve.sample.n_items,
            "n_seeds": curve.sample.means.shape[1],
            "note": join(curve.note, refusals[name]),
        }
        if name in evidence:
            row |= _estimates(evidence[name], arm.scales, options.interval)
            if name in claims:
                together = primary if name in primary else set(claims) - primary
                family = 1 if name == OVERALL else len(together - {OVERALL})
                row |= _decision(curve, evidence[name], p_values[name], arm.scales, family, options)
            else:
                row |= _without_claim(curve, withheld[name], arm.scales, options.interval)
        edge = edge_verdict(arm, name, options)
        if edge and name not in withheld and not too_many_missing(curve, options):
            row |= {"verdict": edge, "p_value": np.nan, "p_holm": np.nan}
            row |= {"items_needed": np.nan, "seeds_needed": np.nan}
            row["note"] = join(curve.note, f"every mean lies within {options.range_margin:g} of it")
        rows.append(label_verdict(row, options))
    sensitivity = sensitivities(arm, claims, primary, options)
    return [row | sensitivity.get(row["category"], {}) for row in rows]


def no_claim_reason(curve: Curve, scales: np.ndarray, options: CurveOptions) -> str:
    """Why a curve bears no claim on its tail; empty if it does."""
    return why_no_estimate(curve, scales, options) or why_no_claim(curve, tail_weights(scales))


def _no_verdict(reason: str) -> str:
    return f"no verdict: {reason}" if reason else ""


def _without_claim(
    curve: Curve, reason: str, scales: np.ndarray, coverage: float
) -> dict[str, Any]:
    """The reason; with one seed also the slope's interval from second differences."""
    columns = {"noise": curve.covariance.noise, "note": join(curve.note, reason)}
    if curve.covariance.noise != UNMEASURED:
        return columns
    smooth = smooth_estimate(curve.covariance.means, scales, tail_weights(scales))
    ends = (np.nan, np.nan) if smooth is None else smooth.interval(coverage)
    return columns | {"smooth_low": ends[0], "smooth_high": ends[1]}


def _estimates(evidence: Evidence, scales: np.ndarray, coverage: float) -> dict[str, Any]:
    drop = evidence.drop
    columns: dict[str, Any] = {
        "tail_slope": evidence.tail.value,
        "ladder_slope": evidence.ladder.value,
        "drop_from": int(scales[drop.earlier]),
        "drop_to": int(scales[drop.later]),
        "drop": drop.estimate.value,
        "drop_bound": drop.bound,
    }
    columns["tail_low"], columns["tail_high"] = evidence.tail.interval(coverage)
    columns["ladder_low"], columns["ladder_high"] = evidence.ladder.interval(coverage)
    if evidence.rise is not None:
        columns["rise"] = evidence.rise.value
        columns["rise_low"], columns["rise_high"] = evidence.rise.interval(coverage)
    return columns


def _decision(
    curve: Curve,
    evidence: Evidence,
    p_values: dict[str, float],
    scales: np.ndarray,
    family: int,
    options: CurveOptions,
) -> dict[str, Any]:
    """The verdict, its p value, what the design can detect and what it would need.

    Args:
        family: number of categories whose claims are corrected together.
    """
    verdict = decide(evidence, p_values, options)
    claim = {FLAT: "flat", NON_MONOTONE: "drop", PLATEAUED: "plateau"}.get(verdict, "tail")
    columns = {
        "verdict": verdict,
        "tail": tail_region(evidence.tail, options.tail_margin, options.level),
        "ladder": ladder_direction(p_values, options),
        "p_value": evidence.p_value(claim),
        "p_holm": p_values[claim],
        "detectable": _detectable(curve.covariance, scales, family, options),
        "noise": curve.covariance.noise,
    }
    remarks = _remarks(verdict, evidence, p_values, options)

    def by_itself(noise: Covariance) -> str:
        found = estimate_contrasts(noise, scales, options)
        return decide(found, {name: found.p_value(name) for name in CLAIMS}, options)

    remarks.append(tipping_point(curve.covariance, by_itself, UNDETERMINED))
    if verdict == UNDETERMINED:
        needed, remark = _sample_size(curve.covariance, scales, options)
        columns |= needed
        remarks.append(remark)
    if evidence.rise is None:
        remarks.append("ladder too short for a rise before the tail: no plateau can show")
    return columns | {"note": join(curve.note, *remarks)}


def _detectable(
    covariance: Covariance, scales: np.ndarray, family: int, options: CurveOptions
) -> float:
    """Smallest tail slope that this design calls improving with the wanted power."""
    found = simulate_power(
        components_of(covariance, scales),
        np.array(covariance.sample.n_items / covariance.n_strata),
        np.array(seeds_of(covariance)),
        options.tail_margin,
        options.level,
        number_of_claims(family, options.corrected),
        options.power,
    )
    return float(found.detectable) or np.nan  # equal scores bring no noise: nothing is known


def _remarks(
    verdict: str, evidence: Evidence, p_values: dict[str, float], options: CurveOptions
) -> list[str]:
    """What to know of a verdict beside its numbers."""
    if verdict == UNDETERMINED:
        equal = ""
        if evidence.constant_bound >= options.tail_margin:
            equal = (
                "all scores are equal at some scales, where the true mean may lie up to "
                f"{evidence.constant_bound:.2f} away: too few items to say that nothing changes"
            )
        return [_lost_to_correction(evidence, p_values, options.level), equal]
    low, high = evidence.tail.interval(options.interval)
    if verdict in (FLAT, PLATEAUED) and (low > 0 or high < 0):
        return ["the tail still moves, by less than the margin"]
    if verdict == NON_MONOTONE and evidence.drop.earlier == 0:
        return ["the drop is from the first scale: a decline rather than a hump"]
    return []


def _lost_to_correction(evidence: Evidence, p_values: dict[str, float], level: float) -> str:
    """What the curve would show by itself and does not after the correction."""
    for claim, words in (("flat", "flat"), ("plateau", "a plateau"), ("tail", "rises")):
        p = evidence.p_value(claim)
        if p < level <= p_values[claim]:
            return (
                f"{words} by itself (p = {p:.3f}), not after the correction over the claims of "
                f"all categories (p = {p_values[claim]:.2f})"
            )
    return ""


def _sample_size(
    covariance: Covariance, scales: np.ndarray, options: CurveOptions
) -> tuple[dict[str, int], str]:
    """Items and seeds that would show a level tail to be level, or a remark why none are given."""
    components = components_of(covariance, scales)
    if not components.run_measured:
        return {}, "required items and seeds are unknown: run at least two seeds, or state run_sd"
    enough = required_sample_size(components, options.tail_margin, options.level, options.power)
    if enough is None:
        return {}, "no design of up to 40 seeds and 100,000 items is large enough"
    return {"items_needed": enough[0], "seeds_needed": enough[1]}, ""
