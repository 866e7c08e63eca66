"""Intervals by other ways than those of the analysis."""

from __future__ import annotations

import numpy as np


def score_interval(mean: float, se: float, critical: float) -> tuple[float, float]:
    """Wilson's interval: the shares that lie `critical` of their own standard errors away."""
    n = mean * (1 - mean) / se**2
    roots = np.roots([1 + critical**2 / n, -2 * mean - critical**2 / n, mean**2])
    return float(roots.min()), float(roots.max())
