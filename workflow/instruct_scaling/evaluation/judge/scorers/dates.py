"""Dates, times of day and days of the week, in the forms that people write."""

from __future__ import annotations

from dataclasses import dataclass

import regex

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = r"(?P<month>" + "|".join(f"{name}|{name[:3]}" for name in _MONTHS) + r"|sept)\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DATES = [
    regex.compile(pattern, regex.IGNORECASE)
    for pattern in (
        r"(?<!\d)(?P<year>\d{4})\s?[-/.年]\s?(?P<number>\d{1,2})\s?[-/.月]\s?(?P<day>\d{1,2})(?:\s?[日号])?(?!\d)",
        r"(?<!\d)(?P<year>\d{4})年(?P<number>\d{1,2})月(?!\d)",
        r"(?<!\d)(?P<number>\d{1,2})月(?P<day>\d{1,2})(?:日|号)?(?!\d)",
        rf"\b{_MONTH}\s{_DAY}(?!\d)(?:\s?,?\s(?P<year>\d{{4}}))?\b",
        rf"(?<!\d)(?:the\s)?{_DAY}(?:\sof)?[\s-]{_MONTH}(?:,?[\s-](?P<year>\d{{4}}))?\b",
        rf"\b{_MONTH},?\s(?:of\s)?(?P<year>\d{{4}})\b",
        r"(?<![\d/])(?P<number>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})(?!\d)",
        r"(?<![\d.])(?P<day>\d{1,2})\.(?P<number>\d{1,2})\.(?P<year>\d{4})(?!\d)",
    )
]
_PERIOD = r"(?P<period>上午|早上|早晨|清晨|凌晨|中午|下午|傍晚|晚上|夜里|晚|早|午夜|午后)?"
_TIMES = [
    regex.compile(pattern, regex.IGNORECASE)
    for pattern in (
        rf"{_PERIOD}\s?(?<!\d)(?P<hour>\d{{1,2}})[:.](?P<minute>\d{{2}})(?::\d{{2}})?(?![\d%])\s?(?P<half>[ap]\.?m\b\.?)?(?:\sin\sthe\s(?P<part>morning|afternoon|evening))?",
        r"(?<![\d:.])(?P<hour>\d{1,2})\s?(?P<half>[ap]\.?m\b\.?)",
        r"(?<![\d:.])(?P<hour>\d{1,2})\so'?clock(?:\sin\sthe\s(?P<part>morning|afternoon|"
        r"evening))?",
        rf"{_PERIOD}\s?(?<![\d.])(?P<hour>\d{{1,2}})(?:点钟?|时)(?:(?P<minute>\d{{1,2}})分?|"
        rf"(?P<word>半|1刻|3刻|一刻|三刻|整))?",
        r"\b(?P<fraction>half|quarter)\s(?P<side>past|to)\s(?P<hour>\d{1,2})\b",
        r"\b(?P<noon>noon|midday|midnight)\b|(?P<noon_zh>正午|午夜12点|零点)",
    )
]
_QUARTERS = {"半": 30, "1刻": 15, "一刻": 15, "3刻": 45, "三刻": 45, "整": 0}
_AFTERNOON = ("下午", "傍晚", "晚上", "夜里", "晚", "中午", "午后")
_DAYS_EN = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_WEEKDAY_EN = regex.compile(
    r"\b(?:(mon)|(tue)s?|(wed)|(thu)(?:rs?)?|(fri)|(sat)|(sun))(?:day|sday|nesday|urday)?\b\.?",
    regex.IGNORECASE,
)
_WEEKDAY_ZH = regex.compile(r"(?:星期|礼拜|周)([一二三四五六日天])(?![个遍次下些起直])")


@dataclass(frozen=True, slots=True)
class Moment:
    """A date (year, month, day) or a time of day (hour, minute); None is what was not said.

    `half` says whether a time is known to be before or after noon.
    """

    parts: tuple[int | None, ...]
    start: int
    end: int
    half: bool = True


