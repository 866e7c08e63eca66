"""Numbers in words and other forms, rewritten as plain digits: 一百二十 and "a hundred twenty".

The text around a number stays as it is. Chinese numerals are read by cn2an, one span at a time
(its `transform` of a whole text makes 23个 of 两三个), English ones by text2num.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache

import regex

from instruct_scaling.evaluation.judge.scorers.digits import written
from instruct_scaling.evaluation.judge.scorers.numerals_en import english_numerals

_DIGIT = "零〇一二两三四五六七八九"
_FORMAL = str.maketrans("壹贰叁肆伍陆柒捌玖拾佰仟幺俩仨○", "一二三四五六七八九十百千一两三〇")
_HAS_CHINESE = regex.compile(
    r"[零〇一二两三四五六七八九十百千万亿半廿卅壹贰叁肆伍陆柒捌玖拾佰仟俩仨成负折]|\d米\d"
)
_ZH = "零〇一二两三四五六七八九十百千万亿廿卅"
_ZH_NUMBER = rf"[{_ZH}]+(?:点[{_DIGIT}]+(?![{_ZH}分刻])(?!钟))?"
_ANY = rf"(?:\d+(?:\.\d+)?[百千万亿]*|{_ZH_NUMBER})"
_PERCENT = regex.compile(rf"(百|千)分之({_ANY})")
_MIXED_ZH = regex.compile(rf"({_ANY})又({_ANY})分之({_ANY})")
_FRACTION_ZH = regex.compile(rf"({_ANY})分之({_ANY})")
_MINUS_ZH = regex.compile(rf"(?:负|零下)(?={_ANY})")
_SCALED = regex.compile(r"(?<![\d.])\d+(?:\.\d+)?\s?[百千万亿]+(?:\d+[百千万亿]+)*(?:\d+)?")
# Minutes of a time: the numeral after 点 is no decimal there.
_MINUTES = regex.compile(rf"(?<=点)([{_ZH}]{{1,3}})(?=分)")
_PLAIN_ZH = regex.compile(rf"(?<!周|星期|礼拜|[{_ZH}点]){_ZH_NUMBER}")
_HALVES = (
    (regex.compile(rf"({_ANY})([个年天小时点块米公斤]{{1,2}})半"), r"\1.5\2"),
    (regex.compile(r"一半"), "1/2"),
    (
        regex.compile(
            r"(?<![\p{Han}])半(?=[个小年天公斤块米])|(?<=[是为约])半(?=[个小年天公斤块米])"
        ),
        "0.5",
    ),
)
_DISCOUNT = regex.compile(rf"(?<![\d.{_ZH}])([{_DIGIT}\d])([{_DIGIT}\d])折")
_COINS = regex.compile(rf"({_ANY})[块元]([{_DIGIT}\d])(?:[毛角]钱?)?(?![\d{_ZH}个只件分])")
# 一米五, 1米72: the digits after the unit are its decimals.
_METERS = regex.compile(
    rf"({_ANY})米([{_DIGIT}\d]{{1,2}})(?![\d{_ZH}米分厘毫秒个只件人年月日小天点:、])"
)
_TENTHS = regex.compile(rf"([{_DIGIT}])成(?:半|(?=[^\p{{Han}}]|的|$))")
_SCALE = {"百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
_MEASURE = (
    "个只件条本张把辆台部支枝朵棵头匹艘架间座栋套双对副名位人口岁元块角分毛年月日号天时小秒周星期"
    "米公千厘毫里斤克吨升平度次遍回种类样项步题页行层楼班级组队包袋箱盒瓶杯碗盘桶片颗粒封顶盏枚根点"
    "份户家所场门节堂课句段篇首字词"
)
# After these a numeral counts whatever stands before it: 小丽三岁.
_STRONG = "折楼层号级元块岁天年月公斤千厘毫米克吨升小分秒个只件张本条"
_COUNTED = "颗个只件张本条片粒"
_SOME = "第每这那另同某下上哪几"
_CLOCK = regex.compile("点[零一二三四五六七八九十半整钟\\d]")
_BEFORE_ONE = "年月日午上晚晨是为有得共于到剩即约负加减乘以和了付花等足满第达乃余"

_VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5",
           "⅗": "3/5", "⅘": "4/5", "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8",
           "⅞": "7/8"}  # fmt: skip
_VULGARS = regex.compile("(\\d?)([" + "".join(_VULGAR) + "])")
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPTS = regex.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")

_LATEX_FRACTION = regex.compile(r"(\d*)\s?\\[dt]?frac\{?(\d+(?:\.\d+)?)\}?\{?(\d+(?:\.\d+)?)\}?")
_THOUSANDS = regex.compile(
    r"(?<![\d.,])\d{1,3}(?:(?:\{,\}|[,'\u2009\u202f]|\\,)\d{3})+(?![\d]|,\d)"
)
_SPACED = regex.compile(r"(?<![\d.,\-/]|\d\s)\d{1,3}(?:\s\d{3})+(?!\d|\s\d|[./-]\d)")
_EUROPEAN = regex.compile(r"(?<![\d.,])(\d{1,3}(?:\.\d{3})+),(\d+)(?!\d)")
_EUROPEAN_WHOLE = regex.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,}(?![\d.,]\d)")
_COMMA_DECIMAL = regex.compile(r"(?<![\d.,])(\d+),(\d{1,2}|\d{4,})(?![\d,])")
_SCIENTIFIC = regex.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)\s?(?:[x×*·]|\\times|\\cdot)\s?10\s?\^\s?\{?([-+]?\d{1,2})\}?|"
    r"(?<![\w.])(\d+(?:\.\d+)?)[eE]([-+]?\d{1,2})(?!\w)"
)
_POWER = regex.compile(r"(?<![\w.)^])(\d{1,6})\s?(?:\^|\*\*)\s?\{?([-+]?\d{1,2})\}?(?![\w^])")
_MIXED = regex.compile(r"(?<![\d./,\-])(\d+)(?:\s|-|\sand\s)(\d{1,3})/(\d{1,3})(?![\d/])")
_MAX_DIGITS = 40


def numerals(text: str) -> str:
    """`text` with its numbers as digits: "-5", "2.5", "2/3", "20%", "15000"."""
    text = _arabic(text)
    if _HAS_CHINESE.search(text):
        text = _chinese(text)
    if text.isascii() or regex.search(r"[A-Za-z]{3}", text):
        text = english_numerals(text)
    return text


def raised(text: str) -> str:
    """Superscript digits as powers, and fractions that are one character, as ASCII."""
    text = _VULGARS.sub(lambda m: (m[1] + " " if m[1] else "") + _VULGAR[m[2]], text)
    return _SUPERSCRIPTS.sub(lambda m: "^" + m[0].translate(_SUPERSCRIPT), text)


def _arabic(text: str) -> str:
    text = _LATEX_FRACTION.sub(lambda m: (m[1] + " " if m[1] else "") + f"{m[2]}/{m[3]}", text)
    text = _EUROPEAN.sub(lambda m: m[1].replace(".", "") + "." + m[2], text)
    text = _EUROPEAN_WHOLE.sub(lambda m: m[0].replace(".", ""), text)
    text = _THOUSANDS.sub(lambda m: regex.sub(r"\D", "", m[0]), text)
    text = _SPACED.sub(lambda m: regex.sub(r"\s", "", m[0]), text)
    text = _COMMA_DECIMAL.sub(r"\1.\2", text)
    text = _SCIENTIFIC.sub(_scientific, text)
    text = _POWER.sub(_power, text)
    return _MIXED.sub(_mixed, text)


def _scientific(match: regex.Match[str]) -> str:
    base, power = match[1] or match[3], int(match[2] or match[4])
    if len(base) + abs(power) > _MAX_DIGITS:
        return match[0]
    return written(Fraction(base) * Fraction(10) ** power)


def _power(match: regex.Match[str]) -> str:
    base, power = int(match[1]), int(match[2])
    if len(match[1]) * abs(power) > _MAX_DIGITS or base == 0:
        return match[0]
    return written(Fraction(base) ** power)


def _mixed(match: regex.Match[str]) -> str:
    whole, top, bottom = int(match[1]), int(match[2]), int(match[3])
    if bottom == 0 or top >= bottom:
        return match[0]
    return written(whole + Fraction(top, bottom))


def _chinese(text: str) -> str:
    text = text.translate(_FORMAL)
    text = _DISCOUNT.sub(lambda m: f"{_read(m[1])}.{_read(m[2])}折", text)
    text = _COINS.sub(_coins, text)
    text = _METERS.sub(_meters, text)
    for pattern, halves in _HALVES:
        text = pattern.sub(lambda m, w=halves: _half(m, w), text)
    text = _TENTHS.sub(lambda m: f"{_read(m[1])}{'5' if m[0].endswith('半') else '0'}%", text)
    text = _PERCENT.sub(lambda m: f"{_read(m[2])}{'%' if m[1] == '百' else '‰'}", text)
    text = _MIXED_ZH.sub(lambda m: _fraction(m, m[3], m[2], m[1]), text)
    text = _FRACTION_ZH.sub(lambda m: _fraction(m, m[2], m[1]), text)
    text = _MINUS_ZH.sub("-", text)
    text = _SCALED.sub(lambda m: _scaled(m[0]) or m[0], text)
    text = _MINUTES.sub(lambda m: _read(m[1]) or m[0], text)
    return _PLAIN_ZH.sub(_spelled, text)


def _coins(match: regex.Match[str]) -> str:
    whole, tenths = _read(match[1]), _read(match[2])
    return f"{whole}.{tenths}元" if whole and tenths else match[0]


def _meters(match: regex.Match[str]) -> str:
    whole = _read(match[1])
    decimals = [_read(character) for character in match[2]]
    if whole is None or "." in whole or None in decimals:
        return match[0]
    return f"{whole}.{''.join(one or '' for one in decimals)}米"


def _half(match: regex.Match[str], halves: str) -> str:
    if match.re.groups == 0:
        return halves
    value = _read(match[1])
    if value is None or "." in value or match[2].startswith("点"):
        return match[0]
    return f"{value}.5{match[2]}"


def _fraction(match: regex.Match[str], top: str, bottom: str, whole: str = "0") -> str:
    values = [_read(part) for part in (top, bottom, whole)]
    if None in values or not Fraction(values[1] or 0):
        return match[0]
    first, second, third = (Fraction(value or 0) for value in values)
    value = third + first / second
    return f"{value.numerator}/{value.denominator}" if value.denominator > 1 else str(value)


def _spelled(match: regex.Match[str]) -> str:
    """The digits of a numeral in Chinese, or the text as it was where it is part of a word."""
    span, text = match[0], match.string
    before = text[: match.start()][-1:]
    if text[match.end() :].startswith(("角形", "角函", "点也", "点儿", "点都")):
        return span
    if len(span) == 1 and (
        span in "百千万亿" or not _stands_alone(span, before, text[match.end() :])
    ):
        return span
    if regex.fullmatch(rf"[{_DIGIT[2:]}]{{2}}", span):  # 两三个: two or three
        return f"{_read(span[0])}~{_read(span[1])}"
    close = regex.fullmatch(
        rf"(十|[{_DIGIT[2:]}]十)?([{_DIGIT[2:]}])([{_DIGIT[2:]}])([十百千万])?", span
    )
    if close and (close[1] or close[4]):  # 十一二个, 二三十人
        low, high = ((close[1] or "") + close[n] + (close[4] or "") for n in (2, 3))
        return f"{_read(low)}~{_read(high)}"
    return _read(span) or span


def _stands_alone(span: str, before: str, rest: str) -> bool:
    """Whether one numeral between these characters is a number and not a part of a word."""
    free = not regex.match(r"\p{Han}", before) or before in _BEFORE_ONE
    after = rest[:1]
    if _CLOCK.match(rest) or (
        after
        and after in _STRONG + _COUNTED
        and (span != "一" or (after in _COUNTED and before not in _SOME))
    ):
        return True
    return free and (not regex.match(r"\p{Han}", after) or after in _MEASURE)


@lru_cache(maxsize=4096)
def _read(span: str) -> str | None:
    """The digits of one number in Chinese numerals, in digits, or in digits with 万 and the "
    "like."""
    if regex.fullmatch(r"\d+(?:\.\d+)?", span):
        return span
    if span[0].isdigit():
        return _scaled(span)
    if regex.fullmatch(rf"[{_DIGIT}]+", span):  # a year, a room
        return "".join(str("零一二三四五六七八九".index(c)) for c in _single(span))
    from cn2an import cn2an  # imported here: it reads its tables when imported

    try:
        value = cn2an(span.replace("〇", "零").replace("卅", "三十").replace("廿", "二十"), "smart")
    except (ValueError, KeyError, TypeError):
        return None
    return written(Decimal(str(value)))


def _single(span: str) -> str:
    return span.replace("〇", "零").replace("两", "二")


def _scaled(span: str) -> str | None:
    """3亿5千万, 1.5万: cn2an computes 1.5亿 in floats, so the sum is formed here."""
    total, section = Fraction(0), Fraction(0)
    for number, scales in regex.findall(r"(\d+(?:\.\d+)?)\s?([百千万亿]*)", span):
        small = [scale for scale in scales if scale in "百千"]
        large = [scale for scale in scales if scale in "万亿"]
        value = Fraction(number)
        for scale in small:
            value *= _SCALE[scale]
        section += value
        for scale in large:
            section *= _SCALE[scale]
        if large:
            total, section = total + section, Fraction(0)
    try:
        return written(total + section)
    except InvalidOperation:
        return None
