"""Rewritings whose point is a small change: corrected errors, another voice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import regex

from instruct_scaling.evaluation.judge.scorers.canonical import canonical
from instruct_scaling.evaluation.judge.scorers.matching import tokenize

# Of the edits, those that may be missing: there is more than one way to correct a sentence.
MAY_MISS = 0.15

_CORRECTION = regex.compile(
    r"\b(?:correct|fix|proofread)\b|\b(?:grammar|grammatical|spelling|typos?"
    r"|punctuation) (?:error|mistake)"
    r"|病句|错别字|语病|改错|改正|纠正|更正",
    regex.IGNORECASE,
)
_VOICE_ASKED = regex.compile(
    r"\b(?:active|passive)\b|主动|被动"
    r"|[“\"'‘「]?[把被][”\"'’」]?字?句",
    regex.I,
)
_AGENT = regex.compile(r"\bby\b|被")


def asks_for_correction(prompt: str) -> bool:
    """Whether a prompt asks for errors to be corrected."""
    return _CORRECTION.search(prompt) is not None


def corrections_made(given: str, reference: str, answer: str) -> float:
    """Share of the reference's edits that an answer makes, in [0, 1], 1 from 85% on.

    An edit is a token of the given text that the reference has no longer, or one that it has
    instead. What else an answer changes costs nothing here.
    """
    before, after, made = (Counter(_literal(text)) for text in (given, reference, answer))
    gone, new = before - after, after - before
    edits = gone.total() + new.total()
    if not edits:
        return 1.0
    kept = gone & (made - (before & after))
    missing = new - (made - (before & after))
    return min(1.0, (1 - (kept.total() + missing.total()) / edits) / (1 - MAY_MISS))


def voice_kept(prompt: str, references: Sequence[str], answer: str) -> bool:
    """Whether another voice was asked for and the answer names its agent as no reference does."""
    if not _VOICE_ASKED.search(prompt) or any(
        _AGENT.search(text.casefold()) for text in references
    ):
        return False
    return _AGENT.search(answer.casefold()) is not None


def _literal(text: str) -> list[str]:
    return tokenize(canonical(text))
