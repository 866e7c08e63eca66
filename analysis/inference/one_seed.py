"""One run per scale: what second differences over the scales say of the noise of a slope."""

from __future__ import annotations

import numpy as np

from analysis.inference.estimate import Estimate


def smooth_estimate(means: np.ndarray, scales: np.ndarray, weights: np.ndarray) -> Estimate | None:
    """A contrast whose noise is read off the curve itself, taken as smooth; None below 4 scales.

    Second divided differences in log n of a smooth curve are near 0, so what they are is noise of
    items and runs together: one variance for all scales, independent between them. A curve with
    a bend makes them larger and the interval wider; a last scale noisier than the rest makes it
    too narrow, which nothing in one run per scale can show.

    Args:
        means: (K,) means.
        scales: (K,) rising.
        weights: (K,) of the contrast, which must sum to 0.
    """
    if len(scales) < 4:
        return None
    contrasts = _second_differences(np.log2(scales.astype(float)))
    form = contrasts.T @ contrasts / len(contrasts)  # of trace 1
    variance = float(np.square(contrasts @ means).mean())
    df = 1 / float(np.square(form).sum())  # Satterthwaite
    se = float(np.sqrt(variance * (weights @ weights)))
    return Estimate(float(weights @ means), se, max(1.0, df))


def _second_differences(x: np.ndarray) -> np.ndarray:
    """(K - 2, K) contrasts of norm 1 of neighboring triples; 0 for a line in x."""
    contrasts = np.zeros((len(x) - 2, len(x)))
    for i in range(len(x) - 2):
        a, b, c = x[i : i + 3]
        row = np.array([1 / ((a - b) * (a - c)), 1 / ((b - a) * (b - c)), 1 / ((c - a) * (c - b))])
        contrasts[i, i : i + 3] = row / np.linalg.norm(row)
    return contrasts
