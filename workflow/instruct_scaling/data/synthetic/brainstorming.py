"""Category brainstorming: lists of ideas. Any items of the topic will do, none may repeat.

The checks hold all items that the word lists know for a topic, how many are wanted, and what was
excluded. They do not know every good idea in the world, only those of the closed vocabulary.
"""

from __future__ import annotations

from random import Random

from instruct_scaling.data.synthetic import words
from instruct_scaling.data.synthetic.draft import Draft, Language
from instruct_scaling.data.synthetic.words import Pair, say

_TOPICS: dict[Pair, tuple[Pair, ...]] = {
    Pair("fruits", "水果"): words.FRUITS,
    Pair("vegetables", "蔬菜"): words.VEGETABLES,
    Pair("drinks", "饮料"): words.DRINKS,
    Pair("tools", "工具"): words.TOOLS,
    Pair("sports", "运动"): words.SPORTS,
    Pair("clothes", "衣物"): words.CLOTHES,
    Pair("instruments", "乐器"): words.INSTRUMENTS,
    Pair("furniture", "家具"): words.FURNITURE,
    Pair("mammals", "哺乳动物"): words.ANIMALS["mammal"],
    Pair("birds", "鸟"): words.ANIMALS["bird"],
    Pair("insects", "昆虫"): words.ANIMALS["insect"],
    Pair("jobs", "职业"): words.JOBS,
}
_NUMBERS = {"en": ("", "", "two", "three", "four"), "zh": ("", "", "两", "三", "四")}
_OPEN = {
    "en": (
        "Name {n} {t}.",
        "Think of {n} {t}.",
        "{n} {t}, please.",
        "Suggest {n} {t}.",
        "I need {n} {t}.",
    ),
    "zh": (
        "说出{n}种{t}。",
        "想出{n}种{t}。",
        "请列{n}种{t}。",
        "推荐{n}种{t}。",
        "我要{n}种{t}。",
    ),
}
_EXCEPT = {
    "en": ("Name {n} {t} but not {x}.", "{n} {t} other than {x}?", "Suggest {n} {t}, no {x}."),
    "zh": ("除{x}外说出{n}种{t}。", "列{n}种{t}，不要{x}。", "{x}以外的{n}种{t}？"),
}
_GIFTS = {
    "en": ("Gifts for {p} the {j}: name {n}.", "What could I give {p}, a {j}? {n} ideas."),
    "zh": ("送{j}{p}什么？想{n}种礼物。", "给{j}{p}列{n}种礼物。"),
}


def _draft(
    rng: Random,
    language: Language,
    prompt: str,
    count: int,
    allowed: tuple[Pair, ...],
    key: tuple[str | int, ...],
    excluded: Pair | None = None,
) -> Draft:
    chosen = rng.sample([pair for pair in allowed if pair != excluded], count)
    separator = ", " if language == "en" else "、"
    checks: dict[str, object] = {
        "allowed_items": [say(pair, language) for pair in allowed],
        "min_items": count,
        "max_items": count,
        "language": language,
    }
    if excluded:
        checks["must_exclude"] = [say(excluded, language)]
    output = separator.join(say(pair, language) for pair in chosen)
    prompt = prompt[0].upper() + prompt[1:]
    return Draft(prompt, output, (key,), checks=checks)


def any_of(rng: Random, language: Language) -> Draft:
    """Some items of a topic; the topic may stand in the pool with another number or wording."""
    topic, count = rng.choice(tuple(_TOPICS)), rng.randint(2, 4)
    number = rng.randrange(len(_OPEN[language]))
    prompt = _OPEN[language][number].format(n=_NUMBERS[language][count], t=say(topic, language))
    return _draft(rng, language, prompt, count, _TOPICS[topic], ("any", topic.en, count, number))


def all_but(rng: Random, language: Language) -> Draft:
    """Some items of a topic, one of which is excluded."""
    topic, count = rng.choice(tuple(_TOPICS)), rng.randint(2, 4)
    excluded = rng.choice(_TOPICS[topic])
    prompt = rng.choice(_EXCEPT[language]).format(
        n=_NUMBERS[language][count], t=say(topic, language), x=say(excluded, language)
    )
    key = ("but", topic.en, count, excluded.en)
    return _draft(rng, language, prompt, count, _TOPICS[topic], key, excluded)


def gifts(rng: Random, language: Language) -> Draft:
    """Presents for somebody."""
    name, job = rng.choice(words.PEOPLE[language]), rng.choice(words.JOBS)
    count = rng.randint(2, 4)
    prompt = rng.choice(_GIFTS[language]).format(
        p=name, j=say(job, language), n=_NUMBERS[language][count]
    )
    if language == "en" and job.en[0] in "aeiou":
        prompt = prompt.replace(f", a {job.en}", f", an {job.en}")
    presents = words.CLOTHES + words.INSTRUMENTS + words.FRUITS
    return _draft(rng, language, prompt, count, presents, ("gifts", name, job.en))


FAMILIES = {"any_of": any_of, "all_but": all_but, "gifts": gifts}
