"""Answers that are none: refusals, repetition, copies of the prompt."""

from __future__ import annotations

from collections.abc import Sequence

import regex

from instruct_scaling.evaluation.judge.scorers.canonical import canonical
from instruct_scaling.evaluation.judge.scorers.content_units import lexicon
from instruct_scaling.evaluation.judge.scorers.matching import normalize, tokenize

NGRAM = 3
# 95% of the answers in a public instruction set (alpaca_zh and alpaca_en) have more distinct
# 3-grams than 0.8; nonsense that repeats itself has fewer than the lower bound.
USUAL_DISTINCT_SHARE, LEAST_DISTINCT_SHARE = 0.7, 0.4
# Share of distinct tokens in a text of up to 30: fluent ones have more than half.
USUAL_TYPES, LEAST_TYPES, TYPES_WINDOW = 0.5, 0.3, 30
# A refusal is most of the answer; the sentence is often followed by an offer or a reason.
LONGEST_REFUSAL = 60
# Entries that are words of the prompt: in a list of so many, and more than this share of them.
FEWEST_ENTRIES, MOST_ECHOED = 3, 0.5
# Chinese characters in a row without a sign between them.
LONGEST_SCATTERED = 20
_BETWEEN_HAN = regex.compile(r"(?<=\p{Han}) (?=\p{Han})")

_UNABLE = (
    r"(?:can(?: ?not|'t)|could(?: not|n't)|am (?:not able|unable) to|won't|will not|would not"
    r"|do(?: not|n't) feel comfortable|don't|do not|have no)"
)
_HELP = (
    r"(?:help|assist|fulfill|comply|provide|answer|complete|do (?:that|this)|write|create|generate"
    r"|give|summarize|translate|rewrite|process|discuss|offer|respond|continue|support|engage)"
)
_ASSISTANT = r"(?:ai|artificial|(?:large )?language model|assistant|llm)\b"
_CANNOT = (
    r"(?:不太|不能|无法|没办法|没有办法|不会|不清楚|不知道|不可以|没法|不便|拒绝|不明白|不理解)"
)
_ANSWER = (
    r"(?:回答|提供|完成|协助|帮|满足|处理|翻译|改写|概括|总结|给出|写|生成|执行|讨论|继续|做到)"
)
_SORRY = r"(?:非常|很|十分|实在|真)?(?:抱歉|对不起|不好意思|遗憾)"
# How a refusal begins; each is looked for at the beginning of the text.
_BEGINNINGS = (
    r"(?:i(?:'m| am) (?:very |so |really |terribly )?(?:sorry|afraid)|sorry|apologies"
    r"|i apologi[sz]e|unfortunately)[\s,.:;!—-]*(?:but )?(?:as an? [\w -]{2,40},? )?(?:that )?"
    rf"i ?{_UNABLE}",
    rf"as an? (?:\w+ ){{0,2}}{_ASSISTANT}.{{0,60}}?{_UNABLE}",
    rf"i(?:'m| am) (?:just |only )?an? {_ASSISTANT}.{{0,80}}?{_UNABLE}",
    rf"i {_UNABLE} (?:\w+ )?{_HELP}\b",
    r"i(?:'m| am) (?:unable|not able|not allowed|not comfortable|not programmed|not sure)\b",
    r"i (?:don't|do not|have no) (?:know|idea|understand)\b.{0,40}\Z",
    r"(?:sorry[\s,]*)?(?:no idea|no comment|i must decline|i have to decline)\b",
    r"(?:this|that|the) (?:request|question|task) (?:cannot|can't|can not|is not) .{0,40}\Z",
    r"(?:what|which|could you|can you|please) .{0,60}"
    r"(?:clarify|more (?:context|information|details)).{0,40}\Z",
    rf"{_SORRY}[\s,，。:：!！]*(?:但是?"
    rf"|不过)?(?:作为[^,，。]{{1,16}}[,，])?(?:[这该此][^,，。]{{1,10}})?"
    rf"我?(?:们)?(?:还|暂时|目前|现在|并|也|真的|恐怕)?{_CANNOT}",
    rf"{_SORRY}[^。！!]{{0,24}}(?:不能|无法|没办法|没法|不便|不清楚|不知道){_ANSWER}",
    rf"(?:您好[,，!！\s]*)?(?:{_SORRY}[,，。!！\s]*)?"
    r"(?:作为|我(?:只)?是)(?:一[个名款])?\w{0,8}"
    r"(?:人工智能|ai|语言模型|助手|机器人|大模型)[^。！!]{0,30}?(?:不能|无法|没有|不会|不便"
    r"|不具备)",
    rf"我?(?:们)?(?:暂时|目前|现在|恐怕|真的)?(?:不能|无法|没办法|没法|拒绝)(?:为[您你])?{_ANSWER}",
    r"我?(?:不知道|不清楚|不明白|不会|不太清楚|不太明白|没听懂|不懂)[^。]{0,10}[。.!！]?\Z",
)
_REFUSALS = regex.compile(rf"\A\W*(?:{'|'.join(_BEGINNINGS)})", regex.DOTALL)


