"""Answers that are lists: a set of items in any order, with those that are missing or too many."""

from __future__ import annotations

import regex

from instruct_scaling.evaluation.judge.scorers.entities import mention_spans
from instruct_scaling.evaluation.judge.scorers.matching import tokenize
from instruct_scaling.evaluation.judge.scorers.negation import compared, denied
from instruct_scaling.evaluation.judge.scorers.overlap import content
from instruct_scaling.evaluation.judge.scorers.reading import corrected, sentences

_AND = (
    r"\s+and\s+|\s*&\s*|以及|(?<!共|饱|温|柔|附|缓|总|随|亲)和(?!平|谐|尚|服|睦|解|蔼|气|弦|约)|"
    r"(?<!参|给|赋)与(?!其|众|会)|及(?!其|时|格)"
)
_SEPARATOR = regex.compile(rf"[;、\n]|,(?!\d{{3}}(?!\d))|{_AND}", regex.IGNORECASE)
_BULLET = regex.compile(
    r"^\s*(?:[-*•·]|\(?\d{1,2}[.):、](?!\d)|[①-⑳]|[a-h][.)])\s*", regex.IGNORECASE
)
_FIELD = regex.compile(r"^[\"'{\[\s]*+(?!\d+:)[\w\p{Han} ]{1,20}[\"']?\s?:\s*(?=\S)")
_LEAD = regex.compile(
    r"^.*?(?::\s*|\b(?:are|is|were|was|include|includes|including|namely)\b\s*:?|包括|分别是|"
    r"分别为|有:|有(?=\p{Han}{2,}[、,])|是(?=[^、]+、)|为(?=[^、]+、))",
    regex.IGNORECASE,
)
_IN_ORDER = regex.compile(
    r"\bin (?:the )?(?:right |correct |ascending |descending |alphabetical |"
    r"chronological )?order\b|\bsort\b|\brank\b|"
    r"排序|从[小大低高早晚]到[大小高低晚早]|按.{1,6}顺序|依次",
    regex.IGNORECASE,
)
_INSIDE_WORD = regex.compile(r"\p{Han}(?<![和与跟及以等了还也是有的又而])")
# What asks, before the passage of a prompt in one line.
_INSTRUCTION = regex.compile(r"^[^\n:\"]*")
_MOST_TOKENS, _MOST_HAN = 5, 8
_INCOMPLETE = 0.75


def parts_of_list(reference: str) -> list[str]:
    """The items of a reference that is a list of short items; one part for any other text."""
    text = (
        _LEAD.sub("", reference, count=1) if ":" in reference and "\n" in reference else reference
    )
    parts = [_item(part) for part in _SEPARATOR.split(text)]
    parts = [part for part in parts if tokenize(part)]
    if (
        "," in text
        and regex.search(r"\p{Han}", text)
        and not regex.search(r"[;、\n]", text)
        and (
            reference.rstrip().endswith("。")
            or max(len(tokenize(part)) for part in parts) > _MOST_TOKENS
        )
    ):
        return [reference]  # clauses of a sentence
    only_and = not regex.search(r"[,;、\n]", text)
    if only_and and regex.search(r"\b(?:of|in|by|that|which|to|from)\b|的", text):
        return [reference]
    if len(parts) < 2 or not all(map(_short, parts)) or regex.search(r"[.。!?]\s*\S", reference):
        return [reference]
    return parts


def _item(part: str) -> str:
    return _FIELD.sub("", _BULLET.sub("", part)).strip(" .。\"'{}[]")


def _short(part: str) -> bool:
    tokens = tokenize(part)
    han = sum(regex.match(r"\p{Han}", token) is not None for token in tokens)
    return len(tokens) - han <= _MOST_TOKENS and han <= _MOST_HAN


def listed(text: str) -> bool:
    """Whether a whole text is a list of several short items, and no sentence."""
    body = text.strip(" .。!\n")
    if sentences(body)[1:] and "\n" not in body:
        return False
    strong = regex.search(rf"、|\n|{_AND}", body, regex.IGNORECASE) is not None
    parts = [_item(part) for part in _SEPARATOR.split(body)]
    parts = [part for part in parts if tokenize(part)]
    if len(parts) < 2 or (not strong and len(parts) < 3):
        return False
    small = [len(tokenize(part)) <= (4 if regex.search(r"\p{Han}", part) else 2) for part in parts]
    return all(small)


def list_score(wanted: list[str], text: str, prompt: str = "") -> float:
    """Jaccard index of the items wanted and the items named; at most 0.75 unless all are there."""
    text = corrected(text)
    if all(regex.fullmatch(r"\p{Han}", item) for item in wanted) and "".join(wanted) in text:
        return 1.0  # 春夏秋冬
    places = [_place(item, text) for item in wanted]
    hits = [place for place in places if place is not None]
    if not hits:
        return 0.0
    extra = _extras(wanted, text, prompt)
    if len(hits) == len(wanted) and not extra:
        if _IN_ORDER.search(prompt) and hits != sorted(hits):
            return 0.25
        return 1.0
    return min(_INCOMPLETE, len(hits) / (len(wanted) + extra))


def _place(item: str, text: str) -> int | None:
    for start, end in mention_spans(item, text):
        if regex.fullmatch(r"\p{Han}", item) and _INSIDE_WORD.match(text, end):
            continue  # 鱼 in 鱼汤
        if not denied(text, start, end) and not compared(text, start):
            return start
    return None


def _extras(wanted: list[str], text: str, prompt: str) -> int:
    """Items of the text's list that are none of those wanted."""
    lines = [line for line in text.split("\n") if tokenize(line)]
    if len(lines) > 1:
        bulleted = [line for line in lines if _BULLET.match(line)]
        body = "\n".join(bulleted or [line for line in lines if not line.rstrip().endswith(":")])
        parts = [_item(line) for line in body.split("\n")]
    else:
        first = next(
            (part for part in sentences(text) if any(mention_spans(w, part) for w in wanted)), text
        )
        body = _LEAD.sub("", first, count=1)
        parts = [_item(part) for part in _SEPARATOR.split(body)]
        ends = [i for i, part in enumerate(parts) if any(mention_spans(w, part) for w in wanted)]
        if not ends:
            return 0
    known = set(content(_INSTRUCTION.match(prompt)[0]))  # type: ignore[index]
    return sum(
        bool(content(part))
        and _short(part)
        and not any(mention_spans(item, part) for item in wanted)
        and not set(content(part)) <= known
        and not regex.search(r"\b(?:not|no)\b|不|没|等$", part)
        for part in parts
    )
