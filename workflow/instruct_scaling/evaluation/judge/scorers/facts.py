"""Facts that an answer must state or must not: a fact is a list of ways to put it.

A way occurs when its words follow each other in the answer, English ones in any form, numbers by
value. It counts if it is as affirmed or negated there as it is put: "did not see the park" does not
state "park" unless the reference negates it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import regex

from instruct_scaling.evaluation.judge.scorers.canonical import canonical
from instruct_scaling.evaluation.judge.scorers.content_units import lexicon, segment, stem

# A negation reaches so many tokens of its clause.
SCOPE = 8
_CLAUSE_END = regex.compile(
    r"[.!?;:,。！？；，：\n]|\b(?:but|so|because|although|while)\b|但|所以|因此"
)
_PIECE = regex.compile(r"\d+(?:[.:/]\d+)*%?|[\p{L}\p{M}--\p{Script=Han}]+|\p{Script=Han}", regex.V1)


@lru_cache(maxsize=4096)
def _pieces(text: str) -> tuple[tuple[str, int, int], ...]:
    """(piece, start, end) in the canonical text: characters, numbers, stems of words."""
    base = lexicon().base
    return tuple(
        (stem(found[0], base), *found.span()) for found in _PIECE.finditer(canonical(text))
    )


def occurrences(way: str, text: str) -> list[bool]:
    """For each place where the words of `way` occur in `text`: whether it is negated there.

    A way without a letter or digit, such as a question mark, is looked for as it is.
    """
    wanted = [piece for piece, _, _ in _pieces(way)]
    plain = canonical(text)
    if not wanted:
        return [False] * plain.count(canonical(way).strip()) if way.strip() else []
    pieces = _pieces(text)
    found = []
    for first in range(len(pieces) - len(wanted) + 1):
        part = pieces[first : first + len(wanted)]
        if all(_equal(want, has) for want, (has, _, _) in zip(wanted, part, strict=True)):
            if len(wanted) == 1 and _is_part_of_word(plain, part[0]):
                continue
            found.append(_negated(plain, part[0][1]))
    return found


def states(text: str, fact: Sequence[str], reference: str | None = None) -> bool:
    """Whether the text states the fact in one of its ways.

    Args:
        text: an answer.
        fact: the ways to put it.
        reference: a right answer; a way that it negates is to be negated.
    """
    for way in fact:
        found = occurrences(way, text)
        right = set(occurrences(way, reference)) if reference else set()
        if any(negated in (right or {False}) for negated in found):
            return True
    return False


def denies(text: str, fact: Sequence[str], reference: str | None = None) -> bool:
    """Whether the text has the fact's words only the other way around: negated, or not negated."""
    return not states(text, fact, reference) and any(occurrences(way, text) for way in fact)


def _equal(wanted: str, has: str) -> bool:
    return wanted == has or (wanted.removesuffix("%") == has.removesuffix("%") != "")


def _is_part_of_word(plain: str, piece: tuple[str, int, int]) -> bool:
    """Whether a single Chinese character is a part of a word that means something else."""
    text, start, end = piece
    if not regex.fullmatch(r"\p{Script=Han}", text):
        return False
    known = lexicon()
    return (
        plain[start - 1 : end] in known.no_negation or plain[start : end + 1] in known.no_negation
    )


def _negated(plain: str, start: int) -> bool:
    """Whether a negation precedes the place in its clause, near enough."""
    ends = [end.end() for end in _CLAUSE_END.finditer(plain, 0, start)]
    clause = plain[ends[-1] if ends else 0 : start]
    known = lexicon()
    for phrase in known.no_negation:
        if " " in phrase:
            clause = clause.replace(phrase, " ")
    tokens = segment(clause)[-SCOPE:]
    return sum(token in known.negation for token in tokens) % 2 == 1
