"""Simulated scores with a known truth at every scale, graded or binary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

FACTOR = 2.0
CATEGORIES = 12
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()

ITEM_SD = 1.0  # logits: how much easier one item is than another, the same at all scales
SHIFT_SD = 0.3  # logits: an item's own deviation at a scale, shared by all seeds
GRADED_PRECISION = 8.0  # beta precision of a graded answer around its expectation


@dataclass(frozen=True)
class Design:
    """Size and noise of a simulated study.

    Attributes:
        run_sd: standard deviation of a category's mean over training runs.
    """

    kind: str
    items: int
    seeds: int
    scales: int
    run_sd: float = 0.01

    @property
    def ladder(self) -> np.ndarray:
        """Records at each scale."""
        return 1000 * FACTOR ** np.arange(self.scales)


def truth(name: str, scales: int) -> np.ndarray:
    """True means at `scales` doublings; the tail is the last three scales."""
    return truth_at(name, scales, np.arange(scales, dtype=float))


def truth_at(name: str, scales: int, doublings: np.ndarray) -> np.ndarray:
    """True means at doublings of the first scale, also beyond the ladder."""
    x, last = np.asarray(doublings, float), scales - 1.0
    tail = last - 2.0
    shapes = {
        "flat": np.full_like(x, 0.6),
        "plateau": 0.60 - 0.08 * np.maximum(0.0, (tail - x) / max(tail, 1.0)),
        "+.035": 0.40 + 0.035 * x,
        "+.02": 0.45 + 0.02 * x,
        "near-plateau": 0.58
        - 0.08 * np.maximum(0.0, tail - x) / max(tail, 1.0)
        + 0.024 * np.maximum(0.0, x - tail),
        "hump": 0.60 - 0.04 * np.abs(x - last + 1.5),
        "saturating": 0.72 - 0.25 * 2.0 ** (-0.5 * x),
        "logit-linear": expit(-0.3 + 0.12 * x),
        "range of .04": 0.60 - 0.02 * (x == 0) + 0.02 * (x >= last),
        "regime change": 0.45 + 0.03 * np.minimum(x, last),
    }
    return shapes[name]


def simulate(
    means: np.ndarray, design: Design, rng: np.random.Generator, run: np.ndarray | None = None
) -> np.ndarray:
    """Scores of one category, (scales, seeds, items), whose expectation at each scale is exact.

    Args:
        means: (K,) true means.
        run: (K, S) standard normal run effects, to share them between categories.
    """
    shape = (design.scales, design.seeds, design.items)
    center, slope = _centers(tuple(means.tolist()), design.run_sd)
    if run is None:
        run = rng.standard_normal(shape[:2])
    latent = (
        center[:, None, None]
        + ITEM_SD * rng.standard_normal(design.items)
        + SHIFT_SD * rng.standard_normal((design.scales, 1, design.items))
        + (design.run_sd / slope)[:, None, None] * run[..., None]
    )
    p = expit(latent)
    if design.kind == "binary":
        return (rng.random(shape) < p).astype(float)
    return rng.beta(GRADED_PRECISION * p, GRADED_PRECISION * (1 - p))


def shared_runs(rng: np.random.Generator, scales: int, seeds: int, lag: float = 0.0) -> np.ndarray:
    """(C, K, S) standard normal run effects of twelve categories, correlated by .5 between them.

    Args:
        lag: correlation of a run's effect with that of the same seed at the scale before.
    """
    shared = rng.standard_normal((1, scales, seeds))
    run = (shared + rng.standard_normal((CATEGORIES, scales, seeds))) / np.sqrt(2)
    for k in range(1, scales):
        run[:, k] = lag * run[:, k - 1] + np.sqrt(1 - lag**2) * run[:, k]
    return run


_CENTERS: dict[tuple[tuple[float, ...], float], tuple[np.ndarray, np.ndarray]] = {}


def _centers(means: tuple[float, ...], run_sd: float) -> tuple[np.ndarray, np.ndarray]:
    """Latent center of each mean, and d mean / d center there."""
    if (means, run_sd) not in _CENTERS:
        found = [_solve(mean, run_sd) for mean in means]
        _CENTERS[means, run_sd] = (
            np.array([center for center, _ in found]),
            np.array([slope for _, slope in found]),
        )
    return _CENTERS[means, run_sd]


def _solve(mean: float, run_sd: float) -> tuple[float, float]:
    # The run effect's own spread moves the mean a little, and its logit size depends on the
    # slope there: two rounds are enough for four digits of the slope, the center is exact.
    center, slope = float(logit(mean)), mean * (1 - mean)
    for _ in range(3):
        spread = np.sqrt(ITEM_SD**2 + SHIFT_SD**2 + (run_sd / slope) ** 2)
        used = slope
        center = brentq(lambda c, s=spread: _expected(c, s) - mean, -12, 12, xtol=1e-12)
        values = expit(center + spread * _NODES)
        slope = float((values * (1 - values)) @ _WEIGHTS)
    return center, used


def _expected(center: float, spread: float) -> float:
    return float(expit(center + spread * _NODES) @ _WEIGHTS)
