"""Answers of several parts: fields of JSON, (1) and (2), "A: x; B: y", a day with a time of day.

Each part is looked for where the response speaks of it, so that right values at the wrong names
("14 chickens and 9 rabbits" for 9 and 14) score nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import regex

from instruct_scaling.evaluation.judge.scorers.dates import dates, times, weekdays
from instruct_scaling.evaluation.judge.scorers.entities import mention_spans
from instruct_scaling.evaluation.judge.scorers.final_number import final_quantity
from instruct_scaling.evaluation.judge.scorers.matching import tokenize
from instruct_scaling.evaluation.judge.scorers.numerals import numerals
from instruct_scaling.evaluation.judge.scorers.overlap import content
from instruct_scaling.evaluation.judge.scorers.polarity import is_polar
from instruct_scaling.evaluation.judge.scorers.quantities import quantities, same_quantity
from instruct_scaling.evaluation.judge.scorers.units import UNITS

Compare = Callable[[str, str, str], float]

_NUMBERED = regex.compile(r"(?:^|(?<=[\s;,.。:]))\(?([1-9]|[a-d])[).、:](?!\d)\s*")
_FIELD = regex.compile(
    r'"(?P<key>[^"\n]{1,40})"\s*:\s*(?:"(?P<text>[^"\n]*)"|(?P<other>\[[^\]]*\]|[^\s,}\["]+))'
)
_NAMED = regex.compile(r"^(?P<name>[^:\d][^:]{0,30}?)\s*:\s*(?P<value>\S.*)$")
# "perimeter 26 cm", 鸡9只, "x = 3"
_MEASURED = regex.compile(
    r"^(?P<name>\p{Han}{1,6}|[A-Za-z][A-Za-z ]{0,24}?)\s*(?:=|:|\bis\b|\bare\b|[为是有])?\s*"
    r"(?P<value>[-$¥€£]?\d\S*(?:\s\S+)?)$"
)
# "5 apples", 9只鸡
_COUNTED = regex.compile(
    r"^(?P<value>\d+(?:\.\d+)?)\s?(?:[只个条头匹名位张本件]\s?)?(?P<name>[A-Za-z]{3,}|\p{Han}{1,4})"
)
_AND = regex.compile(r"\s+and\s+|[和与](?=\d)")
# "(x, y) = (6, 4)" gives each its own.
_TUPLE = regex.compile(r"\(\s*([a-z])\s*,\s*([a-z])\s*\)\s*=\s*\(\s*([^,()]+),\s*([^,()]+)\)")
_NEXT_DAY = regex.compile(
    r"次日|第二天|翌日|隔天|\b(?:on )?(?:the )?(?:next|following) day(?: at)?\b,?|\btomorrow\b,?",
    regex.IGNORECASE,
)
_QUESTION = regex.compile(r"[^?？.。!;:\n]+[?？]")
_CLAUSE = regex.compile(r",(?!\d{3}(?!\d))|[;。\n]|(?<=[.!?])\s|\bbut\b|\band\b")
_LABELED = regex.compile(r"^\W*[^:\n]{1,30}:\s*(\S[^\n]*)$", regex.MULTILINE)
_BETWEEN = regex.compile(r"^(?:\W|\bat\b|\bon\b|\bof\b|的)*$", regex.IGNORECASE)
_ON_DAY = regex.compile(r"\W*(?:on |at )*(?P<day>周[一二三四五六日]|[A-Z][a-z]+day)\W*(?:at)?\W*")
_MOST_PARTS = 8
_INCOMPLETE = 0.75
_NOTHING = frozenset(["null", "none", "n/a", "", "[]", "unknown"])


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a reference: its value, and what a response may call it.

    `mark` is a number or letter such as (1) or (b), `field` says that `name` is a key of JSON.
    """

    value: str
    name: str = ""
    mark: str = ""
    field: bool = False


def parts_of(reference: str) -> list[Part]:
    """The parts of a plain reference that is made of several; [] for any other."""
    for read in (_fields_of, _numbered_parts, _named_parts, _mixed_parts, _day_and_time):
        parts = read(reference)
        if parts:
            return parts
    return []


