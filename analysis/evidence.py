"""What one curve shows before any correction over categories: estimates and p values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from analysis.contrasts import drop_weights, pairs, rise_weights, slope_weights, tail_scales
from analysis.covariance import Covariance, Estimate
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
        same_range: every pair of means is shown to lie within the range margin.
        last_step: mean at the last scale minus the one before.
    """

    tail: Estimate
    rise: Estimate | None
    ladder: Estimate
    drop: Drop
    same_range: bool
    last_step: float


def weigh(covariance: Covariance, scales: np.ndarray, options: CurveOptions) -> Evidence:
    """All contrasts of a curve with at least two scales."""
    n = len(scales)
    rise = rise_weights(scales)
    differences = [covariance.contrast(drop_weights(n, i, j)) for i, j in pairs(n)]
    return Evidence(
        tail=covariance.contrast(slope_weights(scales, tail_scales(scales))),
        rise=None if rise is None else covariance.contrast(rise),
        ladder=covariance.contrast(slope_weights(scales, np.ones(n, bool))),
        drop=_clearest_drop(differences, n, options),
        same_range=all(inside(d, options.range_margin, options.interval) for d in differences),
        last_step=float(covariance.means[-1] - covariance.means[-2]),
    )


def inside(estimate: Estimate, margin: float, coverage: float) -> bool:
    """Two one-sided tests: the interval lies inside plus or minus the margin.

    With one-sided level (1 - coverage) / 2 this is the test of Schuirmann (J. Pharmacokin.
    Biopharm. 15, 1987). Requiring it of several contrasts at once needs no correction.
    """
    low, high = estimate.interval(coverage)
    return -margin < low and high < margin


def _clearest_drop(differences: list[Estimate], n: int, options: CurveOptions) -> Drop:
    p_values = [d.p_above(0.0) for d in differences]
    # Ties (all p values 1 or 0) go to the largest drop.
    best = min(range(len(differences)), key=lambda i: (p_values[i], -differences[i].value))
    level = (1 - options.interval) / 2 / len(differences)
    chosen = differences[best]
    bound = chosen.value - float(stdtrit(chosen.df, 1 - level)) * chosen.se
    earlier, later = pairs(n)[best]
    return Drop(earlier, later, chosen, bound, min(1.0, p_values[best] * len(differences)))
