"""The content of a text as a list of units, with what can be known of each without a reader.

A unit is a content word, a Chinese word of the lexicon or else a character, or a number. It knows
its clause and whether a negation precedes it there. `lexicon.yaml` says which words may stand for
each other, turn the sense around, or are another of a kind.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import regex
import yaml
from rouge_score.tokenizers import DefaultTokenizer

from instruct_scaling.evaluation.judge.scorers.canonical import canonical

# A negation reaches so many tokens; beyond them it is about something else.
SCOPE = 5
_CLAUSE = regex.compile(
    r"(?<!\d)[.,:](?!\d)|(?<=\d)[.,:](?!\d)|[;!?…—()\[\]\n。，；！？：、（）]|\s[-–]\s"
    r"|\b(?:but|so|because|although|though|while|whereas|however|which|who|until|unless)\b"
    r"|\b(?:and|or)\b(?=(?:\s\w+){0,2}\s(?:not|never|no)\b)"
    r"|但是|可是|但|所以|因此|因为|虽然|而且|然而|[也又](?=[不没])"
)
_NUMBER = r"\d+(?:[.:/]\d+)*"
_TOKEN = regex.compile(rf"{_NUMBER}|[\p{{L}}\p{{M}}--\p{{Script=Han}}]+|\p{{Script=Han}}", regex.V1)
_IS_NUMBER = regex.compile(_NUMBER)
_IS_HAN = regex.compile(r"\p{Script=Han}+")


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of content.

    Attributes:
        text: canonical form; of an English word its stem.
        clause: number of its clause in the text.
        negated: whether an odd number of negations precede it in its clause, near enough.
    """

    text: str
    clause: int
    negated: bool

    @property
    def is_number(self) -> bool:
        """Whether it is a number."""
        return _IS_NUMBER.fullmatch(self.text) is not None


@dataclass(frozen=True, slots=True)
class Content:
    """The units of a text in order; `odd` are the clauses with an odd number of negations."""

    units: tuple[Unit, ...]
    odd: frozenset[int]


@dataclass(slots=True)
class Lexicon:
    """Word lists by stem or Chinese word. A word may be in several groups.

    `same` and `kinds` give the groups of a word; `opposite` gives (pair, side).
    """

    same: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    kinds: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    opposite: dict[str, set[tuple[int, bool]]] = field(default_factory=lambda: defaultdict(set))
    base: dict[str, str] = field(default_factory=dict)
    function: set[str] = field(default_factory=set)
    negation: set[str] = field(default_factory=set)
    no_negation: set[str] = field(default_factory=set)
    pairs: set[str] = field(default_factory=set)
    longest: int = 1
    known: set[str] = field(default_factory=set)

    def are_same(self, one: str, other: str) -> bool:
        """Whether the words are equal or may stand for each other, as 偏高 and 高 may."""
        if one == other or _same_hour(one, other) or _holds(one, other) or _holds(other, one):
            return True
        return bool(self.same.get(one, _NONE) & self.same.get(other, _NONE))

    def are_opposite(self, one: str, other: str) -> bool:
        """Whether one word turns the sense of the other around."""
        sides = self.opposite.get(other, set())
        return any((pair, not side) in sides for pair, side in self.opposite.get(one, ()))

    def are_of_a_kind(self, one: str, other: str) -> bool:
        """Whether the words are two of a kind that exclude each other."""
        if self.are_same(one, other):
            return False
        return bool(self.kinds.get(one, _NONE) & self.kinds.get(other, _NONE))


_NONE: set[int] = set()
_NEGATING = frozenset("不没无未非")


def _same_hour(one: str, other: str) -> bool:
    """Whether two times are the same on a dial: 6:00 and 18:00."""
    hours = [regex.fullmatch(r"(\d{1,2}):(\d\d)", time) for time in (one, other)]
    if not all(hours):
        return False
    return len({(int(hour[1]) % 12, hour[2]) for hour in hours if hour}) == 1


