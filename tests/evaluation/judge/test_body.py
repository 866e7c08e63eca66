"""The body of an answer, without what a chat model writes around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.evaluation.judge.scorers.body import answer_body, first_version
from instruct_scaling.evaluation.judge.scorers.matching import tokenize

BODIES = [
    "The train leaves at nine.",
    "火车九点开，请不要迟到。",
    "He said: wait for me by the door.",
]
WRAPPED = [
    "{}",
    "Sure! Here is the translation:\n\n{}",
    "Certainly! Here's a more formal version:\n\n> {}",
    "**Corrected:** {}\n\n**Changes:**\n- made it better",
    "好的，译文如下：\n\n{}",
    "以下是改写后的版本：\n\n**“{}”**",
    "TL;DR: {}\n\nLet me know if you'd like it shorter!",
    "{}\n\n说明：把原句改得更正式了。",
    "{}\n\nNote: I kept the tone.",
    '"{}"',
    "Summary: {}",
    "原文：something else\n译文：{}",
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("form", WRAPPED)
def test_what_surrounds_the_answer_is_left_out(form, body):
    assert tokenize(answer_body(form.format(body))) == tokenize(body)


@pytest.mark.parametrize(
    "text", ["Sure! Here are 5 reasons:\n\n", "好的，以下是译文：", "当然可以！"]
)
def test_a_lead_in_alone_has_no_body(text):
    assert answer_body(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "Note: the office is closed on Monday.",  # the whole answer
        "Hello team: the meeting is at nine.",
        "各位同学：明天上午九点开会。",
        "Hope this finds you well. The parcel has arrived.",
    ],
)
def test_what_only_looks_so_stays(text):
    assert tokenize(answer_body(text)) == tokenize(text)


def test_the_first_of_several_versions():
    assert first_version('1. "Could you send it?"\n2. "Please send it."') == "Could you send it?"
    assert first_version("Please send it.") == "Please send it."


@given(st.text(max_size=200))
def test_any_text_has_a_body_of_its_own_characters(text):
    assert set(answer_body(text)) <= set(text) | {"'"}
