"""Category math: from sums of two digits to three steps. The answer is the bare number."""

from __future__ import annotations

from random import Random

from instruct_scaling.data.synthetic.draft import Draft, Language
from instruct_scaling.data.synthetic.words import PEOPLE, THINGS

_CHECKS = {"answer": "number"}

_SUM = {
    "en": ("What is {a} plus {b}?", "Add {a} and {b}.", "{a} + {b} = ?", "Find {a} + {b}."),
    "zh": ("{a}加{b}等于多少？", "求{a}与{b}的和。", "{a} + {b}得多少？", "计算{a} + {b}。"),
}
_DIFFERENCE = {
    "en": ("What is {a} minus {b}?", "Take {b} from {a}.", "{a} - {b} = ?", "Find {a} - {b}."),
    "zh": ("{a}减{b}等于多少？", "从{a}里减去{b}。", "{a} - {b}得多少？", "计算{a} - {b}。"),
}
_PRODUCT = {
    "en": ("What is {a} times {b}?", "Multiply {a} by {b}.", "{a} x {b} = ?", "Find {a} x {b}."),
    "zh": ("{a}乘{b}等于多少？", "求{a}与{b}的积。", "{a} x {b}得多少？", "计算{a} x {b}。"),
}
_GAIN = {
    "en": "{name} has {a} {thing} and gets {b} more. How many now?",
    "zh": "{name}有{a}{measure}{thing}，又得到{b}{measure}，现在有多少？",
}
_STEPS = {
    "en": ("Add {a} and {b}, then multiply by {c}.", "What is ({a} + {b}) x {c}?"),
    "zh": ("{a}加{b}，再乘{c}，等于多少？", "计算({a} + {b}) x {c}。"),
}


def _add_or_subtract(rng: Random, language: Language, x: int, y: int) -> tuple[str, int]:
    """A question on the sum or the difference of two numbers, and its answer, never below 0."""
    if rng.random() < 0.5:
        return rng.choice(_SUM[language]).format(a=x, b=y), x + y
    high, low = max(x, y), min(x, y)
    return rng.choice(_DIFFERENCE[language]).format(a=high, b=low), high - low


def one_digit(rng: Random, language: Language) -> Draft:
    """Sums and differences of digits; the same sum may stand in the pool in other words."""
    question, answer = _add_or_subtract(rng, language, rng.randint(0, 9), rng.randint(0, 9))
    return Draft(question, str(answer), ((question,),), checks=_CHECKS)


def times_table(rng: Random, language: Language) -> Draft:
    """Products of digits; the same product may stand in the pool in other words."""
    x, y = rng.randint(2, 9), rng.randint(2, 9)
    question = rng.choice(_PRODUCT[language]).format(a=x, b=y)
    return Draft(question, str(x * y), ((question,),), checks=_CHECKS)


def two_digits(rng: Random, language: Language) -> Draft:
    """Sums and differences of two-digit numbers that the pool does not hold in any words."""
    x, y = rng.randint(10, 99), rng.randint(10, 99)
    question, answer = _add_or_subtract(rng, language, x, y)
    return Draft(question, str(answer), ((min(x, y), max(x, y)),), checks=_CHECKS)


def story(rng: Random, language: Language) -> Draft:
    """A sum of small numbers in a story about a person."""
    x, y = rng.randint(2, 20), rng.randint(1, 9)
    thing = rng.choice(THINGS)
    name = rng.choice(PEOPLE[language])
    question = _GAIN[language].format(
        name=name,
        a=x,
        b=y,
        thing=thing.plural if language == "en" else thing.zh,
        measure=thing.measure,
    )
    return Draft(question, str(x + y), ((name, x, thing.en),), checks=_CHECKS)


def two_steps(rng: Random, language: Language) -> Draft:
    """A sum of two numbers, then a product."""
    x, y, z = rng.randint(11, 99), rng.randint(11, 99), rng.randint(3, 9)
    question = rng.choice(_STEPS[language]).format(a=x, b=y, c=z)
    return Draft(question, str((x + y) * z), ((x, y, z),), checks=_CHECKS)


FAMILIES = {
    "one_digit": one_digit,
    "times_table": times_table,
    "two_digits": two_digits,
    "story": story,
    "two_steps": two_steps,
}
