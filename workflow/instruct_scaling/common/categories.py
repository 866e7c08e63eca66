"""The twelve use cases of the paper and the names under which public files know them."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

CATEGORIES: tuple[str, ...] = (
    "math",
    "code",
    "cot",
    "classification",
    "extraction",
    "rewrite",
    "open_qa",
    "closed_qa",
    "generation",
    "brainstorming",
    "translation",
    "summarization",
)

ALIASES: dict[str, str] = {
    "extract": "extraction",
    "summarisation": "summarization",
    "summary": "summarization",
    "chain_of_thought": "cot",
    "coding": "code",
    "brainstorm": "brainstorming",
    "rewriting": "rewrite",
    "maths": "math",
}


def canonical_category(name: str, extra: tuple[str, ...] = ()) -> str | None:
    """The category's standard name, or None if it is unknown.

    Case, hyphens and any white space do not count (the public BELLE file writes
    "closed\\u00a0QA").

    Args:
        name: a category as some file writes it.
        extra: categories that the study itself declares.
    """
    written = re.sub(r"[\s\-_]+", "_", name.strip()).lower()
    standard = ALIASES.get(written, written)
    return standard if standard in CATEGORIES or standard in extra else None


def require_category(name: str, extra: tuple[str, ...] = ()) -> str:
    """The category's standard name.

    Raises:
        ValueError: it is unknown; the message names the nearest known one.
    """
    known = canonical_category(name, extra)
    if known is not None:
        return known
    everything = [*CATEGORIES, *(own for own in extra if own not in CATEGORIES)]
    near = difflib.get_close_matches(name.strip().lower(), [*everything, *ALIASES], 1)
    hint = (
        f"did you mean {ALIASES.get(near[0], near[0])!r}?"
        if near
        else f"known are {', '.join(everything)}"
    )
    raise ValueError(f"unknown category {name!r}; {hint}")


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

        White space other than a plain blank, which is invisible, is written as its code.
        """
        return [
            {"source": source, "in_file": _visible(name), "category": known, "entries": count}
            for (name, known), count in sorted(self._renamed.items())
        ]


def _visible(name: str) -> str:
    return re.sub(r"[^\S ]", lambda blank: f"<U+{ord(blank[0]):04X}>", name)
