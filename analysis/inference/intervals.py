"""Intervals of means that stay inside [0, 1]: t interval and exact bound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.inference.estimate import Estimate


def share_interval(estimate: Estimate, n: int, coverage: float) -> tuple[float, float, str]:
    """Interval of a mean of values in [0, 1], cut to [0, 1].

    A mean of exactly 0 or 1 says that all values are equal there, and the noise at other scales,
    which the estimate may hold, says little of this one: the wider of the t interval and the
    exact bound is taken. Where all values are equal elsewhere nothing can be said. `n` counts
    independent values: items, or clusters of items.

    Returns:
        low, high and a note (empty for a t interval); NaN where nothing is known.
    """
    if estimate.se == 0 and estimate.value not in (0, 1):
        return np.nan, np.nan, "all values are equal: no noise to measure"
    low, high = (float(end) for end in np.clip(estimate.interval(coverage), 0.0, 1.0))
    bound = sum_bound([n], coverage)
    note = (
        f"all scores are {estimate.value:g}: exact bound from {n} independent values (a cluster of "
        "items counts once)"
    )
    if estimate.value == 0 and bound > high:
        return 0.0, bound, note
    if estimate.value == 1 and 1 - bound < low:
        return 1 - bound, 1.0, note
    return low, high, ""


def overall_interval(
    estimate: Estimate, zeros: Sequence[int], ones: Sequence[int], categories: int, coverage: float
) -> tuple[float, float, str]:
    """Interval of the plain mean of categories, where some of them hold only zeros or only ones.

    Equal scores bring no item noise, which is no proof that their mean is known. So the joint
    exact bound of the categories at 0 is added above the t interval, that of those at 1 below.
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
