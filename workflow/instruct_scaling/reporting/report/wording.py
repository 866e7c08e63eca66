"""How numbers, names and languages are written on the page."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
_SPECIAL_NAMES = {
    "cot": "CoT",
    "open_qa": "Open QA",
    "closed_qa": "Closed QA",
    "overall": "Overall",
}
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_LETTER = re.compile(r"[^\W\d_]")


def number(value: float | None, decimals: int = 2, *, sign: bool = False) -> str:
    """A number with a true minus sign, thousands separated; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:{'+' if sign else ''},.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def short(value: float) -> str:
    """A number without trailing zeros, such as a margin: 0.02."""
    return f"{value:.4g}".replace("-", MINUS)


def count(value: float | None) -> str:
    """A whole number with thousands separated; a dash where there is none."""
    return number(value, 0)


def interval(
    low: float | None, high: float | None, decimals: int = 2, *, sign: bool = False
) -> str:
    """`[low, high]`; empty where there is no interval."""
    if low is None or high is None:
        return ""
    return f"[{number(low, decimals, sign=sign)}, {number(high, decimals, sign=sign)}]"


def percent(share: float, decimals: int = 1) -> str:
    """A share in [0, 1] as a percentage; small shares that are not 0 never read as 0."""
    if 0 < share < 0.5 * 10 ** -(decimals + 2):
        return f"<{10**-decimals:g}%"
    return f"{100 * share:.{decimals}f}%"


def level(coverage: float) -> str:
    """Coverage of an interval as text: 0.9 is "90%"."""
    return f"{100 * coverage:g}%"


def duration(seconds: float | None) -> str:
    """Seconds as `42 s`, `3 min 5 s` or `2 h 10 min`."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"


def plural(how_many: int, noun: str, nouns: str | None = None) -> str:
    """`1 seed`, `2 seeds`, `3 categories`."""
    return f"{count(how_many)} {noun if how_many == 1 else nouns or noun + 's'}"


def listing(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    words = list(words)
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def category_name(category: str) -> str:
    """The label of a category: `open_qa` reads "Open QA"."""
    plain = category.replace("_", " ")
    return _SPECIAL_NAMES.get(category, plain[:1].upper() + plain[1:])


def scale_name(scale: int) -> str:
    """The label of a scale: record count, or `base` for the untuned model."""
    return "base" if scale == 0 else count(scale)


def words(name: str) -> str:
    """A column or key name as words: `n_missing` reads "missing", `tail_slope` "tail slope"."""
    return name.removeprefix("n_").replace("_", " ")


def plain(value: Any) -> str:
    """Any JSON value as short text."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return NOTHING if not math.isfinite(value) else short(value)
    if isinstance(value, list | tuple):
        return ", ".join(plain(part) for part in value) or NOTHING
    if isinstance(value, dict):
        return ", ".join(f"{words(key)} {plain(part)}" for key, part in value.items()) or NOTHING
    return str(value)


def language_of(text: str | None, declared: str | None = None) -> str | None:
    """The `lang` attribute that a text needs on an English page, or None.

    A text counts as Chinese if at least a fifth of its letters are Han characters; otherwise the
    declared language stands, unless it is Chinese and the text has no Han character at all.
    """
    if not text:
        return None
    han = len(_HAN.findall(text))
    if han and han >= 0.2 * len(_LETTER.findall(text)):
        return "zh"
    if declared in (None, "en", "zh"):
        return None
    return declared
