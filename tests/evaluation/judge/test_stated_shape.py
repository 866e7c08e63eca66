"""What a prompt says in numbers about the form of an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.evaluation.judge.scorers.stated_shape import (
    asked_number,
    form_kept,
    items_kept,
    length_kept,
)

TWO = "It was dark. The sea roared."
THREE = TWO + " Nobody slept."


@pytest.mark.parametrize(
    ("prompt", "text", "kept"),
    [
        ("Write two sentences about a storm.", TWO, 1),
        ("Write two sentences about a storm.", THREE, 2 / 3),
        ("Write at most two sentences.", "Dark.", 1),
        ("Write one or two sentences.", "It was dark.", 1),
        ("用两三句话介绍雨。", "雨很大。路很滑。", 1),
        ("用两三句话介绍雨。", "雨很大。路很滑。风也大。天很冷。", 0.74),
        ("Write a limerick.", "a\nb\nc\nd", 0.74),
        ("Write a haiku.", "Rust on the slide\nthe swing still warm\nno one to push", 1),
        ("写一首五言绝句。", "晓起推窗看，千山一夜白。邻家犬不吠，独有扫雪来。", 1),
        ("写一首五言绝句。", "雪后天初晴，枝头鸟儿轻轻鸣。推门见银装，小院里一片安静。", 0.5),
        ("Answer as JSON.", '```json\n{"a": 1}\n```', 1),
        ("Answer as JSON.", '{"a": 1, "b', 0.5),
        ("Given two sentences, write a third: It rains.", "It rains and pours.", 1),
        ("Write a note to Mr. Lee.", "Hello Mr. Lee, come at 9 a.m. please.", 1),
    ],
)
def test_sentences_lines_and_verse(prompt, text, kept):
    assert form_kept(prompt, text) == pytest.approx(kept)


@pytest.mark.parametrize(
    ("prompt", "count", "kept"),
    [
        ("Write 40-60 words.", 50, 1),
        ("Write 40-60 words.", 16, 0.5),
        ("Write about 100 words.", 70, 1),
        ("Write at most 50 words.", 3, 1),
        ("Write at most 50 words.", 120, 0.5),
        ("Use these two words in a story.", 90, 1),
    ],
)
def test_words(prompt, count, kept):
    assert length_kept(prompt, "word " * count) == pytest.approx(kept)


def test_characters():
    assert length_kept("写一句广告语，不超过20个字。", "字" * 20) == 1
    assert length_kept("写一句广告语，不超过20个字。", "字" * 48) == pytest.approx(0.5)


def test_entries():
    assert asked_number("Suggest five ways to save water at home.") == 5
    assert asked_number("给一家小咖啡馆想三个活动。") == 3
    assert asked_number("Suggest ways to save water.") is None
    assert items_kept("Give 4 ideas.", "1. a\n2. b") == 0.5
    assert items_kept("Give 4 ideas.", "Walk, swim, read and sing.") == 1


@given(st.text(max_size=80), st.text(max_size=120))
def test_any_prompt_and_answer_have_a_share(prompt, text):
    for kept in (form_kept, length_kept, items_kept):
        assert 0 <= kept(prompt, text) <= 1
