"""Labels: named, denied, doubtful, letters, options, yes and no."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.scorers.answers import label_match
from instruct_scaling.evaluation.judge.scorers.labels import mentions, named_label, one_form


def score(reference: str, labels: list[str] | None, response: str, prompt: str = "q") -> float:
    item = EvalItem("0" * 32, "classification", prompt, reference=reference)
    return label_match(item, Constraints(labels=labels), response).score


SPAM = ["spam", "not spam"]
TONE = ["positive", "negative"]
LETTERS = ["A", "B", "C", "D"]


@pytest.mark.parametrize(
    ("reference", "labels", "response", "wanted"),
    [
        ("positive", TONE, "Positive.", 1),
        ("positive", TONE, "It is positive, not negative", 1),
        ("positive", TONE, "Not negative.", 1),
        ("positive", TONE, "not positive", 0),
        ("positive", TONE, "positive or negative", 0),
        ("positive", TONE, "neither", 0),
        ("positive", TONE, "", 0),
        ("spam", SPAM, "This is not spam.", 0),
        ("not spam", SPAM, "This is NOT  spam.", 1),
        ("not spam", SPAM, "I don't think this is spam.", 1),
        ("spam", SPAM, "Label: spam? No, not spam.", 0),
        ("水果", ["水果", "非水果"], "属于非水果", 0),
        ("非水果", ["水果", "非水果"], "不是水果", 1),
        ("art", ["art", "sport"], "It is a start", 0),
        ("art", ["art", "sport"], "类别是art。", 1),
        ("B", LETTERS, "B. A is wrong", 1),
        ("B", LETTERS, "A carrot is no fruit, so the answer is B", 1),
        ("B", ["A", "B"], "a clear B", 1),
        ("B", LETTERS, "A or B", 0),
        ("C", LETTERS, "A不对，B不对，应该选C。", 1),
        ("C++", ["C++", "C"], "C++", 1),
        ("C", ["C++", "C"], "C++", 0),
        ("C", ["C", "Java"], "It is C#", 0),
        ("正面", ["正面", "负面"], "正面，正面", 1),
        ("正面", ["正面", "负面"], "不是負面", 1),
        ("yes", ["yes", "no"], "No, it is not.", 0),
        ("yes", ["yes", "no"], "Yes and no.", 0),
        ("错", ["对", "错"], "不对", 1),
        ("1", ["1", "2", "5"], "1 out of 5", 1),
    ],
)
def test_the_label_that_is_chosen(reference, labels, response, wanted):
    assert score(reference, labels, response) == wanted


def test_an_option_may_be_named_by_its_text():
    prompt = "Which is a fruit?\nA. carrot\nB. apple"
    assert score("B", ["A", "B"], "apple", prompt) == 1
    assert score("B", ["A", "B"], "carrot", prompt) == 0


@pytest.mark.parametrize(("response", "count"), [("neither", 0), ("red or blue", 2)])
def test_the_reason_says_how_many_labels_were_named(response, count):
    item = EvalItem("0" * 32, "classification", "q", reference="red")
    outcome = label_match(item, Constraints(labels=["red", "blue"]), response)
    assert (outcome.score, outcome.reason) == (0, f"{count} labels named")


def test_without_labels_the_words_are_compared():
    assert score("生活类", None, "属于生活类。") == 1


@given(st.lists(st.text(min_size=1), min_size=1), st.text())
def test_only_labels_are_found_whatever_they_are(labels, text):
    forms = [one_form(label) for label in labels]
    assert {one.label for one in mentions([form for form in forms if form], text)} <= set(forms)


@given(st.lists(st.sampled_from(["red", "blue", "绿色", "深绿色"]), min_size=2, unique=True))
def test_a_label_alone_is_found_alone(labels):
    for label in labels:
        assert named_label(labels, f"It is {label}.")[0] == label
