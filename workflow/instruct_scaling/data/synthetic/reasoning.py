"""Category cot: the answer shows its steps and ends in the final number, name or day."""

from __future__ import annotations

from random import Random

from instruct_scaling.data.synthetic.draft import Draft, Language
from instruct_scaling.data.synthetic.words import ANIMALS, DAYS, PEOPLE, THINGS, Noun, say

_CHECKS = {"answer": "number"}
_WORD_CHECKS = {"answer": "text"}

_MORE = {
    "en": "{p} has {a} {thing}. {q} has {b} more. How many in all?",
    "zh": "{p}有{a}{m}{thing}，{q}比{p}多{b}{m}，一共多少？",
}
_LEGS = {
    "en": "How many legs do {a} {p} and {b} {q} have?",
    "zh": "{a}只{p}和{b}只{q}一共多少条腿？",
}
_CHANGE = {
    "en": "A {thing} costs {a}. {p} buys {b} and pays {c}. What is the change?",
    "zh": "一{m}{thing}{a}元，{p}买{b}{m}，付{c}元，找回多少？",
}
_SHARE = {
    "en": "{p} had {c} {thing}, then got 1/{b} of {a}. How many now?",
    "zh": "{p}有{c}{m}{thing}，又分到{a}{m}的1/{b}，现有多少？",
}
_END = {"en": "Answer: {}", "zh": "答案：{}"}

# Animals whose English plural is regular, by the number of their legs.
_LEGGED = {
    4: tuple(pair for pair in ANIMALS["mammal"] if pair.en in ("cat", "dog", "horse", "cow")),
    2: tuple(pair for pair in ANIMALS["bird"] if pair.en in ("duck", "hen", "owl", "crow")),
    6: tuple(pair for pair in ANIMALS["insect"] if pair.en in ("bee", "ant", "moth")),
}


def _draft(
    language: Language, question: str, steps: list[str], answer: int, key: tuple[object, ...]
) -> Draft:
    stop = ". " if language == "en" else "。"
    shown = stop.join(steps) + stop + _END[language].format(answer)
    return Draft(question, shown, (key,), checks=_CHECKS)


def _thing(thing: Noun, language: Language) -> str:
    return thing.plural if language == "en" else thing.zh


def more_than(rng: Random, language: Language) -> Draft:
    """One has some, the other has more; how many together."""
    first, second = rng.sample(PEOPLE[language], 2)
    thing, few, extra = rng.choice(THINGS), rng.randint(2, 9), rng.randint(1, 9)
    question = _MORE[language].format(
        p=first, q=second, a=few, b=extra, thing=_thing(thing, language), m=thing.measure
    )
    many = few + extra
    steps = [f"{few} + {extra} = {many}", f"{few} + {many} = {few + many}"]
    return _draft(language, question, steps, few + many, ("more", few, second, extra))


def legs(rng: Random, language: Language) -> Draft:
    """Legs of two kinds of animals."""
    kinds = rng.sample(sorted(_LEGGED), 2)
    animals = [rng.choice(_LEGGED[kind]) for kind in kinds]
    counts = [rng.randint(2, 9), rng.randint(2, 9)]
    names = [f"{animal.en}s" if language == "en" else animal.zh for animal in animals]
    question = _LEGS[language].format(a=counts[0], p=names[0], b=counts[1], q=names[1])
    parts = [count * kind for count, kind in zip(counts, kinds, strict=True)]
    steps = [f"{c} x {k} = {n}" for c, k, n in zip(counts, kinds, parts, strict=True)]
    steps.append(f"{parts[0]} + {parts[1]} = {sum(parts)}")
    return _draft(language, question, steps, sum(parts), ("legs", *names, *counts))


def change(rng: Random, language: Language) -> Draft:
    """The change after paying for several equal things."""
    name, thing = rng.choice(PEOPLE[language]), rng.choice(THINGS)
    price, count = rng.randint(2, 9), rng.randint(2, 9)
    cost = price * count
    paid = cost + rng.randint(1, 9)
    question = _CHANGE[language].format(
        p=name,
        thing=thing.en if language == "en" else thing.zh,
        m=thing.measure,
        a=price,
        b=count,
        c=paid,
    )
    steps = [f"{price} x {count} = {cost}", f"{paid} - {cost} = {paid - cost}"]
    return _draft(language, question, steps, paid - cost, ("change", name, price, count, paid))


def order(rng: Random, language: Language) -> Draft:
    """The tallest or the shortest of three people, from two comparisons."""
    tall, middle, short = rng.sample(PEOPLE[language], 3)
    said = [
        {"en": f"{one} is taller than {other}.", "zh": f"{one}比{other}高。"}[language]
        for one, other in ((tall, middle), (middle, short))
    ]
    most = rng.random() < 0.5
    ask = {
        "en": f"Who is {'tallest' if most else 'shortest'}?",
        "zh": f"谁最{'高' if most else '矮'}？",
    }
    separator = " " if language == "en" else ""
    question = separator.join([*rng.sample(said, 2), ask[language]])
    answer = tall if most else short
    stop = ". " if language == "en" else "。"
    shown = f"{tall} > {middle} > {short}{stop}{_END[language].format(answer)}"
    keys = (("order", tall, middle), ("order", middle, short))
    return Draft(question, shown, keys, checks=_WORD_CHECKS)


def weekday(rng: Random, language: Language) -> Draft:
    """The day of the week some days later, counted day by day."""
    name, start, later = rng.choice(PEOPLE[language]), rng.randrange(7), rng.randint(2, 5)
    days = [say(DAYS[(start + step) % 7], language) for step in range(later + 1)]
    ask = {
        "en": f"{name} left on {days[0]} for {later} days. Back on?",
        "zh": f"{name}{days[0]}出发，{later}天后回来，是周几？",
    }
    stop, comma = (". ", ", ") if language == "en" else ("。", "、")
    shown = comma.join(days) + stop + _END[language].format(days[-1])
    return Draft(ask[language], shown, (("weekday", name, start, later),), checks=_WORD_CHECKS)


def share(rng: Random, language: Language) -> Draft:
    """A share of something on top of what one had."""
    name, thing = rng.choice(PEOPLE[language]), rng.choice(THINGS)
    each, parts, extra = rng.randint(2, 9), rng.randint(2, 9), rng.randint(2, 9)
    total = each * parts
    question = _SHARE[language].format(
        p=name, a=total, b=parts, c=extra, thing=_thing(thing, language), m=thing.measure
    )
    steps = [f"{total} / {parts} = {each}", f"{extra} + {each} = {extra + each}"]
    return _draft(language, question, steps, each + extra, ("share", total, parts, extra))


FAMILIES = {
    "more_than": more_than,
    "legs": legs,
    "change": change,
    "order": order,
    "weekday": weekday,
    "share": share,
}
