"""Answers of extraction and questions: what each kind of reference asks for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.data.synthetic import generate_items
from instruct_scaling.evaluation.judge.metric import DEFAULT_SCORERS, SCORERS, checks_of
from instruct_scaling.evaluation.judge.scorers.answers import answer_match
from instruct_scaling.evaluation.judge.scorers.final_answer import final_segment


def score(reference: str, response: str, prompt: str = "q") -> float:
    item = EvalItem("0" * 32, "open_qa", prompt, reference=reference)
    return answer_match(item, Constraints(), response).score


@pytest.mark.parametrize(
    ("reference", "response", "prompt", "wanted"),
    [
        ("CA1234, 18:20", "CA4321, 20:18", "q", 0),
        ("CA1234, 18:20", "航班CA1234于18:20起飞", "q", 1),
        ("24-17", "24 to 17", "q", 1),
        ("24-17", "17-24", "q", 0),
        ("12", "Liam is 9 and Zoe is 12.", "How old is Liam?\nLiam is 12 and Zoe is 9.", 0),
        ("Canberra", "Canberra, not Sydney, is the capital.", "q", 1),
        ("Canberra", "It is not Canberra.", "q", 0),
        ("Canberra", "Canberra or Sydney", "q", 0),
        ("Omar", "Omar is older than Ruth.", "Who is older?", 1),
        ("Omar", "Ruth is older than Omar.", "Who is older?", 0),
        ("小燕", "小刚比小燕年纪大", "谁年纪大？", 0),
        ("红队", "蓝队赢了红队", "谁赢了？", 0),
        ("北京", "北京市", "q", 1),
        ("哈尔滨", "哈爾濱", "q", 1),
        ("market", "the supermarket", "q", 0),
        ("3000", "3,000", "q", 1),
        ("-5", "5", "q", 0),
        ("0,1", "01", "q", 0),
        ("about 5 million", "1 million", "q", 0),
        ("about 5 million", "five million people", "q", 1),
        ("1949年", "1949年10月1日", "q", 1),
        ("March 5, 2024", "2024-03-05", "q", 1),
        ("March 5, 2024", "March 6, 2024", "q", 0),
        ("14:30", "下午两点半", "q", 1),
        ("周五", "星期五", "q", 1),
        ("13812345678", "138-1234-5678", "q", 1),
        ("bob@mail.com", "mail.com", "q", 0),
        ("No", "The company did not make a profit.", "Did the company make a profit?", 1),
        ("不是", "鲸鱼是鱼", "鲸鱼是鱼吗？", 0),
        ("Alice, Bob, Carol", "- Carol\n- Alice\n- Bob", "q", 1),
        ("The passage does not say.", "It is not mentioned.", "q", 1),
    ],
)
def test_right_and_wrong(reference, response, prompt, wanted):
    assert score(reference, response, prompt) == wanted


@pytest.mark.parametrize(
    ("reference", "response"),
    [
        ("Alice, Bob, Carol", "Alice and Bob"),
        ("Alice, Bob, Carol", "Alice, Bob, Carol, Dave"),
        ("March 5, 2024", "March 5"),
        ("heavy rain", "rain"),
    ],
)
def test_a_part_of_the_answer_is_partly_right(reference, response):
    assert 0.25 <= score(reference, response) <= 0.75


def test_a_long_answer_is_graded_and_a_denial_of_it_is_not_right():
    reference = "Air scatters short blue waves of light more than long red ones."
    assert score(reference, "Because air scatters short blue waves more than long red ones") >= 0.75
    assert score(reference, "Air does not scatter short blue waves more than long red ones") <= 0.25
    assert (
        score(reference, "Air scatters short red waves of light more than long blue ones") <= 0.25
    )


def test_items_out_of_order_count_where_an_order_is_asked_for():
    assert score("1, 5, 9", "5, 1, 9", "Name three numbers.") == 1
    assert score("ant, bee, cat", "bee, ant, cat", "Sort: cat bee ant") < 0.5


ITEMS = list(
    generate_items(10, 3, ("math", "cot", "classification", "extraction", "open_qa", "closed_qa"))
)
FRAMES = {
    "en": ("{}", "The answer is {}.", "**{}**", "I think it's {}."),
    "zh": ("{}", "答案是{}。", "**{}**", "我认为是{}。"),
}


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id[:8])
def test_the_built_in_items_are_scored_as_a_reader_would(item):
    scorer, answer = SCORERS[DEFAULT_SCORERS[item.category]], final_segment(item.reference)
    for frame in FRAMES[item.language]:
        assert scorer.function(item, checks_of(item), frame.format(answer)).score == 1, frame
    denied = "The answer is not {}." if item.language == "en" else "答案不是{}。"
    if item.category != "classification":  # of two labels, a denied one leaves the other
        assert scorer.function(item, checks_of(item), denied.format(answer)).score == 0
    assert scorer.function(item, checks_of(item), "").score == 0


PIECES = st.one_of(
    st.sampled_from(["12", "2024-03-05", "14:30", "km", "%", "=", "-", "(", ")", "$", "\\frac{"]),
    st.sampled_from(["不是", "北京", "、", "三", "半", "比", "谁", "因为"]),
    st.sampled_from(["or ", "not ", ", ", "\n", "Yes", "A", "B.", "the ", "?", "so "]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=8), st.lists(PIECES, max_size=14))
def test_any_two_texts_get_a_score(reference, response):
    assert 0 <= score("".join(reference), "".join(response), "谁 is it?\n12 km") <= 1


def test_digits_of_other_scripts_are_read_and_unknown_ones_are_none():
    assert score("42", "٤٢") == 1
    assert score("0", "\U00016d70") == 0


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1).filter(str.strip), st.text())
def test_any_unicode_gets_a_score(reference, response):
    assert 0 <= score(reference, response) <= 1
    assert score(reference, reference) == 1
    assert score(reference, "") in (0, 1)
