"""Correction of p values over a family of claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np


def holm(
    p_values: Sequence[float], groups: Sequence[Hashable] = (), most_false: int | None = None
) -> np.ndarray:
    """Holm's step-down adjusted p values (Scand. J. Statistics 6, 1979), in the order given.

    Args:
        groups: a group for each claim, such as its category.
        most_false: how many claims of one group can be false at once. Each p value is then
            multiplied by the most claims that can be false among those not yet made, instead of
            by their number (Shaffer, J. American Statistical Association 81, 1986).
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    left = Counter(groups or [None] * len(p))
    cap = len(p) if most_false is None else most_false
    adjusted = np.empty_like(p)
    highest = 0.0
    for index in order:
        factor = sum(min(cap, count) for count in left.values())
        highest = max(highest, min(1.0, factor * p[index]))
        adjusted[index] = highest
        left[groups[index] if groups else None] -= 1
    return adjusted