def _holds(word: str, part: str) -> bool:
    """Whether a Chinese word is another with one character more that does not negate it."""
    if len(word) != len(part) + 1 or part not in word or not _IS_HAN.fullmatch(word):
        return False
    return not _NEGATING & set(word.replace(part, "", 1))


@cache
def lexicon() -> Lexicon:
    """The word lists, read once."""
    path = resources.files(__package__) / "lexicon.yaml"
    lists: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    found = Lexicon()
    for line in lists["en"]["forms"]:
        base, *forms = line.split()
        found.base |= dict.fromkeys(forms, base)
    _fill(found, lists["en"], lambda word: stem(word, found.base), 0)
    _fill(found, lists["zh"], str, 1000)
    for word, groups in list(found.same.items()):
        for other, others in list(found.same.items()):
            if groups & others and other in found.opposite:
                found.opposite[word] |= found.opposite[other]
    found.function |= set(lists["en"]["function"].split()) | set(lists["zh"]["function"].split())
    found.negation |= set(lists["en"]["negation"].split()) | set(lists["zh"]["negation"].split())
    found.no_negation |= {*lists["en"]["no_negation"], *lists["zh"]["no_negation"]}
    found.pairs |= set(lists["zh"]["pairs"].split())
    words = found.same.keys() | found.kinds.keys() | found.opposite.keys()
    words |= found.function | found.negation | found.no_negation
    found.known = {word for word in words if _IS_HAN.fullmatch(word)}
    found.longest = max(map(len, found.known))
    return found


def _fill(found: Lexicon, lists: dict[str, Any], key: Any, first: int) -> None:
    for number, line in enumerate(lists["same"], first):
        for word in str(line).split():
            found.same[key(word)].add(number)
    for number, line in enumerate(lists["kinds"], first):
        for word in line.split():
            found.kinds[key(word)].add(number)
    for number, line in enumerate(lists["opposite"], first):
        for side, words in enumerate(line.split("|")):
            for word in words.split():
                found.opposite[key(word)].add((number, bool(side)))


_STEMS = DefaultTokenizer(use_stemmer=True)  # Porter, of words of more than three letters


@lru_cache(maxsize=65536)
def _porter(word: str) -> str:
    return "".join(_STEMS.tokenize(word)) if word.isascii() else word


def stem(word: str, base: dict[str, str]) -> str:
    """The stem of a word in lower case, an irregular form by way of its base."""
    return _porter(base.get(word, word)) if word.isalpha() else word


@lru_cache(maxsize=4096)
def content_of(text: str) -> Content:
    """The units of a text. A pure function of the text; the latest are kept."""
    words = lexicon()
    plain = canonical(text)
    for phrase in words.no_negation:
        if " " in phrase:
            plain = plain.replace(phrase, " ")
    units: list[Unit] = []
    odd = set()
    for number, clause in enumerate(part for part in _CLAUSE.split(plain) if part):
        negators: list[int] = []
        for position, token in enumerate(segment(clause)):
            if token in words.negation:
                negators.append(position)
            elif token not in words.function:
                before = sum(position - at <= SCOPE for at in negators)
                text_ = token if _IS_HAN.match(token) else stem(token, words.base)
                units.append(Unit(text_, number, before % 2 == 1))
        if len(negators) % 2:
            odd.add(number)
    return Content(tuple(units), frozenset(odd))


def segment(text: str) -> list[str]:
    """Tokens of a canonical text; Chinese words of the lexicon stay whole, the longest first."""
    words = lexicon()
    tokens = []
    position = 0
    while (found := _TOKEN.search(text, position)) is not None:
        start, position = found.span()
        if _IS_HAN.match(found[0]):
            for length in range(min(words.longest, len(text) - start), 0, -1):
                if length == 1 or text[start : start + length] in words.known:
                    position = start + length
                    break
        tokens.append(text[start:position])
    return tokens
