from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.scorers.listing import list_kept, listed_items
from instruct_scaling.evaluation.judge.scorers.open_ended import (
    constraints_kept,
    fluency,
    fluency_only,
    open_ended,
)

ITEM = EvalItem("0" * 32, "generation", "Write about the sea.", language="en")


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("apples, pears and plums", ["apples", "pears", "plums"]),
        ("苹果、梨、苹果", ["苹 果", "梨", "苹 果"]),
        ("1. Apples\n2) pears\n- plums\n", ["apples", "pears", "plums"]),
        ("Here are three:\n* a\n* b", ["a", "b"]),
        ("Fruits: fig; date", ["fig", "date"]),
        ("一、跑步\n二、游泳", ["跑 步", "游 泳"]),
        ("Three planets are Venus, Mars and Neptune.", ["venus", "mars", "neptune"]),
        ("我想到的有钢琴、笛子和鼓。", ["钢 琴", "笛 子", "鼓"]),
        ("第一，关水；第二，洗菜，浇花；第三，修管道", ["关 水", "洗 菜 浇 花", "修 管 道"]),
        ("1. figs 2. dates 3. nuts", ["figs", "dates", "nuts"]),
        ("Sure! Here you go\n1. figs\n2. dates\nEnjoy!", ["figs", "dates"]),
        ("", []),
    ],
)
def test_items_of_a_list(text, items):
    assert listed_items(text) == items


@pytest.mark.parametrize(
    ("checks", "text", "kept"),
    [
        ({"must_include": ["Sea", "boat"]}, "the sea is calm", 0.5),
        ({"required_facts": [["sea", "ocean"], ["boat"]]}, "the ocean is calm", 0.5),
        ({"required_facts": [["sea"]], "forbidden_facts": [["calm"]]}, "a calm sea", 0.2),
        ({"required_facts": [["sea"]], "forbidden_facts": [["calm"]]}, "the sea was not calm", 1),
        ({"allowed_items": ["fig", "date"], "must_exclude": ["fig"]}, "fig, date", 0.5),
        ({"must_exclude": ["red", "blue"]}, "a red door", 0.5),
        ({"must_exclude": ["fly"]}, "mosquito, butterfly", 1.0),
        ({"must_exclude": ["house fly"]}, "bee, House  fly", 0.0),
        ({"must_exclude": ["刀"]}, "锤子、刀", 0.0),
        ({"allowed_items": ["fig", "date"]}, "fig, stone", 0.5),
        ({"allowed_items": ["fig"]}, ", ,", 0.0),
        ({"min_items": 4}, "a, b", 0.5),
        ({"max_items": 1}, "a, b", 0.5),
        ({"min_chars": 8}, "ab cd", 0.5),
        ({"max_chars": 2}, "ab cd", 0.5),
        ({"must_include": ["sea"], "min_chars": 2}, "a hill", 0.0),
        ({"must_include": ["sea", "boat"], "min_chars": 14}, "the sea", 0.5 * 6 / 14),
        ({}, "one two three four", 4 / 16),
    ],
)
def test_constraints_multiply(checks, text, kept):
    assert constraints_kept(Constraints(**checks), text) == pytest.approx(kept)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("fig, date, lime", 1.0),
        ("1. Figs - sweet\n2. Dates, dried\n3. a lime", 1.0),
        ("fig, date, stone", 2 / 3),
        ("fig, date", 2 / 3),
        ("fig, fig, date", 2 / 3),
        ("not a fig, date, lime", 2 / 3),
        ("fig, date, lime, kiwi", 3 / 4),  # one too many; but only fig, date and lime were right
        ("stone", 0.0),
    ],
)
def test_entries_of_a_list_are_right_once(text, kept):
    checks = Constraints(allowed_items=["fig", "date", "lime"], min_items=3, max_items=3)
    bound = 0.74 * 3 / 4 if text.count(",") == 3 else kept
    assert list_kept(checks, text) == pytest.approx(bound)


def test_repetition_lowers_fluency():
    fresh = "The sea was calm and the small boat came home before night fell."
    assert fluency(fresh, "en") == 1
    assert fluency("the sea the sea the sea the sea the sea the sea", "en") == 0
    assert fluency("好好好好好好好好", "zh") == 0
    assert fluency("今天天气很好很好很好很好很好很好很好很好很好", "zh") < 0.25


def test_the_wrong_language_is_worth_nothing():
    assert fluency("今天天气很好", "zh") == 1
    assert fluency("the weather is fine", "zh") == 0
    assert fluency("我用 Python 写程序", "zh") == 1
    assert fluency("the weather is fine", "tlh") == 1  # an unknown language is not held against it


REFUSALS = ["I'm sorry, but I can't help with that.", "抱歉，我不能完成这个请求。"]


@pytest.mark.parametrize("response", [*REFUSALS, "Write about the sea.", "..."])
def test_what_answers_nothing_is_unparsable(response):
    outcome = open_ended(ITEM, Constraints(must_include=[]), response)
    assert (outcome.score, outcome.status) == (0, "unparsable")


def test_a_repeated_phrase_is_worth_nothing_even_with_the_right_words():
    """It had .65 in a real study."""
    checks = Constraints(must_include=["sea"], min_chars=20)
    text = "the sea and the boat " * 6
    assert open_ended(ITEM, checks, text).score == pytest.approx(0, abs=0.1)


def test_language_is_taken_from_the_prompt_where_unknown():
    chinese = EvalItem("0" * 32, "generation", "写一首诗")
    text = "The sea was calm and the small boat came home before night fell again, they say."
    assert fluency_only(chinese, Constraints(), text).score == 0
    assert fluency_only(ITEM, Constraints(), text).score == 1


@pytest.mark.parametrize("scorer", [open_ended, fluency_only])
def test_the_items_own_language_goes_before_the_prompts(scorer):
    item = EvalItem("0" * 32, "generation", "翻译成英文", language="en")
    text = "The sea was calm and the small boat came home before night fell again, they say."
    assert scorer(item, Constraints(), text).score == 1


def test_the_reason_names_both_factors():
    outcome = open_ended(ITEM, Constraints(must_include=["sea"]), "A hill at dusk.")
    assert outcome.score == 0
    assert outcome.reason == "constraints 0.000, fluency 1.000"


CHECKS = st.builds(
    Constraints,
    must_include=st.none() | st.lists(st.text(), max_size=3),
    must_exclude=st.none() | st.lists(st.text(), max_size=3),
    allowed_items=st.none() | st.lists(st.text(), max_size=3),
    min_items=st.none() | st.integers(0, 5),
    max_items=st.none() | st.integers(0, 5),
    min_chars=st.none() | st.integers(0, 50),
    max_chars=st.none() | st.integers(0, 50),
)


@given(checks=CHECKS, text=st.text(), language=st.sampled_from([None, "zh", "en", "ko"]))
def test_scores_stay_in_the_unit_interval(checks, text, language):
    item = EvalItem("0" * 32, "generation", "q", language=language)
    for scorer in (open_ended, fluency_only):
        score = scorer(item, checks, text).score
        assert score is not None
        assert 0 <= score <= 1


@given(checks=CHECKS)
def test_no_answer_is_worth_nothing(checks):
    assert open_ended(ITEM, checks, " \n").score == 0
