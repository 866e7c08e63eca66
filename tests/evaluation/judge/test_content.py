"""The scorer `content`: what overlap cannot see, known answers and properties of any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.metric import SCORERS, lacking
from instruct_scaling.evaluation.judge.scorers.content import compare, content, interpolate
from instruct_scaling.evaluation.judge.scorers.content_units import content_of
from instruct_scaling.evaluation.judge.scorers.facts import denies, states
from instruct_scaling.evaluation.judge.scorers.ngrams import chrf

NONE = Constraints()


def item(reference: str, category: str = "translation", prompt: str = "Translate.") -> EvalItem:
    return EvalItem.make(category, prompt, reference=reference)


def score(reference: str, response: str, checks: Constraints = NONE, **rest: str) -> float:
    found = content(item(reference, **rest), checks, response).score
    assert found is not None
    return found


RAIN = "It did not rain yesterday, so we went to the seaside."


def test_the_opposite_is_wrong_and_a_paraphrase_right_where_chrf_has_it_the_other_way():
    opposite, paraphrase = (
        "It rained yesterday, so we went to the seaside.",
        ("Yesterday there was no rain, so we headed to the beach."),
    )
    plain = [chrf(item(RAIN), NONE, text).score for text in (opposite, paraphrase)]
    assert plain[0] > 0.74 > 0.5 > plain[1]
    assert score(RAIN, opposite) <= 0.25
    assert score(RAIN, paraphrase) >= 0.75


@pytest.mark.parametrize(
    ("reference", "response"),
    [
        (RAIN, "It didn't rain yesterday, so we went to the beach."),
        ("The car costs 3,000 dollars.", "The automobile costs three thousand dollars."),
        ("这家店周一开门。", "這家店星期一開門。"),
        ("他没有去图书馆。", "他没去图书馆。"),
        ("The shop is closed.", "The shop is not open."),
        ("会议在9点40分开始。", "会议9:40开始。"),
        ("公司利润达到450万元。", "公司的利润达到4500000元。"),
        ("The library is shut as the roof leaks.", "The roof leaks, so the library is shut."),
    ],
)
def test_the_same_in_other_words_is_right(reference, response):
    assert score(reference, response) >= 0.75


@pytest.mark.parametrize(
    ("reference", "response"),
    [
        ("Prices rose last year.", "Prices fell last year."),
        ("I like tea, but not coffee.", "I like coffee, but not tea."),
        ("Maria walked to school and ate.", "Maria did not walk to school and did not eat."),
        ("The storm destroyed the bridge.", "The bridge destroyed the storm."),
        ("那只花瓶被小李打碎了。", "小李被那只花瓶打碎了。"),
        ("手机屏幕清晰。", "手机屏幕模糊。"),
        ("他喜欢数学。", "他不喜欢数学。"),
        ("开门时间是上午。", "I don't know."),
        ("他喜欢数学。", "He likes math."),
        ("He likes math.", "他喜欢数学。"),
        ("He likes to travel by train.", "Il aime beaucoup voyager en train avec ses amis."),
        ("He likes math.", "math math math math math math math math"),
        ("He likes math.", "I'm sorry, but I can't translate this."),
    ],
)
def test_the_opposite_another_language_a_refusal_are_wrong(reference, response):
    assert score(reference, response) <= 0.25


@pytest.mark.parametrize(
    ("reference", "response", "most"),
    [
        ("The train leaves on Monday at 9.", "The train leaves on Friday at 9.", 0.5),
        ("The train leaves on Monday at 9.", "The train leaves on Friday at 8.", 0.25),
        ("My brother lives in Oslo.", "My sister lives in Oslo.", 0.5),
        ("We met Clara in the hall.", "We met Dora in the hall.", 0.5),
        ("The zebra crossed the road.", "The tractor crossed the road.", 0.7),
        ("火车从柏林出发。", "火车从维也纳出发。", 0.5),
        ("花瓶被小李打碎了。", "花瓶被小王打碎了。", 0.7),
    ],
)
def test_one_wrong_fact_is_not_right(reference, response, most):
    assert score(reference, response) == pytest.approx(most, abs=0.1)


def test_a_rewriting_that_is_the_input_is_worth_nothing():
    prompt = "Make it negative: Tom likes spinach."
    rest = {"category": "rewrite", "prompt": prompt}
    assert score("Tom does not like spinach.", "Tom likes spinach.", **rest) == 0
    assert score("Tom does not like spinach.", "Tom doesn't like spinach.", **rest) >= 0.75
    past = {"category": "rewrite", "prompt": "In the past: Maria walks to school and eats."}
    half = score("Maria walked to school and ate.", "Maria walked to school and eats.", **past)
    assert 0.25 <= half <= 0.75


def test_a_passage_given_back_is_no_summary():
    passage = "The mill was built in 1820. It burned down. It is a museum now."
    rest = {"category": "summarization", "prompt": f"Summarize.\n{passage}"}
    assert score("The mill, built in 1820, is a museum now.", passage, **rest) <= 0.4


def test_the_best_of_several_references_counts():
    checks = Constraints(references=["He is fond of numbers."])
    response = "He is fond of numbers."
    assert score("He likes math.", response) < 0.75
    assert score("He likes math.", response, checks) == 1


@pytest.mark.parametrize(
    ("response", "bounds"),
    [
        ("Norda shuts its plant in Lyon; 1200 jobs go.", (0.75, 1)),
        ("Norda will close in Lyon.", (0.25, 0.75)),
        ("Norda will not close the plant in Lyon, and 1,200 people stay.", (0, 0.25)),
        ("Norda will close the plant in Lyon, 1,200 jobs go, and it opens one in Rome.", (0, 0.25)),
    ],
)
def test_facts_decide_where_the_item_has_them(response, bounds):
    checks = Constraints(
        required_facts=[["Norda"], ["close", "shut"], ["Lyon"], ["1,200"]],
        forbidden_facts=[["Rome", "Milan"]],
    )
    found = score("Norda will close its Lyon plant; 1,200 jobs go.", response, checks)
    assert bounds[0] <= found <= bounds[1]


@pytest.mark.parametrize(
    ("text", "fact", "reference", "stated"),
    [
        ("They closed the shop.", ["close"], None, True),
        ("They did not close the shop.", ["close"], None, False),
        ("They did not close the shop.", ["close"], "They will not close it.", True),
        ("They closed it.", ["close"], "They will not close it.", False),
        ("Not only did they close it, they sold it.", ["close"], None, True),
        ("It grew by twelve percent", ["12%"], None, True),
        ("450万元", ["4.5 million"], None, True),
        ("三座桥", ["3座桥"], None, True),
        ("共有13座桥", ["3座桥"], None, False),
        ("沒有人員死亡", ["没有人员死亡"], None, True),
        ("他不但去了公园", ["公园"], None, True),
        ("他没去公园", ["公园"], None, False),
        ("Is it?", ["?"], None, True),
        ("It is a start.", ["art"], None, False),
        ("a butterfly", ["fly"], None, False),
    ],
)
def test_a_fact_is_stated_as_it_is_put(text, fact, reference, stated):
    assert states(text, fact, reference) is stated


def test_the_contrary_of_a_fact_is_no_mere_omission():
    assert denies("They did not close the shop.", ["close"])
    assert not denies("They sold the shop.", ["close"])


def test_an_item_needs_a_reference_or_facts():
    scorer, bare = SCORERS["content"], item("")
    assert lacking(bare, scorer).status == "no_reference"
    facts = EvalItem.make("rewrite", "q", checks={"required_facts": [["Anna"]]}, language="en")
    assert lacking(facts, scorer) is None
    assert content(facts, Constraints(required_facts=[["Anna"]]), "Anna slept.").score == 1


def test_the_curve_of_overlap_rises_from_0_to_1():
    points = [interpolate(step / 50) for step in range(51)]
    assert (points[0], points[-1]) == (0, 1)
    assert points == sorted(points)


TEXT = st.text(alphabet="ab 不没了人12.,万三点\n去not ", max_size=30) | st.text(max_size=20)


@given(reference=TEXT.filter(str.strip), response=TEXT)
def test_scores_stay_in_the_unit_interval(reference, response):
    assert 0 <= score(reference, response) <= 1


@given(TEXT)
def test_a_text_compared_with_itself_has_no_contradiction(text):
    compared = compare(text, text + " ")
    assert compared.score == 1
    assert not compared.contradictions


@given(TEXT)
def test_units_are_those_of_the_text_whatever_its_script_and_width(text):
    assert content_of(text).units == content_of(text.upper()).units
