"""What a prompt says in numbers about the form of an answer, and how far it is kept.

"Write two sentences", "a limerick (five lines)", "40-60 words", 五言绝句, 不超过20个字, "give five
ideas": rules that can be counted, though no check of the item names them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import regex

from instruct_scaling.evaluation.judge.scorers.canonical import canonical
from instruct_scaling.evaluation.judge.scorers.constraints import incomplete
from instruct_scaling.evaluation.judge.scorers.listing import listed_items
from instruct_scaling.evaluation.judge.scorers.matching import tokenize

# Nobody counts words as they write: so much may a length miss its bounds; more if it is "about".
TOLERANCE, ABOUT = 0.2, 0.4
# What is left of a text that was to be JSON and does not parse.
BROKEN_JSON = 0.5

_RANGE = r"(?P<low>\d+)(?:\s?(?:-|–|~|to|or|至|到|或)\s?(?P<high>\d+))?"
_AT_MOST = regex.compile(
    r"(?:at most|up to|no more than|not more than|max(?:imum)?|under|within|fewer than|less than"
    r"|不超过|不多于|最多|少于|限)\s*$"
)
_AT_LEAST = regex.compile(
    r"(?:at least|no fewer than|no less than|minimum(?: of)?|over"
    r"|more than|至少|不少于|超过)\s*$"
)
_AT_MOST_AFTER = regex.compile(r"\s*(?:words? )?(?:or (?:less|fewer)|at most|max|以内|之内|以下)")
_AT_LEAST_AFTER = regex.compile(r"\s*(?:words? )?(?:or more|at least|以上)")
_ABOUT = regex.compile(r"(?:about|around|roughly|approximately|some|大约|约|大概)\s*$")
_ABOUT_AFTER = regex.compile(r"\s*(?:左右|上下|or so)")
# What follows is the text to work on, not what is asked.
_GIVEN = regex.compile(r"[\n“\"「]|(?<!\d)[:：]")
_FEW_SENTENCES = regex.compile(r"([一两二])([两二三])句")

_OF_GIVEN = r"(?<!\b(?:given|these|those|the|following|between|from|add|into) )"
_SENTENCES = regex.compile(
    rf"{_OF_GIVEN}{_RANGE}(?:[ -](?:short|simple|complete|full|long"
    rf"|\w+ing)){{0,2}}[ -]sentences?|{_RANGE}个?(?:句子|句话)"
)
_LINES = regex.compile(rf"{_RANGE}[ -]lines?\b(?! (?:in|per|each|of))|{_RANGE}行")
_FEWEST_WORDS = 10  # "two words" are rather given than asked for
_WORDS = regex.compile(rf"{_RANGE}[ -]words?\b")
_CHARACTERS = regex.compile(rf"(?<!每[句行]){_RANGE}个?(?:汉字|字(?!符|母))")
_FORMS = {"haiku": 3, "俳句": 3, "limerick": 5}
# What is left of prose where verse was asked for.
PROSE, LONGEST_VERSE = 0.5, 25
_VERSE = regex.compile(r"([五七57])言(绝句|律诗)|每[句行]([五七57])个?字")
_ITEMS = regex.compile(
    r"\b(?:list|give|suggest|name|brainstorm|propose|provide|offer|share|think of|come up with"
    r"|write|invent)\b"
    r"(?: \w+){0,2}? (\d+)\b(?! ?(?:words|sentences|lines|characters|years?|minutes?|hours?))"
    r"|\b(\d+) (?:\w+ ){0,2}(?:ideas|ways|names|reasons|tips|examples|suggestions|topics|uses"
    r"|things)\b"
    r"|(?<!第)(\d+)[个种条项样点款件道](?!字|句|人|月|小时|星期|学生|孩子|同学|家庭|成员)"
)

# Where names are asked for, a running text about names has none.
_NAMES = regex.compile(r"\bnames? (?:for|of)\b|名字|起名|取名|名称")
LONGEST_NAME, LONGEST_NAME_HAN = 6, 10  # tokens

_JOINED = regex.compile(r"[,，、;；]|[和与]|\band\b")
_ABBREVIATION = regex.compile(
    r"\b(?:mr|mrs|ms|dr|prof|st|vs|etc|no|e\.g|i\.e|a\.m|p\.m"
    r"|\p{L})\.",
    regex.I,
)
_SENTENCE_END = regex.compile(r"[.!?。！？…]+[\"”’」)）*]*(?=\s|\Z|\p{Han}|\p{Lu})")
_VERSE_END = regex.compile(r"[，。！？；,.!?;\n/]+")
_TITLE = regex.compile(r"\A\s*(?:#+ .*|\*\*.*\*\*|《.*》|\S*[:：])\s*\n")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which counts an answer is to lie; None where there is no bound."""

    low: float | None
    high: float | None

    def kept(self, count: int) -> float:
        """1 within the bounds; outside the ratio to the nearer one, at most 0.74."""
        if self.low is not None and count < self.low:
            return incomplete(count / self.low)
        if self.high is not None and count > self.high:
            return incomplete(self.high / count)
        return 1.0


def length_kept(prompt: str, text: str) -> float:
    """How far the number of words or of Chinese characters that a prompt states is kept."""
    counts: tuple[tuple[regex.Pattern[str], Callable[[str], int]], ...] = (
        (_WORDS, lambda answer: len(regex.findall(r"[\p{L}\p{N}'’-]+", answer))),
        (_CHARACTERS, lambda answer: len(regex.findall(r"[\p{Han}\p{N}]", answer))),
    )
    kept = 1.0
    for pattern, count in counts:
        bounds = _bounds(prompt, pattern, TOLERANCE)
        if bounds is not None:
            kept *= bounds.kept(count(text))
    return kept


