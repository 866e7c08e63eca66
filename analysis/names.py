"""How categories and numbers of records are written for readers."""

from __future__ import annotations

_SPECIAL_NAMES = {"cot": "CoT", "open_qa": "Open QA", "closed_qa": "Closed QA"}


def category_name(category: str) -> str:
    """The label of a category: `open_qa` reads "Open QA"."""
    plain = category.replace("_", " ")
    return _SPECIAL_NAMES.get(category, plain[:1].upper() + plain[1:])


def records(scale: float) -> str:
    """A number of records with thousands separated: 200,000."""
    return f"{int(scale):,}"


def score(value: float) -> str:
    """A score, gain or margin as short text: .04 reads 0.04, .0349 reads 0.035."""
    return f"{value:.2g}" if abs(value) < 0.1 else f"{value:.2f}"
