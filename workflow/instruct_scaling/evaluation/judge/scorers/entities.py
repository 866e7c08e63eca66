"""Short answers: a name, a place, a thing, looked for in a response as whole words."""

from __future__ import annotations

from collections import Counter

import regex

from instruct_scaling.evaluation.judge.scorers.aliases import aliases, is_abbreviation
from instruct_scaling.evaluation.judge.scorers.matching import tokenize
from instruct_scaling.evaluation.judge.scorers.negation import (
    affirmed,
    denied,
    negations,
    one_of_several,
)
from instruct_scaling.evaluation.judge.scorers.overlap import content, stem
from instruct_scaling.evaluation.judge.scorers.reading import corrected, sentences
from instruct_scaling.evaluation.judge.scorers.roles import elsewhere

_LEADING = regex.compile(
    r"^(?:(?:because of|because|due to|in|at|on|the|a|an|to|by|from|with|it is|it's|they are)\s+|"
    r"因为|由于|在(?=\p{Han}{2})|"
    r"是(?=\p{Han}{2})|于(?=\p{Han}{2}))+",
    regex.IGNORECASE,
)
_SUFFIX = regex.compile(
    r"(?<=\p{Han}{2})(?:术|市|省|县|州|自治区|先生|女士|同志|老师|公司|集团|有限公司)$|"
    r"(?<=^[红橙黄绿青蓝紫白黑灰粉棕金银])色$|(?<=\p{Han})的$"
)
_ASIDE = regex.compile(r"\s*\([^()]*\)")
_WHO = regex.compile(
    r"\bwho(?:se|m)?\b|\bauthor\b|\bname\b|谁|作者|哪位|人名|姓名", regex.IGNORECASE
)
_PART_OF_NAME = 0.2
_MOST_PART = 0.75
_TYPO_LETTERS = 7


def name_score(wanted: str, text: str, question: str, prompt: str) -> float:
    """1 if the text affirms `wanted`, 0 if it names something else, between for a part of it."""
    spans = mention_spans(wanted, text)
    if spans:
        good = [
            span
            for span in spans
            if affirmed(text, *span)
            or (_own_denial(wanted, text) and not one_of_several(text, *span))
        ]
        good = [span for span in good if not elsewhere(wanted, text, span, question, prompt)]
        return float(bool(good) and not _about_another(wanted, text, question))
    return _part_score(wanted, corrected(text), question)


def phrase_score(wanted: str, text: str) -> float:
    """1 if a longer reference stands in the text as it is and is not denied, else 0."""
    spans = mention_spans(wanted, text)
    return float(any(not denied(text, *span) and not one_of_several(text, *span) for span in spans))


def mention_spans(wanted: str, text: str) -> list[tuple[int, int]]:
    """Where `wanted` stands in a text: whole words, whatever their case, plural or punctuation."""
    for form in _forms(wanted):
        tokens = tokenize(form)
        if not tokens:
            continue
        pattern = _pattern(tuple(tokens))
        spans = [match.span() for match in pattern.finditer(text)]
        if spans:
            return spans
    return _alias_spans(wanted, text) or _reordered_spans(wanted, text)


def _alias_spans(wanted: str, text: str) -> list[tuple[int, int]]:
    """Where the text has another name of the same thing."""
    found = []
    for name in aliases(_LEADING.sub("", wanted.strip(" .,。\"'"))):
        tokens = tokenize(name)
        if is_abbreviation(name):
            pattern = regex.compile(rf"(?<![A-Za-z0-9.]){regex.escape(name)}(?![A-Za-z0-9])")
        elif regex.match(r"\p{Han}$", name):
            continue  # one character of Chinese is a part of too many words
        else:
            pattern = _pattern(tuple(tokens))
        found += [match.span() for match in pattern.finditer(text)]
    return sorted(found)


def _reordered_spans(wanted: str, text: str) -> list[tuple[int, int]]:
    """The characters of a Chinese description in other order: 姓沈的盐商 for 盐商沈氏.

    Only for four or more characters, in a passage at most two longer: shorter names change their
    meaning with their order.
    """
    core = regex.sub(r"[^\p{Han}]|氏$", "", wanted)
    if (
        not regex.fullmatch(r"[\p{Han}（）()]+", wanted)
        or len(regex.sub(r"\P{Han}", "", wanted)) < 4
    ):
        return []
    for start in range(len(text)):
        if text[start] not in core:
            continue
        for end in range(start + len(core), min(len(text), start + len(core) + 2) + 1):
            window = text[start:end]
            if text[end - 1] in core and not Counter(core) - Counter(window):
                return [(start, end)]
    return []


def _forms(wanted: str) -> list[str]:
    bare = _LEADING.sub("", wanted.strip(" .,。\"'"))
    short = _SUFFIX.sub("", _ASIDE.sub("", bare))
    family = short.rsplit("·", 1)[-1]  # 华盛顿 for 乔治·华盛顿
    forms = [wanted, bare, _ASIDE.sub("", bare), short, family if len(family) >= 2 else short]
    return list(dict.fromkeys(forms))


