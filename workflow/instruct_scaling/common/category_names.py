"""From the categories that a file names to the study's own, with a note of what was renamed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from instruct_scaling.common.categories import require_category


class CategoryNames:
    """Gives each category of one file its standard name.

    Args:
        mapping: the config's `category_names`, which go before everything else.
        declared: categories that are known besides the standard ones.
    """

    def __init__(self, mapping: Mapping[str, str], declared: tuple[str, ...]) -> None:
        self._mapping = mapping
        self._declared = declared
        self._renamed: Counter[tuple[str, str]] = Counter()

    def standard(self, name: str) -> str:
        """The standard name of a category.

        Raises:
            ValueError: it is unknown; the message names the nearest known one.
        """
        known = require_category(self._mapping.get(name, name), self._declared)
        if known != name:
            self._renamed[name, known] += 1
        return known

    def renamed(self, source: str) -> list[dict[str, Any]]:
        """`{source, in_file, category, entries}` of every name that was not the standard one.

        White space other than a plain blank, which nobody would see, is written as its code.
        """
        return [
            {"source": source, "in_file": _visible(name), "category": known, "entries": count}
            for (name, known), count in sorted(self._renamed.items())
        ]


def _visible(name: str) -> str:
    return re.sub(r"[^\S ]", lambda blank: f"<U+{ord(blank[0]):04X}>", name)
