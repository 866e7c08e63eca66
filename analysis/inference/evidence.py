"""What one curve shows before any correction over categories: estimates and p values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from analysis.inference.contrasts import (
    drop_weights,
    pairs,
    rise_weights,
    slope_weights,
    tail_scales,
)
from analysis.inference.covariance import Covariance, Estimate
from analysis.inference.flatness import range_p_value
from analysis.inference.intervals import sum_bound
from analysis.options import CurveOptions


@dataclass(frozen=True)
class Drop:
    """The clearest drop of a curve.

    Attributes:
        earlier, later: positions of the two scales.
        bound: lower bound of the drop, simultaneous over all pairs of scales.
        p_value: p value of no drop between any pair (Bonferroni over the pairs).
    """

    earlier: int
    later: int
    estimate: Estimate
    bound: float
    p_value: float


@dataclass(frozen=True)
class Evidence:
    """Contrasts of one curve.

    Attributes:
        rise: None when the first scale belongs to the tail.
        p_level: p value of a tail slope outside the margin.
        p_flat: p value of a tail slope or a range of the means outside its margin.
        last_step: mean at the last scale minus the one before.
        unseen: how far the true mean of some scale may lie from scores that are all equal there;
            0 where none are.
    """

    tail: Estimate
    rise: Estimate | None
    ladder: Estimate
    drop: Drop
    p_level: float
    p_flat: float
    last_step: float
    unseen: float = 0.0


def estimate_contrasts(
    covariance: Covariance, scales: np.ndarray, options: CurveOptions
) -> Evidence:
    """All contrasts of a curve with at least two scales."""
    n = len(scales)
    rise = rise_weights(scales)
    differences = [covariance.contrast(drop_weights(n, i, j)) for i, j in pairs(n)]
    tail_weights = slope_weights(scales, tail_scales(scales))
    tail = covariance.contrast(tail_weights)
    # Equal scores bring no noise, which is no proof that nothing changes: their exact bound is.
    unseen = unseen_means(covariance, options.interval)
    level = np.abs(tail_weights) @ unseen < options.tail_margin
    p_level = tail.p_within(options.tail_margin) if level else 1.0
    flat = level and unseen.max() < options.range_margin
    p_range = range_p_value(covariance, differences, options.range_margin) if flat else 1.0
    return Evidence(
        tail=tail,
        rise=None if rise is None else covariance.contrast(rise),
        ladder=covariance.contrast(slope_weights(scales, np.ones(n, bool))),
        drop=_clearest_drop(differences, n, options),
        p_level=p_level,
        p_flat=max(p_level, p_range),
        last_step=float(covariance.means[-1] - covariance.means[-2]),
        unseen=float(unseen.max()),
    )


def unseen_means(covariance: Covariance, coverage: float) -> np.ndarray:
    """(K,) how far each true mean may lie from the measured one because of categories whose scores
    are all equal at that scale: their joint exact bound over the number of categories."""
    sample = covariance.sample
    sizes = np.unique(sample.strata, return_counts=True)
    bounds = []
    for influence in sample.influence:  # (S, G) of one scale
        constant = [
            int(count)
            for stratum, count in zip(*sizes, strict=True)
            if not influence[:, sample.strata == stratum].any()
        ]
        bounds.append(sum_bound(constant, coverage) / len(sizes[0]) if constant else 0.0)
    return np.array(bounds)


def _clearest_drop(differences: list[Estimate], n: int, options: CurveOptions) -> Drop:
    p_values = [d.p_above(0.0) for d in differences]
    # Ties (all p values 1 or 0) go to the largest drop.
    best = min(range(len(differences)), key=lambda i: (p_values[i], -differences[i].value))
    level = (1 - options.interval) / 2 / len(differences)
    chosen = differences[best]
    bound = chosen.value - float(stdtrit(chosen.df, 1 - level)) * chosen.se
    earlier, later = pairs(n)[best]
    return Drop(earlier, later, chosen, bound, min(1.0, p_values[best] * len(differences)))