def refuses(text: str) -> bool:
    """Whether a text declines to answer, in English or Chinese, rather than answers.

    Only how it begins counts: a letter of apology goes on to say what it is sorry for.
    """
    plain = normalize(text).replace("’", "'").strip()
    return len(tokenize(plain)) <= LONGEST_REFUSAL and _REFUSALS.match(plain) is not None


def freshness(text: str) -> float:
    """1 for a text that does not repeat itself, 0 for one that does little else.

    The smaller of two shares, each over its range: distinct token 3-grams (distinct-n of Li et
    al., 2016) and distinct tokens among the first 30.
    """
    tokens = tokenize(text)
    if len(tokens) <= NGRAM:
        return 1.0
    grams = [tuple(tokens[i : i + NGRAM]) for i in range(len(tokens) - NGRAM + 1)]
    distinct = _over(len(set(grams)) / len(grams), LEAST_DISTINCT_SHARE, USUAL_DISTINCT_SHARE)
    window = tokens[:TYPES_WINDOW]
    return min(distinct, _over(len(set(window)) / len(window), LEAST_TYPES, USUAL_TYPES))


def copies_prompt(prompt: str, text: str) -> bool:
    """Whether a text is the prompt, or a part of it that makes up most of it."""
    return copied_share(prompt, text) >= 0.6


def copied_share(prompt: str, text: str) -> float:
    """Share of the prompt's tokens that the text repeats in a row; 0 for a text with others."""
    asked, tokens = tokenize(prompt), tokenize(text)
    if not tokens or not asked or len(tokens) > len(asked):
        return 0.0
    starts = range(len(asked) - len(tokens) + 1)
    if any(asked[start : start + len(tokens)] == tokens for start in starts):
        return len(tokens) / len(asked)
    return 0.0


def echoed_share(prompt: str, entries: Sequence[str]) -> float:
    """Share of a list's entries that are words of the prompt; 0 unless most of them are.

    Args:
        prompt: what was asked.
        entries: tokens joined by blanks, as `listed_items` gives them.
    """
    asked = _spaced(prompt)
    characters = set(regex.findall(r"\p{Han}", asked))
    echoed = [
        entry
        for entry in entries
        if _spaced(_BETWEEN_HAN.sub("", entry)) in asked
        or (regex.fullmatch(r"(?:\p{Han} ?){2,}", entry) and set(entry.split()) <= characters)
    ]
    share = len(echoed) / len(entries) if len(entries) >= FEWEST_ENTRIES else 0.0
    return share if share > MOST_ECHOED else 0.0


def _spaced(text: str) -> str:
    """The canonical tokens between blanks."""
    return f" {' '.join(tokenize(canonical(text)))} "


def is_scattered(text: str) -> bool:
    """Whether a row of Chinese characters without any punctuation forms no word that is known.

    The words are those of the lexicon with two characters and more, and the pairs that are most
    common. A sentence of so many characters has some of them.
    """
    known = lexicon().known | lexicon().pairs
    rows = regex.findall(r"\p{Han}+", canonical(text))
    rows = [row for row in rows if len(row) >= LONGEST_SCATTERED]
    if not rows or sum(map(len, rows)) < len(regex.findall(r"\p{Han}", text)) / 2:
        return False
    return not any(
        row[at : at + length] in known
        for row in rows
        for length in (2, 3)
        for at in range(len(row) - length + 1)
    )


def copies_passage(prompt: str, text: str) -> bool:
    """Whether a text is a whole sentence or more that the prompt gives to work on."""
    given = tokenize(text)
    if len(given) < 3:
        return False
    parts = [
        tokenize(part) for part in regex.split(r"[\n:：]|(?<=[.。!！?？])|[\"“”「」『』]", prompt)
    ]
    parts = [part for part in parts if part]
    for first in range(len(parts)):
        joined: list[str] = []
        for part in parts[first:]:
            joined = joined + part
            if joined == given:
                return True
            if len(joined) > len(given):
                break
    return False


def _over(share: float, low: float, high: float) -> float:
    """Where a share lies between two bounds, in [0, 1]."""
    return min(1.0, max(0.0, (share - low) / (high - low)))
