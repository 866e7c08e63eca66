"""Bounds on length, language and category."""

from __future__ import annotations

from instruct_scaling.common.records import Record
from instruct_scaling.config.pools import Filters
from instruct_scaling.data.pool.steps import Removal


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
        bounds = filters.model_dump(exclude_none=True)
        self.reasons = tuple(bounds)

    def __call__(self, record: Record) -> Removal | None:
        reason = self._reason(record)
        return Removal(reason) if reason else None

    def _reason(self, record: Record) -> str | None:
        bounds = self._filters
        if len(record.instruction) < bounds.min_instruction_chars:
            return "min_instruction_chars"
        longest = bounds.max_instruction_chars
        if longest is not None and len(record.instruction) + len(record.input) > longest:
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
