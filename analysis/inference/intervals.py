"""Intervals of means that stay inside [0, 1], and of paired differences of such means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq

from analysis.inference.estimate import Estimate


def share_interval(estimate: Estimate, n: int, coverage: float) -> tuple[float, float, str]:
    """Interval of a mean of values in [0, 1].

    Wilson's interval with the number of independent values that the standard error stands for
    and a quantile of t. A mean of exactly 0 or 1 says that all values are equal there, and the
    noise at other scales, which the estimate may hold, says little of this one: the wider of the
    t interval and the exact bound is taken. Where all values are equal elsewhere nothing can be
    said. `n` counts independent values: items, or clusters of items.

    Returns:
        low, high and a note (empty for Wilson's interval); NaN where nothing is known.
    """
    if estimate.se == 0 and estimate.value not in (0, 1):
        return np.nan, np.nan, "all values are equal: no noise to measure"
    if 0 < estimate.value < 1:
        return *wilson(estimate, estimate.critical(coverage)), ""
    low, high = (float(end) for end in np.clip(estimate.interval(coverage), 0.0, 1.0))
    bound = sum_bound([n], coverage)
    note = (
        f"all scores are {estimate.value:g}: exact bound from {n} independent values (a cluster of "
        "items counts once)"
    )
    if estimate.value == 0 and bound + estimate.above > high:
        return 0.0, min(1.0, bound + estimate.above), note
    if estimate.value == 1 and 1 - bound - estimate.below < low:
        return max(0.0, 1 - bound - estimate.below), 1.0, note
    return low, high, ""


def wilson(estimate: Estimate, critical: float) -> tuple[float, float]:
    """Wilson's interval of a mean inside (0, 1) (J. American Statistical Association 22, 1927).

    The number of values is value (1 - value) / se^2, those of 0 and 1 that would have the same
    standard error. Where scores are missing, the lower end is widened by the lower bound's
    distance, the upper by that of the upper.

    Args:
        critical: how many standard errors the interval reaches.
    """
    p = estimate.value
    if estimate.se == 0:
        return max(0.0, p - estimate.below), min(1.0, p + estimate.above)
    weight = (critical * estimate.se) ** 2 / (p * (1 - p))  # critical^2 / n
    center = (p + weight / 2) / (1 + weight)
    half = np.sqrt(weight * (p * (1 - p) + weight / 4)) / (1 + weight)
    low, high = center - half - estimate.below, center + half + estimate.above
    return float(max(0.0, low)), float(min(1.0, high))


def paired_interval(
    a: Estimate, b: Estimate, difference: Estimate, n: int, coverage: float
) -> tuple[float, float]:
    """Interval of a mean less another one of the same items, both of values in [0, 1].

    Newcombe's method 10 (Statistics in Medicine 17, 1998): the distances of the two means from
    the ends of their own intervals, added with the correlation of the means.

    Args:
        difference: a minus b; its degrees of freedom count for all three.
        n: independent values: items, or clusters of items.

    Returns:
        low and high; NaN where a mean is not 0 or 1 and all its values are equal.
    """
    ends = []
    for mean in (a, b):
        alone = Estimate(mean.value, mean.se, difference.df)
        if 0 < mean.value < 1 and mean.se > 0:
            ends.append(wilson(alone, difference.critical(coverage)))
        else:
            ends.append(share_interval(alone, n, coverage)[:2])
    (low_a, high_a), (low_b, high_b) = ends
    correlation = 0.0
    if a.se * b.se > 0:
        shared = (a.se**2 + b.se**2 - difference.se**2) / 2
        correlation = float(np.clip(shared / (a.se * b.se), -1.0, 1.0))
    down = _added(a.value - low_a, high_b - b.value, correlation)
    up = _added(high_a - a.value, b.value - low_b, correlation)
    low, high = difference.value - difference.below - down, difference.value + difference.above + up
    return float(np.maximum(low, -1.0)), float(np.minimum(high, 1.0))


def paired_p_value(a: Estimate, b: Estimate, difference: Estimate, n: int) -> float:
    """Two-sided p value of no difference: the level at which `paired_interval` ends at 0.

    NaN where there is no interval.
    """

    def gap(log_level: float) -> float:
        low, high = paired_interval(a, b, difference, n, 1 - float(np.exp(log_level)))
        return low if difference.value > 0 else -high

    least, most = np.log(1e-12), np.log(1 - 1e-9)
    if np.isnan(gap(most)):
        return np.nan
    if difference.value == 0 or gap(most) <= 0:
        return 1.0
    return float(np.exp(brentq(gap, least, most, xtol=1e-4)) if gap(least) < 0 else 1e-12)


def _added(first: float, second: float, correlation: float) -> float:
    """Root of the variance-like sum of two distances whose errors are correlated."""
    square = first**2 - 2 * correlation * first * second + second**2
    return float(np.sqrt(max(0.0, square))) if np.isfinite(square) else np.nan


def overall_interval(
    estimate: Estimate, zeros: Sequence[int], ones: Sequence[int], categories: int, coverage: float
) -> tuple[float, float, str]:
    """Interval of the plain mean of categories, where some of them hold only zeros or only ones.

    Equal scores bring no item noise, which is no proof that their mean is known. So the joint
    exact bound of the categories at 0 is added above Wilson's interval, that of those at 1 below.
    Where all categories are at one edge, the wider of the two is taken, as for a single one.

    Args:
        zeros: values (clusters of items) of each category in which all are 0.
        ones: the same for those in which all are 1.
        categories: number of all categories of the mean.

    Returns:
        low, high and a note, as `share_interval` does.
    """
    constant = len(zeros) + len(ones)
    if not constant or (estimate.se == 0 and constant < categories):
        return share_interval(estimate, 1, coverage)
    low, high = estimate.interval(coverage)
    if 0 < estimate.value < 1:
        low, high = wilson(estimate, estimate.critical(coverage))
    above, below = (sum_bound(sizes, coverage) / categories for sizes in (zeros, ones))
    if categories in (len(zeros), len(ones)):
        low, high = min(low, estimate.value - below), max(high, estimate.value + above)
    else:
        low, high = low - below, high + above
    note = f"all scores 0 or all 1 in {constant} of {categories} categories: exact bounds added"
    return max(0.0, low), min(1.0, high), note


def sum_bound(sizes: Sequence[int], coverage: float) -> float:
    """Upper bound of the sum of means of categories in which every value is 0; 0 without any.

    The chance of that is at most the product of (1 - m)^n over the categories. The bound is the
    largest sum of means m at which it is still (1 - coverage) / 2. There 1 - m is in proportion
    to n, or m is 0: the categories with m above 0 are the smallest ones.

    Args:
        sizes: values (clusters of items) of each category, all above 0.
    """
    n = np.sort(np.asarray(sizes, float))
    total = np.cumsum(n)
    level = (np.log((1 - coverage) / 2) - np.cumsum(n * np.log(n))) / total
    ratio = np.exp(level)
    sums = np.arange(1, len(n) + 1) - ratio * total
    return float(sums[ratio * n <= 1].max(initial=0.0))


def central_levels(coverage: float) -> tuple[float, float]:
    """Levels of the two quantiles that hold the central part of a distribution."""
    return (1 - coverage) / 2, (1 + coverage) / 2
