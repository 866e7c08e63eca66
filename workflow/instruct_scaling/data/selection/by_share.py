"""`stratified`, `mixture` and `staged`: strata with stated shares of every scale.

Within a stratum records come in the order of the keyed hash. So with stated or equal shares a
record that joins the pool replaces at most one other, of its own stratum; shares in proportion to
the pool, and bands at its quantiles, move with the pool.
"""

from __future__ import annotations

import numpy as np

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.selection import (
    MixtureSelection,
    StagedSelection,
    StratifiedSelection,
)
from instruct_scaling.data.selection.candidates import Candidates
from instruct_scaling.data.selection.chosen import Chosen
from instruct_scaling.data.selection.labels import (
    NOWHERE,
    Strata,
    in_bands,
    refuse_missing,
    values,
)
from instruct_scaling.data.selection.quota import largest_scale, places, whole_weights
from instruct_scaling.data.selection.ranking import rank_order


def stratified(
    selection: StratifiedSelection, candidates: Candidates, scale: int, seed: int
) -> Chosen:
    """Every stratum has its share of the scale, rounded down or up (`quota`).

    Raises:
        InputError: a record has no label, the shares name other strata than the pool has, or a
            stratum runs out.
    """
    strata = _strata(selection, candidates)
    return Chosen.once(_draw(strata, _weights(selection, strata), candidates, scale, seed))


def mixture(selection: MixtureSelection, candidates: Candidates, scale: int, seed: int) -> Chosen:
    """The same for the named values alone; records of other values are never drawn.

    Raises:
        InputError: as `stratified`; a named value is not in the pool.
    """
    found = values(candidates, selection.by)
    refuse_missing(found.codes == NOWHERE, selection.by, selection.on_missing)
    names = sorted(selection.shares)
    _require_names(set(names) - set(found.names), found, selection.by)
    place = np.full(len(found.names) + 1, NOWHERE, np.int32)
    for number, name in enumerate(names):
        place[found.names.index(name)] = number
    strata = Strata(names, place[found.codes])
    weights = whole_weights([selection.shares[name] for name in names])
    return Chosen.once(_draw(strata, weights, candidates, scale, seed))


def staged(selection: StagedSelection, candidates: Candidates, scale: int, seed: int) -> Chosen:
    """The records of `stratified`, each in the phase of its stratum; `mixed`: all in one phase.

    Raises:
        InputError: as `stratified`; the order names other strata than the pool has.
    """
    strata = _strata(selection, candidates)
    rows = _draw(strata, _weights(selection, strata), candidates, scale, seed)
    chosen = Chosen.once(rows)
    if selection.order == "mixed":
        return chosen
    order = selection.order
    if isinstance(order, str):
        order = strata.names if order == "ascending" else strata.names[::-1]
    elif sorted(order) != sorted(strata.names):
        raise InputError(
            f"the order is {', '.join(order)}; {selection.by} has {', '.join(strata.names)}",
            where="selection.order",
            fix="name each of them once",
        )
    phase = np.array([order.index(name) for name in strata.names], np.int32)
    return Chosen(rows, chosen.repeats, phase[strata.codes[rows]])


def _strata(selection: StratifiedSelection | StagedSelection, candidates: Candidates) -> Strata:
    if selection.bands is None and selection.edges is None:
        strata = values(candidates, selection.by)
    else:
        strata = in_bands(candidates, selection.by, selection.bands, selection.edges)
    refuse_missing(strata.codes == NOWHERE, selection.by, selection.on_missing)
    return strata


def _weights(selection: StratifiedSelection | StagedSelection, strata: Strata) -> list[int]:
    """Whole numbers in the ratio of the shares."""
    if selection.shares == "equal":
        return [1] * len(strata.names)
    if selection.shares == "proportional":
        return strata.sizes.tolist()
    assert isinstance(selection.shares, dict)
    _require_names(set(selection.shares) ^ set(strata.names), strata, selection.by)
    return whole_weights([selection.shares[name] for name in strata.names])


def _require_names(odd: set[str], strata: Strata, by: str) -> None:
    if odd:
        name = min(odd)
        raise InputError(
            f"{by} has the values {', '.join(strata.names)}; {name!r} is only in "
            f"{'the pool' if name in strata.names else 'the shares'}",
            where="selection.shares",
            fix="name the values as the pool has them",
        )


def _draw(
    strata: Strata, weights: list[int], candidates: Candidates, scale: int, seed: int
) -> np.ndarray:
    """Rows [scale] of the candidates, in the order in which the strata take their places."""
    order = places(weights, scale)
    wanted = np.bincount(order, minlength=len(weights))
    if (wanted > strata.sizes).any():
        raise _runs_out(strata, weights, wanted, largest_scale(order, strata.sizes))
    ranked = rank_order(candidates.ids, seed)
    codes = strata.codes[ranked]
    rows = np.empty(scale, np.int64)
    for number, count in enumerate(wanted):
        rows[order == number] = ranked[codes == number][:count]
    return rows


def _runs_out(strata: Strata, weights: list[int], wanted: np.ndarray, largest: int) -> InputError:
    short = [
        f"{name} has {size} records, and its share ({weight / sum(weights):.3g}) of scale "
        f"{wanted.sum()} is {need}"
        for name, size, weight, need in zip(
            strata.names, strata.sizes, weights, wanted, strict=True
        )
        if need > size
    ]
    return InputError(
        "; ".join(short),
        where="selection.shares",
        fix=f"the largest possible scale is {largest}; lower the ladder's largest scale, or change "
        "the shares",
    )
