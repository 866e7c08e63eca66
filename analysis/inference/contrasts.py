"""What one curve shows before any correction: contrasts of its scale means, with their p values.

Slopes are per doubling of the data.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from scipy.special import ndtri, stdtr
from scipy.stats import qmc

from analysis.inference.covariance import Covariance
from analysis.inference.estimate import Estimate
from analysis.inference.intervals import sum_bound
from analysis.options import CurveOptions

TAIL_PART = 4
_TOLERANCE = 1.01  # ladders are rounded to whole records
_DRAWS = 256


def tail_scales(scales: np.ndarray, part: float = TAIL_PART) -> np.ndarray:
    """(K,) which scales are the tail: at least a quarter of the largest, and the last two.

    Args:
        part: what the largest is divided by; with 1 the tail is the last two scales.
    """
    tail = scales * part * _TOLERANCE >= scales[-1]
    tail[-2:] = True
    return tail


def slope_weights(scales: np.ndarray, use: np.ndarray) -> np.ndarray:
    """(K,) weights of the least squares slope over the scales in `use` (at least two)."""
    x = np.log2(scales.astype(float))
    centered = np.where(use, x - x[use].mean(), 0.0)
    return centered / (centered @ centered)


def tail_weights(scales: np.ndarray, part: float = TAIL_PART) -> np.ndarray:
    """(K,) weights of the tail slope."""
    return slope_weights(scales, tail_scales(scales, part))


def rise_weights(scales: np.ndarray, part: float = TAIL_PART) -> np.ndarray | None:
    """(K,) weights of the tail mean minus the first scale; None if the first is in the tail."""
    tail = tail_scales(scales, part)
    if tail[0]:
        return None
    weights = tail / tail.sum()
    weights[0] -= 1.0
    return weights


def pairs(n_scales: int) -> list[tuple[int, int]]:
    """All (earlier, later) pairs of scales."""
    return list(itertools.combinations(range(n_scales), 2))


def drop_weights(n_scales: int, earlier: int, later: int) -> np.ndarray:
    """(K,) weights of the drop from an earlier to a later scale (positive: the score fell)."""
    weights = np.zeros(n_scales)
    weights[earlier], weights[later] = 1.0, -1.0
    return weights


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
        p_range: p value of a range of the means at or above its margin.
        differences: of all pairs of scale means, in the order of `pairs`.
        bounds: (K,) how far the true mean of a scale may lie from scores that are all equal there;
            0 where none are.
    """

    tail: Estimate
    rise: Estimate | None
    ladder: Estimate
    drop: Drop
    p_level: float
    p_flat: float
    p_range: float = 1.0
    differences: Sequence[Estimate] = ()
    bounds: np.ndarray = field(default_factory=lambda: np.zeros(1))

    @property
    def constant_bound(self) -> float:
        """The largest of the bounds."""
        return float(self.bounds.max())

    def p_value(self, claim: str) -> float:
        """Uncorrected p value of `flat`, `drop`, `rise`, `plateau`, `tail`, `improved` or
        `declined` (the last two are the directions of the ladder's slope)."""
        rise = 1.0 if self.rise is None else self.rise.corrected_p_above(0.0)
        return {
            "flat": self.p_flat,
            "drop": self.drop.p_value,
            "rise": rise,
            "plateau": max(self.p_level, rise),
            "tail": self.tail.corrected_p_above(0.0),
            "improved": self.ladder.corrected_p_above(0.0),
            "declined": self.ladder.corrected_p_below(0.0),
        }[claim]


def estimate_contrasts(
    covariance: Covariance, scales: np.ndarray, options: CurveOptions
) -> Evidence:
    """All contrasts of a curve with at least two scales."""
    n = len(scales)
    rise = rise_weights(scales)
    # Equal scores bring no noise, which is no proof that nothing changes: how far the true mean
    # may lie from them widens every contrast, and must lie inside the margins too.
    bounds = constant_score_bounds(covariance, options.interval)

    differences = [_widened(covariance, drop_weights(n, i, j), bounds) for i, j in pairs(n)]
    tail = tail_weights(scales)
    evidence = Evidence(
        tail=_widened(covariance, tail, bounds),
        rise=None if rise is None else _widened(covariance, rise, bounds),
        ladder=_widened(covariance, slope_weights(scales, np.ones(n, bool)), bounds),
        drop=_clearest_drop(differences, n, options.level),
        p_level=1.0,
        p_flat=1.0,
        differences=differences,
        bounds=bounds,
    )
    return with_margins(evidence, covariance, tail, options)


def with_margins(
    evidence: Evidence, covariance: Covariance, tail: np.ndarray, options: CurveOptions
) -> Evidence:
    """The same contrasts with the claims of equivalence tested at the margins of the options.

    Args:
        tail: (K,) weights of the tail slope.
    """
    p_range = 1.0
    if evidence.constant_bound < options.range_margin:
        p_range = range_p_value(covariance, evidence.differences, options.range_margin)
    return _with_level(replace(evidence, p_range=p_range), tail, options.tail_margin)


def with_tail(
    evidence: Evidence,
    covariance: Covariance,
    scales: np.ndarray,
    part: float,
    options: CurveOptions,
) -> Evidence:
    """The same with another tail (`tail_scales`)."""
    tail, rise = tail_weights(scales, part), rise_weights(scales, part)
    moved = replace(
        evidence,
        tail=_widened(covariance, tail, evidence.bounds),
        rise=None if rise is None else _widened(covariance, rise, evidence.bounds),
    )
    return _with_level(moved, tail, options.tail_margin)


