"""Category code: small Python functions with unit tests.

Expected values come from a Python function that is built beside the program's text, not from
running the text: that the two agree is what the tests of this module check.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from instruct_scaling.data.synthetic.draft import Draft, Language

_NUMBERS = (0, 1, -4, 7, 12)
_LISTS = ([3, 1, 2], [10, -5, 8, 4], [6, 21, 9, 15, 2])
_TEXTS = ("abc", "Hello", "x y")

_STEP_WORDS = {
    "+": {"en": "plus {}", "zh": "加{}"},
    "-": {"en": "minus {}", "zh": "减{}"},
    "*": {"en": "times {}", "zh": "乘{}"},
}
_STEPS: dict[str, Callable[[int, int], int]] = {
    "+": lambda x, c: x + c,
    "-": lambda x, c: x - c,
    "*": lambda x, c: x * c,
}
_PICKS: dict[str, tuple[str, str, Callable[[list[int]], int]]] = {
    "max(v)": ("the largest item", "最大值", max),
    "min(v)": ("the smallest item", "最小值", min),
    "sum(v)": ("the sum", "总和", sum),
    "len(v)": ("the length", "长度", len),
    "v[0]": ("the first item", "第一项", lambda v: v[0]),
    "v[-1]": ("the last item", "最后一项", lambda v: v[-1]),
}
_TESTS: dict[str, tuple[str, str, Callable[[int, int], bool]]] = {
    ">": ("above", "大于", lambda x, c: x > c),
    "<": ("below", "小于", lambda x, c: x < c),
}
_TEXT_STEPS: dict[str, tuple[str, str, Callable[[str], str]]] = {
    "s.upper()": ("in upper case", "转成大写", str.upper),
    "s.lower()": ("in lower case", "转成小写", str.lower),
    "s[::-1]": ("reversed", "倒过来", lambda s: s[::-1]),
}


def _tests(function: Callable[[Any], Any], inputs: tuple[Any, ...]) -> dict[str, str]:
    return {"tests": "\n".join(f"assert f({x!r}) == {function(x)!r}" for x in inputs)}


def one_step(rng: Random, language: Language) -> Draft:
    """One operation on a number."""
    op, c = rng.choice("+-*"), rng.randint(2, 60)
    words = _STEP_WORDS[op][language].format(c)
    ask = {"en": f"Write f(x) that returns x {words}.", "zh": f"写函数f(x)，返回x{words}。"}
    program = f"def f(x):\n    return x {op} {c}"
    checks = _tests(lambda x: _STEPS[op](x, c), _NUMBERS)
    return Draft(ask[language], program, (("one", op, c),), checks=checks)


def two_steps(rng: Random, language: Language) -> Draft:
    """A product, then a sum or a difference."""
    c, op, d = rng.randint(2, 9), rng.choice("+-"), rng.randint(1, 30)
    words = _STEP_WORDS["*"][language].format(c), _STEP_WORDS[op][language].format(d)
    ask = {
        "en": f"Write f(x) that returns x {words[0]} {words[1]}.",
        "zh": f"写函数f(x)，返回x{words[0]}再{words[1]}。",
    }
    program = f"def f(x):\n    return x * {c} {op} {d}"
    checks = _tests(lambda x: _STEPS[op](x * c, d), _NUMBERS)
    return Draft(ask[language], program, (("two", c, op, d),), checks=checks)


def list_value(rng: Random, language: Language) -> Draft:
    """A value of a list, then one operation."""
    pick = rng.choice(sorted(_PICKS))
    op, c = rng.choice("+-*"), rng.randint(2, 30)
    en, zh, function = _PICKS[pick]
    words = _STEP_WORDS[op][language].format(c)
    ask = {
        "en": f"Write f(v): {en} of list v, {words}.",
        "zh": f"写函数f(v)，返回列表v的{zh}{words}。",
    }
    program = f"def f(v):\n    return {pick} {op} {c}"
    checks = _tests(lambda v: _STEPS[op](function(v), c), _LISTS)
    return Draft(ask[language], program, (("list", pick, op, c),), checks=checks)


def condition(rng: Random, language: Language) -> Draft:
    """One of two numbers, by a comparison."""
    test, c = rng.choice("<>"), rng.randint(0, 12)
    yes, no = rng.randint(1, 40), rng.randint(1, 40)
    en, zh, function = _TESTS[test]
    ask = {
        "en": f"Write f(x): {yes} if x is {en} {c}, else {no}.",
        "zh": f"写函数f(x)：x{zh}{c}返回{yes}，否则返回{no}。",
    }
    program = f"def f(x):\n    return {yes} if x {test} {c} else {no}"
    checks = _tests(lambda x: yes if function(x, c) else no, _NUMBERS)
    return Draft(ask[language], program, (("if", test, c, yes, no),), checks=checks)


def filtered(rng: Random, language: Language) -> Draft:
    """A sum or a count of the items that pass a comparison."""
    test, c, total = rng.choice("<>"), rng.randint(-5, 20), rng.random() < 0.5
    en, zh, function = _TESTS[test]
    ask = {
        "en": f"Write f(v): {'add up' if total else 'count'} the items of v {en} {c}.",
        "zh": f"写函数f(v)：列表v中{zh}{c}的数的{'总和' if total else '个数'}。",
    }
    program = f"def f(v):\n    return sum({'x' if total else '1'} for x in v if x {test} {c})"
    checks = _tests(lambda v: sum(x if total else 1 for x in v if function(x, c)), _LISTS)
    return Draft(ask[language], program, (("filter", test, c, total),), checks=checks)


def text(rng: Random, language: Language) -> Draft:
    """A string changed, then joined with a suffix or repeated."""
    step = rng.choice(sorted(_TEXT_STEPS))
    en, zh, function = _TEXT_STEPS[step]
    if rng.random() < 0.5:
        times = rng.randint(2, 20)
        ask = {
            "en": f"Write f(s): s {en}, repeated {times} times.",
            "zh": f"写函数f(s)：把s{zh}，重复{times}次。",
        }
        program = f"def f(s):\n    return {step} * {times}"
        key, checks = ("repeat", step, times), _tests(lambda s: function(s) * times, _TEXTS)
    else:
        suffix = rng.choice("!?.;:") * rng.randint(1, 4)
        ask = {
            "en": f"Write f(s): s {en}, then '{suffix}'.",
            "zh": f"写函数f(s)：把s{zh}，后面加'{suffix}'。",
        }
        program = f"def f(s):\n    return {step} + '{suffix}'"
        key, checks = ("suffix", step, suffix), _tests(lambda s: function(s) + suffix, _TEXTS)
    return Draft(ask[language], program, (key,), checks=checks)


FAMILIES = {
    "one_step": one_step,
    "two_steps": two_steps,
    "list_value": list_value,
    "condition": condition,
    "filtered": filtered,
    "text": text,
}
