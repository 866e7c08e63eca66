"""Words, overlap and labels: known answers, and properties that hold for any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu import sentence_chrf

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.scorers.matching import (
    exact_match,
    label_match,
    label_set_problem,
    mentioned_labels,
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


def label_score(reference: str, labels: list[str] | None, response: str) -> float | None:
    item = EvalItem("0" * 32, "classification", "q", reference=reference)
    return label_match(item, Constraints(labels=labels), response).score


SPAM = ["spam", "not spam"]


@pytest.mark.parametrize(
    ("reference", "labels", "response", "wanted"),
    [
        ("positive", ["positive", "negative"], "Positive.", 1),
        ("positive", ["positive", "negative"], "It is positive, not negative", 0),
        ("positive", ["positive", "negative"], "negative", 0),
        ("positive", ["positive", "negative"], "neither", 0),
        ("positive", ["positive", "negative"], "", 0),
        ("spam", SPAM, "This is not spam.", 0),
        ("not spam", SPAM, "This is NOT  spam.", 1),
        ("水果", ["水果", "非水果"], "属于非水果", 0),
        ("非水果", ["水果", "非水果"], "属于非水果。", 1),
        ("art", ["art", "sport"], "It is a start", 0),
        ("art", ["art", "sport"], "类别是art。", 1),
        ("A", ["A", "B"], "the answer is B", 0),
        ("C++", ["C++", "C"], "C++", 1),
        ("正面", ["正面", "负面"], "正面，正面", 1),
    ],
)
def test_exactly_one_label_and_the_right_one(reference, labels, response, wanted):
    assert label_score(reference, labels, response) == wanted


@pytest.mark.parametrize(("response", "count"), [("neither", 0), ("red or blue", 2)])
def test_the_reason_says_how_many_labels_were_named(response, count):
    item = EvalItem("0" * 32, "classification", "q", reference="red")
    outcome = label_match(item, Constraints(labels=["red", "blue"]), response)
    assert (outcome.score, outcome.reason) == (0, f"{count} labels named")


def test_article_a_counts_as_the_label_a():
    """A one-letter label cannot be distinguished from the article: two labels are named, so 0."""
    assert label_score("B", ["A", "B"], "a clear B") == 0


def test_without_labels_the_words_are_compared():
    assert label_score("生活类：房子", None, "生活类") == pytest.approx(0.75)


@given(st.lists(st.text(min_size=1), min_size=1), st.text())
def test_only_labels_are_found_whatever_they_are(labels, text):
    assert mentioned_labels(text, labels) <= {
        " ".join(normalize(label).split()) for label in labels
    }


@given(st.lists(st.sampled_from(["red", "blue", "绿色", "深绿色"]), min_size=1, unique=True))
def test_a_label_alone_is_found_alone(labels):
    for label in labels:
        assert mentioned_labels(f"It is {label}.", labels) == {label}


def test_reference_outside_the_labels_is_a_problem():
    item = EvalItem("0" * 32, "classification", "q", reference="green")
    assert "green" in (label_set_problem(item, Constraints(labels=["red", "blue"])) or "")
    assert label_set_problem(item, Constraints(labels=["red", "Green."])) is None
    assert label_set_problem(item, Constraints()) is None
