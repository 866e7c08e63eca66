"""Contrasts of the scale means that the verdicts stand on. Slopes are per doubling of the data."""

from __future__ import annotations

import itertools

import numpy as np

_TAIL_PART = 4
_TOLERANCE = 1.01  # ladders are rounded to whole records


def tail_scales(scales: np.ndarray) -> np.ndarray:
    """(K,) which scales are the tail: at least a quarter of the largest, and the last two."""
    tail = scales * _TAIL_PART * _TOLERANCE >= scales[-1]
    tail[-2:] = True
    return tail


def slope_weights(scales: np.ndarray, use: np.ndarray) -> np.ndarray:
    """(K,) weights of the least squares slope over the scales in `use` (at least two)."""
    x = np.log2(scales.astype(float))
    centerd = np.where(use, x - x[use].mean(), 0.0)
    return centerd / (centerd @ centerd)


def rise_weights(scales: np.ndarray) -> np.ndarray | None:
    """(K,) weights of the tail mean minus the first scale; None if the first is in the tail."""
    tail = tail_scales(scales)
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
