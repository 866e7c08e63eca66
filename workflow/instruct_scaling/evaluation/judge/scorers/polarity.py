"""Yes or no: what a response says to a question that can be answered so."""

from __future__ import annotations

from typing import Literal

import regex

from instruct_scaling.evaluation.judge.scorers.matching import tokenize
from instruct_scaling.evaluation.judge.scorers.negation import negations
from instruct_scaling.evaluation.judge.scorers.overlap import reverses

Polarity = Literal["yes", "no"]

_YES = regex.compile(
    r"^[\W_]*(?:yes|yeah|yep|yup|true|correct|right|certainly|of course|indeed|definitely|"
    r"absolutely|"
    r"是的?|对的?|正确|有的?|能|可以|会的?|没错|当然|确实|可能的|真|肯定)(?=$|[\W_]|[吧呢啊])",
    regex.IGNORECASE,
)
_NO = regex.compile(
    r"^[\W_]*(?:no|nope|nah|false|incorrect|wrong|never|not really|"
    r"不是的?|否|不对|不|错误?的?|没有|没|不能|不可以|不会的?|不行|假|并非如此|不可能|不正确|"
    r"并没有|并不是?)(?=$|[\W_]|[吧呢啊])",
    regex.IGNORECASE,
)
_YES_ANY = regex.compile(r"\b(?:yes|true)\b|(?<!不)是的|对的", regex.IGNORECASE)
_NO_ANY = regex.compile(r"\bno\b(?!\s\w)|\bfalse\b|(?<![是])否", regex.IGNORECASE)
_FILLER = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "do",
        "does",
        "did",
        "can",
        "could",
        "will",
        "would",
        "has",
        "have",
        "had",
        "the",
        "a",
        "an",
        "it",
        "they",
        "he",
        "she",
        "this",
        "that",
        "be",
        "there",
        "in",
        "of",
        "to",
        "i",
        "think",
        "吗",
        "呢",
        "么",
        "是",
        "的",
        "了",
        "它",
        "他",
        "她",
        "们",
        "这",
        "那",
        "有",
        "能",
        "会",
        "我",
        "认",
        "为",
    ]
)
# "It does.", "They can't."
_SHORT = regex.compile(
    r"^\W*(?:it|they|he|she|we|i|you|that|this)\s(?:is|are|was|were|do|does|did|can|could|will|"
    r"would|"
    r"has|have|had)(?:n't|\snot)?\W*(?:$|[,.;!])|^\W*(?:it|they|he|she)\scan't\b",
    regex.IGNORECASE,
)
_REASON = regex.compile(r"[,.;。!?\n]|\bbut\b|但")
YES_WORDS = frozenset(
    ["yes", "true", "correct", "right", "是", "是的", "对", "正确", "有", "能", "可以", "会", "真"]
)
NO_WORDS = frozenset(
    [
        "no",
        "false",
        "incorrect",
        "wrong",
        "不是",
        "否",
        "不对",
        "错误",
        "没有",
        "不能",
        "不可以",
        "不会",
        "假",
        "不",
        "错",
        "不正确",
        "not",
    ]
)
_LEAST_OVERLAP = 0.5
_FORBIDS = regex.compile(
    r"禁[止用]|严禁|\b(?:forbidden|prohibited|banned|must not|off limits)\b", regex.IGNORECASE
)
_MAY = regex.compile(r"能|可以|允许|\b(?:can|may|could|allowed|permitted)\b", regex.IGNORECASE)


def polarity_of(text: str, question: str) -> Polarity | None:
    """Yes or no where the text says one of them, in a word or as a sentence on the question.

    Args:
        text: a plain text, its statement first.
        question: what is asked, for "penguins cannot fly".
    """
    if _YES_ANY.search(text) and _NO_ANY.search(text):
        return None if _between(text) else _leading(text)
    leading = _leading(text)
    if leading is not None:
        return leading
    if _SHORT.match(text):
        return "no" if negations(text) else "yes"
    first = next((part for part in _REASON.split(text) if tokenize(part)), "")
    asked = set(tokenize(question)) - _FILLER
    said = [token for token in tokenize(first) if token not in _FILLER]
    known = [token for token in said if token in asked]
    if "not" in said and "necessarily" in said:
        return None
    if _FORBIDS.search(first) and _MAY.search(question):
        return "no"
    if negations(first) or reverses(question, first):
        return "no"
    if said and len(known) / len(said) >= _LEAST_OVERLAP:
        return "yes"
    return None


def _leading(text: str) -> Polarity | None:
    if _NO.match(text):
        return "no"
    if _YES.match(text):
        return "yes"
    last = [(m.start(), "yes") for m in _YES_ANY.finditer(text)]
    last += [(m.start(), "no") for m in _NO_ANY.finditer(text)]
    return max(last)[1] if last else None  # type: ignore[return-value]


def _between(text: str) -> bool:
    """Whether both words are offered: "yes and no", "maybe yes, maybe no"."""
    gap = r"[^\w.。!]{0,3}"  # "No. Yes, they loved it" begins with its answer
    joined = rf"{gap}(?:and|or|或|和|也|maybe|perhaps|可能|也可能是?)?{gap}"
    return (
        regex.search(rf"\b(?:yes{joined}no|no{joined}yes)\b|是{joined}否", text, regex.IGNORECASE)
        is not None
    )


def is_polar(words: str) -> Polarity | None:
    """Yes or no where a reference or a label is such a word and nothing else."""
    text = " ".join(words.casefold().strip(" .,!?。！？").split())
    if text in YES_WORDS:
        return "yes"
    return "no" if text in NO_WORDS else None
