"""Which label of a set a response chooses: named, denied, doubtful, as a letter or in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import regex

from instruct_scaling.evaluation.judge.scorers.matching import CJK, normalize
from instruct_scaling.evaluation.judge.scorers.negation import (
    denied,
    one_of_several,
    slashed,
)
from instruct_scaling.evaluation.judge.scorers.numerals import numerals
from instruct_scaling.evaluation.judge.scorers.polarity import is_polar, polarity_of
from instruct_scaling.evaluation.judge.scorers.reading import (
    boxed,
    conclusion,
    corrected,
    marked,
    plain,
    sentences,
    without_questions,
    without_reasons,
)

_WORD = rf"[\p{{L}}\p{{N}}--[{CJK}]]"
_IS_WORD = regex.compile(_WORD, flags=regex.VERSION1)
_OPTION = regex.compile(
    r"(?:^|[\n\s,;(])\(?([A-H])\s?[.):、]\s*([^\n]+?)(?=[\s,;]+\(?[A-H]\s?[.):、]|\n|$)"
)
_LABEL_MARK = regex.compile(
    r"(?:\b(?:label|category|class|sentiment|classification|tone|topic|type|option|choice|verdict)|"
    r"类别|分类|情感|标签|选项|判断|结论|类型)\s?(?:\bis\b|[:是为])\s*|"
    r"(?<!不)(?:应该?|应当|故|答案)?选(?:择|项)?\s?(?:的是)?[:是]?\s*(?=[\(\"]?[A-H](?![A-Za-z]))",
    regex.IGNORECASE,
)
_IDIOMS = regex.compile(r"事实上|实际上|in fact\b|of course\b|正面临", regex.IGNORECASE)
_OVERALL = regex.compile(
    r"\b(?:overall|however|in total|in conclusion|on balance|but)\b|总的来说|总体|整体|综合|"
    r"但是?|不过|然而",
    regex.IGNORECASE,
)
# "A carrot is no fruit" has no label A; "A is wrong" has.
_OUT_OF = regex.compile(r"(?<=\d)\s?(?:/|out of)\s?\d+", regex.IGNORECASE)
_ARTICLE = regex.compile(
    r"\s(?!(?:is|was|and|or|are|because|since|as|but|not|seems|would|has|isn't|can't)\b)[a-z]"
)
_PRONOUN = regex.compile(r"(?:\s[a-z]|')")


@dataclass(frozen=True, slots=True)
class Mention:
    """A label at a place of a text."""

    label: str
    start: int
    end: int


def one_form(label: str) -> str:
    """Normalized, simplified, with single spaces for blanks, hyphens and underscores."""
    return " ".join(normalize(plain(label)).replace("_", " ").replace("-", " ").split())


def options(question: str) -> dict[str, str]:
    """The texts of the options A to H that a question lists, by letter."""
    return {letter: text.strip() for letter, text in _OPTION.findall(plain(question))}


def named_label(labels: Sequence[str], response: str, question: str = "") -> tuple[str | None, str]:
    """The label of `labels` that a response chooses, in `one_form`, and why; None where it
    chooses none, or several.

    Args:
        labels: all allowed labels.
        question: the prompt; its options may be named by their texts.
    """
    forms = list(dict.fromkeys(one_form(label) for label in labels))
    text = plain(response)
    if all(form.isdigit() for form in forms):
        text = _OUT_OF.sub("", numerals(text))
    text = _IDIOMS.sub(lambda m: "\0" * len(m[0]), text)
    polar = {is_polar(form): form for form in forms}
    if {"yes", "no"} == set(polar):
        if not {"yes", "是"} & set(forms):
            chosen, reason = _choose(forms, text)
            if chosen is not None:
                return chosen, reason
        return _polar(polar, text, question)
    later = corrected(text)
    if mentions(forms, later):
        text = later
    elif not mentions(forms, text):
        return _by_option(forms, text, question)
    return _choose(forms, text)


def _polar(polar: dict[str | None, str], text: str, question: str) -> tuple[str | None, str]:
    text = without_questions(text)
    stated = marked(text)
    said = polarity_of(stated or text, question)
    if said is None and stated:
        said = polarity_of(text, question)
    if said is None and conclusion(text):
        said = polarity_of(conclusion(text) or "", question)
    return (polar[said], "yes or no") if said else (None, "neither yes nor no")


def _by_option(forms: list[str], text: str, question: str) -> tuple[str | None, str]:
    """The letter whose option text the response names."""
    texts = {one_form(words): one_form(letter) for letter, words in options(question).items()}
    texts = {words: letter for words, letter in texts.items() if letter in forms}
    if not texts:
        return None, "0 labels named"
    words, reason = _choose(list(texts), text)
    return (texts[words], "by its text") if words else (None, reason)


def _choose(forms: list[str], text: str) -> tuple[str | None, str]:
    for part, whole in _parts(text):
        affirmed, refused, doubtful = _stances(forms, part)
        if len(affirmed) == 1 and not (doubtful - affirmed):
            return affirmed.pop(), "named"
        if whole and len(affirmed | doubtful) > 1:
            return None, f"{len(affirmed | doubtful)} labels named"
        if not affirmed and not doubtful and refused and len(forms) == 2:
            left = [form for form in forms if form not in refused]
            return (left[0], "the other is denied") if left else (None, "both denied")
    return None, "0 labels affirmed"


def _parts(text: str) -> list[tuple[str, bool]]:
    """Parts of a text from the most to the least telling; True where two labels settle it."""
    parts: list[tuple[str, bool]] = []
    shown = boxed(text)
    if shown:
        parts.append((shown, True))
    stated = marked(text)
    if stated:
        parts.append((sentences(stated)[0] if sentences(stated) else stated, True))
    ends = [match.end() for match in _LABEL_MARK.finditer(text)]
    if ends and text[ends[-1] :].strip():
        parts.append((sentences(text[ends[-1] :].strip())[0], True))
    split = sentences(text)
    if split and regex.match(r"[\"'(\[]*\S{1,24}?[\"')\]]*(?:$|[.,:;。!\n]|\s-\s)", split[0]):
        head = regex.split(r"(?<=\w)[\"')\]]*(?:[.:。!]|,\s(?![^,]*\bor\b)|\s-\s)", split[0])[0]
        if len(head) < len(split[0]) or len(split) > 1:
            parts.append((split[0], False))
    concluded = conclusion(text)
    if concluded:
        parts.append((concluded, False))
    parts.append((without_reasons(text), False))
    if len(split) > 1:
        parts.append((split[-1] if _OVERALL.search(split[-1]) else split[0], False))
    parts.append((text, True))
    return parts


def _stances(forms: list[str], part: str) -> tuple[set[str], set[str], set[str]]:
    """The labels that a part affirms, denies, and names as one of several."""
    affirmed: set[str] = set()
    refused: set[str] = set()
    doubtful: set[str] = set()
    found = mentions(forms, part)
    for mention in found:
        start, end = mention.start, mention.end
        if _denied(part, start, end, found):
            refused.add(mention.label)
        elif one_of_several(part, start, end) or slashed(part, start, end):
            doubtful.add(mention.label)
        else:
            affirmed.add(mention.label)
    return affirmed, refused - affirmed, doubtful


def _denied(part: str, start: int, end: int, found: list[Mention]) -> bool:
    if part[max(0, start - 4) : start].casefold() in ("non-", "non "):
        return True
    after = end
    for other in found:  # "A, C and D are not": what follows D holds for A too
        gap = part[after : other.start]
        if other.start >= after and regex.fullmatch(r"[\s,、]*(?:and|or|和|与|及|或)?\s*", gap):
            after = other.end
    if denied(part, start, after):
        return True
    return regex.match(r"\W{0,2}(?:等)?无关", part[after:]) is not None


def mentions(forms: Sequence[str], text: str) -> list[Mention]:
    """Where the labels occur, in order.

    A longer label hides the shorter ones inside it ("not spam" is no mention of "spam"). Where a
    label begins or ends in an alphabetic script, a whole word must begin or end there. Letters
    count as capitals, or alone; the article "A" is no label.
    """
    found: list[Mention] = []
    for form in sorted(forms, key=lambda form: (-len(form), form)):
        for match in _pattern(form, text).finditer(text):
            start, end = match.span()
            taken = any(start < one.end and one.start < end for one in found)
            if not taken and not _is_word_here(form, text, end):
                found.append(Mention(form, start, end))
    return sorted(found, key=lambda one: one.start)


def _pattern(form: str, text: str) -> regex.Pattern[str]:
    letter = len(form) == 1 and form.isascii() and form.isalpha()
    alone = letter and regex.fullmatch(r"\W*\w\W*", text) is not None
    if letter and not alone:
        return regex.compile(
            rf"(?<![A-Za-z0-9'_.+#]){regex.escape(form.upper())}(?![A-Za-z0-9_'+#]|\.\w)"
        )
    left = rf"(?<!{_WORD})" if form and _IS_WORD.match(form[0]) else ""
    right = rf"(?!{_WORD}|[+#])" if form and _IS_WORD.match(form[-1]) else ""
    words = r"[\s_-]+".join(regex.escape(word) for word in form.split())
    return regex.compile(left + words + right, flags=regex.VERSION1 | regex.IGNORECASE)


def _is_word_here(form: str, text: str, end: int) -> bool:
    if form == "a":
        return _ARTICLE.match(text, end) is not None
    return form == "i" and _PRONOUN.match(text, end) is not None
