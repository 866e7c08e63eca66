"""sufficient.csv: the smallest scale that is enough, the last doubling's gain, signal to noise.

How much data is enough: from the top of the ladder downwards the null "the largest scale gains the
margin or more over scale k" is tested at the one-sided level, and the first that is not rejected
ends it. A false claim needs a false rejection of the first true null, so every claim of one curve
together keeps the level without a correction (Hsu and Berger, J. American Statistical Association
94, 1999). Categories are not corrected for each other: these are claims of equivalence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from analysis.inference.contrasts import constant_score_bounds
from analysis.inference.curves import ArmCurves, Curve, join
from analysis.inference.estimate import Estimate
from analysis.inference.refusals import why_no_claim, why_no_estimate
from analysis.inference.rules import AT_CEILING, AT_FLOOR, NON_MONOTONE
from analysis.names import category_name, records, score
from analysis.options import CurveOptions

_MEANINGLESS = {
    AT_FLOOR: "its scores are at the floor, where no amount of data is enough",
    NON_MONOTONE: "its score falls somewhere, so the largest scale does not say what is enough",
}


@dataclass(frozen=True)
class Sufficient:
    """Where the test from the top ends.

    Attributes:
        position: of the smallest sufficient scale; None where the last but one is not shown to be.
        gain: of the largest scale over that one, or over the last but one.
        p_value: the largest p value of the tests that led to the claim, or of the first test.
    """

    position: int | None
    gain: Estimate
    p_value: float


def smallest_sufficient(
    gain_over: Callable[[int], Estimate], n_scales: int, margin: float, level: float
) -> Sufficient:
    """Test from the last but one scale downwards until a null is not rejected.

    Args:
        gain_over: gain of the largest scale over the k-th one.
        n_scales: at least 2.
        margin: a gain below it counts as none.
        level: of every test.
    """
    first = gain_over(n_scales - 2)
    found = Sufficient(None, first, first.p_below(margin))
    highest = 0.0
    for k in range(n_scales - 2, -1, -1):
        gain = gain_over(k)
        highest = max(highest, gain.p_below(margin))
        if highest >= level:
            break
        found = Sufficient(k, gain, highest)
    return found


def gain_weights(n_scales: int, k: int) -> np.ndarray:
    """(K,) weights of the largest scale's mean less the k-th."""
    weights = np.zeros(n_scales)
    weights[-1] += 1.0
    weights[k] -= 1.0
    return weights


def sufficient_rows(
    arm: ArmCurves, verdicts: list[dict[str, Any]], options: CurveOptions
) -> list[dict[str, Any]]:
    """One row per category, overall last.

    Args:
        verdicts: rows of verdicts.csv of the same arm: a curve at its floor has no sufficient
            scale, nor has one that falls, whose largest scale is not the best.
    """
    return [_row(arm, row["category"], row["verdict"], options) for row in verdicts]


def _row(arm: ArmCurves, name: str, verdict: str, options: CurveOptions) -> dict[str, Any]:
    curve = arm.curves[name]
    row: dict[str, Any] = arm.key(name) | {
        "margin": options.sufficient_margin,
        "last_margin": options.tail_margin,
        "n_items": curve.sample.n_items,
        "n_seeds": curve.sample.means.shape[1],
    }
    refusal = why_no_estimate(curve, arm.scales, options)
    if refusal:
        return row | _nothing(name, refusal, curve)
    gain_over = _gains(curve, options)
    row |= {"noise": curve.covariance.noise} | _last_gain(gain_over, arm.scales, options)
    row |= _signal(curve)
    refusal = why_no_claim(curve, gain_weights(len(arm.scales), len(arm.scales) - 2))
    if refusal:
        return row | {"p_last": np.nan} | _nothing(name, refusal, curve)
    refusal = _MEANINGLESS.get(verdict, "")
    if refusal:
        return row | _nothing(name, refusal, curve)
    found = smallest_sufficient(
        gain_over, len(arm.scales), options.sufficient_margin, options.level
    )
    scale = np.nan if found.position is None else int(arm.scales[found.position])
    remark = "at ceiling: these items can show no further gain" if verdict == AT_CEILING else ""
    return row | {
        "scale": scale,
        "gain": found.gain.value,
        "gain_upper": found.gain.upper(options.level),
        "p_value": found.p_value,
        "statement": statement(found, name, arm.scales, options),
        "note": join(curve.note, remark),
    }


def _nothing(name: str, reason: str, curve: Curve) -> dict[str, Any]:
    words = f"no statement for {category_name(name)}: {reason}"
    return {"statement": words, "note": curve.note}


def _gains(curve: Curve, options: CurveOptions) -> Callable[[int], Estimate]:
    """The gain of the largest scale over the k-th, as wide as missing and equal scores make it."""
    bounds = constant_score_bounds(curve.covariance, options.interval)

    def gain_over(k: int) -> Estimate:
        weights = gain_weights(len(bounds), k)
        return curve.covariance.contrast(weights).widened(float(np.abs(weights) @ bounds))

    return gain_over


def _last_gain(
    gain_over: Callable[[int], Estimate], scales: np.ndarray, options: CurveOptions
) -> dict[str, Any]:
    """The last step's gain per doubling of the records, against the margin of the tail slope."""
    doublings = float(np.log2(scales[-1] / scales[-2]))
    gain = gain_over(len(scales) - 2)
    low, high = gain.interval(options.interval)
    return {
        "last_gain": gain.value / doublings,
        "last_low": low / doublings,
        "last_high": high / doublings,
        "p_last": gain.p_below(options.tail_margin * doublings),
    }


def _signal(curve: Curve) -> dict[str, Any]:
    """The rise over the ladder, the SD of a run, and how often one run at each end shows it."""
    rise = float(curve.covariance.means[-1] - curve.covariance.means[0])
    sd = curve.covariance.one_run_sd
    columns = {"rise": rise, "run_sd": sd}
    if not sd > 0:
        return columns
    ratio = rise / sd
    # Two runs differ by a normal variable of variance 2 SD^2 around the rise.
    return columns | {
        "signal_to_noise": ratio,
        "one_run_right": float(ndtr(abs(ratio) / np.sqrt(2))),
    }


def statement(found: Sufficient, name: str, scales: np.ndarray, options: CurveOptions) -> str:
    """What the test shows, in words, with the one-sided confidence of its bound."""
    confidence = f"{100 * (1 - options.level):g}%"
    category, margin = category_name(name), score(options.sufficient_margin)
    largest, before = records(scales[-1]), records(scales[-2])
    if found.position is not None:
        enough = records(scales[found.position])
        where = ", the smallest scale," if found.position == 0 else ""
        return (
            f"{enough} records{where} are enough for {category} "
            f"(gain beyond: under {margin}, {confidence})"
        )
    if found.gain.p_above(options.sufficient_margin) < options.level:
        return (
            f"{before} records are not enough for {category}: {largest} gain more than {margin} "
            f"over them ({confidence})"
        )
    upper = score(found.gain.upper(options.level))
    return (
        f"no scale is shown to be enough for {category}: {largest} records may gain up to {upper} "
        f"over {before} ({confidence})"
    )
