"""The scorer `content`: translation, rewriting and summaries against references and facts.

Overlap alone gives .74 to the opposite of a sentence and .22 to a paraphrase. What can be seen
beside it is put in: words that may stand for each other, numbers by value, negation, opposites,
another of a kind (a day, a relative, a city), who does what to whom, language, length.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

import regex

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.judgements import Outcome, scored, scored_unparsable
from instruct_scaling.evaluation.judge.scorers.constraints import bounds_kept, facts_kept
from instruct_scaling.evaluation.judge.scorers.content_units import (
    Content,
    Unit,
    content_of,
    lexicon,
)
from instruct_scaling.evaluation.judge.scorers.degenerate import (
    copied_share,
    copies_passage,
    freshness,
    refuses,
)
from instruct_scaling.evaluation.judge.scorers.language import (
    guess_language,
    language_of,
    language_share,
)
from instruct_scaling.evaluation.judge.scorers.matching import same_text, tokenize
from instruct_scaling.evaluation.judge.scorers.ngrams import chrf_of

# F of the content, as chrF2 weighs it: what is left out costs more than what is added.
BETA = 2
# Overlap -> score: half of the content is half an answer, four fifths in other words a right one.
OVERLAPS, SCORES = (0.0, 0.3, 0.45, 0.55, 0.65, 0.85), (0.0, 0.1, 0.3, 0.5, 0.76, 1.0)
# What one contradiction leaves of the score, by kind.
OTHER_WAY_ROUND = 0.2  # a negation, an opposite, roles exchanged
OTHER_VALUE = 0.5  # a number, another of a kind, a name
# One word in a sentence that is otherwise the reference's: perhaps another, perhaps the same.
OTHER_WORD = 0.75
# A summary that is the passage is no summary, though what it says is right.
COPIED_SUMMARY = 0.4
LONGEST_EXCHANGE = 3  # units: a Chinese name
SHORT = 8
PRONOUNS = frozenset(("he", "she", "hi", "her", "他", "她"))  # stems
MAY_STAY, UNCHANGED = 0.2, 0.2
LONGEST_RATIO = 2.5
# With facts in the checks, overlap decides this much.
WEIGHT_BESIDE_FACTS = 0.15

_VOICE = regex.compile(r"\bby\b|被|由|把")
_LATIN_NAME = regex.compile(r"(?<![.!?。！？\n]\s)(?<!^)(?<!\p{L})\p{Lu}[\p{L}-]+")


@dataclass(slots=True)
class Comparison:
    """An answer beside one reference: the overlap of their content, and what contradicts it."""

    overlap: float
    contradictions: list[str] = field(default_factory=list)
    factor: float = 1.0

    def contradict(self, what: str, factor: float) -> None:
        """Note a contradiction and what it leaves of the score."""
        self.contradictions.append(what)
        self.factor *= factor

    @property
    def score(self) -> float:
        """In [0, 1]."""
        return interpolate(self.overlap) * self.factor


def content(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """In [0, 1]: facts and constraints of the item, and the best of its references.

    0 for another language than the references', a refusal, and in rewriting for what was given.
    """
    if not tokenize(response):
        return scored_unparsable("no words")
    references = [text for text in (item.reference, *(checks.references or ())) if text]
    wanted = checks.language
    if wanted is None:
        asked = item.language or guess_language(item.full_prompt)
        wanted = language_of(references[0], asked) if references else asked
    language = language_share(response, wanted)
    if language == 0:
        return scored(0.0, f"not in language {wanted}")
    if refuses(response) and not any(refuses(text) for text in references):
        return scored_unparsable("declines to answer")
    given = _copied(item, references, response)
    if given == 0:
        return scored(0.0, "what was given, unchanged")
    factor = language * given * freshness(response) * bounds_kept(checks, response)
    best = max((compare(text, response) for text in references), key=_score, default=None)
    reason = "" if best is None else f"overlap {best.overlap:.2f}"
    if best is not None and best.contradictions:
        reason += ": " + ", ".join(best.contradictions)
    if checks.required_facts or checks.forbidden_facts or checks.must_include:
        kept = facts_kept(checks, response, references)
        if kept == 1 and best is not None:
            kept -= WEIGHT_BESIDE_FACTS * (1 - interpolate(best.overlap))
        return scored(kept * factor, f"facts {kept:.2f}, {reason}, the rest {factor:.2f}")
    assert best is not None  # the item has a reference where it has no facts
    factor *= _length_kept(references, response)
    if item.category == "rewrite":
        factor *= _change_made(item, references, response)
    return scored(best.score * factor, f"{reason}, the rest {factor:.2f}")


def _score(comparison: Comparison) -> float:
    return comparison.score


def compare(reference: str, response: str) -> Comparison:
    """Overlap of the content, and contradictions between the two texts."""
    if same_text(reference, response):
        return Comparison(1.0)
    wanted, found = content_of(reference), content_of(response)
    if not wanted.units:
        return Comparison(chrf_of(response, reference))
    pairs, lacking, added = align(wanted.units, found.units)
    turned = [(a, b) for a in lacking for b in added if lexicon().are_opposite(a.text, b.text)]
    undone = [(a, b) for a, b in turned if (a.clause in wanted.odd) != (b.clause in found.odd)]
    pairs += [pair for pair in undone if pair not in pairs]
    result = Comparison(0.0)
    if len(turned) > len(undone):
        result.contradict(f"{turned[0][0].text}/{turned[0][1].text}", OTHER_WAY_ROUND)
    elif not undone and _polarity_differs(pairs, wanted, found):
        result.contradict("negation", OTHER_WAY_ROUND)
    if _roles_exchanged(reference, response, pairs, wanted, found):
        result.contradict("roles", OTHER_WAY_ROUND)
    exchanged = _compare_values(result, reference, response, lacking, added)
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


def _polarity_differs(pairs: list[tuple[Unit, Unit]], wanted: Content, found: Content) -> bool:
    """Whether a shared unit is negated in one text alone, by its clause and by what precedes it."""
    return any(
        (a.clause in wanted.odd) != (b.clause in found.odd) and a.negated != b.negated
        for a, b in pairs
    ) or (not wanted.odd and bool(found.odd) and _only_negated(pairs, found))


def _only_negated(pairs: list[tuple[Unit, Unit]], found: Content) -> bool:
    return bool(pairs) and all(b.clause in found.odd for _, b in pairs)


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
    places = {unit: place for place, unit in enumerate(found.units)}
    order = [places[b] for _, b in pairs]
    # In a long sentence parts may change places without exchanging their roles.
    if not 3 <= len(order) <= SHORT or len({unit.clause for unit in wanted.units}) > 1:
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


def _copied(item: EvalItem, references: list[str], response: str) -> float:
    """1 for an answer of its own, 0 for the text to work on, less for a copied passage."""
    if any(same_text(response, text) for text in references):
        return 1.0
    if item.category == "summarization":
        return COPIED_SUMMARY if copied_share(item.full_prompt, response) >= 0.6 else 1.0
    if copies_passage(item.full_prompt, response):
        return 0.0
    return 0.0 if copied_share(item.full_prompt, response) >= 0.6 else 1.0


def _change_made(item: EvalItem, references: list[str], response: str) -> float:
    """1 for a rewriting that changes the words which the references change, less if it does not.

    Of the words of the text to work on that no reference keeps, in the same form, up to 20% may
    stay.
    """
    passage = item.input or regex.split(r"[\n:：]", item.full_prompt, maxsplit=1)[-1]
    function = lexicon().function
    kept = {token for text in references for token in tokenize(text)}
    given = set(tokenize(passage)) - function
    replaced = given - kept
    if not 0 < len(replaced) <= len(given) / 2:
        return 1.0  # a free rewriting, which may keep other words
    stay = len(replaced & set(tokenize(response))) / len(replaced)
    return 1 - (1 - UNCHANGED) * max(0.0, stay - MAY_STAY) / (1 - MAY_STAY)


def _length_kept(references: list[str], response: str) -> float:
    """1 up to 2.5 times the longest reference, less in proportion beyond it."""
    bound = LONGEST_RATIO * max(len(tokenize(text)) for text in references) + 3
    return min(1.0, bound / len(tokenize(response)))
