"""Whole numbers of records for shares of every scale, such that a larger scale only adds.

Rounding each scale by itself (largest remainders) is not nested: a stratum may lose a record as
the scale grows. So the places are given out one by one. The j-th record of a stratum of share p
takes a place from floor((j - 1) / p) + 1 to ceil(j / p); of the strata that may take a place, the
one whose time ends first does. Every stratum then has n p rounded down or up at every scale n
(Balinski and Young, American Mathematical Monthly 82, 1975; Baruah et al., Algorithmica 15, 1996).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from fractions import Fraction
from math import lcm

import numpy as np


def whole_weights(shares: Sequence[float]) -> list[int]:
    """Whole numbers in the ratio of shares, each taken as the decimal number that it prints as."""
    exact = [Fraction(str(share)) for share in shares]
    unit = lcm(*(share.denominator for share in exact))
    return [int(share * unit) for share in exact]


def places(weights: Sequence[int], count: int) -> np.ndarray:
    """The stratum that takes each of the first `count` places, [count] int32.

    Args:
        weights: whole numbers above 0 in the ratio of the shares.
        count: places to give out.
    """
    total = sum(weights)
    taken = [0] * len(weights)
    waiting = [(1, index) for index in range(len(weights))]  # first place that it may take
    heapq.heapify(waiting)
    ready: list[tuple[int, int]] = []  # last place that it may take
    order = np.empty(count, np.int32)
    for place in range(1, count + 1):
        while waiting and waiting[0][0] <= place:
            _, index = heapq.heappop(waiting)
            last = -((taken[index] + 1) * total // -weights[index])
            heapq.heappush(ready, (last, index))
        _, index = heapq.heappop(ready)
        order[place - 1] = index
        taken[index] += 1
        heapq.heappush(waiting, (taken[index] * total // weights[index] + 1, index))
    return order


def largest_scale(order: np.ndarray, sizes: Sequence[int]) -> int:
    """How many of the places can be filled from strata of these sizes."""
    ends = [np.flatnonzero(order == index)[size : size + 1] for index, size in enumerate(sizes)]
    return int(min((int(end[0]) for end in ends if len(end)), default=len(order)))
