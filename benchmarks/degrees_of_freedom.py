"""What rules for a variance of two parts do at the levels of corrected claims.

The variance of a contrast is an item part, known well, plus a seed part with few degrees of
freedom. Satterthwaite's rule takes its degrees of freedom from the two estimates, and far in the
tail it errs more often than it says; where the seed part is small by chance it sees many of them.
Howe's rule, which corrected claims take with two seeds, and the quantile of Behrens and Fisher's
distribution, of a sum of two independent t variables, keep the level and can only fall with more
items, and cost width. `benchmarks.calibration` compares.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr, roots_genlaguerre, stdtrit

from analysis.inference.estimate import half_width

LEVELS = (0.05, 0.05 / 12, 0.05 / 36)
ITEM_DF = 179
SEED_DF = (4, 8, 16)  # about those of two, three and five seeds of twelve categories
SEED_SHARES = (0.2, 0.4, 0.6, 0.8)


def rules(quick: bool) -> list[dict[str, Any]]:
    """Error over level and mean half-width of the rules, the variance of the contrast being 1.

    The error is that of a normal estimate with known variances, given the estimated ones.
    """
    draws = 200 if quick else 4000
    rng = np.random.default_rng(6000)
    rows = []
    for df in SEED_DF:
        for share in SEED_SHARES:
            items = (1 - share) * rng.chisquare(ITEM_DF, draws) / ITEM_DF
            seeds = share * rng.chisquare(df, draws) / df
            for level in LEVELS:
                found = {
                    "satterthwaite": satterthwaite(items, seeds, df, level),
                    "howe": half_width([(items, ITEM_DF), (seeds, df)], level),
                    "behrens_fisher": behrens_fisher(items, seeds, df, level),
                }
                rows.append(
                    {"seed_df": df, "share": share, "level": level, "draws": draws}
                    | {f"{rule}_error": float(ndtr(-x).mean() / level) for rule, x in found.items()}
                    | {f"{rule}_width": float(x.mean()) for rule, x in found.items()}
                )
    return rows


def satterthwaite(items: np.ndarray, seeds: np.ndarray, df: float, level: float) -> np.ndarray:
    """Half-widths from estimated variances of the item and the seed part, arrays of one shape."""
    combined = (items + seeds) ** 2 / (items**2 / ITEM_DF + seeds**2 / df)
    return stdtrit(combined, 1 - level) * np.sqrt(items + seeds)


def behrens_fisher(items: np.ndarray, seeds: np.ndarray, df: float, level: float) -> np.ndarray:
    """The same as quantiles of sqrt(items) Z + sqrt(seeds) T, Z normal and T of t with df.

    T is Z / sqrt(chi^2 / df): a quadrature over chi^2 and bisection for the quantile.
    """
    nodes, weights = roots_genlaguerre(40, df / 2 - 1)
    weights = weights / weights.sum()
    spread = np.sqrt(items[:, None] + seeds[:, None] * df / (2 * nodes))
    low, high = np.zeros(len(items)), np.full(len(items), 100.0)
    for _ in range(40):
        middle = (low + high) / 2
        too_small = ndtr(-middle[:, None] / spread) @ weights > level
        low, high = np.where(too_small, middle, low), np.where(too_small, high, middle)
    return (low + high) / 2
