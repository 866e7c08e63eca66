"""comparisons.csv: two arms at equal scale, paired by item and seed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from analysis.inference.arm_curves import join
from analysis.inference.covariance import Covariance, Estimate
from analysis.inference.multiplicity import holm
from analysis.inference.sample import Sample, average, difference, from_scores
from analysis.inference.score_array import ScoreArray
from analysis.options import CurveOptions
from analysis.tables import OVERALL


@dataclass(frozen=True)
class ArmPair:
    """Two arms of one judge on the scales, seeds and scores that they share.

    Attributes:
        samples: (first, second) sample by category, overall last; where one score of a pair is
            missing both are left out.
        missing: (K,) largest share of pairs left out, over categories.
    """

    first: ScoreArray
    second: ScoreArray
    scales: np.ndarray
    seeds: np.ndarray
    samples: dict[str, tuple[Sample, Sample]]
    missing: np.ndarray


def arm_pairs(cubes: Sequence[ScoreArray]) -> list[ArmPair]:
    """All pairs of arms of the same judge, in the order of the cubes."""
    return [_pair(a, b) for a, b in itertools.combinations(cubes, 2) if a.judge == b.judge]


def _pair(a: ScoreArray, b: ScoreArray) -> ArmPair:
    scales, at_a, at_b = np.intersect1d(a.scales, b.scales, return_indices=True)
    seeds, of_a, of_b = np.intersect1d(a.seeds, b.seeds, return_indices=True)
    samples: dict[str, tuple[Sample, Sample]] = {}
    missing = np.zeros(len(scales))
    if len(scales) and len(seeds):
        for name, scores in a.categories.items():
            first = scores.values[np.ix_(at_a, of_a)]
            second = b.categories[name].values[np.ix_(at_b, of_b)]
            gone = np.isnan(first) | np.isnan(second)
            missing = np.maximum(missing, gone.mean((1, 2)))
            samples[name] = (
                from_scores(np.where(gone, np.nan, first), scores.clusters),
                from_scores(np.where(gone, np.nan, second), scores.clusters),
            )
        known = [p for p in samples.values() if np.isfinite(p[0].means + p[1].means).all()]
        if known:
            samples[OVERALL] = (average([p[0] for p in known]), average([p[1] for p in known]))
    return ArmPair(a, b, scales, seeds, samples, missing)


def comparison_rows(pair: ArmPair, options: CurveOptions) -> list[dict[str, Any]]:
    """One row per category and shared scale; one row with the reason if nothing is shared."""
    key = {"judge": pair.first.judge, "arm_a": pair.first.arm, "arm_b": pair.second.arm}
    if not len(pair.scales):
        return [key | {"note": "the two arms share no scale"}]
    if not len(pair.seeds):
        return [key | {"note": "the two arms share no seed, so runs cannot be paired"}]
    rows, p_values = [], []
    for name, (first, second) in pair.samples.items():
        sample = difference(first, second)
        covariance = Covariance(sample, _sd_of_difference(options)) if sample.usable else None
        for k, scale in enumerate(pair.scales):
            row = key | {
                "category": name,
                "scale": int(scale),
                "difference": float(sample.means[k].mean()),
                "n_items": sample.n_items,
                "n_seeds": len(pair.seeds),
            }
            p = 1.0
            if covariance is None:
                row["note"] = "noise unknown: too few items, or no scores in a run"
            else:
                estimate = covariance.scale_mean(k)
                p = two_sided(estimate)
                row["low"], row["high"] = estimate.interval(options.interval)
                row["noise"] = covariance.noise
                row["p_value"] = p
                row["note"] = join(
                    "" if estimate.se > 0 else "all differences are equal: no noise to measure",
                    f"up to {pair.missing[k]:.0%} of the pairs lack a score"
                    if pair.missing[k] > options.missing_limit
                    else "",
                )
            rows.append(row)
            p_values.append(p)
    _correct(rows, np.array(p_values))
    return rows


def _sd_of_difference(options: CurveOptions) -> float | None:
    """Run SD of a difference of two independent runs."""
    return None if options.run_sd is None else float(np.sqrt(2) * options.run_sd)


def two_sided(estimate: Estimate) -> float:
    """Two-sided p value of no difference."""
    if estimate.se == 0:
        return 1.0 if estimate.value == 0 else 0.0
    return float(2 * stats.t.sf(abs(estimate.value) / estimate.se, estimate.df))


def _correct(rows: list[dict[str, Any]], p_values: np.ndarray) -> None:
    """Holm over categories and scales; overall is a family of its own."""
    overall = np.array([row["category"] == OVERALL for row in rows])
    for family in (np.flatnonzero(~overall), np.flatnonzero(overall)):
        for index, p in zip(family, holm(p_values[family]), strict=True):
            if "p_value" in rows[index]:
                rows[index]["p_holm"] = float(p)
