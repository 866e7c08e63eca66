"""An answer beside one reference: the overlap of their content, and what contradicts it.

Overlap alone gives .74 to the opposite of a sentence and .22 to a paraphrase. What can be seen
beside it is put in: words that may stand for each other, numbers by value, negation, opposites,
another of a kind (a day, a relative, a city), who does what to whom, and what is left out.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

import regex

from instruct_scaling.evaluation.judge.scorers.canonical import canonical
from instruct_scaling.evaluation.judge.scorers.content_units import (
    Content,
    Unit,
    content_of,
    lexicon,
    stem,
)
from instruct_scaling.evaluation.judge.scorers.matching import same_text
from instruct_scaling.evaluation.judge.scorers.ngrams import chrf_of
from instruct_scaling.evaluation.judge.scorers.routes import goes_back

# F of the content, as chrF2 weighs it: what is left out costs more than what is added.
BETA = 2
# Overlap -> score of an answer as long as the reference: examiners call such answers right from
# about .35 on, for where a text says something else it shows below; between .2 and .35 overlap
# does not tell.
OVERLAPS, SCORES = (0.0, 0.2, 0.27, 0.35, 0.65, 0.85), (0.0, 0.12, 0.3, 0.75, 0.85, 1.0)
# With more than this share of the content left out, an answer is worth what is there.
OMITTED, LEAST_PART = 0.34, 0.25
# So much left out, and nothing put in its place, is a part left out.
LEFT_OUT, FEWEST_LOST = 0.2, 3
# What one contradiction leaves of the score, by kind.
OTHER_WAY_ROUND = 0.2  # a negation, an opposite, roles exchanged
ONE_POINT_DENIED = 0.3  # a negation on less than a third of the content
OTHER_VALUE = 0.5  # a number, another of a kind, a name
# One word in a sentence that is otherwise the reference's: perhaps another, perhaps the same.
OTHER_WORD = 0.75
LONGEST_EXCHANGE = 3  # units: a Chinese name
SHORT = 8
# Parts that have changed places can be told only where most of the content is shared.
SHARED_FOR_ROLES = 0.6
DAY_PARTS = frozenset(("早上", "早晨", "上午", "中午", "下午", "傍晚", "晚上", "凌晨"))
PRONOUNS = frozenset(("he", "she", "hi", "her", "他", "她"))  # stems

_VOICE = regex.compile(r"\bby\b|被|由|把")
_EXCEPT = regex.compile(
    r"\b(?:except|apart from|other than|all but)\b|除了?\p{Han}{1,8}?[以之]?外|除外|除了"
)
_ONLY = regex.compile(r"\bonly\b|只有|只在|只能|仅")
_PARTICLE = regex.compile(r"\b(\p{L}+)(?: (?!up|down|on|off)\p{L}+){0,3}? (up|down|on|off)\b")
_OTHER_PARTICLE = {"up": "down", "down": "up", "on": "off", "off": "on"}
_LATIN_NAME = regex.compile(r"(?<![.!?。！？\n]\s)(?<!^)(?<!\p{L})\p{Lu}[\p{L}-]+")


@dataclass(slots=True)
class Comparison:
    """An answer beside one reference.

    Attributes:
        overlap: of their content, F with recall counted twice.
        omitted: share of the reference's content in whose place the answer has nothing.
        lost: units that are omitted, where the answer has little beside the reference's content.
        contradictions: what the answer has against the reference, for the reader.
        factor: what the contradictions leave of the score.
    """

    overlap: float
    omitted: float = 0.0
    lost: int = 0
    contradictions: list[str] = field(default_factory=list)
    factor: float = 1.0

    def contradict(self, what: str, factor: float) -> None:
        """Note a contradiction and what it leaves of the score."""
        self.contradictions.append(what)
        self.factor *= factor

    @property
    def leaves_out(self) -> bool:
        """Whether the answer is the reference's content without a part, and little else."""
        return self.omitted >= LEFT_OUT and self.lost >= FEWEST_LOST

    @property
    def score(self) -> float:
        """In [0, 1]."""
        value = interpolate(self.overlap)
        if self.omitted > OMITTED:
            value = min(value, max(LEAST_PART, 1 - self.omitted))
        return value * self.factor


