"""`uniform`: the first records in the order of the keyed hash."""

from __future__ import annotations

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.selection import UniformSelection
from instruct_scaling.data.selection.candidates import Candidates
from instruct_scaling.data.selection.chosen import Chosen
from instruct_scaling.data.selection.ranking import rank_order


def uniform(selection: UniformSelection, candidates: Candidates, scale: int, seed: int) -> Chosen:
    """The `scale` records that rank first under the seed."""
    return Chosen.once(rank_order(candidates.ids, seed)[:scale])


def require(scale: int, usable: int, what: str) -> None:
    """Refuse a scale for which a selection has too few records.

    Raises:
        InputError: naming both numbers; `usable` is the largest possible scale.
    """
    if scale > usable:
        raise InputError(
            f"scale {scale} is larger than the {usable} records {what}",
            where="ladder",
            fix=f"the largest possible scale is {usable}; lower the ladder's largest scale, or add "
            "sources to the pool",
        )
