"""Category closed_qa: questions whose answer stands in a passage of one to three sentences."""

from __future__ import annotations

from random import Random

from instruct_scaling.data.synthetic import words
from instruct_scaling.data.synthetic.draft import Draft, Language
from instruct_scaling.data.synthetic.words import say

_CHECKS = {"answer": "text"}


def _places(rng: Random, language: Language, people: int) -> Draft:
    """Who is where: ask for the person or for the place."""
    names = rng.sample(words.PEOPLE[language], people)
    places = rng.sample(words.PLACES, people)
    said = [
        {"en": f"{name} is at the {place.en}.", "zh": f"{name}在{place.zh}。"}[language]
        for name, place in zip(names, places, strict=True)
    ]
    passage = (" " if language == "en" else "").join(said)
    chosen = rng.randrange(people)
    name, place = names[chosen], places[chosen]
    if rng.random() < 0.5:
        ask = {"en": f"Where is {name}?", "zh": f"{name}在哪里？"}
        answer = say(place, language)
    else:
        ask = {"en": f"Who is at the {place.en}?", "zh": f"谁在{place.zh}？"}
        answer = name
    keys = tuple(("at", name, place.en) for name, place in zip(names, places, strict=True))
    return Draft(ask[language], answer, keys, passage, _CHECKS)


def one_place(rng: Random, language: Language) -> Draft:
    """One person in one place, with the day."""
    name, place, day = (
        rng.choice(words.PEOPLE[language]),
        rng.choice(words.PLACES),
        rng.choice(words.DAYS),
    )
    passage = {
        "en": f"On {day.en} {name} went to the {place.en}.",
        "zh": f"{day.zh}{name}去了{place.zh}。",
    }
    asks = {
        "en": ((f"Where did {name} go?", place.en), (f"When did {name} go?", day.en)),
        "zh": ((f"{name}去了哪里？", place.zh), (f"{name}哪天去的？", day.zh)),
    }
    ask, answer = rng.choice(asks[language])
    return Draft(ask, answer, (("one", name, day.en),), passage[language], _CHECKS)


def two_places(rng: Random, language: Language) -> Draft:
    """Two people in two places."""
    return _places(rng, language, 2)


def three_places(rng: Random, language: Language) -> Draft:
    """Three people in three places."""
    return _places(rng, language, 3)


def owners(rng: Random, language: Language) -> Draft:
    """Whose thing has which color."""
    names = rng.sample(words.PEOPLE[language], 2)
    colors = rng.sample(words.COLORS, 2)
    thing = rng.choice(words.THINGS)
    said = [
        {
            "en": f"{name} has a {color.en} {thing.en}.",
            "zh": f"{name}有{color.zh}色的{thing.zh}。",
        }[language]
        for name, color in zip(names, colors, strict=True)
    ]
    passage = (" " if language == "en" else "").join(said)
    chosen = rng.randrange(2)
    name, color = names[chosen], colors[chosen]
    if rng.random() < 0.5:
        ask = {"en": f"Whose {thing.en} is {color.en}?", "zh": f"谁的{thing.zh}是{color.zh}色？"}
        answer = name
    else:
        ask = {
            "en": f"What colour is the {thing.en} of {name}?",
            "zh": f"{name}的{thing.zh}什么颜色？",
        }
        answer = {"en": color.en, "zh": f"{color.zh}色"}[language]
    keys = tuple(
        ("owns", name, color.en, thing.en) for name, color in zip(names, colors, strict=True)
    )
    return Draft(ask[language], answer, keys, passage, _CHECKS)


def older(rng: Random, language: Language) -> Draft:
    """Which of two people is older or younger."""
    names = rng.sample(words.PEOPLE[language], 2)
    ages = rng.sample(range(5, 90), 2)
    passage = {
        "en": f"{names[0]} is {ages[0]} and {names[1]} is {ages[1]}.",
        "zh": f"{names[0]}{ages[0]}岁，{names[1]}{ages[1]}岁。",
    }
    elder = ages[0] < ages[1]
    if rng.random() < 0.5:
        ask, answer = {"en": "Who is older?", "zh": "谁年纪大？"}, names[elder]
    else:
        ask, answer = {"en": "Who is younger?", "zh": "谁年纪小？"}, names[not elder]
    return Draft(ask[language], answer, (("older", *names, *ages),), passage[language], _CHECKS)


FAMILIES = {
    "one_place": one_place,
    "two_places": two_places,
    "three_places": three_places,
    "owners": owners,
    "older": older,
}
