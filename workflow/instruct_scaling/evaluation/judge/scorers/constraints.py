"""What an item's checks ask of an answer, and how far it is kept."""

from __future__ import annotations

from collections.abc import Sequence

from instruct_scaling.common.records import Constraints
from instruct_scaling.evaluation.judge.scorers.canonical import canonical
from instruct_scaling.evaluation.judge.scorers.facts import denies, occurrences, states
from instruct_scaling.evaluation.judge.scorers.matching import has_words, normalize

# What some of the facts, or of the entries of a list, are at best worth: no right answer.
INCOMPLETE = 0.74
# What is left of an answer that states a forbidden fact, or the contrary of a required one.
FORBIDDEN, DENIED = 0.2, 0.3


def facts_kept(checks: Constraints, text: str, references: Sequence[str] = ()) -> float:
    """In [0, 1]: required facts and words stated, forbidden ones not stated.

    Args:
        checks: of the item.
        text: the answer.
        references: right answers; a fact that one of them negates is to be negated.
    """
    reference = references[0] if references else None
    facts = checks.required_facts or []
    kept = _share([states(text, fact, reference) for fact in facts])
    plain = normalize(text)
    included = [
        normalize(word) in plain or canonical(word) in canonical(text)
        for word in checks.must_include or ()
    ]
    value = incomplete(kept) * incomplete(_share(included))
    if any(denies(text, fact, reference) for fact in facts):
        value *= DENIED
    if any(forbidden(text, fact) for fact in checks.forbidden_facts or ()):
        value *= FORBIDDEN
    return value


def incomplete(share: float) -> float:
    """A share, bounded where it is not the whole."""
    return share if share == 1 else min(share, INCOMPLETE)


def forbidden(text: str, fact: Sequence[str]) -> bool:
    """Whether a forbidden fact is stated, that is, not negated."""
    return any(not negated for way in fact for negated in occurrences(way, text))


def bounds_kept(checks: Constraints, text: str) -> float:
    """Product of length and excluded words: value / bound or bound / value where it is missed."""
    characters = len("".join(text.split()))
    excluded = _share([not has_words(text, word) for word in checks.must_exclude or ()])
    return excluded * at_least(characters, checks.min_chars) * at_most(characters, checks.max_chars)


def at_least(value: int, bound: int | None) -> float:
    """1 from the bound on, value / bound below it."""
    return min(1.0, value / bound) if bound else 1.0


def at_most(value: int, bound: int | None) -> float:
    """1 up to the bound, bound / value above it."""
    return 1.0 if bound is None or value <= bound else bound / value


def _share(kept: Sequence[bool]) -> float:
    return sum(kept) / len(kept) if kept else 1.0
