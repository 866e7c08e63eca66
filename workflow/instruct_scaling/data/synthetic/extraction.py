"""Category extraction: one field copied out of a short text. The answer is a part of the input."""

from __future__ import annotations

from random import Random

from instruct_scaling.data.synthetic import words
from instruct_scaling.data.synthetic.draft import Draft, Language, a
from instruct_scaling.data.synthetic.words import say

_ASKS = {
    "en": ("Extract the {}.", "Give the {}.", "Find the {} in the text.", "{}?"),
    "zh": ("提取{}。", "找出{}。", "写出文中的{}。", "{}是什么？"),
}
_FIELDS = {
    "name": {"en": "name", "zh": "人名"},
    "job": {"en": "job", "zh": "职业"},
    "city": {"en": "city", "zh": "城市"},
    "item": {"en": "item", "zh": "物品"},
    "price": {"en": "price", "zh": "价格"},
    "place": {"en": "place", "zh": "地点"},
    "day": {"en": "day", "zh": "日期"},
    "number": {"en": "number", "zh": "号码"},
    "email": {"en": "email", "zh": "邮箱"},
}


def _draft(
    rng: Random, language: Language, text: str, fields: dict[str, str], *keys: tuple[str, ...]
) -> Draft:
    """Ask for one of `fields` (field to value) of the text."""
    field = rng.choice(sorted(fields))
    ask = rng.choice(_ASKS[language]).format(_FIELDS[field][language])
    return Draft(ask[0].upper() + ask[1:], fields[field], keys, text, {"answer": "text"})


def biography(rng: Random, language: Language) -> Draft:
    """A person's name, job or city."""
    name = rng.choice(words.PEOPLE[language])
    job, city = rng.choice(words.JOBS), rng.choice(words.CITIES)
    text = {
        "en": f"{name} is {a(job.en)} in {city.en}.",
        "zh": f"{name}在{city.zh}当{job.zh}。",
    }
    fields = {"name": name, "job": say(job, language), "city": say(city, language)}
    return _draft(rng, language, text[language], fields, ("bio", name, job.en))


def purchase(rng: Random, language: Language) -> Draft:
    """A buyer, an item and its price."""
    name, thing = rng.choice(words.PEOPLE[language]), rng.choice(words.THINGS)
    price = rng.randint(2, 99)
    text = {
        "en": f"{name} bought a new {thing.en} for {price} dollars.",
        "zh": f"{name}花{price}元买了{thing.zh}。",
    }
    cost = {"en": f"{price} dollars", "zh": f"{price}元"}[language]
    fields = {"name": name, "item": say(thing, language), "price": cost}
    return _draft(rng, language, text[language], fields, ("buy", name, thing.en))


def meeting(rng: Random, language: Language) -> Draft:
    """Whom to meet, where and when."""
    name = rng.choice(words.PEOPLE[language])
    place, day = rng.choice(words.PLACES), rng.choice(words.DAYS)
    text = {
        "en": f"Meet {name} at the {place.en} on {day.en}.",
        "zh": f"{day.zh}去{place.zh}见{name}。",
    }
    fields = {"name": name, "place": say(place, language), "day": say(day, language)}
    return _draft(rng, language, text[language], fields, ("meet", name, place.en))


def contact(rng: Random, language: Language) -> Draft:
    """A telephone number or an address: digits and letters that cannot be known beforehand."""
    name, number = rng.choice(words.PEOPLE[language]), f"{rng.randint(100, 9999)}"
    box, host = rng.choice(words.THINGS).en, rng.choice(words.CITIES).en.lower()
    email = f"{box}@{host}.com"
    text = {
        "en": f"{name}: call {number} or write to {email}.",
        "zh": f"{name}：电话{number}，邮箱{email}。",
    }
    fields = {"name": name, "number": number, "email": email}
    return _draft(rng, language, text[language], fields, ("contact", name, number, email))


def two_people(rng: Random, language: Language) -> Draft:
    """The job of one of two people."""
    people = rng.sample(words.PEOPLE[language], 2)
    jobs = rng.sample(words.JOBS, 2)
    said = [
        {"en": f"{name} is {a(job.en)}.", "zh": f"{name}是{job.zh}。"}[language]
        for name, job in zip(people, jobs, strict=True)
    ]
    chosen = rng.randrange(2)
    ask = {"en": "Extract the job of {}.", "zh": "提取{}的职业。"}[language].format(people[chosen])
    text = (" " if language == "en" else "").join(said)
    keys = tuple(("is", name, job.en) for name, job in zip(people, jobs, strict=True))
    return Draft(ask, say(jobs[chosen], language), keys, text, {"answer": "text"})


FAMILIES = {
    "biography": biography,
    "purchase": purchase,
    "meeting": meeting,
    "contact": contact,
    "two_people": two_people,
}