def _pattern(tokens: tuple[str, ...]) -> regex.Pattern[str]:
    pieces = []
    for number, token in enumerate(tokens):
        piece = regex.escape(token)
        last = number == len(tokens) - 1
        if token.isascii() and token.isalpha() and last and len(token) > 2:
            ending = "(?:y|ies)" if token.endswith("y") else token[-1] + "(?:e?s)?"
            piece = regex.escape(token[:-1]) + ending + r"(?:'s)?"
        pieces.append(_between(tokens[number - 1], token) + piece if number else piece)
    left = r"(?<![A-Za-z0-9À-ÿ])(?<!\d[.,])" if not regex.match(r"\p{Han}", tokens[0]) else ""
    right = r"(?![A-Za-z0-9À-ÿ+#]|[.,]\d)" if not regex.match(r"\p{Han}", tokens[-1]) else ""
    return regex.compile(left + "".join(pieces) + right, regex.IGNORECASE)


def _between(one: str, other: str) -> str:
    """What may stand between two tokens: between two words something must."""
    if regex.match(r"\p{Han}", one) and regex.match(r"\p{Han}", other):
        return r"[\s_·\"'-]*"
    words = one[-1].isalpha() and other[0].isalpha() and not regex.search(r"\p{Han}", one + other)
    return r"[\W_]+" if words or (one[-1].isdigit() and other[0].isdigit()) else r"[\W_]*"


def _own_denial(wanted: str, text: str) -> bool:
    """A reference that is itself a denial ("not allowed") is not denied by its own "not"."""
    return negations(wanted) > 0 and negations(text) <= negations(wanted)


def _about_another(wanted: str, text: str, question: str) -> bool:
    """Whether another sentence answers the question, one without the reference.

    "Omar is at the bank. Adam is at the garden." does not say that Adam is at the bank.
    """
    asked = set(content(question)) - set(content(wanted))
    parts = sentences(text)
    if len(parts) < 2 or not asked:
        return False
    shared = [len(asked & set(content(part))) / len(asked) for part in parts]
    with_it = [
        score for part, score in zip(parts, shared, strict=True) if mention_spans(wanted, part)
    ]
    without = [
        score
        for part, score in zip(parts, shared, strict=True)
        if not mention_spans(wanted, part) and not negations(part)
        and not regex.search(r"\b(?:think|believe|often|many people|confuse)|认为|以为", part)
    ]  # fmt: skip
    best = max(without, default=0.0)
    novel = best >= 0.6 and max(with_it, default=0.0) < best
    return novel and len(parts[0]) > len(wanted) + 3 and not mention_spans(wanted, parts[0])


def _part_score(wanted: str, text: str, question: str) -> float:
    """What a text is worth that has not all of the reference in a row."""
    target = content(_LEADING.sub("", wanted))
    asked = set(content(question))
    given = content(text)
    if not target or negations(text) > negations(wanted):
        return 0.0
    latin = all(token.isascii() for token in target)
    if latin and wanted[:1].isupper() and _misspelled(wanted, text):
        return 1.0
    core = [token for token in target if token not in asked] or target
    if latin and all(_has(token, given) for token in core):
        return 1.0
    if latin and core != target and not set(core) & set(given):
        return 0.0
    rest = [token for token in given if token not in target and token not in asked]
    shared = [token for token in target if token in given]
    if not shared:
        return 0.0
    if latin and _WHO.search(question) and len(target) in (2, 3) and wanted[:1].isupper():
        family = target[-1] in given and not any(
            token in rest for token in _first_names(text, target)
        )
        return float(family) if family else _PART_OF_NAME
    if rest:
        return 0.0
    contiguous = latin or regex.sub(r"[^\p{Han}]", "", text) in wanted
    return min(_MOST_PART, len(shared) / len(target)) if contiguous else 0.0


def _misspelled(wanted: str, text: str) -> bool:
    """Whether a name of two words or more stands in the text with one typing error in it."""
    words = [token for token in tokenize(_LEADING.sub("", wanted)) if token.isalpha()]
    given = tokenize(text)
    runs = zip(*(given[offset:] for offset in range(len(words))), strict=False)
    return len(words) >= 2 and any(
        sum(one != other for one, other in zip(words, run, strict=True)) == 1
        and all(_has(one, [other]) for one, other in zip(words, run, strict=True))
        for run in runs
    )


def _first_names(text: str, target: list[str]) -> list[str]:
    """Capitalized words right before the family name: "Thomas Shakespeare" is somebody else."""
    pattern = rf"\b([A-Z]\w+)\s+{regex.escape(target[-1])}"
    found = regex.findall(pattern, text, flags=regex.IGNORECASE)
    return [stem(name.casefold()) for name in found if name[0].isupper()]


def _has(token: str, given: list[str]) -> bool:
    """The token, or one with a single typing error in seven letters or more."""
    if token in given:
        return True
    return len(token) >= _TYPO_LETTERS and any(_one_edit(token, other) for other in given)


def _one_edit(one: str, other: str) -> bool:
    if one[:1] != other[:1] or abs(len(one) - len(other)) > 1:
        return False
    start = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
    tails = (
        one[start + 1 :] == other[start + 1 :],
        one[start:] == other[start + 1 :],
        one[start + 1 :] == other[start:],
    )
    return any(tails)
