"""Long answers: how much of a reference's content a response has, and what contradicts it."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import pairwise

import regex

from instruct_scaling.evaluation.judge.scorers.matching import tokenize
from instruct_scaling.evaluation.judge.scorers.negation import denied_words, negations
from instruct_scaling.evaluation.judge.scorers.quantities import quantities, same_quantity

_STOP_EN = """
a an the is are was were be been being am of to in on at by for with from as and or that this
these those it its they their them he she his her him you your i we our us there so than then
because since due owing very too also just only will would can could may might do does did have
has had which who whom what when where how about into over under not no n t s
"""
_STOP_ZH = "的了是在和与及有也都就而因为由于所以这那它他她们一个着地得被把将其之会能要等从对很"
STOP = frozenset([*_STOP_EN.split(), *_STOP_ZH])
_SUFFIX = regex.compile(r"(?<=\w{3})(?:ily|ities|ity|ies|ied|ing|edly|ed|es|s|ly|y|e)$")
_CONTRADICTED = 0.2
_PREFIX = 6
_SHORT, _INCOMPLETE = 12, 0.75
_LEAST_PRECISION = 0.2
_PAIRS = """
increase/decrease rise/fall rose/fell more/less higher/lower high/low hot/cold warm/cool
before/after early/late first/last 1st/last best/worst large/small larger/smaller big/small
long/short fast/slow up/down north/south east/west left/right win/lose won/lost lose/find
lost/found lose/found buy/sell bought/sold open/close start/end begin/end arrive/leave
inside/outside above/below positive/negative profit/loss good/bad true/false gain/lose
safe/dangerous legal/illegal always/never most/least older/younger oldest/youngest
heaviest/lightest pass/fail passed/failed largest/smaller biggest/smaller tallest/shorter
oldest/younger taller/shorter tallest/shortest biggest/smallest largest/smallest heavier/lighter
fastest/slowest 相同/不同 增加/减少 上升/下降 上涨/下跌 提高/降低 增长/下降 更多/更少 高于/低于
大于/小于 之前/之后 最大/最小 最高/最低 最高/最矮 最多/最少 最快/最慢 最早/最晚 盈利/亏损
大雨/大雪 寒冷/炎热 有利/不利 成功/失败 安全/危险 支持/反对 年纪大/年纪小 开门/关门 出发/到达
买入/卖出 赢/输 东/西 南/北
"""
_OPPOSITES = [tuple(pair.split("/")) for pair in _PAIRS.split()]


def stem(token: str) -> str:
    """A word without its usual English endings."""
    return _SUFFIX.sub("", token) if token.isascii() else token


def same_stem(one: str, other: str) -> bool:
    """Equal, or long words that begin alike: gravity and gravitational."""
    if one == other:
        return True
    return (
        min(len(one), len(other)) >= _PREFIX and one.isascii() and one[:_PREFIX] == other[:_PREFIX]
    )


def content(text: str) -> list[str]:
    """The tokens that carry content, as stems, in order."""
    return [stem(token) for token in tokenize(text) if token not in STOP]


def graded(reference: str, response: str, question: str = "") -> float:
    """Share of the reference's content that the response has, in [0, 1]; 0.2 of it at most where
    the response contradicts the reference.

    A response much longer than the content that it shares with the reference is worth less.
    """
    wanted, given = content(reference), content(response)
    if not wanted or not given:
        return float(tokenize(reference) == tokenize(response))
    remaining = list(given)
    shared = 0
    for token in wanted:
        match = next((other for other in remaining if same_stem(token, other)), None)
        if match is not None:
            remaining.remove(match)
            shared += 1
    recall = shared / len(wanted)
    extra = [token for token in given if token not in set(content(question)) or token in wanted]
    precision = shared / len(extra) if extra else 0.0
    score = recall * min(1.0, precision / _LEAST_PRECISION)
    if recall < 1 and len(wanted) <= _SHORT:
        score = min(score, _INCOMPLETE)
    return score * _CONTRADICTED if contradicts(reference, response) else score


def replaced(reference: str, response: str) -> bool:
    """Whether a response copies a reference with another word in the place of one of its own."""
    wanted, given = content(reference), content(response)
    matcher = SequenceMatcher(None, wanted, given, autojunk=False)
    blocks = matcher.get_matching_blocks()
    if sum(block.size for block in blocks) < len(wanted) / 2:
        return False
    return any(
        tag == "replace" and not set(wanted[a:b]) <= set(given) and b - a <= 3
        for tag, a, b, _, _ in matcher.get_opcodes()
    )


def contradicts(reference: str, response: str) -> bool:
    """Whether a response denies, reverses or exchanges what the reference says."""
    return (
        _denies(reference, response)
        or _denies(response, reference)
        or reverses(reference, response)
        or _exchanges(content(reference), content(response))
        or _other_numbers(reference, response)
    )


def _denies(left: str, right: str) -> bool:
    """Whether `right` denies words that `left` affirms, and `left` denies less than it."""
    if negations(right) <= negations(left):
        return False
    affirmed = set(content(left))
    for words in denied_words(right):
        scope = content(words)[:3]
        if scope and scope[0] in affirmed:
            return True
        if len(scope) > 1 and sum(token in affirmed for token in scope) >= 2:
            return True
    return False


def reverses(reference: str, response: str) -> bool:
    """Whether a response has the opposite of a word of the reference, and not the word."""
    if _less_or_more(reference, response) or _less_or_more(response, reference):
        return True
    wanted, given = _forms(reference), _forms(response)
    for pair in _OPPOSITES:
        for one, other in (pair, pair[::-1]):
            if one in wanted and other not in wanted and other in given and one not in given:
                return True
    return False


def _less_or_more(one: str, other: str) -> bool:
    """Whether one says "less dense" where the other says "denser" or "more dense"."""
    if regex.search(r"\b(?:less|lower|smaller|lighter)\b", other, regex.IGNORECASE):
        return False
    words = regex.findall(r"\bless\s(\w{3,})", one, regex.IGNORECASE)
    return any(
        regex.search(rf"\b(?:more\s{word}|{word.rstrip('ey')}(?:e|i)?r)\b", other, regex.IGNORECASE)
        for word in words
    )


def _forms(text: str) -> _Forms:
    return _Forms(text)


class _Forms:
    """Looks words up: whole words or their stems in Latin script, characters in a row in "
    "Chinese."""

    def __init__(self, text: str) -> None:
        tokens = tokenize(text)
        self._tokens = set(tokens) | {stem(token) for token in tokens}
        self._text = text

    def __contains__(self, word: str) -> bool:
        if word[0].isdigit():
            return word in self._text.casefold().split()
        if word.isascii():
            return word in self._tokens or stem(word) in self._tokens
        return word in self._text


