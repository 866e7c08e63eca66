"""Reasoning before the answer is no part of it, whatever the model family writes around it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.records import EvalItem
from instruct_scaling.config.judges import MetricJudge
from instruct_scaling.evaluation.judge.metric import judge_all
from instruct_scaling.evaluation.judge.responses import (
    ran_out_in_reasoning,
    without_continuation,
    without_reasoning,
)
from tests.evaluation.judge.conftest import answer

ITEM = EvalItem.make("math", "6 + 6?", reference="12")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think>6 + 6 is 13? No.</think>\n\n12", "12"),
        ("<thinking>\nsix\n</thinking>The answer is 12.", "The answer is 12."),
        ("<THINK>a</THINK> <think>b</think>12", " 12"),
        ("Well, 13.\n</think>\n12", "12"),  # the prompt holds the opening tag
        ("<think>a <think> b </think> c </think>12", "12"),
        ("[THINK]x[/THINK]12", "12"),
        (
            "<|begin_of_thought|>x<|end_of_thought|>\n<|begin_of_solution|>12<|end_of_solution|>",
            "12",
        ),
        ("◁think▷x◁/think▷12", "12"),
        ("<think>x</think><answer>12</answer>", "12"),
        (
            "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>12",
            "12",
        ),
        ("analysisWe add six.assistantfinal12", "12"),
        ("<think>it goes on and on", ""),
        ("Sure. <think>wait", "Sure."),
        ("```python\nprint('<think>')\n```", "```python\nprint('<think>')\n```"),
        ("<think>\n```\nx = 1\n</think>\n```python\ny = 2\n```", "```python\ny = 2\n```"),
        ("<think>x</think>\n    return 1", "    return 1"),  # the body of a function
        ("analysis of the poem", "analysis of the poem"),
    ],
)
def test_only_the_answer_is_left(text, left):
    assert without_reasoning(text) == left


@given(st.text(alphabet="ab <>/\n", max_size=40).filter(lambda text: "think" not in text))
def test_a_text_without_reasoning_stays_as_it_is(text):
    assert without_reasoning(text) == text


@given(thought=st.text(alphabet="ab 12\n`"), text=st.text(alphabet="ab 12", min_size=1))
def test_whatever_is_thought_the_answer_is_the_same(thought, text):
    assert without_reasoning(f"<think>{thought}</think>{text}") == text.rstrip()


@pytest.mark.parametrize(
    ("text", "finish", "spent"),
    [
        ("<think>and then", "length", True),
        ("<think>and then", "stop", False),
        ("<think>x</think>The answer", "length", False),
        ("The answer goes on", "length", False),
    ],
)
def test_a_budget_is_spent_only_where_the_limit_cuts_inside_the_reasoning(text, finish, spent):
    assert ran_out_in_reasoning(replace(answer(ITEM, text), finish=finish)) is spent


def test_the_metric_judge_sees_the_answer_alone_and_counts_a_spent_budget_as_0():
    responses = [
        answer(ITEM, "<think>The answer is 13.</think>The answer is 12."),
        answer(ITEM, "<think>The answer is 12.</think>The answer is 13."),
        replace(answer(ITEM, "<think>The answer is 12."), finish="length"),
    ]
    found, _ = judge_all(MetricJudge(type="metric"), "m", {ITEM.id: ITEM}, responses)
    assert [(row.score, row.status) for row in found] == [
        (1, "ok"),
        (0, "ok"),
        (0, "reasoning_exhausted"),
    ]


@pytest.mark.parametrize(
    "turn",
    [
        "Human: And for 6?\nAssistant: 36.",
        "User: next",
        "用户：那6呢？\n助手：36。",
        "### Instruction:\nNext",
        "<|im_start|>user\nNext",
        "Question: And for 6?\nAnswer: 36.",
        "问：那6呢？\n答：36。",
    ],
)
def test_a_made_up_turn_is_no_part_of_the_answer(turn):
    assert without_continuation(f"The area is 25.\n\n{turn}", "What is the area?") == (
        "The area is 25."
    )


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("User: hi\nAssistant: hello", "Continue."),
        ("Here it is.\nUser: hi\nBot: hello", "Write a dialogue."),
        ("好处：便宜\n问题：质量差", "有什么利弊？"),
        ("```\nclass X:\n    pass\nUser: int = 1\n```", "Write code."),
        ("The user: somebody.", "Who?"),
    ],
)
def test_what_only_looks_like_a_turn_stays(text, prompt):
    assert without_continuation(text, prompt) == text