def compound_score(parts: Sequence[Part], text: str, prompt: str, compare: Compare) -> float:
    """The share of the parts that are right, at most 0.75 unless all are.

    Args:
        prompt: the item's; where it asks as many questions as there are parts, each part answers
            its own.
        compare: score of a value in a passage as the answer to a question, all plain.
    """
    text = _TUPLE.sub(r"\1 = \3, \2 = \4", text)
    asked = [question.strip() for question in _QUESTION.findall(prompt)]
    if len(asked) == len(parts) > 1 and not any(part.name or part.mark for part in parts):
        scores = [
            compare(part.value, _on_question(question, asked, text), question)
            for part, question in zip(parts, asked, strict=True)
        ]
    else:
        scores = [
            _score(part, parts, text, lambda value, passage: compare(value, passage, prompt))
            for part in parts
        ]
    share = sum(scores) / len(scores)
    return share if share == 1 else min(_INCOMPLETE, share)


def _on_question(question: str, asked: Sequence[str], text: str) -> str:
    """The clauses that share more words with a question than with the others, else the text."""
    own = set(content(question))
    others = [set(content(other)) for other in asked if other != question]
    found = []
    for clause in _CLAUSE.split(text):
        words = set(content(clause))
        rival = max(len(words & other) for other in others)
        if len(words & own) > rival or (len(words & own) == rival and not rival and words):
            found.append(clause)
    return ", ".join(found) if found else text


def fields(text: str) -> list[tuple[str, str]]:
    """Keys and values of the JSON in a text, of one that is cut off too."""
    return [
        (found["key"], found["text"] if found["text"] is not None else found["other"])
        for found in _FIELD.finditer(text)
    ]


def _fields_of(reference: str) -> list[Part]:
    if not reference.lstrip().startswith("{"):
        return []
    try:
        loaded = json.loads(reference)
    except ValueError:
        return []
    if not isinstance(loaded, dict) or any(isinstance(v, dict) for v in loaded.values()):
        return []
    return [Part(_written(value), key, field=True) for key, value in loaded.items()]


