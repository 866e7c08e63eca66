"""Document-exact packing: the examples of one global batch are spread over ranks and rows.

Packing never changes which examples a step sees, only how they share rows. The window of the
first-fit-decreasing search is the global batch, so the random order survives.
"""

from __future__ import annotations

from collections.abc import Sequence

Bins = list[list[int]]


def first_fit_decreasing(lengths: Sequence[int], capacity: int) -> Bins:
    """Fill as few bins as FFD needs; an item longer than `capacity` gets a bin of its own.

    Returns:
        For each bin the positions of its items in `lengths`.
    """
    bins: Bins = []
    room: list[int] = []
    for item in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        for place, free in enumerate(room):
            if lengths[item] <= free:
                bins[place].append(item)
                room[place] -= lengths[item]
                break
        else:
            bins.append([item])
            room.append(capacity - lengths[item])
    return bins


def balanced(lengths: Sequence[int], count: int, capacity: int) -> Bins | None:
    """Longest item first into the emptiest of `count` bins; None where that overflows one."""
    bins: Bins = [[] for _ in range(count)]
    load = [0] * count
    for item in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        place = load.index(min(load))
        if bins[place] and load[place] + lengths[item] > capacity:
            return None
        bins[place].append(item)
        load[place] += lengths[item]
    return bins


def pack(lengths: Sequence[int], *, ranks: int, row_tokens: int) -> list[Bins]:
    """Spread one global batch over `ranks`, in rows of at most `row_tokens` tokens.

    Every rank gets the same number of rows (collectives need that); rows may be empty when there
    are fewer examples than ranks. Equal loads are preferred, because the ranks wait for the
    slowest one.

    Args:
        lengths: tokens of each example of the batch.
        ranks: data-parallel ranks.
        row_tokens: token budget of a row; an example longer than it gets a row of its own.

    Returns:
        [rank][row] -> positions in `lengths`, ascending within a row.
    """
    fitted = first_fit_decreasing(lengths, row_tokens)
    count = -(-len(fitted) // ranks) * ranks
    bins = balanced(lengths, count, row_tokens)
    if bins is None:
        bins = fitted + [[] for _ in range(count - len(fitted))]
    rows = [sorted(row) for row in bins]
    rows.sort(key=lambda row: (-sum(lengths[i] for i in row), row))
    return [rows[rank::ranks] for rank in range(ranks)]
