"""What one curve shows before any correction over categories: estimates and p values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from analysis.contrasts import drop_weights, pairs, rise_weights, slope_weights, tail_scales
from analysis.covariance import Covariance, Estimate
from analysis.flatness import range_p_value
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
    """

    tail: Estimate
    rise: Estimate | None
    ladder: Estimate
    drop: Drop
    p_level: float
    p_flat: float
    last_step: float


def weigh(covariance: Covariance, scales: np.ndarray, options: CurveOptions) -> Evidence:
    """All contrasts of a curve with at least two scales."""
    n = len(scales)
    rise = rise_weights(scales)
    differences = [covariance.contrast(drop_weights(n, i, j)) for i, j in pairs(n)]
    tail = covariance.contrast(slope_weights(scales, tail_scales(scales)))
    p_level = tail.p_within(options.tail_margin)
    return Evidence(
        tail=tail,
        rise=None if rise is None else covariance.contrast(rise),
        ladder=covariance.contrast(slope_weights(scales, np.ones(n, bool))),
        drop=_clearest_drop(differences, n, options),
        p_level=p_level,
        p_flat=max(p_level, range_p_value(covariance, differences, options.range_margin)),
        last_step=float(covariance.means[-1] - covariance.means[-2]),
    )


def _clearest_drop(differences: list[Estimate], n: int, options: CurveOptions) -> Drop:
    p_values = [d.p_above(0.0) for d in differences]
    # Ties (all p values 1 or 0) go to the largest drop.
    best = min(range(len(differences)), key=lambda i: (p_values[i], -differences[i].value))
    level = (1 - options.interval) / 2 / len(differences)
    chosen = differences[best]
    bound = chosen.value - float(stdtrit(chosen.df, 1 - level)) * chosen.se
    earlier, later = pairs(n)[best]
    return Drop(earlier, later, chosen, bound, min(1.0, p_values[best] * len(differences)))
