"""`dose`: some records several times in every pass, the rest uniform."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.selection import DoseSelection
from instruct_scaling.data.selection.candidates import Candidates
from instruct_scaling.data.selection.chosen import Chosen
from instruct_scaling.data.selection.labels import numbers, values
from instruct_scaling.data.selection.ranking import rank_order


def dose(selection: DoseSelection, candidates: Candidates, scale: int, seed: int) -> Chosen:
    """The dosed records at the places before `from_scale`, the others by keyed hash around them.

    Scales from `from_scale` on hold all of the dosed records, smaller ones none, and each is the
    beginning of every larger one. By default `from_scale` is the number of dosed records.

    Raises:
        InputError: no record is dosed, an id is not among the candidates, or the scale would hold
            a part of the dosed records.
    """
    dosed = _dosed(selection, candidates)
    count = int(dosed.sum())
    first = count if selection.from_scale is None else selection.from_scale
    if first < count:
        raise InputError(
            f"{count} records are dosed, which are more than scale {first} holds",
            where="selection.from_scale",
            fix=f"give at least {count}",
        )
    if first - count < scale < first:
        raise InputError(
            f"scale {scale} would hold only a part of the {count} dosed records",
            where="selection.from_scale" if selection.from_scale else "ladder",
            fix=f"use scales of at least {first}"
            + (f", or of at most {first - count}" if first > count else ""),
        )
    ranked = rank_order(candidates.ids, seed)
    others, chosen = ranked[~dosed[ranked]], ranked[dosed[ranked]]
    before = others[: first - count]
    rows = np.concatenate([before, chosen, others[len(before) :]])[:scale]
    once = Chosen.once(rows)
    return Chosen(
        once.rows, np.where(dosed[rows], selection.times, 1).astype(np.int32), once.phases
    )


def _dosed(selection: DoseSelection, candidates: Candidates) -> np.ndarray:
    """Whether each candidate is dosed, [N] bool."""
    if selection.ids is not None:
        wanted = pa.array(selection.ids, pa.string())
        absent = wanted.filter(pc.invert(pc.is_in(wanted, value_set=candidates.ids)))
        if len(absent):
            raise InputError(
                f"{len(absent)} of {len(wanted)} ids are not in the pool, or are validation "
                f"records; the first is {absent[0]}",
                where="selection.ids",
            )
        return pc.is_in(candidates.ids, value_set=wanted).to_numpy(zero_copy_only=False)
    assert selection.by is not None
    if selection.values is not None:
        strata = values(candidates, selection.by)
        codes = [n for n, name in enumerate(strata.names) if name in selection.values]
        found = np.isin(strata.codes, codes)
        reason = f"no record has {selection.by} in {', '.join(selection.values)}"
    else:
        number = numbers(candidates, selection.by)
        low = -np.inf if selection.at_least is None else selection.at_least
        high = np.inf if selection.at_most is None else selection.at_most
        found = (number >= low) & (number <= high)
        reason = f"no record has {selection.by} within the bounds"
    if not found.any():
        raise InputError(reason, where="selection.by")
    return found
