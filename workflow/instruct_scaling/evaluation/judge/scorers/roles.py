"""What part a mention plays in its sentence: the one who did it, or the one it was done to."""

from __future__ import annotations

import regex

from instruct_scaling.evaluation.judge.scorers.matching import tokenize
from instruct_scaling.evaluation.judge.scorers.overlap import content, reverses, stem
from instruct_scaling.evaluation.judge.scorers.routes import other_end

_CLAUSE = regex.compile(r"[,.;!?。\n:]")
_WHO_ZH = regex.compile(r"谁(?!的|是|在)(\p{Han}{1,2}?)(?=了|过|着|的|\p{Han}|$)")
_WHO_EN = regex.compile(
    r"\b(?:who|which (?!is\b|was\b|are\b)\w+)\s(?!is\b|was\b|are\b|were\b)(\w+)", regex.IGNORECASE
)
_BEST = regex.compile(
    r"最|\b(?:most|first|(?:larg|long|high|tall|bigg|deep|old|fast|small)est)\b", regex.IGNORECASE
)
# "Jupiter is second", 长江排第二: not what is the first of all.
_RANKED_LOWER = regex.compile(
    r"\s*(?:则|只|才|仅)?(?:位?居|排名?|位列|列)?(?:在|为|是)?(?:第[2-9二三四五]|次之)|"
    r"\s(?:is|comes|ranks|was|came)\s(?:only\s)?(?:the\s)?(?:2nd|3rd|second|third)\b",
    regex.IGNORECASE,
)
_PASSIVE = regex.compile(r"\bby\b|被|的是|的人是|者是|\bwas\b|\bis\b|\bwere\b")


def elsewhere(wanted: str, text: str, span: tuple[int, int], question: str, prompt: str) -> bool:
    """Whether a mention stands in another role than the one that the question asks for.

    "Blue beat Red" does not answer "who won" with Red; "born in Bergen and moved to Oslo" does not
    say that somebody was born in Oslo; "Omar is younger" does not say who is older.
    """
    start, end = span
    opening = max((m.end() for m in _CLAUSE.finditer(text[:start])), default=0)
    closing = _CLAUSE.search(text, end)
    before, after = text[opening:start], text[end : closing.start() if closing else len(text)]
    rest = f"{before} {after}"
    if _with_another(before, after) or other_end(before, question):
        return True
    if _BEST.search(question) and _RANKED_LOWER.match(after):
        return True
    if question and reverses(question, rest):
        return True
    return _is_object(before, question) or _after_another(before, question, prompt)


def _with_another(before: str, after: str) -> bool:
    """Whether the mention is one of two names: "Bob and Amy finished last"."""
    return (
        regex.match(r"\s(?:and|&)\s[A-Z]\w+", after) is not None
        or regex.match(r"[和与跟]\p{Han}{1,4}?(?:一样|都|同样|并列)", after) is not None
        or regex.search(r"\b[A-Z]\w+\s(?:and|&)\s$", before) is not None
    )


def _is_object(before: str, question: str) -> bool:
    """Whether the verb of "who did" stands before the mention, with a subject of its own."""
    chinese = _WHO_ZH.search(question)
    if chinese:
        subject, verb, gap = before.partition(chinese[1])
        return bool(verb) and len(regex.findall(r"\p{Han}", subject)) >= 2 and not (
            _PASSIVE.search(subject + gap)
        )  # fmt: skip
    english = _WHO_EN.search(question)
    if not english:
        return False
    words = [stem(token) for token in tokenize(before)]
    verb = stem(english[1].casefold())
    if verb not in words or _PASSIVE.search(before):
        return False
    return regex.search(r"\b(?!The\b|It\b)[A-Z]\w+", before) is not None


def of_another(text: str, start: int, end: int, question: str, prompt: str) -> bool:
    """Whether a number belongs to another name of the passage than the one that is asked about:
    "Liam is 9 and Zoe is 12", "40 in Paris".
    """
    asked = set(regex.findall(r"(?<=\S\s)[A-Z]\w+", question))
    passage = set(regex.findall(r"\b[A-Z]\w+", prompt.replace(question, " ")))
    if not asked & passage:
        return False
    place = regex.match(r"\s(?:\w+\s)?(?:in|at|for|from)\s([A-Z]\w+)", text[end:])
    if place:
        return place[1] in passage - asked
    opening = max((m.end() for m in regex.finditer(r"[.!?\n]", text[:start])), default=0)
    names = [n for n in regex.findall(r"\b[A-Z]\w+", text[opening:start]) if n in passage]
    return bool(names) and names[-1] not in asked and bool(asked & set(names))


def _after_another(before: str, question: str, prompt: str) -> bool:
    """Whether another name of the passage follows the question's words at once, and this one comes
    after an "and": only where the passage is part of the prompt.
    """
    joined = list(regex.finditer(r"\b(?:and|then|before|but)\b", before))
    if not joined:
        return False
    asked = set(content(question))
    first = before[: joined[-1].start()]
    names = regex.findall(r"\b[A-Z]\w+", first)
    passage = set(content(prompt.replace(question, " ")))
    others = [name for name in names if stem(name.casefold()) in passage - asked]
    last = before[joined[-1].end() :]
    told = asked & set(content(first))
    return bool(others) and bool(told) and bool(set(content(last)) - asked)
