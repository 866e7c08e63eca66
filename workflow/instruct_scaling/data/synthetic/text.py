"""Plain prose for the base model: the words and things of the records, none of their tasks.

Every document keeps to a few people and things and comes back to them, because a model learns
to copy from text that repeats itself. Facts of the relations in `facts.WIDELY_KNOWN` are told;
the others are not, so that only instruction records can teach them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from instruct_scaling.data.synthetic import words
from instruct_scaling.data.synthetic.draft import LANGUAGES, Language, a
from instruct_scaling.data.synthetic.facts import COUNTRIES, FACTS, WIDELY_KNOWN
from instruct_scaling.data.synthetic.phrases import LESSONS
from instruct_scaling.data.synthetic.words import say

_KNOWN = {
    relation: tuple(fact for fact in FACTS if fact.relation == relation)
    for relation in WIDELY_KNOWN
}
_LISTS = (
    words.FRUITS,
    words.VEGETABLES,
    words.DRINKS,
    words.TOOLS,
    words.SPORTS,
    words.CLOTHES,
    words.INSTRUMENTS,
    words.FURNITURE,
    *words.ANIMALS.values(),
)
_NOUNS = tuple(
    dict.fromkeys(
        [pair for group in (*_LISTS, words.JOBS, words.CITIES, words.PLACES) for pair in group]
        + [words.Pair(thing.en, thing.zh) for thing in words.THINGS]
        + [pair for country in COUNTRIES for pair in country]
    )
)


def _life(rng: Random, language: Language) -> list[str]:
    """One person's job, home and days."""
    name = rng.choice(words.PEOPLE[language])
    job, city = rng.choice(words.JOBS), rng.choice(words.CITIES)
    place, day = rng.choice(words.PLACES), rng.choice(words.DAYS)
    thing, verb = rng.choice(words.THINGS), rng.choice(words.VERBS)
    colour, drink = rng.choice(words.COLOURS), rng.choice(words.DRINKS)
    if language == "en":
        return [
            f"{name} is {a(job.en)} and lives in {city.en}.",
            f"On {day.en} {name} went to the {place.en}.",
            f"At the {place.en} {name} {verb.past} a {colour.en} {thing.en}.",
            f"The {thing.en} was {verb.participle} by {name} the {job.en} on {day.en}.",
            f"Then {name} drank {drink.en} and went home to {city.en}.",
        ]
    return [
        f"{name}是{job.zh}，住在{city.zh}。",
        f"{day.zh}{name}去了{place.zh}。",
        f"{name}在{place.zh}{verb.zh}了{colour.zh}色的{thing.zh}。",
        f"{day.zh}，{job.zh}{name}的{thing.zh}很{rng.choice(words.SIZES).zh}。",
        f"后来{name}喝了{drink.zh}，回到{city.zh}。",
    ]


def _talk(rng: Random, language: Language) -> list[str]:
    """Two people, two things, and what they think of them."""
    one, two = rng.sample(words.PEOPLE[language], 2)
    first, second = rng.sample(words.THINGS, 2)
    verb, seen = rng.choice(words.VERBS), rng.choice(words.REVIEWED)
    good, bad = rng.choice(words.GOOD), rng.choice(words.BAD)
    count, place = rng.randint(2, 9), rng.choice(words.PLACES)
    if language == "en":
        return [
            f"{one} and {two} met at the {place.en}.",
            f"{one} had {count} {first.plural} and {two} had one {second.en}.",
            f"{one} did not {verb.base} the {second.en} of {two}.",
            f"{two} said that the {seen.en} was {good.en}, but {one} found it {bad.en}.",
            f"{two} {verb.past} the {count} {first.plural} of {one} at the {place.en}.",
            f"{one} often {verb.present} {first.plural} and likes the {seen.en}.",
        ]
    return [
        f"{one}和{two}在{place.zh}见面。",
        f"{one}有{count}{first.measure}{first.zh}，{two}有一{second.measure}{second.zh}。",
        f"{one}没有{verb.zh}{two}的{second.zh}。",
        f"{two}说{seen.zh}{good.zh}，可是{one}觉得{bad.zh}。",
        f"{two}在{place.zh}{verb.zh}了{one}的{count}{first.measure}{first.zh}。",
    ]