def weekdays(text: str) -> str:
    """The text with its days of the week in one form: Tuesday, 周二."""
    text = _WEEKDAY_ZH.sub(lambda m: "周" + m[1].replace("天", "日"), text)
    return _WEEKDAY_EN.sub(_weekday, text)


def _weekday(match: regex.Match[str]) -> str:
    number = next(i for i, part in enumerate(match.groups()) if part)
    bare = match[0].rstrip(".").casefold()
    if bare in ("sat", "sun", "wed", "mon", "fri", "tues") and not match[0][0].isupper():
        return match[0]  # "sat" and "sun" are words
    if bare == "sun" and not match[0].endswith("."):
        return match[0]
    return _DAYS_EN[number].capitalize()


def dates(text: str) -> list[Moment]:
    """The dates of a text that `numerals` has rewritten."""
    found: list[Moment] = []
    for pattern in _DATES:
        for match in pattern.finditer(text):
            groups = match.groupdict()
            if any(match.start() < one.end and one.start < match.end() for one in found):
                continue
            name = groups.get("month")
            month = 1 + [m[:3] for m in _MONTHS].index(name[:3].casefold()) if name else None
            number = groups.get("number")
            month = month or (int(number) if number else None)
            year, day = (int(groups[k]) if groups.get(k) else None for k in ("year", "day"))
            if (month or 1) <= 12 and (day or 1) <= 31:
                found.append(Moment((year, month, day), match.start(), match.end()))
    return sorted(found, key=lambda one: one.start)


def times(text: str) -> list[Moment]:
    """The times of day of a text that `numerals` has rewritten."""
    found: list[Moment] = []
    for pattern in _TIMES:
        for match in pattern.finditer(text):
            if any(match.start() < one.end and one.start < match.end() for one in found):
                continue
            moment = _time(match)
            if moment is not None:
                found.append(moment)
    return sorted(found, key=lambda one: one.start)


def _time(match: regex.Match[str]) -> Moment | None:
    groups = match.groupdict()
    if groups.get("noon") or groups.get("noon_zh"):
        early = groups.get("noon") == "midnight" or groups.get("noon_zh") in ("午夜12点", "零点")
        return Moment((0 if early else 12, 0), match.start(), match.end())
    hour = int(groups["hour"])
    minute = int(groups.get("minute") or _QUARTERS.get(groups.get("word") or "", 0))
    if groups.get("fraction"):
        minutes = 30 if groups["fraction"].casefold() == "half" else 15
        hour, minute = (
            (hour, minutes) if groups["side"].casefold() == "past" else (hour - 1, 60 - minutes)
        )
    half, period = (groups.get("half") or "").casefold(), groups.get("period") or ""
    part = (groups.get("part") or "").casefold()
    late = half.startswith("p") or period in _AFTERNOON or part in ("afternoon", "evening")
    if late and hour < 12 and not (period == "中午" and hour >= 10):
        hour += 12
    if hour == 12 and (half.startswith("a") or period == "凌晨"):
        hour = 0
    known = bool(half or period or part) or hour > 12 or hour == 0
    if hour > 24 or minute > 59:
        return None
    return Moment((hour, minute), match.start(), match.end(), known)


def agreement(wanted: Moment, given: Moment) -> float:
    """1 if all that is wanted is given, 0 at a contradiction, else the share that is given."""
    if len(wanted.parts) == 2:
        return float(_same_time(wanted, given))
    asked = [
        (want, have)
        for want, have in zip(wanted.parts, given.parts, strict=True)
        if want is not None
    ]
    if any(have is not None and have != want for want, have in asked):
        return 0.0
    return sum(have is not None for _, have in asked) / len(asked)


def _same_time(wanted: Moment, given: Moment) -> bool:
    if wanted.parts == given.parts:
        return True
    (hour, minute), (other, other_minute) = wanted.parts, given.parts
    open_half = not (wanted.half and given.half)
    return open_half and minute == other_minute and (hour or 0) % 12 == (other or 0) % 12
