"""What a selection gives back, and the refusal of a scale for which it has too few records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instruct_scaling.common.errors import InputError


@dataclass(frozen=True)
class Chosen:
    """The distinct records of one scale, in rank order.

    `rows` [n] int64: positions among the candidates; `repeats` [n] int32: how often a pass holds
    each; `phases` [n] int32: the phase in which it is trained, from 0.
    """

    rows: np.ndarray
    repeats: np.ndarray
    phases: np.ndarray

    @classmethod
    def once(cls, rows: np.ndarray) -> Chosen:
        """Records that a pass holds once, all in one phase."""
        count = len(rows)
        return cls(rows.astype(np.int64), np.ones(count, np.int32), np.zeros(count, np.int32))


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