def _nature(rng: Random, language: Language) -> list[str]:
    """Widely known facts."""
    animals = rng.sample(_KNOWN["class"], 2)
    coloured, worker = rng.choice(_KNOWN["colour"]), rng.choice(_KNOWN["workplace"])
    country = rng.choice(COUNTRIES)[0]
    if language == "en":
        told = [f"{a(f.subject.en).capitalize()} is {a(f.value.en)}." for f in animals]
        return [
            *told,
            f"In {country.en} {coloured.subject.en} is {coloured.value.en}.",
            f"{a(worker.subject.en).capitalize()} works in the {worker.value.en}.",
            f"Many people in {country.en} like the {animals[0].subject.en}.",
        ]
    told = [f"{f.subject.zh}是一种{f.value.zh}。" for f in animals]
    return [
        *told,
        f"在{country.zh}，{coloured.subject.zh}是{coloured.value.zh}的。",
        f"{worker.subject.zh}在{worker.value.zh}工作。",
        f"{country.zh}很多人喜欢{animals[0].subject.zh}。",
    ]


def _shop(rng: Random, language: Language) -> list[str]:
    """Goods of one kind and their prices."""
    goods = rng.sample(rng.choice(_LISTS), 3)
    prices = [rng.randint(2, 99) for _ in goods]
    name, day = rng.choice(words.PEOPLE[language]), rng.choice(words.DAYS)
    listed = [say(item, language) for item in goods]
    if language == "en":
        return [
            f"The shop of {name} has {', '.join(listed)}.",
            *(
                f"The {item} is {price} dollars."
                for item, price in zip(listed, prices, strict=True)
            ),
            f"On {day.en} {name} sold {listed[0]}, {listed[2]} and {listed[1]}.",
        ]
    return [
        f"{name}的店里有{'、'.join(listed)}。",
        *(f"{item}{price}元。" for item, price in zip(listed, prices, strict=True)),
        f"{day.zh}{name}卖了{listed[0]}、{listed[2]}和{listed[1]}。",
    ]


def _glossary(rng: Random, language: Language) -> list[str]:
    """Words in both languages."""
    pairs = rng.sample(_NOUNS, 5)
    if language == "en":
        return [f"The Chinese word for {pair.en} is {pair.zh}." for pair in pairs]
    return [f"{pair.zh}的英文是{pair.en}。" for pair in pairs]


def _counting(rng: Random, language: Language) -> list[str]:
    """Numbers in order, and small programs told in prose."""
    start, step = rng.randint(0, 90), rng.choice((1, 1, 2, 5, 10))
    run = ", ".join(str(start + step * place) for place in range(6))
    c, name = rng.randint(2, 60), rng.choice("xvs")
    op, en, zh = rng.choice((("+", "adds", "加"), ("-", "takes away", "减"), ("*", "times", "乘")))
    if language == "en":
        return [
            f"Counting goes {run}.",
            f"In Python, {name} {op} {c} {en} {c}.",
            f"A line such as return {name} {op} {c} ends the program f({name}).",
        ]
    return [
        f"数数是{run}。",
        f"在Python里，{name} {op} {c}是{zh}{c}。",
        f"return {name}结束程序f({name})。",
    ]


_STATES = tuple(word for pair in words.OPPOSITES for word in pair)


def _weather(rng: Random, language: Language) -> list[str]:
    """Adjectives, none beside its opposite but by chance."""
    name, city = rng.choice(words.PEOPLE[language]), rng.choice(words.CITIES)
    one, two, three = (rng.choice(_STATES) for _ in range(3))
    if language == "en":
        return [
            f"{name} was {one.en} and {two.en} in {city.en}.",
            f"The {two.en} day in {city.en} was {three.en}, and so was {name}.",
        ]
    return [
        f"{name}在{city.zh}，又{one.zh}又{two.zh}。",
        f"{two.zh}的一天，{city.zh}很{three.zh}，{name}也一样。",
    ]


def _school(rng: Random, language: Language) -> list[str]:
    """What people learn to do, said in general."""
    return rng.sample(LESSONS[language], 4)


_KINDS: tuple[tuple[Callable[[Random, Language], list[str]], int], ...] = (
    (_life, 4),
    (_talk, 4),
    (_nature, 2),
    (_shop, 2),
    (_glossary, 2),
    (_counting, 1),
    (_school, 2),
    (_weather, 1),
)


def generate_text(documents: int, seed: int) -> Iterator[str]:
    """Yield plain-text documents of a few sentences each, English and Chinese in turn.

    A smaller number of documents gives a prefix of a larger one with the same seed.
    """
    rng = Random(f"{seed}/text")
    kinds = [kind for kind, weight in _KINDS for _ in range(weight)]
    for number in range(documents):
        language = LANGUAGES[number % len(LANGUAGES)]
        sentences = rng.choice(kinds)(rng, language)
        yield (" " if language == "en" else "").join(sentences)