def _exchanges(wanted: list[str], given: list[str]) -> bool:
    """Whether two words have changed places: "short blue, long red" and "short red, long blue"."""
    if len(set(wanted)) < 3:
        return False
    follows, followed = _next(wanted), _next(given)
    shared = [token for token in follows if token in followed]
    if any(not token.isascii() for token in shared):
        return False  # single characters of Chinese follow each other by chance
    for index, one in enumerate(shared):
        for other in shared[index + 1 :]:
            x, y = follows[one], follows[other]
            if x != y and followed[one] == y and followed[other] == x:
                return True
    before, before_given = _next(wanted[::-1]), _next(given[::-1])
    return any(
        token in before and token in before_given
        and follows[token] == before_given[token] != before[token] == followed[token]
        for token in shared
    )  # fmt: skip


def _next(tokens: list[str]) -> dict[str, str]:
    """Each token that occurs once, with the one after it."""
    pairs = pairwise(tokens)
    return {one: other for one, other in pairs if tokens.count(one) == 1}


def _other_numbers(reference: str, response: str) -> bool:
    """Whether the reference has numbers, the response has some, and one of the former is "
    "missing."""
    wanted, given = quantities(reference), quantities(response)
    if not wanted or not given:
        return False
    return any(not any(same_quantity(one, other) for other in given) for one in wanted)
