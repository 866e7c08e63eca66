"""What the removal steps of a pool have in common, and the first of them: the filters."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from instruct_scaling.common.records import Record
from instruct_scaling.config.pools import Filters


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


@lru_cache(maxsize=4)  # the steps compare the same record one after the other
def comparison_key(text: str) -> str:
    """The form in which texts are compared: NFKC, case folded, all white space removed.

    NFKC makes full-width punctuation and digits, as Chinese text has them, equal to their ASCII
    forms.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return "".join(text.casefold().split())


class FilterStep:
    """Removes records outside the bounds; the reason is the config key of the bound.

    Lengths are in characters of the normalized text. A record whose language or category is
    not stated is removed where the config asks for particular ones.

    Args:
        filters: the bounds, with categories under their standard names.
    """

    name = "filters"

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._languages = None if filters.languages is None else frozenset(filters.languages)
        self._categories = None if filters.categories is None else frozenset(filters.categories)
        self.reasons = tuple(filters.model_dump(exclude_none=True))

    def __call__(self, record: Record) -> Removal | None:
        reason = self._reason(record)
        return Removal(reason) if reason else None

    def _reason(self, record: Record) -> str | None:
        bounds = self._filters
        if len(record.prompt) < bounds.min_instruction_chars:
            return "min_instruction_chars"
        longest = bounds.max_instruction_chars
        if longest is not None and len(record.prompt) > longest:
            return "max_instruction_chars"
        if len(record.output) < bounds.min_output_chars:
            return "min_output_chars"
        if bounds.max_output_chars is not None and len(record.output) > bounds.max_output_chars:
            return "max_output_chars"
        if self._languages is not None and record.language not in self._languages:
            return "languages"
        if self._categories is not None and record.category not in self._categories:
            return "categories"
        return None