def compare(reference: str, response: str, passage: str = "") -> Comparison:
    """Overlap of the content, and contradictions between the two texts.

    Args:
        reference: a right answer.
        response: the answer.
        passage: what is summarized; a number or a name from there contradicts nothing.
    """
    if same_text(reference, response):
        return Comparison(1.0)
    wanted, found = content_of(reference), content_of(response)
    if not wanted.units:
        return Comparison(chrf_of(response, reference))
    pairs, lacking, added = align(wanted.units, found.units)
    turned = [(a, b) for a in lacking for b in added if lexicon().are_opposite(a.text, b.text)]
    undone = [(a, b) for a, b in turned if (a.clause in wanted.odd) != (b.clause in found.odd)]
    pairs += [pair for pair in undone if pair not in pairs]
    omitted = max(0, len(lacking) - len(added))
    result = Comparison(0.0, omitted / len(wanted.units), omitted if len(added) <= 1 else 0)
    if len(turned) > len(undone):
        result.contradict(f"{turned[0][0].text}/{turned[0][1].text}", OTHER_WAY_ROUND)
    elif not undone and (denied := _denied_share(pairs, wanted, found)):
        result.contradict("negation", OTHER_WAY_ROUND if denied >= 1 / 3 else ONE_POINT_DENIED)
    if goes_back(reference, response) or _roles_exchanged(
        reference, response, pairs, wanted, found
    ):
        result.contradict("roles", OTHER_WAY_ROUND)
    told = {unit.text for unit in content_of(passage).units}
    strange = [unit for unit in added if unit.text not in told]
    if any(":" in a.text for a, _ in pairs):  # 下午六点 and 晚上6点 are one time
        strange = [unit for unit in strange if unit.text not in DAY_PARTS]
    if _exception_turned(reference, response) or _particle_turned(reference, response):
        result.contradict("except/only, up/down", OTHER_WAY_ROUND)
    exchanged = _compare_values(result, reference, response, lacking, strange)
    # What stands where something else should has its price: the overlap counts it as there.
    aligned = _f_beta(len(pairs) + exchanged, len(wanted.units), len(found.units))
    # Function words and letters that happen to agree: worth a third.
    result.overlap = max(aligned, (2 * aligned + chrf_of(response, reference)) / 3)
    return result


def align(
    wanted: tuple[Unit, ...], found: tuple[Unit, ...]
) -> tuple[list[tuple[Unit, Unit]], list[Unit], list[Unit]]:
    """Pairs of units that may stand for each other, each used once, equal ones first.

    Among several that fit, one that is as negated and then the nearest in order.

    Returns:
        The pairs, and what is left of each text.
    """
    words = lexicon()
    free = list(range(len(found)))
    partner: dict[int, int] = {}
    for equal in (True, False):
        for index, unit in enumerate(wanted):
            if index in partner:
                continue
            fitting = [
                other
                for other in free
                if (unit.text == found[other].text)
                or (not equal and words.are_same(unit.text, found[other].text))
            ]
            if fitting:
                chosen = min(
                    fitting,
                    key=lambda other: (found[other].negated != unit.negated, abs(other - index)),
                )
                partner[index] = chosen
                free.remove(chosen)
    pairs = [(wanted[index], found[other]) for index, other in sorted(partner.items())]
    lacking = [unit for index, unit in enumerate(wanted) if index not in partner]
    return pairs, lacking, [found[other] for other in free]


def interpolate(overlap: float) -> float:
    """The score of an overlap without contradictions."""
    for low, high, below, above in zip(OVERLAPS, OVERLAPS[1:], SCORES, SCORES[1:], strict=False):
        if overlap <= high:
            return below + (above - below) * (overlap - low) / (high - low)
    return 1.0


def _denied_share(pairs: list[tuple[Unit, Unit]], wanted: Content, found: Content) -> float:
    """Share of the reference's content in clauses with a unit that one text alone negates.

    A unit counts by its clause and by what precedes it. A negation that both texts put on one of
    their shared units is the same one, though it reaches further in one of them: "do not feed the
    animals after six", "after six, do not feed the animals".
    """
    same = {
        (a.clause, b.clause) for a, b in pairs if a.clause in wanted.odd and b.clause in found.odd
    }
    clauses = {
        a.clause
        for a, b in pairs
        if (a.clause in wanted.odd) != (b.clause in found.odd)
        and a.negated != b.negated
        and not _reaches_further(a, b, pairs, same)
    }
    if not wanted.odd and found.odd and _only_negated(pairs, found):
        return 1.0
    return sum(unit.clause in clauses for unit in wanted.units) / len(wanted.units)


def _reaches_further(
    a: Unit, b: Unit, pairs: list[tuple[Unit, Unit]], same: set[tuple[int, int]]
) -> bool:
    """Whether one clause, negated in both texts, holds a clause of its own in the other."""
    if a.negated:
        inside = {one.clause for one, other in pairs if other.clause == b.clause}
        return inside == {a.clause} and any(one == a.clause for one, _ in same)
    inside = {other.clause for one, other in pairs if one.clause == a.clause}
    return inside == {b.clause} and any(other == b.clause for _, other in same)


def _only_negated(pairs: list[tuple[Unit, Unit]], found: Content) -> bool:
    return bool(pairs) and all(b.clause in found.odd for _, b in pairs)


def _exception_turned(reference: str, response: str) -> bool:
    """Whether what one text excepts is all that the other has: "except Ann", "only Ann"."""
    marks = [
        (bool(_EXCEPT.search(text)), bool(_ONLY.search(text)))
        for text in (canonical(reference), canonical(response))
    ]
    return set(marks) == {(True, False), (False, True)}


