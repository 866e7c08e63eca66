"""Records and eval items: categories and languages in turn, wordings in turn, no question twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random

from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Constraints, EvalItem, Record, join_prompt
from instruct_scaling.data.synthetic import (
    arithmetic,
    brainstorming,
    classification,
    closed_qa,
    code,
    extraction,
    generation,
    open_qa,
    reasoning,
    rewrite,
    summarization,
    translation,
)
from instruct_scaling.data.synthetic.draft import LANGUAGES, Draft, Language, Writer, is_eval

SOURCE = "synthetic"

FAMILIES: Mapping[str, Mapping[str, Writer]] = {
    "math": arithmetic.FAMILIES,
    "code": code.FAMILIES,
    "cot": reasoning.FAMILIES,
    "classification": classification.FAMILIES,
    "extraction": extraction.FAMILIES,
    "rewrite": rewrite.FAMILIES,
    "open_qa": open_qa.FAMILIES,
    "closed_qa": closed_qa.FAMILIES,
    "generation": generation.FAMILIES,
    "brainstorming": brainstorming.FAMILIES,
    "translation": translation.FAMILIES,
    "summarization": summarization.FAMILIES,
}

# A family that gives nothing new in this many draws is taken to be used up.
_MAX_DRAWS = 2_000


def _without_layout(prompt: str) -> str:
    return "".join(prompt.split()).casefold()


def _drafts(
    category: str, language: Language, seed: int, *, for_eval: bool
) -> Iterator[tuple[str, Draft]]:
    """Yield (family, draft) without end, until every family of the category is used up.

    The stream depends on its own category and language only, so that a longer one starts with
    the shorter one and a category left out does not change the others.
    """
    side = "eval" if for_eval else "pool"
    rng = Random(f"{seed}/{side}/{category}/{language}")
    families = dict(FAMILIES[category])
    seen: set[str] = set()
    while families:
        for family, write in list(families.items()):
            for _ in range(_MAX_DRAWS):
                draft = write(rng, language)
                prompt = _without_layout(join_prompt(draft.instruction, draft.input))
                sides = {is_eval(category, key) for key in draft.keys}
                if sides == {for_eval} and prompt not in seen:
                    seen.add(prompt)
                    yield family, draft
                    break
            else:
                del families[family]


def _check_request(categories: Sequence[str]) -> None:
    unknown = [name for name in categories if name not in FAMILIES]
    if unknown or not categories:
        raise InputError(
            f"the built-in generator has no category {unknown[0]!r}"
            if unknown
            else "the built-in generator needs a category",
            fix=f"choose from {', '.join(CATEGORIES)}",
        )


def _used_up(category: str, language: str, wanted: int, written: int) -> InputError:
    return InputError(
        f"the built-in generator cannot write {wanted}: after {written} it has no more different "
        f"ones in category {category}, language {language}",
        fix="lower the number",
    )


def generate_records(
    count: int, seed: int, categories: Sequence[str] = CATEGORIES
) -> Iterator[Record]:
    """Yield `count` instruction records with right answers, no prompt twice.

    Categories take turns, and within a category English and Chinese do, so that any prefix is
    spread evenly. A smaller `count` gives a prefix of a larger one with the same seed.

    Raises:
        InputError: an unknown category, or more records than the word lists can make.
    """
    _check_request(categories)
    streams = {
        (category, language): _drafts(category, language, seed, for_eval=False)
        for category in categories
        for language in LANGUAGES
    }
    for number in range(count):
        turn, index = divmod(number, len(categories))
        category, language = categories[index], LANGUAGES[turn % len(LANGUAGES)]
        found = next(streams[category, language], None)
        if found is None:
            raise _used_up(category, language, count, number)
        _, draft = found
        yield Record.make(
            draft.instruction,
            draft.output,
            input=draft.input,
            category=category,
            language=language,
            source=SOURCE,
        )


def generate_items(
    per_category: int, seed: int, categories: Sequence[str] = CATEGORIES
) -> Iterator[EvalItem]:
    """Yield eval items, `per_category` for each category, with references and checks.

    No seed gives an item whose slot values any seed gives to a record. `cluster` is the family
    of wordings together with the language.

    Raises:
        InputError: an unknown category, or more items than the word lists can make.
    """
    _check_request(categories)
    for category in categories:
        streams = [_drafts(category, language, seed, for_eval=True) for language in LANGUAGES]
        for number in range(per_category):
            language = LANGUAGES[number % len(LANGUAGES)]
            found = next(streams[number % len(LANGUAGES)], None)
            if found is None:
                raise _used_up(category, language, per_category, number)
            family, draft = found
            yield EvalItem.make(
                category,
                draft.instruction,
                input=draft.input,
                reference=draft.output,
                checks=Constraints(**draft.checks).model_dump(exclude_none=True),
                cluster=f"{category}-{family}-{language}",
                language=language,
            )
