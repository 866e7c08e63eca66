"""Answers of extraction and questions: is what the reference says what the response says?

The reference decides how they are compared: yes or no, a date or time, a code, a number, a list, a
name, or a longer text of which a share can be right.
"""

from __future__ import annotations

from collections.abc import Callable

import regex

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.judgements import Outcome, scored, scored_unparsable
from instruct_scaling.evaluation.judge.scorers.amounts import (
    only_quantities,
    quantity_score,
    question_of,
)
from instruct_scaling.evaluation.judge.scorers.compound import compound_score, parts_of
from instruct_scaling.evaluation.judge.scorers.copies import (
    copies_passage,
    copies_prompt,
    repeats,
)
from instruct_scaling.evaluation.judge.scorers.dates import (
    Moment,
    agreement,
    dates,
    times,
    weekdays,
)
from instruct_scaling.evaluation.judge.scorers.entities import name_score, phrase_score
from instruct_scaling.evaluation.judge.scorers.labels import named_label, one_form, options
from instruct_scaling.evaluation.judge.scorers.lists import list_score, listed, parts_of_list
from instruct_scaling.evaluation.judge.scorers.matching import same_text, tokenize
from instruct_scaling.evaluation.judge.scorers.negation import (
    affirmed,
    negations,
)
from instruct_scaling.evaluation.judge.scorers.numerals import numerals
from instruct_scaling.evaluation.judge.scorers.overlap import content, graded, replaced
from instruct_scaling.evaluation.judge.scorers.polarity import Polarity, is_polar, polarity_of
from instruct_scaling.evaluation.judge.scorers.quantities import (
    joined,
    quantities,
)
from instruct_scaling.evaluation.judge.scorers.reading import (
    conclusion,
    corrected,
    marked,
    plain,
    refuses,
    statement,
    without_questions,
)
from instruct_scaling.evaluation.judge.scorers.roles import elsewhere
from instruct_scaling.evaluation.judge.scorers.routes import goes_back, same_way

_CODE = regex.compile(r"\S+@\S+\.\w+|(?:https?://|www\.)\S+|(?=\S*\d)(?=\S*[A-Za-z])[\w./#:-]{3,}")
_SCORE = regex.compile(r"(\d{1,3})\s?(?:-|比)\s?(\d{1,3})")  # of a game
_PHONE = regex.compile(r"\+?[\d(][\d\s().-]{5,}\d")
_DIGITS_APART = regex.compile(r"(?<=\d)[\s().-]+(?=\d)")
_POLAR_QUESTION = regex.compile(
    r"(?:^|[.!?\n,:]\s*)(?:is|are|was|were|do|does|did|can|could|will|would|has|have|had|should|"
    r"may|must)\b"
    r"(?![^?]*\bor\b)|yes\b.{1,4}\bno\b|吗|是否|是不是|有没有|能不能|会不会|对不对|可不可以|"
    r"要不要|正确还是错误",
    regex.IGNORECASE,
)
_STRICT_POLAR = frozenset(["yes", "no", "是", "否", "是的", "不是", "没有", "有", "不"])
_WHY = regex.compile(r"\bwhy\b|\breason\b|\bcause\b|为什么|为何|原因|怎么会", regex.IGNORECASE)
_SOME = regex.compile(r"有的.*有的|有些|有时|\b(?:some|sometimes)\b", regex.IGNORECASE)
_ALTERNATIVES = regex.compile(r"(?<!\d)\s*/\s*(?!\d)|\s+or\s+|\s*\|\s*|或者?", regex.IGNORECASE)
_PART_OF_DATE = 0.3
_ISO = regex.compile(r"(?<!\d)\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?!\d)")
_REPLACED = 0.2
_ABOUT = regex.compile(
    r"\b(?:about|approximately|around|roughly|nearly)\b|约|大概|左右", regex.IGNORECASE
)
_MOST_NAME_TOKENS, _MOST_NAME_CHARACTERS = 4, 8