def _particle_turned(reference: str, response: str) -> bool:
    """Whether one verb has the opposite particle: "turn it up", "turn it down"."""
    words = lexicon()
    one, other = (
        {(stem(verb, words.base), particle) for verb, particle in _PARTICLE.findall(text)}
        for text in (canonical(reference), canonical(response))
    )
    turned = {(verb, _OTHER_PARTICLE[particle]) for verb, particle in other}
    return bool(one & turned) and not one & other


def _roles_exchanged(
    reference: str, response: str, pairs: list[tuple[Unit, Unit]], wanted: Content, found: Content
) -> bool:
    """Whether what stood before and after the same verb or 被 has changed places.

    A sentence whose voice differs says the same with its parts exchanged.
    """
    pivot, other = _VOICE.search(reference), _VOICE.search(response)
    if (pivot and pivot[0]) != (other and other[0]):
        return False
    if pivot is not None and other is not None:
        sides = [
            (
                {unit.text for unit in content_of(text[: at.start()]).units},
                {unit.text for unit in content_of(text[at.end() :]).units},
            )
            for text, at in ((reference, pivot), (response, other))
        ]
        (before, after), (then_before, then_after) = sides
        return bool(before & then_after - then_before) and bool(after & then_before - then_after)
    if len(pairs) < SHARED_FOR_ROLES * len(wanted.units):
        return False
    places = {unit: place for place, unit in enumerate(found.units)}
    order = [places[b] for _, b in pairs]
    # In a long sentence parts may change places without exchanging their roles.
    clauses = max(len({unit.clause for unit in text.units}) for text in (wanted, found))
    if not 3 <= len(order) <= SHORT or clauses > 1:
        return False
    return any(
        order[i] > order[j] > order[k]
        for i in range(len(order))
        for j in range(i + 1, len(order))
        for k in range(j + 1, len(order))
    )


def _compare_values(
    result: Comparison, reference: str, response: str, lacking: list[Unit], added: list[Unit]
) -> int:
    """Note numbers, members of a kind, names and single words that stand where others should.

    Returns:
        How many units of the reference they stand for.
    """
    exchanged = 0
    words = lexicon()
    numbers = [unit for unit in lacking if unit.is_number]
    others = [unit for unit in added if unit.is_number]
    for unit, other in zip(numbers, others, strict=False):
        result.contradict(f"{unit.text}/{other.text}", OTHER_VALUE)
        exchanged += 1
    seen: set[str] = set()
    # A pronoun says again what a noun said: it comes last, and counts if nothing else does.
    for unit in sorted(lacking, key=lambda unit: unit.text in PRONOUNS):
        if unit.text in PRONOUNS and seen:
            break
        for other in added:
            if other.text not in seen and words.are_of_a_kind(unit.text, other.text):
                seen.add(other.text)
                result.contradict(f"{unit.text}/{other.text}", OTHER_VALUE)
                exchanged += 1
                break
    names, named = (set(_LATIN_NAME.findall(text)) for text in (reference, response))
    known = {unit.casefold() for unit in names}
    if not seen and names - named and {name for name in named if name.casefold() not in known}:
        missing = [name for name in names if name.casefold() not in response.casefold()]
        strange = [name for name in named if name.casefold() not in reference.casefold()]
        if missing and strange:
            result.contradict(f"{missing[0]}/{strange[0]}", OTHER_VALUE)
            exchanged += 1
            seen.add(strange[0])
    if not result.contradictions:
        for before, after in _single_exchanges(reference, response, lacking, added):
            result.contradict(f"{before}/{after}", OTHER_WORD)
            exchanged += 1
    return exchanged


def _single_exchanges(
    reference: str, response: str, lacking: list[Unit], added: list[Unit]
) -> list[tuple[str, str]]:
    """The one word or two exchanged between texts that are otherwise the same, in the same order.

    A paraphrase seldom changes a single word; who wants another fact often does.
    """
    left, right = ([u.text for u in content_of(text).units] for text in (reference, response))
    changes = [
        (left[a:b], right[c:d])
        for kind, a, b, c, d in difflib.SequenceMatcher(None, left, right, False).get_opcodes()
        if kind != "equal"
    ]
    if len(changes) != 1 or not all(map(len, changes[0])):
        return []
    before, after = changes[0]
    if max(len(before), len(after)) > LONGEST_EXCHANGE or len(left) < 2 * len(before) + 1:
        return []
    gone, new = {unit.text for unit in lacking}, {unit.text for unit in added}
    if not (set(before) <= gone and set(after) <= new):
        return []
    return [("".join(before), "".join(after))]


def _f_beta(shared: int, wanted: int, found: int) -> float:
    if not shared:
        return 0.0
    precision, recall = min(1.0, shared / found), min(1.0, shared / wanted)
    return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
