"""English number words as digits: "two and a half", "a hundred twenty", "half past"."""

from __future__ import annotations

from fractions import Fraction

import regex

from instruct_scaling.evaluation.judge.scorers.digits import written

_UNITS_EN = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
]
_SCALES_EN = ["hundred", "thousand", "million", "billion", "trillion"]
_WORD_EN = "(?:" + "|".join(_UNITS_EN + _SCALES_EN) + ")"
_SPAN_EN = regex.compile(
    rf"\b(?:(?!(?:{'|'.join(_SCALES_EN)})\b){_WORD_EN}|an?(?=\s(?:hundred|thousand|million|"
    rf"billion)\b))"
    rf"(?:(?:-|\s|\sand\s){_WORD_EN})*(?:\spoint(?:\s{_WORD_EN})+)?\b",
    regex.IGNORECASE,
)
_BELOW_ZERO = regex.compile(
    r"(\d+(?:\.\d+)?)((?:\sdegrees?)?)\sbelow\s(?:zero|0)", regex.IGNORECASE
)
_MINUS_EN = regex.compile(r"\b(?:minus|negative)\s(?=\d)", regex.IGNORECASE)
_SCALED_EN = regex.compile(
    r"(\d+(?:\.\d+)?)\s?(hundred|thousand|million|billion|trillion|mn|bn|k(?![\w/])|"
    r"(?-i:(?<=\d)[MB](?!\w)))\b",
    regex.IGNORECASE,
)
_SCALE_EN = {
    "hundred": 10**2,
    "thousand": 10**3,
    "k": 10**3,
    "million": 10**6,
    "mn": 10**6,
    "m": 10**6,
    "billion": 10**9,
    "bn": 10**9,
    "b": 10**9,
    "trillion": 10**12,
}
_PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "tenth": 10}
_PART = regex.compile(
    r"\b(?:(?P<whole>\d+)\s(?:and\s))?(?P<count>\d+|an?|one)[\s-](?P<part>half|third|quarter|"
    r"fourth|fifth|tenth)s?\b"
    r"(?!\s(?:day|hour|time|place|floor|year|month|street|grade)\b)",
    regex.IGNORECASE,
)
_HALF_OF = regex.compile(
    r"\bhalf\san?\s(?=hundred|thousand|million|billion|dozen)", regex.IGNORECASE
)
_DOZEN = regex.compile(r"\b(\d+|an?|one|two|three)\sdozen\b", regex.IGNORECASE)
_ORDINALS = {"twentieth": "20th", "thirtieth": "30th"} | dict(
    zip(
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
        ],
        ["1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "10th", "11th", "12th"],
        strict=True,
    )
)
_ORDINAL = regex.compile(r"\b(" + "|".join(_ORDINALS) + r")\b", regex.IGNORECASE)
_TENS_ORDINAL = regex.compile(
    r"\b(" + "|".join(_UNITS_EN[20:]) + r")-(" + "|".join(list(_ORDINALS)[2:11]) + r")\b",
    regex.IGNORECASE,
)
_ONE_UNIT = regex.compile(
    r"\bone(?=\s(?:hour|minute|second|dollar|cent|euro|day|week|month|year|mile|meter|metre|"
    r"liter|litre|kilogram|percent)\b)",
    regex.IGNORECASE,
)
_ONE = regex.compile(
    r"(?:^|(?:\bis|\bare|=|:|\bexactly|\bonly)\s?)(one)(?=\s*[.!]?$|\s\w+[.!]?$)", regex.I
)
_TENS_EN = rf"(?:(?:{'|'.join(_UNITS_EN[20:])})(?:[\s-](?:{'|'.join(_UNITS_EN[1:10])}))?)"
# "nineteen eighty-nine", "twenty twenty-four": a century and the years of it.
_YEAR = regex.compile(
    rf"\b({'|'.join(_UNITS_EN[11:21])})[\s-](?:(?:oh|o)[\s-]({'|'.join(_UNITS_EN[1:10])})|"
    rf"({'|'.join(_UNITS_EN[10:20])}|{_TENS_EN}))\b"
    rf"(?!\s(?:hundred|thousand|million|billion)\b)",
    regex.IGNORECASE,
)


def english_numerals(text: str) -> str:
    """`text` with its English number words, halves, dozens and ordinals as digits."""
    text = _YEAR.sub(_year, text)
    text = _HALF_OF.sub("0.5 ", text)
    text = _ONE.sub(lambda m: m[0][: -len(m[1])] + "1", text)
    text = _ONE_UNIT.sub("1", text)
    text = _DOZEN.sub(_dozen, text)
    text = _TENS_ORDINAL.sub(_tens_ordinal, text)
    text = _scale(_SPAN_EN.sub(_spelled_en, _scale(text)))
    text = regex.sub(r"\bone(?=\s(?:half|third|quarter|fourth|fifth|tenth)\b)", "1", text)
    text = _PART.sub(_parted, text)
    text = _BELOW_ZERO.sub(r"-\1\2", text)
    text = _MINUS_EN.sub("-", text)
    return _ORDINAL.sub(lambda m: _ORDINALS[m[0].casefold()], text)


def _scale(text: str) -> str:
    return _SCALED_EN.sub(lambda m: written(Fraction(m[1]) * _SCALE_EN[m[2].casefold()]), text)


def _dozen(match: regex.Match[str]) -> str:
    count = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3}.get(match[1].casefold())
    return str(12 * (count if count is not None else int(match[1])))


def _tens_ordinal(match: regex.Match[str]) -> str:
    tens = _UNITS_EN.index(match[1].casefold()) - 18  # twenty is the entry 20
    return f"{tens}{_ORDINALS[match[2].casefold()]}"


def _parted(match: regex.Match[str]) -> str:
    count = int(match["count"]) if match["count"].isdigit() else 1
    if match["part"].casefold() == "quarter" and not match["whole"] and count > 4:
        return match[0]  # coins
    value = int(match["whole"] or 0) + Fraction(count, _PARTS[match["part"].casefold()])
    return written(value) if match["whole"] else f"{value.numerator}/{value.denominator}"


def _spelled_en(match: regex.Match[str]) -> str:
    span = match[0].casefold()
    if span == "one":
        return match[0]
    from text_to_num import text2num  # imported here: a study in Chinese needs none of it

    whole, _, decimals = span.partition(" point ")
    whole = regex.sub(r"^an?\s", "one ", whole)
    try:
        digits = str(text2num(whole, "en"))
        if decimals:
            digits += "." + "".join(str(_UNITS_EN.index(word)) for word in decimals.split())
    except ValueError:
        return " ".join(
            str(text2num(word, "en")) if word in _UNITS_EN else word for word in span.split()
        )
    return digits


def _year(match: regex.Match[str]) -> str:
    century = _UNITS_EN.index(match[1].casefold())
    if match[2]:
        return f"{century}0{_UNITS_EN.index(match[2].casefold())}"
    words = regex.split(r"[\s-]", match[3].casefold())
    places = [_UNITS_EN.index(word) for word in words]
    tens = places[0] if places[0] < 20 else 10 * (places[0] - 18)
    return f"{century}{tens + sum(places[1:])}"