def answer_match(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """How far the response says what the reference says, in [0, 1].

    1 where a short reference stands in the answer and the answer affirms it: not denied, not
    one of several, not the thing that something else is compared with. Numbers, dates and times are
    compared by value, with their units. A list scores the share of its items, fewer where others
    are named too (at most 0.75 unless complete). A longer reference scores the share of its content
    words, a fifth of it where the answer contradicts it.
    """
    reference, text = plain(item.reference or ""), plain(response)
    if not tokenize(reference):
        return scored(float(same_text(text, reference)), "reference without words")
    if not tokenize(text):
        # A long text that repeats itself is read without what it repeats.
        return scored_unparsable("one piece repeated" if tokenize(response) else "no words")
    if same_text(reference, text):
        return scored(1.0, "the same words")
    if repeats(text):
        return scored(0.0, "one piece repeated")
    if refuses(reference) and len(tokenize(reference)) <= 2 * _MOST_NAME_TOKENS + 8:
        return scored(float(refuses(text)), "no answer is the answer")
    prompt = plain(item.full_prompt)
    if copies_prompt(text, prompt):
        return scored(0.0, "a copy of the prompt")
    extracts = item.category == "extraction" or len(parts_of_list(reference)) > 1
    more = set(tokenize(text)) - set(tokenize(reference))  # none where all is to be taken out
    if extracts and more and copies_passage(text, prompt):
        return scored(0.0, "a copy of the passage")
    parts = parts_of(reference)
    if parts:
        share = compound_score(
            parts, text, prompt, lambda value, passage, asked: _best(value, passage, asked)[0]
        )
        return scored(share, f"{len(parts)} parts")
    best, reason = _best(reference, text, item.full_prompt)
    return scored(best, reason)


def _best(reference: str, text: str, prompt: str) -> tuple[float, str]:
    """Score and reason of the form of the reference that fits best."""
    variants = _variants(reference)
    found = [_compare(variant, text, prompt) for variant in variants]
    return max(found, key=lambda pair: pair[0])


def exact_match(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """1 if response and reference are equal but for case, width, space, punctuation, script and the
    way in which numbers are written, else 0.
    """
    texts = [numerals(plain(text)) for text in (response, item.reference or "")]
    return scored(float(same_text(*texts)))


def label_match(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """1 if the response chooses the reference among `checks.labels`, else 0.

    An item without a label set is scored as `answer_match` does.
    """
    if not checks.labels:
        return answer_match(item, checks, response)
    label, reason = named_label(checks.labels, response, item.full_prompt)
    if label is None and reason.startswith(("0 labels named", "neither")):
        return scored_unparsable(reason)
    return scored(float(label == one_form(item.reference or "")), reason)


def _variants(reference: str) -> list[str]:
    parts = [part.strip() for part in _ALTERNATIVES.split(reference)]
    short = all(0 < len(tokenize(part)) <= _MOST_NAME_CHARACTERS for part in parts)
    return [*dict.fromkeys(parts)] if short and len(parts) > 1 else [reference]


def _compare(reference: str, text: str, prompt: str) -> tuple[float, str]:
    """Score and reason of one form of the reference."""
    question = question_of(plain(prompt))
    polarity = _polar(reference, question)
    if polarity is not None:
        text = without_questions(text)
        found = [polarity_of(part, question) for part in _polar_parts(text)]
        said = next((one for one in found if one), None) or _in_a_clause(text, question)
        return float(said == polarity), f"says {said or 'neither yes nor no'}"
    letters = options(prompt)
    if len(letters) > 1 and regex.fullmatch(r"[A-H]", reference):
        label, reason = named_label(list(letters), text, prompt)
        return float(label == reference.casefold()), reason
    code = _code(reference)
    if code is not None:
        return code(text), "as a code"
    wanted, given = weekdays(numerals(reference)), weekdays(numerals(text))
    question = numerals(question)
    for read, name in ((dates, "as a date"), (times, "as a time")):
        moments = read(wanted)
        if len(moments) > 1 and _separate(wanted, moments):
            return _moments_score(moments, given, read, question), f"{name}, several"
        if len(moments) == 1 and _covers(wanted, moments[0].start, moments[0].end):
            return _moment_score(moments[0], given, read, question), name
    amounts = joined(quantities(wanted), wanted)
    if amounts and only_quantities(amounts, wanted):
        about = _ABOUT.search(wanted) is not None
        return quantity_score(amounts, given, prompt, about=about), "as numbers"
    items = parts_of_list(wanted)
    if len(items) > 1:
        return list_score(items, given, plain(prompt)), "as a list"
    return _words_score(wanted, given, plain(prompt), question)


def _words_score(wanted: str, given: str, prompt: str, question: str) -> tuple[float, str]:
    if goes_back(wanted, corrected(given)):
        return 0.0, "the other way"
    if same_way(wanted, corrected(given)) and not negations(given):
        return 1.0, "the same way"
    why = _WHY.search(question) is not None
    if _is_name(wanted):
        stated = given if why else _stating_part(given, question)
        if listed(stated) and not listed(wanted):
            return 0.0, "several named"
        return name_score(wanted, stated, question, prompt), "as a name"
    later = corrected(given)
    novel = set(content(wanted)) - set(content(question))
    if novel and not novel & set(content(later)) and set(content(later)) <= set(content(question)):
        return 0.0, "the question again"
    if phrase_score(wanted, later):
        return 1.0, "as a phrase"
    if wanted in weekdays(numerals(prompt)) and replaced(wanted, later):
        return _REPLACED, "a part is replaced"
    return graded(wanted, later, question), "as a text"


def _is_name(wanted: str) -> bool:
    """Whether a reference is so short that it is there or not: a name, a thing, a few words."""
    size = len(content(wanted))
    if regex.search(r"\p{Han}", wanted):
        return size <= _MOST_NAME_CHARACTERS
    proper = regex.search(r"\s[A-Z]", wanted) is not None
    return size <= (_MOST_NAME_TOKENS if proper else 2)


def _stating_part(text: str, question: str) -> str:
    """The part that answers: the statement, unless it shares nothing with the question."""
    part = statement(text)
    if part == text or marked(text) or "\\boxed" in text:
        return part
    if len(tokenize(part)) <= 3 or set(content(part)) & set(content(question)):
        return part
    return text


def _polar_parts(text: str) -> list[str]:
    """Where yes or no may be said, the most telling first."""
    later = corrected(text)
    parts = [marked(later), text if not marked(later) else None, later, conclusion(later)]
    return [part for part in parts if part]


def _in_a_clause(text: str, question: str) -> Polarity | None:
    """What the clauses say, where they agree: 它虽然叫鱼，但它是哺乳动物，并不是鱼."""
    if _SOME.search(text):
        return None
    said = {polarity_of(clause, question) for clause in regex.split(r"[,;.。!\n]", text)} - {None}
    return said.pop() if len(said) == 1 else None


def _polar(reference: str, question: str) -> str | None:
    first = regex.split(r"[,.;。!]", reference)[0]
    said = is_polar(first)
    if said is None:
        return _short_polar(reference, question)
    strict = first.casefold().strip() in _STRICT_POLAR
    return said if strict or _POLAR_QUESTION.search(question) else None


def _short_polar(reference: str, question: str) -> str | None:
    """Yes or no where a few words repeat the question's, denied or not: 不营业 to 营业吗."""
    if not _POLAR_QUESTION.search(question) or len(tokenize(reference)) > _MOST_NAME_CHARACTERS:
        return None
    if negations(reference):
        return "no"
    words = content(reference)
    return "yes" if words and set(words) <= set(content(question)) else None


def _code(reference: str) -> Callable[[str], float] | None:
    """How an address, an identifier or a telephone number is looked for; None for other texts."""
    written = reference.strip(" .").casefold()
    if _PHONE.fullmatch(written) and not dates(written) and len(regex.sub(r"\D", "", written)) >= 6:
        digits = regex.sub(r"\D", "", written)
        grouped = regex.search(r"\d[\s().-]+\d", written) is not None
        if grouped or (len(digits) >= 7 and digits.strip("0") == digits):
            return lambda text: _digits_score(digits, text)
    pair = _SCORE.fullmatch(written)
    if pair:
        both = regex.compile(rf"(?<![\d.-]){pair[1]}\s?(?:-|:|to|比)\s?{pair[2]}(?![\d.-]\d|\d)")
        return lambda text: _mention_score(both, text)
    if _CODE.fullmatch(written) and not quantities_with_unit(written):
        pattern = regex.compile(
            rf"(?<![a-z0-9_.-]){regex.escape(written)}(?![a-z0-9_-]|\.[a-z0-9])"
        )
        return lambda text: _mention_score(pattern, text.casefold())
    return None


def quantities_with_unit(text: str) -> bool:
    """Whether a text is one number with a unit and nothing else: "35kg"."""
    found = quantities(text)
    return len(found) == 1 and (found[0].start, found[0].end) == (0, len(text))


def _digits_score(digits: str, text: str) -> float:
    close = _DIGITS_APART.sub("", text.replace(",", ""))
    country = r"(?:\+?\d{1,3})?" if len(digits) >= 9 else ""
    pattern = regex.compile(rf"(?<!\d)(?:{country}){digits}(?!\d)")
    return _mention_score(pattern, close)


def _mention_score(pattern: regex.Pattern[str], text: str) -> float:
    return float(any(affirmed(text, *match.span()) for match in pattern.finditer(text)))


def _covers(text: str, start: int, end: int) -> bool:
    """Whether nothing with content stands outside of start to end."""
    return not content(text[:start] + " " + text[end:])


def _separate(text: str, moments: list[Moment]) -> bool:
    """Whether a text is a list of moments and nothing else."""
    for one in reversed(moments):
        text = text[: one.start] + " " + text[one.end :]
    return not content(text) and regex.search(r"-|~|至|到|\bto\b|\buntil\b", text) is None


def _moments_score(
    wanted: list[Moment], text: str, read: Callable[[str], list[Moment]], question: str
) -> float:
    """The share of the moments wanted, of all that are named."""
    stated = corrected(text)
    given = [one for one in read(stated) if affirmed(stated, one.start, one.end)]
    hits = sum(any(agreement(want, one) == 1 for one in given) for want in wanted)
    extra = sum(not any(agreement(want, one) for want in wanted) for one in given)
    asked = max(len(wanted), hits + min(extra, len(wanted) - hits + max(0, extra - len(wanted))))
    return hits / asked if hits == len(wanted) == asked else min(0.75, hits / asked)


def _moment_score(
    wanted: Moment, text: str, read: Callable[[str], list[Moment]], question: str
) -> float:
    stated = corrected(text)
    if read(statement(text)):
        stated = statement(text)
    given = [
        one
        for one in read(stated)
        if affirmed(stated, one.start, one.end)
        and not elsewhere("", stated, (one.start, one.end), question, "")
    ]
    if not given and _ISO.search(stated):
        return 0.0  # a date that there is not, such as 2023-14-06
    if not given:
        years = regex.findall(r"(?<!\d)\d{4}(?!\d)", stated)
        same = len(years) == 1 and len(wanted.parts) == 3 and wanted.parts[0] == int(years[0])
        return _PART_OF_DATE if same and wanted.parts[1:] != (None, None) else 0.0
    score = max(agreement(wanted, one) for one in given)
    distinct = {one.parts for one in given}
    if len(distinct) >= 3 and not content(regex.sub(r"[\d:年月日号点]", " ", stated)):
        return 0.0
    return score if score in (0.0, 1.0) else min(0.75, max(0.25, score))
