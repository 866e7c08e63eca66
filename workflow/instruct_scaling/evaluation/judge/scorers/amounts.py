"""Numbers with their units as answers: which are affirmed, and whether they are right."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import regex

from instruct_scaling.evaluation.judge.scorers.negation import denied, one_of_several
from instruct_scaling.evaluation.judge.scorers.numerals import numerals
from instruct_scaling.evaluation.judge.scorers.overlap import content
from instruct_scaling.evaluation.judge.scorers.quantities import (
    UNIT_WORD,
    Quantity,
    joined,
    quantities,
    same_quantity,
    unit_words,
)
from instruct_scaling.evaluation.judge.scorers.reading import corrected, plain, statement
from instruct_scaling.evaluation.judge.scorers.roles import of_another
from instruct_scaling.evaluation.judge.scorers.units import Unit

_PER = regex.compile(r"/(?:秒|s|sec|second|小时|h|hour|分钟|min|天|day|年|year|人|个)\b")
_BOUND = regex.compile(r"(?:不止|不到|\b(?:less|fewer) than)\s?$", regex.IGNORECASE)
_QUESTION = regex.compile(r"[^.!?。\n]*[?？]")
_ASKED_UNIT = regex.compile(
    rf"(?:\bhow (?:many|much)\s(?:more\s|fewer\s|full\s|whole\s)?|\bin\s|多少|几)\s?"
    rf"(?:{UNIT_WORD})(?![\p{{L}}])|(?:多少|几)(?:{UNIT_WORD})",
    regex.IGNORECASE,
)
# Scales of one thing that no factor converts.
_SCALES = frozenset(["celsius", "fahrenheit"])


def question_of(prompt: str) -> str:
    """The last question of a prompt, else its first line."""
    asked = _QUESTION.findall(prompt)
    return asked[-1].strip() if asked else prompt.split("\n")[0]


def only_quantities(amounts: list[Quantity], text: str) -> bool:
    """Whether nothing but quantities, and words such as "about", stands in a text."""
    rest = text
    for one in reversed(amounts):
        rest = rest[: one.start] + " " + rest[one.end :]
    left = [token for token in content(rest) if token not in _LOOSE]
    return len(left) <= 1 and not regex.search(r"[A-Z]", rest.strip()[:1] if left else "")


_LOOSE = frozenset(
    content(
        "approximately around nearly almost roughly exactly least most total people person times "
        "约 大约 大概 左右 共 人 个 名 位 次 只 件 本 条 张 第 将近 近 多"
    )
)


def quantity_score(wanted: list[Quantity], text: str, prompt: str, *, about: bool = False) -> float:
    """1 if the text affirms every quantity wanted, else the share of them; 0 or 1 of a single one.

    Args:
        about: what is within 5% counts.
    """
    stated = corrected(text)
    part = statement(text)
    found = _affirmed_quantities(part)
    if not found:
        part, found = stated, _affirmed_quantities(stated)
    if len(wanted) == 1 and _enumerates(found, part):
        return 0.0
    plain_prompt = numerals(plain(prompt))
    if regex.search(r"每|\bper\b", plain_prompt):
        part = _PER.sub("", part)
        found = _affirmed_quantities(part)
    asked = quantities(plain_prompt)
    restated = {(one.value, one.unit) for one in asked if one.unit}
    bare = any(want.unit is None for want in wanted)
    restated -= {(want.value, want.unit) for want in wanted}
    given = [one for one in found if bare or (one.value, one.unit) not in restated]
    units = units_told(question_of(plain_prompt), plain_prompt)
    question = question_of(plain(prompt))
    given = [
        one for one in given if not of_another(part, one.start, one.end, question, plain(prompt))
    ]
    hits = sum(any(equal_in(want, one, units) for one in given) for want in wanted)
    if about and not hits and len(wanted) == 1:
        return float(any(_near(wanted[0], one) for one in given))
    if len(wanted) == 1:
        return float(hits == 1)
    return 1.0 if hits == len(wanted) else min(0.75, hits / len(wanted))


def _near(want: Quantity, given: Quantity) -> bool:
    """Within 5% in the same unit, for a reference that says "about"."""
    if want.dimension != given.dimension:
        return False
    factors = [one.unit.factor if one.unit else 1 for one in (want, given)]
    exact, other = want.value * factors[0], given.value * factors[1]
    return abs(exact - other) <= abs(exact) / 20


def _affirmed_quantities(text: str) -> list[Quantity]:
    return [
        one
        for one in joined(quantities(text), text)
        if not denied(text, one.start, one.end)
        and not one_of_several(text, one.start, one.end)
        and not _BOUND.search(text[: one.start])
    ]


def _enumerates(found: list[Quantity], text: str) -> bool:
    """Whether several values of one kind are offered side by side."""
    kinds: dict[str | None, list[Quantity]] = {}
    for one in found:
        kinds.setdefault(one.dimension, []).append(one)
    for same in kinds.values():
        gaps = [text[a.end : b.start] for a, b in pairwise(same)]
        close = [regex.fullmatch(r"[\s,、;]*(?:and|和)?\s*", gap) is not None for gap in gaps]
        if len({one.value for one in same}) >= 2 and sum(close) >= 2:
            return True
    return False


def _other_scale(given: Quantity, units: set) -> bool:
    """Whether a value is in another scale of temperature than the question's."""
    named = {unit.dimension for unit in units} & _SCALES
    return given.dimension in _SCALES and bool(named) and given.dimension not in named


def units_told(question: str, prompt: str) -> set[Unit]:
    """The units that a bare reference may be in: those that the question asks for ("how many
    meters", "in cents", 多少米), and of other dimensions all that the prompt names.

    Args:
        question: a part of `prompt`; both as `numerals` gives them.
    """
    asked = {unit for match in _ASKED_UNIT.finditer(question) for unit in unit_words(match[0])}
    settled = {unit.dimension for unit in asked}
    return asked | {unit for unit in unit_words(prompt) if unit.dimension not in settled}


def equal_in(want: Quantity, given: Quantity, units: set) -> bool:
    """Equality where a reference without a unit is in one of the units that the prompt tells."""
    if want.unit is None and given.unit is not None:
        if _other_scale(given, units):
            return False
        same = {unit for unit in units if unit.dimension == given.dimension}
        if same and given.unit not in same:
            value = given.value * given.unit.factor
            return any(want.value * Fraction(unit.factor) == value for unit in same)
    return same_quantity(want, given)
