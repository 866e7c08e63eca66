"""What a selection gives back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
