from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.scorers.labels import (
    label_match,
    label_set_problem,
    mentioned_labels,
)
from instruct_scaling.evaluation.judge.scorers.text import normalize


def score(reference: str, labels: list[str] | None, response: str) -> float | None:
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
    assert score(reference, labels, response) == wanted


def test_article_a_counts_as_the_label_a():
    """A one-letter label cannot be told from the article: two labels are named, so 0."""
    assert score("B", ["A", "B"], "a clear B") == 0


def test_without_labels_the_words_are_compared():
    assert score("生活类：房子", None, "生活类") == pytest.approx(0.75)


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
