"""Category translation: phrases and sentences between English and Chinese, in both directions."""

from __future__ import annotations

from random import Random

from instruct_scaling.data.synthetic import words
from instruct_scaling.data.synthetic.draft import Draft, Language
from instruct_scaling.data.synthetic.facts import done, named
from instruct_scaling.data.synthetic.words import Noun, Pair, Verb

# Instructions by their own language, then by the language to translate into.
_ASKS = {
    "en": {
        "zh": ("In Chinese:", "To Chinese:", "Chinese version:"),
        "en": ("In English:", "To English:", "English version:"),
    },
    "zh": {
        "zh": ("译成中文。", "翻译为中文。", "用中文说。"),
        "en": ("译成英文。", "翻译为英文。", "用英文说。"),
    },
}
_COUNTS = ("", "", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_COUNTS_ZH = ("", "一", "两", "三", "四", "五", "六", "七", "八", "九")


def _draft(
    rng: Random,
    language: Language,
    en: str,
    zh: str,
    *key: object,
    parts: tuple[Pair | Noun | Verb | int, ...],
) -> Draft:
    """A question in one of the two directions; each of the `parts` is a fact to be kept."""
    if rng.random() < 0.5:
        return Draft(rng.choice(_ASKS[language]["zh"]), zh, (key,), en, _checks(parts, "zh"))
    return Draft(rng.choice(_ASKS[language]["en"]), en, (key,), zh, _checks(parts, "en"))


def _checks(parts: tuple[Pair | Noun | Verb | int, ...], to: Language) -> dict[str, object]:
    facts = []
    for part in parts:
        if isinstance(part, int):
            facts.append([str(part)])
        else:
            facts.append(done(part, to) if isinstance(part, Verb) else named(part, to))
    return {"answer": "text", "required_facts": facts, "language": to}


def phrase(rng: Random, language: Language) -> Draft:
    """A colored thing."""
    thing, color = rng.choice(words.THINGS), rng.choice(words.COLORS)
    size = rng.choice(words.SIZES)
    en = f"a {size.en} {color.en} {thing.en}"
    if size.en == "old":
        en = f"an {size.en} {color.en} {thing.en}"
    zh = f"一{thing.measure}{size.zh}{color.zh}{thing.zh}"
    return _draft(
        rng, language, en, zh, "phrase", size.en, color.en, thing.en, parts=(size, color, thing)
    )


def counted(rng: Random, language: Language) -> Draft:
    """The nurse buys three pens."""
    job, verb, thing = rng.choice(words.JOBS), rng.choice(words.VERBS), rng.choice(words.THINGS)
    count = rng.randint(2, 9)
    en = f"The {job.en} {verb.past} {_COUNTS[count]} {thing.plural}."
    zh = f"{job.zh}{verb.zh}了{_COUNTS_ZH[count]}{thing.measure}{thing.zh}。"
    return _draft(
        rng, language, en, zh, "counted", job.en, verb.base, count, parts=(job, verb, thing, count)
    )


def going(rng: Random, language: Language) -> Draft:
    """Somebody goes somewhere on a day: the order of the parts differs between the languages."""
    job, place, day = rng.choice(words.JOBS), rng.choice(words.PLACES), rng.choice(words.DAYS)
    en = f"The {job.en} goes to the {place.en} on {day.en}."
    zh = f"{job.zh}{day.zh}去{place.zh}。"
    return _draft(rng, language, en, zh, "going", job.en, place.en, parts=(job, place, day))


def living(rng: Random, language: Language) -> Draft:
    """Somebody from a city sees an animal."""
    job, city = rng.choice(words.JOBS), rng.choice(words.CITIES)
    animal = rng.choice(words.ANIMALS["mammal"] + words.ANIMALS["bird"])
    en = f"The {job.en} in {city.en} likes the {animal.en}."
    zh = f"{city.zh}的{job.zh}喜欢{animal.zh}。"
    return _draft(rng, language, en, zh, "living", job.en, city.en, parts=(job, city, animal))


FAMILIES = {"phrase": phrase, "counted": counted, "going": going, "living": living}