def form_kept(prompt: str, text: str) -> float:
    """How far the number of sentences, of lines and of characters in a line are kept."""
    asked = _asked(prompt)
    verse = _VERSE.search(asked)
    if verse is not None:
        return _verse_kept(verse, text)
    kept = 1.0
    if regex.search(r"\b(?:as|in|valid) (?:an? )?json\b|json格式", asked) and not _is_json(text):
        kept = BROKEN_JSON
    bounds = _bounds(prompt, _SENTENCES, 0)
    few = _FEW_SENTENCES.search(asked)
    if few is not None:
        low, high = ({"一": 1, "两": 2, "二": 2, "三": 3}[digit] for digit in few.groups())
        bounds = Bounds(low, high)
    if bounds is not None:
        kept *= bounds.kept(_sentences(text))
    lines = _bounds(prompt, _LINES, 0)
    for form, number in _FORMS.items():
        if form in asked and lines is None:
            lines = Bounds(number, number)
            if _lines(text) == 1 and _sentences(text) > 1 and len(tokenize(text)) > LONGEST_VERSE:
                kept *= PROSE  # sentences about the subject
    if lines is not None:
        kept *= lines.kept(_lines(text))
    return kept


def items_kept(prompt: str, text: str) -> float:
    """How many of the entries that a prompt asks for an answer lists, as a share, at most 1.

    Each counts once.

    Running text lists its entries in sentences or between commas, whichever are more.
    """
    number = asked_number(prompt)
    if number is None:
        return 1.0
    entries = listed_items(text)
    listed = len(set(entries))
    if "\n" in text.strip() or listed < len(entries):
        pass
    elif _NAMES.search(_asked(prompt)):
        listed = sum(map(_may_be_name, set(entries)))
    else:
        listed = max(listed, _sentences(text), len(_JOINED.findall(text)) + 1)
    return incomplete(min(1.0, listed / number))


def _may_be_name(entry: str) -> bool:
    longest = LONGEST_NAME_HAN if regex.match(r"\p{Han}", entry) else LONGEST_NAME
    return len(tokenize(entry)) <= longest


def asked_number(prompt: str) -> int | None:
    """How many entries a prompt asks for, or None; from 2 to 30."""
    found = _ITEMS.search(_asked(prompt))
    number = int(next(group for group in found.groups() if group)) if found else 0
    return number if 2 <= number <= 30 else None


def _asked(prompt: str) -> str:
    """The canonical prompt up to the text that it gives to work on."""
    asked = _GIVEN.split(canonical(prompt), maxsplit=1)[0]
    asked = regex.sub(r"\bone(?= (?:or|to|short|sentence)\b)", "1", asked)
    return regex.sub(r"一(?=[到至或]\d|句话)", "1", asked)


def _bounds(prompt: str, pattern: regex.Pattern[str], tolerance: float) -> Bounds | None:
    asked = _asked(prompt)
    found = pattern.search(asked)
    if found is None:
        return None
    before, after = asked[: found.start()], asked[found.end() :]
    low = int(next(value for value in found.captures("low")))
    high = int(next(iter(found.captures("high")), low))
    if _ABOUT.search(before) or _ABOUT_AFTER.match(after):
        tolerance = max(tolerance, ABOUT)
    if pattern is _WORDS and high < _FEWEST_WORDS:
        return None
    most, least = high * (1 + tolerance), low * (1 - tolerance)
    if _AT_MOST.search(before) or _AT_MOST_AFTER.match(after):
        return Bounds(None, most)
    if _AT_LEAST.search(before) or _AT_LEAST_AFTER.match(after):
        return Bounds(least, None)
    return Bounds(least, most)


def _sentences(text: str) -> int:
    plain = _ABBREVIATION.sub(" ", _TITLE.sub("", text)).strip()
    ends = list(_SENTENCE_END.finditer(plain))
    rest = plain[ends[-1].end() :] if ends else plain
    return len(ends) + bool(tokenize(rest))


def _lines(text: str) -> int:
    lines = [line for line in _TITLE.sub("", text).splitlines() if tokenize(line)]
    return max(len(lines), len(lines[0].split(" / "))) if lines else 0


def _is_json(text: str) -> bool:
    """Whether a text is JSON, or has a fenced block that is."""
    fenced = regex.search(r"```(?:json)?\s*\n(.*?)```", text, regex.DOTALL | regex.IGNORECASE)
    try:
        json.loads(fenced[1] if fenced else text)
    except ValueError:
        return False
    return True


def _verse_kept(verse: regex.Match[str], text: str) -> float:
    """The share of lines that have the number of characters, of as many as the form has."""
    characters = {"五": 5, "七": 7}.get(verse[1] or verse[3]) or int(verse[1] or verse[3])
    pieces = _VERSE_END.split(_TITLE.sub("", text))
    lines = [len(regex.findall(r"\p{Han}", piece)) for piece in pieces if tokenize(piece)]
    wanted = {"绝句": 4, "律诗": 8}.get(verse[2] or "", len(lines))
    fitting = sum(length == characters for length in lines)
    return incomplete(fitting / max(wanted, len(lines), 1))
