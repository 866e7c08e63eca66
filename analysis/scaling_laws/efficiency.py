"""efficiency.csv: how many times the data one arm needs to reach the other's score."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from analysis.inference.comparisons import ArmPair
from analysis.inference.contrasts import tail_weights
from analysis.inference.covariance import Covariance, covariances
from analysis.inference.curves import join
from analysis.inference.intervals import central_levels
from analysis.inference.sample import stack
from analysis.options import CurveOptions
from analysis.scaling_laws.draws import draw_means

_LEVELS = (0.25, 0.5, 0.75)


def efficiency_rows(pair: ArmPair, options: CurveOptions) -> list[dict[str, Any]]:
    """Ratios at three scores inside the overlap of both curves, or one row with the reason.

    Both curves are made rising (isotonic regression) and inverted, linear in log n. A draw in
    which a score lies outside a curve's range gives no ratio; more than a few of them leave the
    interval open.
    """
    if len(pair.scales) < 2 or not len(pair.seeds):
        return []
    both = {name: stack(each) for name, each in pair.samples.items()}
    noise = covariances(both, options.run_sd)
    return [
        {"judge": pair.first.judge, "category": name}
        | {"arm_a": pair.first.arm, "arm_b": pair.second.arm}
        | row
        for name in pair.samples
        for row in _ratios(pair, name, noise.get(name), options)
    ]


def _ratios(
    pair: ArmPair, name: str, covariance: Covariance | None, options: CurveOptions
) -> list[dict[str, Any]]:
    if covariance is None:
        return [{"note": "no ratio: noise unknown (too few items, or no scores in a run)"}]
    k = len(pair.scales)
    x = np.log2(pair.scales.astype(float))
    a, b = rising(covariance.means[:k]), rising(covariance.means[k:])
    low, high = max(a[0], b[0]), min(a[-1], b[-1])
    if not low < high:
        return [{"note": "no ratio: the score ranges of the two arms do not overlap"}]
    slope = tail_weights(pair.scales)
    df = covariance.contrast(np.concatenate([slope, -slope])).df
    text = f"{pair.first.judge}/{pair.first.arm}/{pair.second.arm}/{name}"
    means = draw_means(covariance.means, covariance.total, df, options, text)
    draws = [(rising(row[:k]), rising(row[k:])) for row in means]
    rows = []
    for level in _LEVELS:
        score = float(low + level * (high - low))
        at_a, at_b = invert(a, x, score), invert(b, x, score)
        log_ratios = np.array([invert(d_b, x, score) - invert(d_a, x, score) for d_a, d_b in draws])
        point = {"score": score, "scale_a": 2.0**at_a, "scale_b": 2.0**at_b}
        point["ratio"] = 2.0 ** (at_b - at_a)
        rows.append(point | _interval(log_ratios, options.interval, covariance.noise))
    return rows


def rising(means: np.ndarray) -> np.ndarray:
    """The nearest curve that never falls."""
    return isotonic_regression(means).x


def invert(means: np.ndarray, x: np.ndarray, score: float) -> float:
    """x at which a rising curve passes the score; -inf below its range, inf above it."""
    if score < means[0]:
        return -np.inf
    if score > means[-1]:
        return np.inf
    values, first = np.unique(means, return_index=True)
    return float(np.interp(score, values, x[first]))


def _interval(log_ratios: np.ndarray, coverage: float, noise: str) -> dict[str, Any]:
    known = log_ratios[~np.isnan(log_ratios)]  # both outside on the same side: no ratio
    lost = float(1 - np.isfinite(log_ratios).mean())
    note = join(
        noise, f"{lost:.0%} of the draws have the score outside a curve's range" if lost else ""
    )
    if not len(known):
        return {"note": note}
    low, high = np.quantile(known, central_levels(coverage), method="nearest")
    return {
        "low": 2.0**low if np.isfinite(low) else np.nan,
        "high": 2.0**high if np.isfinite(high) else np.nan,
        "note": note,
    }
