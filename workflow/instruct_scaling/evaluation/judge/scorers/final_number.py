"""Which of its numbers a text gives as its answer."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import regex

from instruct_scaling.evaluation.judge.scorers.negation import denied, one_of_several
from instruct_scaling.evaluation.judge.scorers.numerals import numerals
from instruct_scaling.evaluation.judge.scorers.quantities import Quantity, joined
from instruct_scaling.evaluation.judge.scorers.quantities import quantities as bare_quantities
from instruct_scaling.evaluation.judge.scorers.reading import (
    boxed,
    conclusion,
    corrected,
    emphasized,
    marked,
    plain,
    sentences,
    without_afterthoughts,
    without_reasons,
)

_NUMBERING = regex.compile(r"^\s*\(?\d{1,2}[.):、]\s+(?=\S)|^\s*\(\d{1,2}\)\s*", regex.MULTILINE)
_STEP = regex.compile(r"(?:\bstep\s?\d+|第\d+步|步骤\d+)\s?[:.、,]?", regex.IGNORECASE)
_OPERATOR = regex.compile(r"\s?(?:[-+*/×÷]|x(?=\s?\d)|\\times|\\div|加|减|乘以?|除以)\s?")
_CLAUSE = regex.compile(r"[,;:](?!\d)|\s-\s|[()]")
_EXPLAINS = regex.compile(
    r"^\s*(?:原来|便宜|贵了|节省|省了|省下|多出|少了|多了|原有|原本|其中|比|而(?!且)|包括|from\b|"
    r"out of\b|than\b|compared\b|including\b|of which\b|after\b|"
    r"not\b|more than\b|less than\b|that is\b|i\.e|每|平均每)",
    regex.IGNORECASE,
)
# What follows the answer in its clause: "18 dollars in 7 days", "10 back from her 20".
_ADJUNCT = regex.compile(
    r"\b(?:in|per|for|from|out of|than|at|with|after|every|each|over|within|on|left of|"
    r"to [a-z]+|of the|if|when)\b|/|每",
    regex.IGNORECASE,
)
Given = set[Fraction]
# 3年后小丽12岁: what frames the answer.
_FRAMES = regex.compile(r"\s?[天年月周个小时分钟次]{0,3}[后前内里]|\s(?:\w+\s)?(?:later|ago)\b")
_COPULA = regex.compile(r"(?:一共|共|总共|还)?(?:是|为|等于|有|=)?$")
_CLAUSE_END = regex.compile(r"[,.;:!?。\n](?!\d)")
_NOUN = regex.compile(r"\bhow many (\w+)", regex.IGNORECASE)
_VERB = r"(?:is|was|has|had|costs?|gets?|got|weighs?|pays?|paid|needs?|takes?|earns?|will be)"
_SUBJECT = regex.compile(
    r"\bhow\s(?:\w+\s){1,3}?(?:is|was|does|did|has|will)\s(?:the\s)?(\w+)", regex.IGNORECASE
)
# "What is the sale price": what is asked for, up to what it is of.
_WHAT_IS = regex.compile(
    r"\b(?:what(?:'s| is| was| are| will be)|(?:find|calculate|determine|compute))\s"
    r"(?:(?:the|its|his|her|their|my|your)\s)?"
    r"(?P<noun>[a-z][a-z-]*(?:\s(?!of\b|for\b|in\b|if\b|after\b|that\b|when\b|to\b|on\b|at\b)"
    r"[a-z-]+){0,3})",
    regex.IGNORECASE,
)
# 求甲数, 甲数是多少
_FIND_ZH = regex.compile(
    r"(?:^(?![问求])|[问求])(?!还|一?共|总|剩|现|平?均|每|需|要)(?P<noun>\p{Han}{1,4}?)"
    r"(?:是|为|有|等于)?(?:多少|几|$)"
)
_CONNECTIVE = regex.compile(r"^(?:所以|因此|因而|故|则|即|那么|答:?|可知|可得|解得)\s*")
_STATED = regex.compile(
    r"(?:\b(?:is|are|equals|makes|gives|leaves|gets|=)|[是为得])\s?[$¥€£]?$", regex.IGNORECASE
)
_THAT_IS = regex.compile(
    r",\s*(?:that is|i\.e\.)[^.!?\n]*\b(?:each|per|every)\b[^.!?\n]*", regex.IGNORECASE
)
# A calculation with its result, or the consequence, behind "because" or "since".
_CALCULATED = regex.compile(
    r"=\s?[$¥€£]?-?\d[^=]*$|\b(?:thereby|so|leaving|giving|for a total of)\b.*\d", regex.IGNORECASE
)
_ASKS = regex.compile(
    r"多少|几|[求问]|how (?:many|much|far|long|old|tall|fast)|what|"
    r"\b(?:find|calculate|determine|compute)\b",
    regex.IGNORECASE,
)


def quantities(text: str) -> list[Quantity]:
    """The quantities of a text, 2元5角 as one."""
    return joined(bare_quantities(text), text)


def has_number(text: str) -> bool:
    """Whether a text has any number, in digits or words."""
    return bool(quantities(numerals(plain(text))))


def final_quantity(text: str, prompt: str = "") -> tuple[Quantity | None, str]:
    """The number that a text ends up with, and how it was found; None where there is none, where
    it is denied, or where the text offers several.

    In a box the last one; after an answer mark the first one ("Answer: 14 apples, 2 more than"),
    or the one after its last "="; without either, that of the conclusion, of a short first
    sentence, or of the last sentence, reasons and asides left out.

    Args:
        prompt: the question; a clause that repeats its words ("the bad ones are 20%") answers it.
    """
    shown = plain(text)
    given = {one.value for one in quantities(numerals(plain(prompt).replace("^", " ^ ?")))}
    if not shown:
        return None, "no number found"
    if _only_numbers(shown):
        return None, "a run of numbers"
    box = boxed(shown)
    if box is not None:
        found = quantities(numerals(box))
        if "\\" in numerals(box) or not found:
            return None, "no number in the box"
        return found[-1], "boxed"
    if "dozen" in prompt.casefold():
        shown = regex.sub(r"(?i)dozens?", "doz", shown)  # the unit that is asked for
    later = corrected(shown)
    shown = numerals(_without_numbering(later if quantities(numerals(later)) else shown))
    stated = marked(shown)
    if stated and quantities(stated):
        bound = _asked_clause(stated, prompt, given) if len(quantities(stated)) > 1 else None
        if bound is not None and bound[0] is not None:
            return bound
        chosen, reason = _first(stated, given)
        if chosen is not None or reason != "denied":
            return chosen, reason
    shown = without_afterthoughts(shown)
    strong = numerals(plain(emphasized(text) or ""))
    if quantities(strong) and not _concluded_after(strong, shown):
        chosen, reason = _in_sentence(conclusion(strong) or strong, given)
        if chosen is not None:
            return chosen, reason
    return _unmarked(shown, prompt, given)


def _concluded_after(strong: str, text: str) -> bool:
    """Whether a number is stated as the result after a bold passage."""
    _, _, rest = text.rpartition(strong)
    concluded = conclusion(rest)
    return concluded is not None and bool(quantities(concluded))


def _only_numbers(text: str) -> bool:
    """A list of numbers without words, which answers nothing."""
    return regex.fullmatch(
        r"(?:[-+]?\d+(?:\.\d+)?[\s,、;.]+){3,}(?:[-+]?\d+(?:\.\d+)?)?", text + " "
    ) is not None and (regex.fullmatch(r"\d{1,3}(?:[\s,]\d{3})+[.\s]*", text) is None)


def _without_numbering(text: str) -> str:
    text = _STEP.sub("", text)
    numbers = [regex.sub(r"\D", "", match) for match in _NUMBERING.findall(text)]
    return _NUMBERING.sub("", text) if numbers[:2] == ["1", "2"] else text


def _first(part: str, given: Given) -> tuple[Quantity | None, str]:
    """The number right after an answer mark."""
    equals = part.split("=")
    if len(equals) > 1 and quantities(equals[-1]):
        side = _sides(equals)
        part = side
    found = quantities(part)
    kept = [one for one in found if not denied(part, one.start, one.end)]
    if not kept:
        return None, "denied"
    if one_of_several(part, kept[0].start, kept[0].end):
        return None, "several numbers offered"
    novel = [one for one in kept if one.value not in given]
    if novel and novel[0] is not kept[0] and _FRAMES.match(part[kept[0].end :]):
        return novel[0], "marked"
    following = [one for one in found if one.start > kept[0].start]
    if following and regex.fullmatch(r"\s?[-+*×÷]\s?", part[kept[0].end : following[0].start]):
        return None, "a calculation without its result"
    return kept[0], "marked"


def _sides(equals: list[str]) -> str:
    """The side of an equation that holds its result: the last, unless that is a calculation."""
    right, left = equals[-1], equals[-2]
    if _is_calculation(right) and not _is_calculation(left) and quantities(left):
        return left
    return right


def _is_calculation(side: str) -> bool:
    found = quantities(side)
    return any(_OPERATOR.fullmatch(side[one.end : other.start]) for one, other in pairwise(found))


def _unmarked(text: str, prompt: str, given: Given) -> tuple[Quantity | None, str]:
    if not quantities(text):
        return None, "no number found"
    asked = _asked_clause(text, prompt, given)
    if asked is not None:
        return asked
    last = next(part for part in reversed(sentences(text)) if quantities(part))
    reasoned = without_reasons(last)
    if last != reasoned and not quantities(reasoned) and _CALCULATED.search(last):
        return _in_sentence(conclusion(last) or last, given)
    shorter = _THAT_IS.sub("", without_reasons(text))
    if not quantities(shorter):
        shorter = text
    parts = [part for part in sentences(shorter) if quantities(part)]
    if len(parts) > 1 and _is_short_head(shorter) and "=" not in sentences(text)[0]:
        return _in_sentence(parts[0], given)
    concluded = conclusion(parts[-1]) if parts else None
    if concluded and quantities(concluded):
        return _in_sentence(concluded, given)
    for part in reversed(parts):
        chosen, reason = _in_sentence(part, given)
        if chosen is not None or reason == "several numbers offered":
            return chosen, reason
    return None, "denied"


def _is_short_head(text: str) -> bool:
    """Whether a text begins with a number, a unit perhaps, and a full stop: "12. He had 5"."""
    head = sentences(text)[0]
    found = quantities(head)
    if len(found) != 1 or "=" in head:
        return False
    before, after = head[: found[0].start], head[found[0].end :]
    return not regex.search(r"\w", before) and len(regex.findall(r"\p{Han}|[A-Za-z]+", after)) <= 3


def _asked_clause(text: str, prompt: str, given: Given) -> tuple[Quantity | None, str] | None:
    """The number that the text gives to what is asked for, where it repeats the question's words.

    坏的占20% to 坏的占百分之几, "12 girls" to "how many girls".
    """
    clauses = _CLAUSE_END.split(numerals(plain(prompt)))
    wanted = [clause for clause in clauses if _ASKS.search(clause)]
    if not wanted or len(quantities(text)) < 2:
        return None
    asked = wanted[-1]
    subject = _before_question_word(asked)
    last = next((part for part in reversed(sentences(text)) if quantities(part)), "")
    if "=" in last:
        return None
    for clause in _CLAUSE_END.split(text):
        for one in quantities(clause):
            before = _COPULA.sub("", clause[: one.start].strip())
            same = subject and (
                before.endswith(subject)
                if len(subject) > 1
                else _CONNECTIVE.sub("", before) == subject
            )
            words = len(regex.findall(r"\p{Han}|[A-Za-z]+", before))
            restated = before in asked and clause in last
            if same or (words >= 3 and restated):
                if "=" in clause:
                    continue
                return _pick(clause[one.start :], text, given, first=True)
    return (
        _of_named(text, asked, given)
        or _of_subject(text, asked, given)
        or _with_noun(text, asked, given)
    )


def _of_named(text: str, asked: str, given: Given) -> tuple[Quantity | None, str] | None:
    """The number that the last sentence gives to the person or thing asked about.

    "Tom is 24 years old and Ana is 12" to "How old is Tom".
    """
    named = _SUBJECT.search(asked)
    last = next((part for part in reversed(sentences(text)) if quantities(part)), "")
    if named is None or len(quantities(last)) < 2 or "=" in last:
        return None
    pattern = rf"\b{regex.escape(named[1])}\s(?:(?:now|only|alone)\s)?{_VERB}\s(?=[$€£¥]?\d)"
    found = list(regex.finditer(pattern, last, regex.IGNORECASE))
    if len(found) != 1:
        return None
    return _pick(last[found[0].end() :], last, given, first=True)


def _of_subject(text: str, asked: str, given: Given) -> tuple[Quantity | None, str] | None:
    """The number that the last sentence on what is asked for gives to it.

    "The sale price is $60. You save $20" to "What is the sale price", 甲是40，乙是10 to 求甲数.
    """
    found = _FIND_ZH.search(asked.strip())
    if found:
        name = regex.escape(found["noun"].removesuffix("数"))
        pattern = (
            rf"(?:^|[^\p{{Han}}]|所以|因此|那么|得|[和与]){name}数?(?:就?[是为有]|等于|=|:)\s?"
        )
        clauses = _CLAUSE_END.split(text)
    else:
        found = _WHAT_IS.search(asked)
        if found is None:
            return None
        name = regex.escape(found["noun"])
        pattern = rf"\b{name}(?:\s\w+){{0,4}}?\s?(?:\b(?:is|was|will be|would be)\b|=|:)\s?"
        clauses = sentences(text)
    for clause in reversed(clauses):
        match = regex.search(pattern, clause, regex.IGNORECASE)
        rest = clause[match.end() :] if match else ""
        if quantities(rest):
            concluded = conclusion(rest)
            part = concluded if concluded and quantities(concluded) else rest
            first = regex.match(r"[$€£¥]?\s?-?\d", part) is not None and "=" not in part
            return _pick(part, text, given, first=True) if first else _in_sentence(part, given)
    return None


def _with_noun(text: str, asked: str, given: Given) -> tuple[Quantity | None, str] | None:
    """The number before the noun of "how many", in the last sentence if that counts other "
    "things."""
    noun = _NOUN.search(asked)
    last = next((part for part in reversed(sentences(text)) if quantities(part)), "")
    found = quantities(last)
    if noun is None or len(found) < 2 or regex.search(r"=|\bleav(?:es|ing)\b|\bremain", last):
        return None
    name = regex.escape(noun[1])
    marked_ones = [
        one
        for one in found
        if one.value not in given
        and (
            regex.match(rf"\s(?:\w+\s)?{name}\b", last[one.end :], regex.IGNORECASE)
            or regex.search(rf"\b{name}:\s?$", last[: one.start], regex.IGNORECASE)
        )
    ]
    if len(marked_ones) != 1:
        return None
    one = marked_ones[0]
    if denied(last, one.start, one.end) or one_of_several(last, one.start, one.end):
        return None
    return one, "of what is asked"


