"""The entries of a list in an answer, and how many of them are right."""

from __future__ import annotations

from collections.abc import Sequence

import regex

from instruct_scaling.common.records import Constraints
from instruct_scaling.evaluation.judge.scorers.canonical import canonical
from instruct_scaling.evaluation.judge.scorers.constraints import at_most, incomplete
from instruct_scaling.evaluation.judge.scorers.matching import tokenize

_MARK = (
    r"(?:[-*•·▪–]|\(?\d{1,3}(?:[.:、）]|\)(?!\w))|[（(]?[一二三四五六七八九十]+[)）、.]"
    r"|第[一二三四五六七八九十\d]+[种个条点]?[,，、:：]?|[①-⑳])"
)
_BULLET = regex.compile(rf"^\s*(?:#+\s*)?(?:\*\*)?{_MARK}\s*")
_INLINE = regex.compile(
    r"(?<=[\s;；,，。.])(?=(?:\(?\d{1,2}[.)、]\s?(?!\d)|第[一二三四五六七八九十]+[,，、]|[①-⑳]))"
)
_CLEAR = regex.compile(r"[;；]")
_SEPARATOR = regex.compile(r"[,，、;；]|\s+(?:and|or)\s+|和|以及|\s+\|\s+")
_JOINED = regex.compile(r"[,，、;；]|\s+and\s+")
# What comes before the first entry of a list in one line.
_LEAD_IN = regex.compile(
    r"^[^,，、;；]*?(?:[:：]|\b(?:are|include|includes|is|would be|like|suggest|recommend)\b:?"
    r"|(?:可以送|可以是|包括|推荐|分别是|就是|例如|比如|如下|有|是))(?=\s*\S)"
)
_END = regex.compile(r"[.。!！?？~]+\s*$")


def listed_items(text: str) -> list[str]:
    """The entries of the list in a text as tokens joined by blanks, in order, repeated ones too.

    Lines that begin with a bullet or number; else the lines, without headings that end in a
    colon; else the parts of the one line, between semicolons or numbers where it has them, or
    commas, "and" and "or".
    """
    found = (" ".join(tokenize(_BULLET.sub("", part))) for part in _parts(text))
    return [entry for entry in found if entry]


def _parts(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.strip()]
    marked = [line for line in lines if _BULLET.match(line)]
    if len(marked) > 1:
        return marked
    if len(lines) > 1:
        body = [line for line in lines if not line.rstrip().endswith((":", "："))]
        if len(body) > 1:
            return body
        lines = body
    line = _END.sub("", lines[0].strip()) if lines else ""
    if len(_CLEAR.findall(line)) > 1:
        return _CLEAR.split(_LEAD_IN.sub("", line, count=1))
    numbered = _INLINE.split(line)
    if len(numbered) > 1:
        return numbered if _BULLET.match(numbered[0]) else numbered[1:] or numbered
    if not _JOINED.search(line):
        return [line]
    line = _LEAD_IN.sub("", line, count=1)
    return _SEPARATOR.split(line)


def list_kept(checks: Constraints, text: str) -> float:
    """In [0, 1]: right entries among those asked for, or among those listed if that is less.

    An entry is right if it is one of `allowed_items` (any entry where these are not given), and
    each counts once. A list without an error has 1, any other at most 0.74; one that repeats
    itself or is too long loses in proportion as well.
    """
    listed = listed_items(text)
    if not listed:
        return 0.0
    entries = list(dict.fromkeys(listed))
    names = checks.allowed_items
    right = set(entries) if names is None else _named(entries, names)
    share = min(1.0, len(right) / len(entries))
    if checks.min_items:
        share = min(share, len(right) / checks.min_items)
    # Where repeated entries are the ones missing, they have their price already.
    few = len(entries) < (checks.min_items or 0)
    fresh = 1.0 if few else len(entries) / len(listed)
    return incomplete(share) * fresh * at_most(len(entries), checks.max_items)


def _named(entries: Sequence[str], names: Sequence[str]) -> set[str]:
    """The names that the entries begin or end with: "Prague, a beautiful old town", "then Rome"."""
    forms = {" ".join(tokenize(canonical(name))): name for name in names}
    found = set()
    for entry in entries:
        tokens = tokenize(canonical(entry))
        here = [
            form
            for form in forms
            if _meets(tokens, form.split()) and not set(tokens) & {"not", "no", "without"}
        ]
        if here:
            found.add(max(here, key=len))
    return found


def _meets(tokens: list[str], name: list[str]) -> bool:
    length = len(name)
    ends = tokens[:length], tokens[-length:]
    return any(
        part == name or [_singular(one) for one in part] == [_singular(one) for one in name]
        for part in ends
    )


def _singular(word: str) -> str:
    return word.removesuffix("s") if len(word) > 3 else word
