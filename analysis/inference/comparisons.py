"""comparisons.csv: two arms at equal scale, paired by item and seed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.inference.paired import Samples, correct_family, paired_rows, paired_samples
from analysis.inference.score_array import ScoreArray
from analysis.options import CurveOptions


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
    samples: Samples
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
    samples: Samples = {}
    missing = np.zeros(len(scales))
    if len(scales) and len(seeds):
        both = {
            name: (
                scores.values[np.ix_(at_a, of_a)],
                b.categories[name].values[np.ix_(at_b, of_b)],
                scores.clusters,
            )
            for name, scores in a.categories.items()
        }
        samples, missing = paired_samples(both, runs)
    return ArmPair(a, b, scales, seeds, samples, missing)


def comparison_rows(pair: ArmPair, options: CurveOptions) -> list[dict[str, Any]]:
    """One row per category and shared scale; one row with the reason if nothing is shared."""
    key = {"judge": pair.first.judge, "arm_a": pair.first.arm, "arm_b": pair.second.arm}
    if not len(pair.scales):
        return [key | {"note": "the two arms share no scale"}]
    if not len(pair.seeds):
        return [key | {"note": "the two arms share no seed, so runs cannot be paired"}]
    run_sd = (options.run_sd, options.run_sd)
    rows = [
        key | {"category": name, "scale": int(pair.scales[k])} | columns
        for name, k, columns in paired_rows(pair.samples, pair.missing, run_sd, options)
    ]
    correct_family(rows)
    return rows