def _before_question_word(asked: str) -> str:
    """What stands before 多少 in a question, which its answer repeats: 乙是多少."""
    found = regex.search(r"多少|几", asked)
    return _COPULA.sub("", asked[: found.start()].strip()) if found else ""


def _in_sentence(sentence: str, given: Given) -> tuple[Quantity | None, str]:
    """The answer of one sentence: after its last "=", else in its last clause that is no aside."""
    equals = sentence.split("=")
    if len(equals) > 1 and quantities(equals[-1]):
        return _pick(_sides(equals), sentence, given, first=True)
    clauses = [clause for clause in _CLAUSE.split(sentence) if quantities(clause)]
    main = [clause for clause in clauses if not _EXPLAINS.match(clause)] or clauses
    last: tuple[Quantity | None, str] = (None, "denied")
    for clause in reversed(main):
        last = _pick(clause, sentence, given, first=False)
        if last[0] is not None or last[1] == "several numbers offered":
            return last
    return last


def _pick(clause: str, sentence: str, given: Given, *, first: bool) -> tuple[Quantity | None, str]:
    """The answer of a clause: its first number, or the one that its words point at."""
    kept = [one for one in quantities(clause) if not denied(clause, one.start, one.end)]
    if not kept:
        return None, "denied"
    chosen = kept[0] if first else _pointed_at(kept, clause, given)
    offset = sentence.find(clause)
    place = (sentence, chosen.start + offset, chosen.end + offset) if offset >= 0 else None
    if one_of_several(clause, chosen.start, chosen.end) or (place and one_of_several(*place)):
        return None, "several numbers offered"
    return chosen, "last"


def _pointed_at(kept: list[Quantity], clause: str, given: Given) -> Quantity:
    """Of several numbers: after "is", before "in 7 days", not in the question; else the last."""
    stated = [one for one in kept if _STATED.search(clause[: one.start])]
    chosen = stated[-1] if stated else kept[-1]
    if not stated:
        for one, other in pairwise(kept):
            if _ADJUNCT.search(clause[one.end : other.start]):
                chosen = one
                break
    novel = [one for one in kept if one.value not in given]
    return novel[-1] if novel and chosen not in novel else chosen
