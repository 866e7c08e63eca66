"""The twelve use cases of the paper and the names under which public files know them."""

from __future__ import annotations

import difflib
import re

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
    "summarization": "summarization",
    "summary": "summarization",
    "chain_of_thought": "cot",
    "coding": "code",
    "brainstorm": "brainstorming",
    "rewriting": "rewrite",
    "math": "math",
}


def canonical_category(name: str, extra: tuple[str, ...] = ()) -> str | None:
    """The category's standard name, or None if it is unknown.

    Folds case and any white space (the public BELLE file writes "closed\\u00a0QA").

    Args:
        name: a category as some file writes it.
        extra: categories that the study itself declares.
    """
    folded = re.sub(r"[\s\-_]+", "_", name.strip()).lower()
    folded = ALIASES.get(folded, folded)
    return folded if folded in CATEGORIES or folded in extra else None


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
