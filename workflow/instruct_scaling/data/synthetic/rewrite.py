"""Category rewrite: the same content negated, asked, passive, polite or past."""

from __future__ import annotations

from random import Random

from instruct_scaling.data.synthetic import words
from instruct_scaling.data.synthetic.draft import Draft, Language
from instruct_scaling.data.synthetic.facts import done, named
from instruct_scaling.data.synthetic.words import Noun, Verb


def _parts(rng: Random, language: Language, verbs: tuple[Verb, ...]) -> tuple[str, Verb, Noun]:
    return rng.choice(words.PEOPLE[language]), rng.choice(verbs), rng.choice(words.THINGS)


def _draft(
    asks: dict[str, tuple[str, ...]],
    rng: Random,
    language: Language,
    before: str,
    after: str,
    *key: object,
    facts: list[list[str]],
    **checks: list[str] | list[list[str]],
) -> Draft:
    kept = {"answer": "text", "required_facts": facts, "language": language, **checks}
    return Draft(rng.choice(asks[language]), after, (key,), before, kept)


_NEGATE = {
    "en": ("Make it negative.", "Negate the sentence.", "Say the contrary with not."),
    "zh": ("改成否定句。", "变为否定句。", "用“没有”否定下句。"),
}
_ASK = {
    "en": ("Turn it into a question.", "Make it a yes-no question.", "Ask whether it is so."),
    "zh": ("改成疑问句。", "变成用“吗”的问句。", "把下句改为提问。"),
}
_PASSIVE = {
    "en": ("Use the passive.", "Make it passive.", "In the passive:"),
    "zh": ("改成“被”字句。", "用被动句改写。", "改为被动语态。"),
}
_POLITE = {
    "en": ("Make it polite.", "Say it politely.", "As a polite request:"),
    "zh": ("改得礼貌些。", "用礼貌的话说。", "改写成客气的请求。"),
}
_WHEN = {
    "en": ("Put it in the past.", "Use the past tense.", "Say it as if it were over."),
    "zh": ("改成昨天的事。", "说成昨天发生的。", "加上“昨天”改写。"),
}


def negative(rng: Random, language: Language) -> Draft:
    """A statement negated."""
    name, verb, thing = _parts(rng, language, words.VERBS)
    before = {
        "en": f"{name} {verb.past} the {thing.en}.",
        "zh": f"{name}{verb.zh}了{thing.zh}。",
    }
    after = {
        "en": f"{name} did not {verb.base} the {thing.en}.",
        "zh": f"{name}没有{verb.zh}{thing.zh}。",
    }
    key = ("negative", name, verb.base, thing.en)
    # The reference negates verb and thing, so an answer must as well.
    facts = [[name], done(verb, language), named(thing, language)]
    return _draft(_NEGATE, rng, language, before[language], after[language], *key, facts=facts)


def question(rng: Random, language: Language) -> Draft:
    """A statement turned into a yes-no question."""
    name, verb, thing = _parts(rng, language, words.VERBS)
    before = {
        "en": f"{name} {verb.present} the {thing.en}.",
        "zh": f"{name}{verb.zh}{thing.zh}。",
    }
    after = {
        "en": f"Does {name} {verb.base} the {thing.en}?",
        "zh": f"{name}{verb.zh}{thing.zh}吗？",
    }
    key = ("question", name, verb.base, thing.en)
    asked = {"en": ["?"], "zh": ["？", "吗"]}
    facts = [[name], done(verb, language), named(thing, language), asked[language]]
    return _draft(_ASK, rng, language, before[language], after[language], *key, facts=facts)


def passive(rng: Random, language: Language) -> Draft:
    """Active to passive; in Chinese from a 把 sentence to a 被 sentence."""
    verbs = words.VERBS if language == "en" else words.CHANGING_VERBS
    name, verb, thing = _parts(rng, language, verbs)
    size = rng.choice(words.SIZES)
    before = {
        "en": f"{name} {verb.past} the {size.en} {thing.en}.",
        "zh": f"{name}把{size.zh}{thing.zh}{verb.zh}了。",
    }
    after = {
        "en": f"The {size.en} {thing.en} was {verb.participle} by {name}.",
        "zh": f"{size.zh}{thing.zh}被{name}{verb.zh}了。",
    }
    key = ("passive", name, verb.base, size.en)
    by = {"en": [f"by {name}"], "zh": [f"{how}{name}" for how in "被让给叫"]}
    suffered = {
        "en": [f"{was} {verb.participle}" for was in ("was", "is", "got", "has been", "had been")],
        "zh": done(verb, "zh"),
    }
    facts = [by[language], suffered[language], named(thing, language), named(size, language)]
    return _draft(_PASSIVE, rng, language, before[language], after[language], *key, facts=facts)


def polite(rng: Random, language: Language) -> Draft:
    """An order turned into a request."""
    name, verb, thing = _parts(rng, language, words.VERBS)
    color = rng.choice(words.COLORS)
    before = {
        "en": f"{name}, {verb.base} the {color.en} {thing.en}!",
        "zh": f"{name}，{verb.zh}{color.zh}{thing.zh}！",
    }
    after = {
        "en": f"{name}, could you please {verb.base} the {color.en} {thing.en}?",
        "zh": f"{name}，请您{verb.zh}{color.zh}{thing.zh}，好吗？",
    }
    key = ("polite", name, verb.base, color.en)
    please = {
        "en": ["please", "could you", "would you", "can you", "kindly", "appreciate", "grateful"],
        "zh": ["请", "麻烦", "劳驾", "好吗", "可以吗", "能否", "能不能", "可否", "行吗"],
    }
    facts = [done(verb, language), named(color, language), named(thing, language), please[language]]
    return _draft(_POLITE, rng, language, before[language], after[language], *key, facts=facts)


def past(rng: Random, language: Language) -> Draft:
    """The present tense put into the past; in Chinese today's event told of yesterday."""
    name, verb, thing = _parts(rng, language, words.VERBS)
    count = rng.randint(2, 9)
    before = {
        "en": f"{name} {verb.present} {count} {thing.plural}.",
        "zh": f"{name}今天{verb.zh}{count}{thing.measure}{thing.zh}。",
    }
    after = {
        "en": f"{name} {verb.past} {count} {thing.plural}.",
        "zh": f"{name}昨天{verb.zh}了{count}{thing.measure}{thing.zh}。",
    }
    key = ("past", name, verb.base, count, thing.en)
    facts = [[name], done(verb, language), [str(count)], named(thing, language)]
    if language == "zh":
        facts.append(["昨天", "昨日"])
        over: dict[str, list[str] | list[list[str]]] = {"forbidden_facts": [["今天"]]}
    else:  # literally, since a fact is found in every tense
        over = {"must_include": [verb.past]}
    sentences = before[language], after[language]
    return _draft(_WHEN, rng, language, *sentences, *key, facts=facts, **over)


FAMILIES = {
    "negative": negative,
    "question": question,
    "passive": passive,
    "polite": polite,
    "past": past,
}
