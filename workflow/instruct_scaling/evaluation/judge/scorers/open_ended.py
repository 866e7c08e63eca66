"""Generation and brainstorming: what can be checked of them without a reader."""

from __future__ import annotations

import math
from collections.abc import Callable

import regex

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.judgements import Outcome, scored
from instruct_scaling.evaluation.judge.scorers.matching import has_words, normalize, tokenize

NGRAM = 3
# 95% of the answers in a public instruction set (alpaca_zh and alpaca_en) lie above this share.
USUAL_DISTINCT_SHARE = 0.8
# Half of the letters: names and terms in another script are common in good answers.
USUAL_SCRIPT_SHARE = 0.5
# Expected of an answer whose item has no checks: a sentence or two.
USUAL_TOKENS = 16

_LETTER = regex.compile(r"\p{L}")
_HAN = regex.compile(r"\p{Script=Han}")
_SCRIPTS = {
    "zh": r"\p{Script=Han}",
    "ja": r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]",
    "ko": r"[\p{Script=Hangul}\p{Script=Han}]",
    "ru": r"\p{Script=Cyrillic}",
    "ar": r"\p{Script=Arabic}",
} | dict.fromkeys(("en", "de", "es", "fr", "it", "pt"), r"\p{Script=Latin}")
_BULLET = regex.compile(r"^\s*(?:[-*•·]|\(?\d{1,3}[.):、）]|[一二三四五六七八九十]+[、.])\s*")
_SEPARATOR = regex.compile(r"[,，、;；]|\s+(?:and|or)\s+|和|以及")


def open_ended(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """`constraints_kept` x `fluency`; the reason names both factors."""
    if not tokenize(response):
        return scored(0.0, "no words")
    kept = constraints_kept(checks, response)
    smooth = fluency(response, item.language or guess_language(item.full_prompt))
    return scored(kept * smooth, f"constraints {kept:.3f}, fluency {smooth:.3f}")


def fluency_only(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """`fluency` alone, whatever the item asks for."""
    if not tokenize(response):
        return scored(0.0, "no words")
    return scored(fluency(response, item.language or guess_language(item.full_prompt)))


def fluency(text: str, language: str | None) -> float:
    """Repetition factor x script factor, in [0, 1].

    Repetition: the share of distinct token 3-grams (distinct-n of Li et al., 2016) over 0.8, at
    most 1. Script: the share of letters in the language's script over 0.5, at most 1; 1 for a
    language whose script is not known here.
    """
    tokens = tokenize(text)
    grams = [tuple(tokens[i : i + NGRAM]) for i in range(max(1, len(tokens) - NGRAM + 1))]
    distinct = min(1.0, len(set(grams)) / len(grams) / USUAL_DISTINCT_SHARE)
    script = _SCRIPTS.get(language or "")
    letters = len(_LETTER.findall(text))
    if script is None or letters == 0:
        return distinct
    return distinct * min(1.0, len(regex.findall(script, text)) / letters / USUAL_SCRIPT_SHARE)


def constraints_kept(checks: Constraints, text: str) -> float:
    """Product over the constraints that the item has of how far each is kept, in [0, 1].

    A product, so that a text of the right length about something else is worth nothing. An item
    without constraints asks for a usual length of 16 tokens.
    """
    normalized = normalize(text)
    items = listed_items(text)
    characters = len("".join(text.split()))
    measures: list[tuple[object, Callable[[], float]]] = [
        (
            checks.must_include,
            lambda: _share(checks.must_include, lambda x: normalize(x) in normalized),
        ),
        (
            checks.must_exclude,
            lambda: _share(checks.must_exclude, lambda x: not has_words(text, x)),
        ),
        (checks.allowed_items, lambda: _allowed_share(items, checks.allowed_items or [])),
        (checks.min_items, lambda: _at_least(len(items), checks.min_items)),
        (checks.max_items, lambda: _at_most(len(items), checks.max_items)),
        (checks.min_chars, lambda: _at_least(characters, checks.min_chars)),
        (checks.max_chars, lambda: _at_most(characters, checks.max_chars)),
    ]
    shares = [measure() for wanted, measure in measures if wanted is not None]
    if not shares:
        return _at_least(len(tokenize(text)), USUAL_TOKENS)
    return math.prod(shares)


def listed_items(text: str) -> list[str]:
    """The distinct entries of the list in a text, normalized, in order.

    Lines where there are several (after a heading that ends in a colon), else the parts between
    commas, semicolons, "and" and "or" of the one line.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1:
        parts = [line for line in lines if not line.rstrip().endswith((":", "："))]
    else:
        parts = _SEPARATOR.split(regex.split(r"[:：]", text)[-1])
    found = (" ".join(tokenize(_BULLET.sub("", part))) for part in parts)
    return list(dict.fromkeys(entry for entry in found if entry))


def guess_language(prompt: str) -> str:
    """ "zh" for a prompt with any Chinese character, else "en"."""
    return "zh" if _HAN.search(prompt) else "en"


def _share(wanted: list[str] | None, kept: Callable[[str], bool]) -> float:
    entries = wanted or []
    return sum(map(kept, entries)) / len(entries) if entries else 1.0


def _allowed_share(items: list[str], allowed: list[str]) -> float:
    names = {" ".join(tokenize(name)) for name in allowed}
    return sum(item in names for item in items) / len(items) if items else 0.0


def _at_least(value: int, bound: int | None) -> float:
    return min(1.0, value / bound) if bound else 1.0


def _at_most(value: int, bound: int | None) -> float:
    if bound is None or value <= bound:
        return 1.0
    return bound / value
