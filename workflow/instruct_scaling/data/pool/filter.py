"""Removal of records outside bounds on length, language, category and tags."""

from __future__ import annotations

import math

from instruct_scaling.common.records import Record
from instruct_scaling.config.pool_steps import Bounds, Filter
from instruct_scaling.data.pool.steps import RecordStep, Removal


class FilterStep(RecordStep):
    """Removes records outside the bounds; the reason is the config key of the bound.

    Lengths are in characters of the normalized text. A record whose language, category or tag is
    not stated is removed where the config asks for particular ones.

    Args:
        config: the bounds, with categories under their standard names.
    """

    def __init__(self, config: Filter) -> None:
        self._config = config
        self._languages = None if config.languages is None else frozenset(config.languages)
        self._categories = None if config.categories is None else frozenset(config.categories)
        self._tags = {name: frozenset(values) for name, values in config.tags.items()}
        plain = config.model_dump(exclude={"type", "tags", "tag_bounds"}, exclude_none=True)
        self.reasons = (
            *plain,
            *(f"tags.{name}" for name in config.tags),
            *(f"tag_bounds.{name}" for name in config.tag_bounds),
        )

    def apply(self, record: Record) -> Record | Removal:
        """The record, or the first bound that it does not meet."""
        reason = self._length_reason(record) or self._label_reason(record)
        return Removal(reason) if reason else record

    def _length_reason(self, record: Record) -> str | None:
        bounds = self._config
        prompt, output = len(record.prompt), len(record.output)
        if prompt < bounds.min_prompt_chars:
            return "min_prompt_chars"
        if bounds.max_prompt_chars is not None and prompt > bounds.max_prompt_chars:
            return "max_prompt_chars"
        if output < bounds.min_output_chars:
            return "min_output_chars"
        if bounds.max_output_chars is not None and output > bounds.max_output_chars:
            return "max_output_chars"
        return None

    def _label_reason(self, record: Record) -> str | None:
        if self._languages is not None and record.language not in self._languages:
            return "languages"
        if self._categories is not None and record.category not in self._categories:
            return "categories"
        for name, values in self._tags.items():
            if record.tags.get(name) not in values:
                return f"tags.{name}"
        for name, bounds in self._config.tag_bounds.items():
            if not _within(record.tags.get(name), bounds):
                return f"tag_bounds.{name}"
        return None


def _within(text: str | None, bounds: Bounds) -> bool:
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return False
    low = -math.inf if bounds.min is None else bounds.min
    high = math.inf if bounds.max is None else bounds.max
    return low <= number <= high
