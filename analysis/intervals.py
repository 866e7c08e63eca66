"""Intervals of means that must stay inside [0, 1]."""

from __future__ import annotations

import numpy as np

from analysis.covariance import Estimate


def share_interval(estimate: Estimate, n: int, coverage: float) -> tuple[float, float, str]:
    """Interval of a mean of values in [0, 1], cut to [0, 1].

    When all values are equal there is no variance to work with. At 0 (or 1) the chance that n
    values all are 0 is at most (1 - m)^n for a mean m, which bounds m from above; elsewhere
    nothing can be said.

    Returns:
        low, high and a note (empty where the t interval stands); NaN where nothing is known.
    """
    if estimate.se > 0:
        low, high = estimate.interval(coverage)
        return max(0.0, low), min(1.0, high), ""
    tail = (1 - coverage) / 2
    if estimate.value == 0:
        return 0.0, 1 - tail ** (1 / n), f"all {n} values are 0: exact bound instead of t interval"
    if estimate.value == 1:
        return tail ** (1 / n), 1.0, f"all {n} values are 1: exact bound instead of t interval"
    return np.nan, np.nan, "all values are equal: no noise to measure"
