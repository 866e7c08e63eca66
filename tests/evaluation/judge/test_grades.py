from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.evaluation.judge.grades import parse_grade


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ("Good.\nScore: 0.8", 0.8),
        ("Score: 1", 1.0),
        ("score : 0", 0.0),
        ("**Score:** 0.75", 0.75),
        ("**Score: 0.75**", 0.75),
        ("## Final score: 1.0.", 1.0),
        ("Score: 0.9/1", 0.9),
        ("Score: .5", 0.5),
        ("理由充分。\n得分：0.6", 0.6),
        ("评分：１分", 1.0),
        ("最终得分: ０.３。", 0.3),
        ("Score: 0.2\nOn reflection:\nScore: 0.4\n", 0.4),
        ("Score: 0.5\r\n", 0.5),
    ],
)
def test_grades_that_can_be_read(reply, grade):
    outcome = parse_grade(reply, binary=False)
    assert outcome.score == grade
    assert outcome.reason == reply


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "It is a good answer.",
        "Score:",
        "Score: high",
        "Score: 8/10",
        "Score: 80%",
        "Score: 1.5",
        "Score: -0.5",
        "Score: 0.5 or 0.6",
        "Score: nan",
        "Score: 0,8",
        "The score: 0.8 is what I would give",
        "I would say Score: 0.8",
        "Score: 0.9\nScore: 9",  # the last line counts, even where an earlier one could be read
        "得分：满分",
    ],
)
def test_grades_that_cannot_be_read_are_missing(reply):
    outcome = parse_grade(reply, binary=False)
    assert (outcome.score, outcome.status) == (None, "unparsed")
    assert reply in (outcome.reason or "")


def test_a_binary_scale_takes_only_its_ends():
    assert parse_grade("Score: 1", binary=True).score == 1
    assert parse_grade("Score: 0.0", binary=True).score == 0
    assert parse_grade("Score: 0.5", binary=True).status == "unparsed"


@given(st.text(), st.booleans())
def test_any_reply_gets_a_score_or_a_reason(reply, binary):
    outcome = parse_grade(reply, binary=binary)
    assert outcome.status in {"ok", "unparsed"}


@given(st.text(), st.integers(0, 100))
def test_a_last_line_in_form_is_always_read(before, hundredths):
    grade = hundredths / 100
    assert parse_grade(f"{before}\nScore: {grade}", binary=False).score == grade
