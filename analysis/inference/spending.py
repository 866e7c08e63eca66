"""Alpha-spending: the level of a claim at each look at a study that grows.

Claims are one-sided. Their test statistics at the looks are taken as normal with independent
increments of information, so that looks at fractions s < t correlate as sqrt(s / t). Looks that
share more than that (the items are the same at every look) correlate higher, and then the chance
of a false claim at any look is lower (Slepian, Bell System Technical J. 41, 1962).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.integrate import simpson
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

OBRIEN_FLEMING, POCOCK = "obrien_fleming", "pocock"
_POINTS = 601
_FARTHEST = 8.0  # standard deviations
_LEAST = 1e-15


def spent(fraction: float, alpha: float, spending: str) -> float:
    """Part of alpha that is spent up to a fraction of the information (Lan and DeMets, Biometrika
    70, 1983).

    Args:
        fraction: of the information planned, in (0, 1].
        alpha: one-sided, over all looks.
        spending: `obrien_fleming`, 2 - 2 Phi(z / sqrt(t)) with z the quantile at 1 - alpha / 2, or
            `pocock`, alpha ln(1 + (e - 1) t).
    """
    if spending == OBRIEN_FLEMING:
        return float(2 * ndtr(ndtri(alpha / 2) / np.sqrt(fraction)))
    if spending == POCOCK:
        return float(alpha * np.log1p((np.e - 1) * fraction))
    raise ValueError(f"no such spending function: {spending}")


def nominal_levels(fractions: Sequence[float], alpha: float, spending: str) -> np.ndarray:
    """One-sided level of the test at each look, so that the chance of any false claim up to it is
    what has been spent by then.

    Args:
        fractions: of the information planned, rising, the last at most 1.
    """
    walk, used, levels = _Walk(), 0.0, []
    for fraction in fractions:
        budget = spent(fraction, alpha, spending) - used

        def excess(bound: float, at: float = fraction, left: float = budget) -> float:
            return walk.crossing(at, bound) - left

        # A look next to the one before has nothing to spend.
        bound = _FARTHEST if excess(_FARTHEST) >= 0 else brentq(excess, -_FARTHEST, _FARTHEST)
        used += walk.step(fraction, bound)
        levels.append(max(float(ndtr(-bound)), _LEAST))
    return np.array(levels)


def false_claims(fractions: Sequence[float], levels: Sequence[float]) -> float:
    """Chance that a true null is rejected at any of the looks.

    Args:
        fractions: information at the looks, rising, in any unit.
        levels: one-sided level of the test at each look.
    """
    walk = _Walk()
    bounds = -ndtri(np.asarray(levels, float))
    return sum(walk.step(t, float(b)) for t, b in zip(fractions, bounds, strict=True))


class _Walk:
    """Density of the score process among the studies that have made no claim so far (Armitage,
    McPherson and Rowe, J. Royal Statistical Society A 132, 1969)."""

    def __init__(self) -> None:
        self._at = 0.0
        self._grid = np.zeros(1)
        self._density = np.ones(1)

    def crossing(self, at: float, bound: float) -> float:
        """Chance of a first claim at this look, z above the bound."""
        sd = np.sqrt(at - self._at)
        beyond = ndtr((self._grid - bound * np.sqrt(at)) / sd) * self._density
        return float(beyond[0] if len(beyond) == 1 else simpson(beyond, self._grid))

    def step(self, at: float, bound: float) -> float:
        """Go on to this look with its bound; the chance of a first claim there."""
        if not at > self._at:
            raise ValueError("the information of looks must rise")
        chance = self.crossing(at, bound)
        sd = np.sqrt(at - self._at)
        grid = np.linspace(-_FARTHEST * np.sqrt(at), bound * np.sqrt(at), _POINTS)
        kernel = np.exp(-0.5 * ((grid[:, None] - self._grid) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
        parts = kernel * self._density
        density = parts[:, 0] if parts.shape[1] == 1 else simpson(parts, self._grid, axis=1)
        self._at, self._grid, self._density = at, grid, density
        return chance
