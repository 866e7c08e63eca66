"""One way to write what can be written in many: script, width, contractions, numbers, times.

Two texts that say the same in other characters have equal canonical forms: traditional and
simplified script, `2,000` and 两千, `4.5 million` and 450万, "isn't" and "is not", 9点40分 and
9:40.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import cache

import cn2an
import regex
from opencc import OpenCC
from text_to_num import alpha2digit

_CONTRACTIONS = (
    (regex.compile(r"\bcan(?:'t|not)\b"), "can not"),
    (regex.compile(r"\bwon't\b"), "will not"),
    (regex.compile(r"\bshan't\b"), "shall not"),
    (regex.compile(r"n't\b"), " not"),
    (regex.compile(r"(?<=\w)'(?:s|re|ll|ve|d|m)\b"), ""),
)
_CLOCK = regex.compile(r"\b([ap])\.\s?m\b\.?")
_HAN_CLOCK = regex.compile(
    r"(?<!\d)(\d{1,2})[点时](?:(半)|(\d{1,2})(?:分(?!钟)|(?![\d点时.])))?(?![间候])[整钟]?"
)
_SCALES = {
    "百": 100, "千": 1_000, "万": 10_000, "十万": 10**5, "百万": 10**6, "千万": 10**7, "亿": 10**8,
    "hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "k": 1_000, "m": 10**6, "bn": 10**9,
}  # fmt: skip
_DIGITS = regex.compile(
    r"(?<![\d.,:/\-a-z])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?:\s*(hundred|thousand|million|billion|trillion)\b|(bn|[km])\b(?!\w)"
    r"|\s*([百千十]?万|亿|千(?![米克瓦])|百)(?![分]))?(?![\d:/])"
)
# Numerals, except those in words that count nothing and in the names of weekdays.
_HAN_NUMBER = regex.compile(
    r"(?<![周期拜第唯统之])(?!十分(?!钟|之)|千万[别不要]|万一|三明治|四川|四季|五官|三国|百姓|万物)"
    r"(?:百分之)?(?:[〇零一二两三四五六七八九十百万亿]|千(?![克米瓦]))+"
)
_WEEKDAY = regex.compile(r"(?:周|礼拜)(?=[一二三四五六日天](?![年个]))")
_HAN_DIGITS = frozenset("〇零一二两三四五六七八九")
_ONE = regex.compile(r"一(?=[个名位只本张条件座辆项家份小天年月日次岁点分元块公米千百杯句种倍])")
_TWO = regex.compile(r"\btwo\b")  # which text2num leaves where it stands alone
_NUMERAL_WORD = regex.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty|hundred|"
    r"thousand|million|billion)\b"
)


def canonical(text: str) -> str:
    """The canonical form, in lower case and simplified Chinese; line breaks are kept."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").replace("‘", "'")
    if regex.search(r"\p{Script=Han}", text):
        text = _simplified()(text)
        text = _WEEKDAY.sub("星期", text)
        text = _HAN_NUMBER.sub(_han_digits, text)
    text = _DIGITS.sub(_value, text)
    if _NUMERAL_WORD.search(text):
        text = _TWO.sub("2", alpha2digit(text, "en"))
    for pattern, plain in _CONTRACTIONS:
        text = pattern.sub(plain, text)
    text = _CLOCK.sub(r"\1m", text)
    text = regex.sub(r"(?<=\d)(?=[ap]m\b)", " ", text)
    return _HAN_CLOCK.sub(_clock, text)


def plain(number: Decimal) -> str:
    """A number as digits without exponent or trailing zeros."""
    return format(number.normalize() if number else Decimal(0), "f")


@cache
def _simplified() -> Callable[[str], str]:
    """From traditional script, with the words of Taiwan in those of the mainland."""
    return OpenCC("tw2sp").convert


def _han_digits(found: regex.Match[str]) -> str:
    numeral = found[0].removeprefix("百分之")
    if numeral == "一" and not (found[0] != numeral or _ONE.match(found.string, found.start())):
        return found[0]
    if len(numeral) == 2 and set(numeral) <= _HAN_DIGITS:
        return found[0]  # 两三个: two or three
    if not set(numeral) & (_HAN_DIGITS | {"十"}):
        return found[0]  # 万 or 千 after digits, which `_DIGITS` reads
    try:
        value = plain(Decimal(str(cn2an.cn2an(numeral, "smart"))))
    except (ValueError, InvalidOperation):
        return found[0]
    return value + "%" if found[0] != numeral else value


def _clock(found: regex.Match[str]) -> str:
    minutes = "30" if found[2] else (found[3] or "0").zfill(2)
    return f" {int(found[1])}:{minutes} "


def _value(found: regex.Match[str]) -> str:
    scale = found[2] or found[3] or found[4]
    number = Decimal(found[1].replace(",", "")) * _SCALES.get(scale or "", 1)
    return plain(number) + (" " if found[4] else "")
