"""Quantities of a text: value, unit and place; and when two of them are the same."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import regex

from instruct_scaling.evaluation.judge.scorers.units import UNITS, Unit

_CURRENCY = r"us\$|[$¥€£]"
_LATIN_UNIT = "|".join(
    regex.escape(name)
    for name in sorted(UNITS, key=len, reverse=True)
    if name[0].isascii() and name[0] != "$" and name != "%"
)
_OTHER_UNIT = "|".join(
    regex.escape(name) for name in sorted(UNITS, key=len, reverse=True) if not name[0].isascii()
)
_QUANTITY = regex.compile(
    rf"(?P<sign>(?<![\w)\]%])(?<![\d)\]%]\s)[-−]\s?|"
    rf"(?<=\p{{Han}})-)?(?P<currency>{_CURRENCY})?\s?(?P<sign2>(?<=[$¥€£])-)?"
    r"(?<![A-Za-z_\d.]|\d[-/:])(?P<number>\d+(?:\.\d+)?|(?<!\d)\.\d+)(?P<more>\.{3}|…)?"
    r"(?:\s?/\s?(?P<under>\d+(?:\.\d+)?)(?![\d/]))?"
    rf"(?:(?:\s|-|\\)?(?P<unit>%|‰|°[cf]|(?:{_LATIN_UNIT})(?![A-Za-z])|{_OTHER_UNIT}))?",
    regex.IGNORECASE,
)
# Words of the unit table in a question: "how many meters", 多少米.
UNIT_WORD = rf"(?<![A-Za-z'’])(?:{_LATIN_UNIT})(?![A-Za-z])|[$¥€£]|{_OTHER_UNIT}"
_UNIT_WORD = regex.compile(UNIT_WORD, regex.IGNORECASE)
_MIN_ROUNDED_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of a text with its unit, at `start` to `end`; `decimals` of its written form."""

    value: Fraction
    unit: Unit | None
    start: int
    end: int
    decimals: int
    digits: int
    unit_name: str = ""

    @property
    def dimension(self) -> str | None:
        """The unit's dimension; None for a bare number."""
        return self.unit.dimension if self.unit else None


def quantities(text: str) -> list[Quantity]:
    """The quantities of a text that `numerals` has rewritten, in order."""
    found = []
    for match in _QUANTITY.finditer(text):
        if len(match["number"]) > 40 or len(match["under"] or "") > 40:
            continue
        value = Fraction(match["number"])
        under = Fraction(match["under"]) if match["under"] else Fraction(1)
        if under == 0:
            continue
        if match["sign"] or match["sign2"]:
            value = -value
        start = match.start() + len(match[0]) - len(match[0].lstrip())
        name = (match["unit"] or match["currency"] or "").casefold()
        if match["currency"] and UNITS.get(name, UNITS["$"]).dimension not in ("usd", "cny"):
            name = match["currency"].casefold()
        decimals = len(match["number"].partition(".")[2])
        digits = len(match["number"].replace(".", "").lstrip("0"))
        unit = UNITS.get(name)
        found.append(Quantity(value / under, unit, start, match.end(), decimals, digits, name))
    return found


def joined(found: list[Quantity], text: str) -> list[Quantity]:
    """Quantities that form one: 1小时30分钟, "5 feet 3 inches"."""
    merged: list[Quantity] = []
    for one in found:
        last = merged[-1] if merged else None
        if (
            last is not None and last.unit and one.unit and last.dimension == one.dimension
            and last.unit.factor > one.unit.factor
            and regex.fullmatch(r"[\s零又]*(?:and|,)?\s*", text[last.end : one.start])
        ):  # fmt: skip
            value = last.value + one.value * one.unit.factor / last.unit.factor
            merged[-1] = Quantity(value, last.unit, last.start, one.end, 0, 0, last.unit_name)
        else:
            merged.append(one)
    return merged


def unit_words(text: str) -> set[Unit]:
    """The units that a text names, with a number or without."""
    return {UNITS[match[0].casefold()] for match in _UNIT_WORD.finditer(text)}


def same_quantity(left: Quantity, right: Quantity) -> bool:
    """Whether two quantities are equal.

    Two units must measure the same thing and are converted; a bare number is taken to be in the
    other's unit. A percentage equals its bare number and its share (75%, 75, 0.75). What one of
    them rounds to two or more decimals, with three digits, is equal (3.33 and 10/3).
    """
    first, second = left.value, right.value
    if {left.dimension, right.dimension} == {"celsius", "fahrenheit"}:
        celsius, other = (left, right) if left.dimension == "celsius" else (right, left)
        return abs(celsius.value * 9 / 5 + 32 - other.value) <= Fraction(1, 2)
    if left.unit and right.unit:
        if left.dimension != right.dimension:
            return False
        first, second = first * left.unit.factor, second * right.unit.factor
        return first == second or _rounded(left, right)
    if _rounded(left, right):
        return True
    if "percent" in (left.dimension, right.dimension):
        share, bare = (left, right) if left.dimension == "percent" else (right, left)
        return share.value / 100 == bare.value
    return False


def _rounded(left: Quantity, right: Quantity) -> bool:
    """Equal in the same unit, at the precision of the one with fewer decimals."""
    if left.value == right.value:
        return left.unit is None or right.unit is None or left.unit == right.unit
    if left.unit and right.unit and left.unit != right.unit:
        return False
    for short, other in ((left, right), (right, left)):
        if short.decimals >= 2 and short.digits >= _MIN_ROUNDED_DIGITS:
            step = Fraction(1, 10**short.decimals)
            if abs(short.value - other.value) <= step / 2:
                return True
    truncated = left.value > 0 and min(left.decimals, right.decimals) >= 3
    return truncated and abs(left.value - right.value) < Fraction(
        1, 10 ** min(left.decimals, right.decimals)
    )
