"""Is the range of the true means below a margin? One test of all pairs of scales at once.

Asking every pair's interval to lie inside the margin is valid but wasteful with many scales. Where
two true means differ by exactly the margin, the observed range is small only if their difference
is underestimated and all other means fall between them as well; the second part makes the error
smaller than that of the pair alone. This test counts it, as the range test of Giani and Finner
(J. Statistical Planning and Inference 28, 1991) does for independent means. It has one bound for
all pairs, so it gains little where differences of far scales are much noisier than of near ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.special import ndtri, stdtr
from scipy.stats import qmc

from analysis.inference.contrasts import drop_weights, pairs
from analysis.inference.covariance import Covariance, Estimate

_DRAWS = 256


def range_p_value(covariance: Covariance, differences: Sequence[Estimate], margin: float) -> float:
    """p value of the null that the range of the true means is at or above the margin.

    For each pair of scales whose true means differ by the margin this bounds the chance of a
    range as small as the observed one; the p value is the largest bound. The places of the other
    means are unknown. Given the pair's difference they scatter around a center, and by Anderson's
    inequality (Proc. American Math. Society 6, 1955) no center makes them fall between the two
    more often than the middle of the pair, so that center is taken.

    Args:
        differences: of all pairs of scale means, in the order of `contrasts.pairs`.

    Returns:
        1 when the observed range is not below the margin: there is nothing to weigh then.
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
    if difference.se == 0:
        return 0.0
    # The others lie between the two if their distance from the middle is at most
    # range - |difference| / 2, so each draw of the others caps the difference.
    furthest = _furthest(total, weights)
    cap = np.minimum(observed, 2 * (observed - furthest))
    below = stdtr(difference.df, (cap - margin) / difference.se)
    return float(np.where(cap < 0, 0.0, below).mean())


def _furthest(total: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Draws of the largest distance of the other means from the pair's middle, given the pair."""
    others = np.flatnonzero(weights == 0)
    if not len(others):
        return np.zeros(1)
    contrasts = np.eye(len(weights))[others] - np.abs(weights) / 2
    shared = contrasts @ total @ weights
    variance = float(weights @ total @ weights)
    given = contrasts @ total @ contrasts.T - np.outer(shared, shared) / variance
    values, vectors = np.linalg.eigh(given)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.abs(_normals(len(others)) @ root.T).max(1)


@cache
def _normals(dimensions: int) -> np.ndarray:
    """(draws, dimensions) fixed, evenly spread standard normal draws."""
    uniform = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(0)).random(_DRAWS)
    return ndtri(np.clip(uniform, 1e-9, 1 - 1e-9))
