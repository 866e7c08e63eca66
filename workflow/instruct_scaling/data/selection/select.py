"""From a selection to the records of one scale under one seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from instruct_scaling.config.selection import Selection
from instruct_scaling.data.selection.by_order import ranked, uniform, weighted
from instruct_scaling.data.selection.by_share import mixture, staged, stratified
from instruct_scaling.data.selection.candidates import Candidates
from instruct_scaling.data.selection.chosen import Chosen
from instruct_scaling.data.selection.dose import dose

Draw = Callable[[Any, Candidates, int, int], Chosen]

KINDS: dict[str, Draw] = {
    "uniform": uniform,
    "stratified": stratified,
    "weighted": weighted,
    "ranked": ranked,
    "mixture": mixture,
    "staged": staged,
    "dose": dose,
}
"""The function of each kind: (selection, candidates, scale, seed) -> chosen records."""


def select(selection: Selection, candidates: Candidates, scale: int, seed: int) -> Chosen:
    """The records of a scale: distinct, the first `scale` of an order that the scale leaves alone.

    Args:
        selection: the arm's selection.
        candidates: the pool without validation records, at least `scale` of them.
        scale: number of distinct records.
        seed: a seed for the purpose "subset".

    Raises:
        InputError: the selection does not go with the pool (see the function of its kind).
    """
    return KINDS[selection.type](selection, candidates, scale, seed)