def _written(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return "null" if value is None else str(value)


def _numbered_parts(reference: str) -> list[Part]:
    found = list(_NUMBERED.finditer(reference))
    marks = "".join(match[1] for match in found)
    if len(found) < 2 or not (marks.startswith("12") or marks.startswith("ab")):
        return []
    if reference[: found[0].start()].strip():
        return []
    ends = [match.start() for match in found[1:]] + [len(reference)]
    return [
        Part(reference[match.end() : end].strip(" ,;.。\n"), mark=match[1])
        for match, end in zip(found, ends, strict=True)
    ]


def _named_parts(reference: str) -> list[Part]:
    """ "A: x; B: y", "perimeter 26 cm, area 36 cm²"."""
    if dates(numerals(reference)):
        return []
    reference = _AND.sub(", ", reference) if _COUNTED.match(reference) else reference
    split = r"[;\n]|,(?!\d{3}(?!\d))" if not regex.search(r"[;\n]", reference) else r"[;\n]"
    pieces = [piece.strip(" .。") for piece in regex.split(split, reference) if piece.strip()]
    if not 2 <= len(pieces) <= _MOST_PARTS:
        return []
    if (len(pieces) == 2 and not regex.search(r"[:=]", reference)) or len(pieces) > 2:
        counted = [_COUNTED.match(piece) for piece in pieces]
        nouns = {match["name"].casefold() for match in counted if match} - set(UNITS)
        if len(nouns) == len(pieces):
            return [Part(match["value"], match["name"]) for match in counted if match]
    for pattern in (_NAMED, _MEASURED):
        found = [pattern.match(piece) for piece in pieces]
        names = {match["name"].casefold() for match in found if match}
        if len(names) == len(pieces):
            return [Part(match["value"], match["name"]) for match in found if match]
    return []


def _mixed_parts(reference: str) -> list[Part]:
    """Parts between semicolons of which one is a number or a yes or no: 6片；不能服用."""
    pieces = [piece.strip(" .。") for piece in reference.split(";") if piece.strip()]
    if not 2 <= len(pieces) <= _MOST_PARTS:
        return []
    own = [bool(quantities(numerals(piece))) or is_polar(piece) is not None for piece in pieces]
    if all(dates(numerals(piece)) for piece in pieces):
        return []  # several dates, in any order
    short = all(len(tokenize(piece)) <= 12 for piece in pieces)
    return [Part(piece) for piece in pieces] if any(own) and short else []


def _day_and_time(reference: str) -> list[Part]:
    """A date or a day of the week with a time of day; the next day's time, without the day."""
    text = weekdays(numerals(reference))
    clocks = times(text)
    if len(clocks) != 1:
        return []
    clock = text[clocks[0].start : clocks[0].end].strip()
    rest = text[: clocks[0].start] + " " + text[clocks[0].end :]
    if _NEXT_DAY.search(rest) and not content(_NEXT_DAY.sub("", rest)):
        return [Part(clock)]
    days = dates(rest)
    if len(days) == 1:
        left = rest[: days[0].start] + rest[days[0].end :]
        if _BETWEEN.match(left):
            return [Part(rest[days[0].start : days[0].end].strip()), Part(clock)]
    named = regex.fullmatch(
        r"\W*(?:on |at )*(?P<day>周[一二三四五六日]|[A-Z][a-z]+day)\W*(?:at)?\W*", rest
    )
    return [Part(named["day"]), Part(clock)] if named else []


def _score(
    part: Part, parts: Sequence[Part], text: str, compare: Callable[[str, str], float]
) -> float:
    if part.field and fields(text):
        return _field_score(part, parts, text, compare)
    passage = _passage(part, parts, text)
    if passage is None:
        return 0.0
    wanted = quantities(numerals(part.value))
    if passage != text and len(wanted) == 1 and not times(numerals(part.value)):
        given, _ = final_quantity(passage)
        return float(given is not None and same_quantity(wanted[0], given))
    if passage != text:
        return compare(part.value, regex.sub(r"[()]", " , ", passage))
    labeled = _LABELED.findall(text)
    passages = [text, *(labeled if len(labeled) > 1 else [])]
    return max(compare(part.value, one) for one in passages)


def _field_score(
    part: Part, parts: Sequence[Part], text: str, compare: Callable[[str, str], float]
) -> float:
    """By its key; by its value alone where the response has none of the reference's keys."""
    given = fields(text)
    keys = {_key(other.name) for other in parts}
    if not any(_key(key) in keys for key, _ in given):
        return max(compare(part.value, value) for _, value in given if value.strip())
    values = [value for key, value in given if _key(key) == _key(part.name)]
    if not values:
        return float(part.value == "null")
    if part.value.casefold() in _NOTHING or values[-1].casefold() in _NOTHING:
        return float(part.value.casefold() in _NOTHING and values[-1].casefold() in _NOTHING)
    return compare(part.value, values[-1])


def _key(name: str) -> str:
    return "".join(tokenize(name.replace("_", " ")))


def _passage(part: Part, parts: Sequence[Part], text: str) -> str | None:
    """Where the response speaks of a part: all of it where it marks or names none."""
    if part.mark:
        return _numbered_passage(part, parts, text)
    if not part.name:
        return text
    if not any(mention_spans(other.name, text) for other in parts):
        return text
    others = [other.name for other in parts if other is not part]
    passages = _around(part.name, others, text)
    return " ; ".join(passages) if passages else None


def _numbered_passage(part: Part, parts: Sequence[Part], text: str) -> str:
    marks = [other.mark for other in parts]
    places: dict[str, tuple[int, int]] = {}
    for match in _NUMBERED.finditer(text):
        if match[1] in marks and match[1] not in places:
            places[match[1]] = match.span()
    if len(places) < 2:
        return text
    if part.mark not in places:
        return ""
    start = places[part.mark][1]
    return text[start : min([a for a, _ in places.values() if a >= start], default=len(text))]


def _around(name: str, others: Sequence[str], text: str) -> list[str]:
    """The lines or clauses that have a name and none of the others, else what follows it."""
    found = []
    for line in regex.split(r"\n|(?<=[;。])|(?<=[.!?])\s", text):
        spans = mention_spans(name, line)
        if not spans:
            continue
        if not any(mention_spans(other, line) for other in others):
            found.append(line)
            continue
        clauses = regex.split(r",(?!\d{3}(?!\d))|、|\band\b|\bwhile\b", line)
        own = [
            clause
            for clause in clauses
            if mention_spans(name, clause) and not any(mention_spans(o, clause) for o in others)
        ]
        after = line[spans[-1][1] :]
        cuts = [span[0] for other in others for span in mention_spans(other, after)]
        if own and len(tokenize(own[-1])) > len(tokenize(name)):
            found.append(own[-1])
        else:
            found.append(after[: min(cuts, default=len(after))])
    return found
