"""What the removal steps of a pool have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from instruct_scaling.common.records import Record


@dataclass(frozen=True, slots=True)
class Removal:
    """Why a step removes a record."""

    reason: str
    because_of: str | None = None
    """Id of the record or eval item that it repeats, where there is one."""


class Step(Protocol):
    """Looks at the records that earlier steps kept, one by one, in the order of the sources."""

    name: str
    reasons: tuple[str, ...]
    """Every reason this step may give, so that an audit can also show a zero."""

    def __call__(self, record: Record) -> Removal | None:
        """None keeps the record."""
        ...
