"""What the steps of a pool have in common: what they are given and what they answer."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from instruct_scaling.common.records import Record

BATCH_RECORDS = 256


@dataclass(frozen=True, slots=True)
class Removal:
    """Why a step removes a record."""

    reason: str
    because_of: str | None = None
    """Id of the record or eval item that it repeats, where there is one."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Why a step can do nothing with a record: it then stops the pool or is skipped and counted,
    as `on_error` of its source says."""

    reason: str


Outcome = Record | Removal | Broken


class Step(Protocol):
    """A transform of the stream of records that the steps before it kept, in their order."""

    reasons: tuple[str, ...]
    """Every reason this step may give, so that an audit can also show a zero."""

    def __call__(self, batches: Iterable[Sequence[Record]]) -> Iterator[Sequence[Outcome]]:
        """One outcome for each record, batch by batch in the same order.

        A record may come back with other texts or labels (`dataclasses.replace`); it then gets the
        id of its texts. Batches may be taken ahead of those that are answered.
        """
        ...


class RecordStep(ABC):
    """A step that looks at the records one by one."""

    reasons: tuple[str, ...] = ()

    @abstractmethod
    def apply(self, record: Record) -> Outcome:
        """What becomes of one record."""

    def __call__(self, batches: Iterable[Sequence[Record]]) -> Iterator[list[Outcome]]:
        """As `Step` says."""
        for batch in batches:
            yield [self.apply(record) for record in batch]


@lru_cache(maxsize=2 * BATCH_RECORDS)  # several steps compare the records of a batch
def comparison_key(text: str) -> str:
    """The form in which texts are compared: NFKC, case folded, all white space removed.

    NFKC makes full-width punctuation and digits, as Chinese text has them, equal to their ASCII
    forms.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return "".join(text.casefold().split())
