"""Words, overlap and labels: known answers, and properties that hold for any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu import sentence_chrf

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.scorers.answers import exact_match
from instruct_scaling.evaluation.judge.scorers.matching import (
    label_set_problem,
    normalize,
    same_text,
    token_f1,
    tokenize,
)
from instruct_scaling.evaluation.judge.scorers.ngrams import chrf, rouge_l

NONE = Constraints()
OVERLAPS = [token_f1, rouge_l, chrf, exact_match]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("我喜欢Python 3.11。", ["我", "喜", "欢", "python", "3.11"]),
        ("The cat's mat", ["the", "cat", "s", "mat"]),
        ("１，２００元", ["1,200", "元"]),
        ("东京タワー", ["东", "京", "タ", "ワ", "ー"]),
        ("naïve café", ["naïve", "café"]),
        ("你好\u00a0World", ["你", "好", "world"]),
        ("！？ ...", []),
        ("", []),
    ],
)
def test_tokens_of_mixed_scripts(text, tokens):
    assert tokenize(text) == tokens


def test_normalizing_unifies_width_and_case():
    assert normalize("ＡＢＣ") == normalize("abc")


def test_same_text_ignores_punctuation_but_not_words():
    assert same_text("正面。", "正面")
    assert same_text("New York!", "new  york")
    assert not same_text("New York", "York New")


def test_texts_without_words_are_compared_as_they_stand():
    assert same_text("?!", "?!")
    assert not same_text("?!", "!!")
    assert not same_text("?!", "")


def item(reference: str) -> EvalItem:
    return EvalItem("0" * 32, "open_qa", "q", reference=reference)


@pytest.mark.parametrize(
    ("reference", "response", "f1"),
    [
        ("the red cat", "the red cat", 1.0),
        ("the red cat", "red cat", 2 * 1 * (2 / 3) / (1 + 2 / 3)),
        ("北京", "北京市", 0.8),  # 2 of 3 tokens right, 2 of 2 found
        ("a a b", "a b b", 2 / 3),  # a bag, not a set
        ("cat", "dog", 0.0),
        ("cat", "", 0.0),
        ("Cat!", "cat", 1.0),
    ],
)
def test_token_f1(reference, response, f1):
    assert token_f1(item(reference), NONE, response).score == pytest.approx(f1)


def test_rouge_l_counts_order():
    reference = item("police killed the gunman")  # Lin (2004), section 3
    assert rouge_l(reference, NONE, "police kill the gunman").score == pytest.approx(0.75)
    assert rouge_l(reference, NONE, "the gunman kill police").score == pytest.approx(0.5)


def test_rouge_l_sees_chinese_characters():
    assert rouge_l(item("今天下雨"), NONE, "今天没下雨").score == pytest.approx(8 / 9)


def test_chrf_is_sacrebleus_over_100():
    wanted = sentence_chrf("the cat sat", ["the cat is sitting"]).score / 100
    assert 0 < wanted < 1
    assert chrf(item("the cat is sitting"), NONE, "the cat sat").score == pytest.approx(wanted)


def test_exact_match_forgives_form_only():
    assert exact_match(item("New York"), NONE, "new york.").score == 1
    assert exact_match(item("New York"), NONE, "New York City").score == 0


@pytest.mark.parametrize(
    ("reference", "response", "wanted"),
    [
        ("C++", "C", 0),
        ("C#", "c#", 1),
        ("-5", "5", 0),
        ("0,1", "01", 0),
        ("3000", "3,000", 1),
        ("臺灣", "台湾", 1),
        ("$5", "€5", 0),
        ("二十", "20", 1),
    ],
)
def test_exact_match_knows_signs_numbers_and_script(reference, response, wanted):
    assert exact_match(item(reference), NONE, response).score == wanted


@pytest.mark.parametrize("scorer", OVERLAPS)
@given(reference=st.text(min_size=1).filter(str.strip), response=st.text())
def test_scores_stay_in_the_unit_interval(scorer, reference, response):
    score = scorer(item(reference), NONE, response).score
    assert score is not None
    assert 0 <= score <= 1


@pytest.mark.parametrize("scorer", OVERLAPS)
@given(reference=st.text(min_size=1).filter(str.strip))
def test_a_reference_has_full_marks(scorer, reference):
    assert scorer(item(reference), NONE, reference).score == pytest.approx(1)


@pytest.mark.parametrize("scorer", OVERLAPS)
@given(reference=st.text(min_size=1).filter(str.strip))
def test_no_answer_has_none(scorer, reference):
    assert scorer(item(reference), NONE, "").score == 0


def test_reference_outside_the_labels_is_a_problem():
    item = EvalItem("0" * 32, "classification", "q", reference="green")
    assert "green" in (label_set_problem(item, Constraints(labels=["red", "blue"])) or "")
    assert label_set_problem(item, Constraints(labels=["red", "Green."])) is None
    assert label_set_problem(item, Constraints()) is None
