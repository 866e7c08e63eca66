"""Category generation: short texts on what the question names. There is no one right answer.

The checks ask for what can be checked: the words that must occur, and the length.
"""

from __future__ import annotations

from random import Random

from instruct_scaling.data.synthetic import words
from instruct_scaling.data.synthetic.draft import Draft, Language
from instruct_scaling.data.synthetic.facts import named
from instruct_scaling.data.synthetic.words import say


def _draft(
    language: Language,
    prompt: str,
    text: str,
    facts: list[list[str]],
    low: int,
    high: int,
    *key: str,
) -> Draft:
    checks: dict[str, object] = {"required_facts": facts, "min_chars": low, "max_chars": high}
    return Draft(prompt, text, (key,), checks=checks | {"language": language})


def sentence(rng: Random, language: Language) -> Draft:
    """One sentence that holds two given words."""
    thing, place = rng.choice(words.THINGS), rng.choice(words.PLACES)
    name, verb = rng.choice(words.PEOPLE[language]), rng.choice(words.VERBS)
    must = [say(thing, language), say(place, language)]
    asks = {
        "en": ("Write a sentence with {} and {}.", "Use {} and {} in a sentence."),
        "zh": ("用{}和{}造句。", "写一句话，含{}和{}。"),
    }
    prompt = rng.choice(asks[language]).format(*must)
    text = {
        "en": f"{name} {verb.past} the {thing.en} at the {place.en}.",
        "zh": f"{name}在{place.zh}{verb.zh}了{thing.zh}。",
    }
    low, high = {"en": (20, 120), "zh": (7, 40)}[language]
    facts = [named(thing, language), named(place, language)]
    key = ("sentence", thing.en, place.en)
    return _draft(language, prompt, text[language], facts, low, high, *key)


def invitation(rng: Random, language: Language) -> Draft:
    """A note that invites somebody to a place on a day."""
    name = rng.choice(words.PEOPLE[language])
    place, day = rng.choice(words.PLACES), rng.choice(words.DAYS)
    prompt = {
        "en": f"Invite {name} to the {place.en} on {day.en}.",
        "zh": f"写信邀请{name}{day.zh}去{place.zh}。",
    }
    closing = rng.choice(
        {
            "en": ("It will be fun!", "I hope to see you!", "Bring a friend!"),
            "zh": ("会很有趣！", "希望见到你！", "带上朋友吧！"),
        }[language]
    )
    text = {
        "en": f"Dear {name}, please come to the {place.en} on {day.en}. {closing}",
        "zh": f"亲爱的{name}，请{day.zh}来{place.zh}。{closing}",
    }
    low, high = {"en": (40, 160), "zh": (15, 60)}[language]
    invited = {
        "en": ["come", "join", "invite", "visit", "meet", "see you", "go"],
        "zh": ["来", "邀请", "去", "一起", "参加", "见"],
    }
    facts = [[name], named(place, language), named(day, language), invited[language]]
    key = ("invite", name, place.en, day.en)
    return _draft(language, prompt[language], text[language], facts, low, high, *key)


def slogan(rng: Random, language: Language) -> Draft:
    """An advertisement for a thing of one color made in a city."""
    thing, color = rng.choice(words.THINGS), rng.choice(words.COLORS)
    city, praise = rng.choice(words.CITIES), rng.choice(words.GOOD)
    asks = {
        "en": ("Advertise {c} {t} from {p}.", "Write an ad: {c} {t} from {p}."),
        "zh": ("为{p}的{c}色{t}写广告。", "写广告：{p}的{c}色{t}。"),
    }
    prompt = rng.choice(asks[language]).format(
        c=say(color, language),
        t=thing.plural if language == "en" else thing.zh,
        p=say(city, language),
    )
    text = {
        "en": f"Buy our {praise.en} {color.en} {thing.plural} from {city.en} today!",
        "zh": f"快来买{city.zh}的{color.zh}色{thing.zh}，{praise.zh}！",
    }
    low, high = {"en": (25, 120), "zh": (10, 40)}[language]
    facts = [named(color, language), named(thing, language), named(city, language)]
    key = ("slogan", color.en, thing.en, city.en)
    return _draft(language, prompt, text[language], facts, low, high, *key)


def story(rng: Random, language: Language) -> Draft:
    """A story of two sentences about a person with a job in a city."""
    name, job = rng.choice(words.PEOPLE[language]), rng.choice(words.JOBS)
    city, animal = rng.choice(words.CITIES), rng.choice(words.ANIMALS["mammal"])
    thing, verb = rng.choice(words.THINGS), rng.choice(words.VERBS)
    asks = {
        "en": ("Tell a story: {n} the {j} in {c}.", "Short story about {n}, {j} in {c}."),
        "zh": ("讲故事：{c}的{j}{n}。", "写个短故事，主角是{c}的{j}{n}。"),
    }
    prompt = rng.choice(asks[language]).format(n=name, j=say(job, language), c=say(city, language))
    text = {
        "en": f"Once {name} the {job.en} met a {animal.en} in {city.en}. "
        f"It {verb.past} the {thing.en} and ran away.",
        "zh": f"从前，{job.zh}{name}在{city.zh}遇见{animal.zh}。它{verb.zh}了{thing.zh}就跑了。",
    }
    text["en"] = text["en"].replace("met a elephant", "met an elephant")
    low, high = {"en": (50, 200), "zh": (18, 80)}[language]
    facts = [[name], named(job, language), named(city, language)]
    key = ("story", name, job.en, city.en)
    return _draft(language, prompt, text[language], facts, low, high, *key)


FAMILIES = {"sentence": sentence, "invitation": invitation, "slogan": slogan, "story": story}
