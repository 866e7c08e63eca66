"""`uniform`, `weighted` and `ranked`: the first records in one order of the pool, that of the keyed
hash or of a number of each record."""

from __future__ import annotations

import numpy as np

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.selection import RankedSelection, UniformSelection, WeightedSelection
from instruct_scaling.data.selection.candidates import Candidates
from instruct_scaling.data.selection.chosen import Chosen, require
from instruct_scaling.data.selection.labels import numbers, refuse_missing, values
from instruct_scaling.data.selection.ranking import rank_keys, rank_order


def uniform(selection: UniformSelection, candidates: Candidates, scale: int, seed: int) -> Chosen:
    """The `scale` records that rank first under the seed."""
    return Chosen.once(rank_order(candidates.ids, seed)[:scale])


def weighted(selection: WeightedSelection, candidates: Candidates, scale: int, seed: int) -> Chosen:
    """The `scale` records with the smallest keys -ln(u) / w, u from the keyed hash.

    The first one is drawn with a chance in proportion to its weight w, the next among the others
    likewise, and so on (Efraimidis and Spirakis, Information Processing Letters 97, 2006). Equal
    weights give the uniform subset.

    Raises:
        InputError: a weight is missing or negative, or too few records have one above 0.
    """
    weights = _weights(selection, candidates)
    refuse_missing(np.isnan(weights), selection.by, selection.on_missing)
    if (weights < 0).any():
        raise InputError(
            f"{int((weights < 0).sum())} records have a weight below 0 (by {selection.by})",
            where="selection.by",
        )
    usable = weights > 0
    require(scale, int(usable.sum()), f"with a weight above 0 by {selection.by}")
    high, low = rank_keys(candidates.ids, seed)
    share = (high.astype(np.float64) + 0.5) / 2.0**64  # 1 - u: small keys keep all their digits
    keys = np.full(len(candidates), np.inf)
    np.divide(-np.log1p(-np.minimum(share, 1 - 2.0**-53)), weights, out=keys, where=usable)
    return Chosen.once(np.lexsort((low, high, keys))[:scale])


def _weights(selection: WeightedSelection, candidates: Candidates) -> np.ndarray:
    """Weight of each record, [N]; NaN where it has no label."""
    if selection.weights is None:
        return numbers(candidates, selection.by)
    strata = values(candidates, selection.by)
    unknown = sorted(set(strata.names) ^ set(selection.weights))
    if unknown:
        raise InputError(
            f"{selection.by} has the values {', '.join(strata.names)}; {unknown[0]!r} is only in "
            f"{'the pool' if unknown[0] in strata.names else 'the weights'}",
            where="selection.weights",
            fix="give every value of the pool a weight, and no other",
        )
    table = [selection.weights[name] for name in strata.names]
    return np.array([*table, np.nan])[strata.codes]


def ranked(selection: RankedSelection, candidates: Candidates, scale: int, seed: int) -> Chosen:
    """The `scale` records with the largest (or smallest) numbers; equal ones by keyed hash.

    Raises:
        InputError: the label is no number, or too few records have it.
    """
    found = numbers(candidates, selection.by)
    refuse_missing(np.isnan(found), selection.by, selection.on_missing)
    known = np.flatnonzero(~np.isnan(found))
    require(scale, len(known), f"with {selection.by}")
    high, low = rank_keys(candidates.ids, seed)
    upwards = found if selection.order == "ascending" else -found
    return Chosen.once(known[np.lexsort((low[known], high[known], upwards[known]))[:scale]])
