"""comparisons.csv: two arms at equal scale, paired by item and seed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.inference.covariance import covariances
from analysis.inference.curves import join
from analysis.inference.estimate import Estimate
from analysis.inference.intervals import paired_interval, paired_p_value
from analysis.inference.multiplicity import holm
from analysis.inference.sample import Sample, average, difference, missing_share
from analysis.inference.score_array import ScoreArray
from analysis.options import CurveOptions
from analysis.tables import OVERALL


@dataclass(frozen=True)
class ArmPair:
    """Two arms of one judge on the scales, seeds and scores that they share.

    Attributes:
        scales: (K,) shared scales.
        seeds: (S,) shared seeds.
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


def arm_pairs(arms: Sequence[ScoreArray]) -> list[ArmPair]:
    """All pairs of arms of the same judge, in the order given."""
    return [_pair(a, b) for a, b in itertools.combinations(arms, 2) if a.judge == b.judge]


def _pair(a: ScoreArray, b: ScoreArray) -> ArmPair:
    scales, at_a, at_b = np.intersect1d(a.scales, b.scales, return_indices=True)
    seeds, of_a, of_b = np.intersect1d(a.seeds, b.seeds, return_indices=True)
    runs = a.runs[np.ix_(at_a, of_a)] & b.runs[np.ix_(at_b, of_b)]
    paired = runs.any(1) | (not len(seeds))  # scales that some seed has in both arms
    scales, at_a, at_b, runs = scales[paired], at_a[paired], at_b[paired], runs[paired]
    samples: dict[str, tuple[Sample, Sample]] = {}
    missing = np.zeros(len(scales))
    if len(scales) and len(seeds):
        for name, scores in a.categories.items():
            first = scores.values[np.ix_(at_a, of_a)]
            second = b.categories[name].values[np.ix_(at_b, of_b)]
            gone = np.isnan(first) | np.isnan(second)
            missing = np.maximum(missing, missing_share(np.where(gone, np.nan, 0.0), runs))
            samples[name] = (
                Sample.from_scores(np.where(gone, np.nan, first), scores.clusters, runs),
                Sample.from_scores(np.where(gone, np.nan, second), scores.clusters, runs),
            )
        known = [pair for pair in samples.values() if pair[0].known]  # then both are
        known = [pair for pair in known if pair[0].usable] or known
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
    # Of two independent runs.
    run_sd = None if options.run_sd is None else float(np.sqrt(2) * options.run_sd)
    rows: list[dict[str, Any]] = []
    differences = {name: difference(*each) for name, each in pair.samples.items()}
    noise = covariances(differences, run_sd)
    of_arms = [
        covariances({name: each[side] for name, each in pair.samples.items()}, options.run_sd)
        for side in (0, 1)
    ]
    for name, sample in differences.items():
        for k, scale in enumerate(pair.scales):
            row = key | {
                "category": name,
                "scale": int(scale),
                "difference": float(sample.scale_means[k]),
                "n_items": sample.n_items,
                "n_seeds": int(sample.runs[k].sum()),
            }
            if name not in noise:
                row["note"] = "noise unknown: too few items, or no scores in a run"
            else:
                estimates = [each[name].scale_mean(k) for each in (*of_arms, noise)]
                clusters = len(sample.strata)
                row |= _test(estimates, clusters, float(pair.missing[k]), options)
                row["noise"] = noise[name].noise
            rows.append(row)
    _correct([row for row in rows if row["category"] != OVERALL])
    _correct([row for row in rows if row["category"] == OVERALL])
    return rows


def _test(
    estimates: list[Estimate], clusters: int, missing: float, options: CurveOptions
) -> dict[str, Any]:
    """Interval and p value at one scale, from the estimates of both arms and their difference."""
    low, high = paired_interval(*estimates, clusters, options.interval)
    lacking = f"up to {missing:.0%} of the pairs lack a score"
    columns: dict[str, Any] = {
        "note": join(
            "all scores of an arm are equal: no noise to measure" if np.isnan(low) else "",
            lacking if missing > options.missing_limit else "",
        )
    }
    if np.isnan(low):
        return columns
    return columns | {
        "low": low,
        "high": high,
        "p_value": paired_p_value(*estimates, clusters),
    }


def _correct(family: list[dict[str, Any]]) -> None:
    """Add `p_holm`; a row without a p value counts as a claim that is not made."""
    for row, p in zip(family, holm([row.get("p_value", 1.0) for row in family]), strict=True):
        if "p_value" in row:
            row["p_holm"] = float(p)