def _with_level(evidence: Evidence, tail: np.ndarray, margin: float) -> Evidence:
    level = np.abs(tail) @ evidence.bounds < margin
    p_level = evidence.tail.p_within(margin) if level else 1.0
    return replace(evidence, p_level=p_level, p_flat=max(p_level, evidence.p_range))


def _widened(covariance: Covariance, weights: np.ndarray, bounds: np.ndarray) -> Estimate:
    return covariance.contrast(weights).widened(float(np.abs(weights) @ bounds))


def _clearest_drop(differences: list[Estimate], n: int, level: float) -> Drop:
    p_values = [d.corrected_p_above(0.0) for d in differences]
    # Ties (all p values 1 or 0) go to the largest drop.
    best = min(range(len(differences)), key=lambda i: (p_values[i], -differences[i].value))
    chosen = differences[best]
    earlier, later = pairs(n)[best]
    p_value = min(1.0, p_values[best] * len(differences))
    bound = chosen.corrected_lower(level / len(differences))
    return Drop(earlier, later, chosen, bound, p_value)


def constant_score_bounds(covariance: Covariance, coverage: float) -> np.ndarray:
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


def range_p_value(covariance: Covariance, differences: Sequence[Estimate], margin: float) -> float:
    """p value of the null that the range of the true means is at or above the margin.

    Testing that every pair's difference lies inside the margin is valid but wasteful with many
    scales. Where two true means differ by exactly the margin, the observed range is small only if
    their difference is underestimated and all other means fall between them as well. This test
    counts the second part too, as the range test of Giani and Finner (J. Statistical Planning and
    Inference 28, 1991) does for independent means. One bound serves all pairs, so it gains little
    where differences of far scales are much noisier than of near ones.

    For each pair of scales whose true means differ by the margin this bounds the chance of a
    range as small as the observed one; the p value is the largest bound. The positions of the
    other means are unknown. Given the pair's difference they scatter around a center, and by
    Anderson's inequality (Proc. American Math. Society 6, 1955) no center makes them fall between
    the two more often than the middle of the pair, so that center is taken.

    Args:
        differences: of all pairs of scale means, in the order of `pairs`.

    Returns:
        1 when the observed range is not below the margin: there is nothing to test then.
    """
    observed = float(np.ptp(covariance.means))
    if observed >= margin:
        return 1.0
    total = covariance.total
    return max(
        _pair_p_value(total, drop_weights(len(total), *pair), difference, observed, margin)
        for pair, difference in zip(pairs(len(total)), differences, strict=True)
    )


def _pair_p_value(
    total: np.ndarray, weights: np.ndarray, difference: Estimate, observed: float, margin: float
) -> float:
    """Bound for one pair: its difference is t distributed around the margin."""
    # With missing scores the scored means may differ by less than the true ones.
    margin -= max(difference.below, difference.above)
    if difference.se == 0:
        return float(observed >= margin)
    se, df = np.array(difference.se), np.array(difference.df)
    return float(pair_p_values(total, weights, se, df, np.array(observed), margin))


def pair_p_values(
    total: np.ndarray,
    weights: np.ndarray,
    se: np.ndarray,
    df: np.ndarray,
    observed: np.ndarray,
    margin: float,
    draws: int = _DRAWS,
) -> np.ndarray:
    """(...) bounds for one pair of scales of curves with covariance (..., K, K).

    Args:
        weights: (K,) of the pair's difference.
        se, df: (...) of that difference, above 0.
        observed: (...) ranges of the means.
        draws: of the other means, at most _DRAWS.
    """
    # The others lie between the two if their distance from the middle is at most
    # range - |difference| / 2, so each draw of the others caps the difference.
    observed, se, df = (each[..., None] for each in (observed, se, df))
    cap = np.minimum(observed, 2 * (observed - _furthest(total, weights, draws)))
    return np.where(cap < 0, 0.0, stdtr(df, (cap - margin) / se)).mean(-1)


def _furthest(total: np.ndarray, weights: np.ndarray, draws: int) -> np.ndarray:
    """(..., draws) of the largest distance of the other means from the pair's middle, given the
    pair, of curves with covariance (..., K, K)."""
    others = np.flatnonzero(weights == 0)
    if not len(others):
        return np.zeros(1)
    contrasts = np.eye(len(weights))[others] - np.abs(weights) / 2
    shared = contrasts @ (total @ weights)[..., None]
    variance = weights @ (total @ weights)[..., None]
    # A pair whose difference has no variance tells nothing of the others.
    known = np.where(variance > 0, 1 / np.where(variance > 0, variance, 1.0), 0.0)
    given = contrasts @ total @ contrasts.T - shared @ shared.swapaxes(-1, -2) * known[..., None]
    values, vectors = np.linalg.eigh(given)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
    return np.abs(_normals(len(others))[:draws] @ root.swapaxes(-1, -2)).max(-1)


@cache
def _normals(dimensions: int) -> np.ndarray:
    """(draws, dimensions) fixed, evenly spread standard normal draws."""
    uniform = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(0)).random(_DRAWS)
    return ndtri(np.clip(uniform, 1e-9, 1 - 1e-9))
