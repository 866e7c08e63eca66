"""Tokenizing: what is supervised, what is cut, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Record
from instruct_scaling.data.encoding import encode, encode_records

END, START = 2, 1
TEMPLATE = "Human: {prompt}\n\nAssistant: "


@given(
    st.lists(st.integers(10, 99), max_size=30),
    st.lists(st.integers(100, 199), max_size=30),
    st.integers(2, 40),
)
def test_cutting_keeps_the_prompts_end_and_the_answers_start(prompt, answer, limit):
    example = encode(prompt, answer, end=END, start=START, max_length=limit)
    tokens, kept = example.tokens.tolist(), int(example.spans[0, 0])
    head, tail = tokens[:kept], tokens[kept:]
    assert len(tokens) <= limit
    assert kept >= 1
    assert tail
    assert head == (prompt or [START])[-kept:]
    assert tail == [*answer, END][: len(tail)]
    assert example.prompt_cut == (kept < len(prompt))
    assert example.answer_cut == (tail[-1] != END)
    if len(prompt or [START]) + len(answer) + 1 <= limit:
        assert not example.prompt_cut
        assert not example.answer_cut
    if example.answer_cut:
        assert kept == 1  # the whole prompt but one token went first


def test_answer_and_end_token_are_supervised_and_the_prompt_is_not(tokenizer):
    record = Record.make("Say", "yes", input="now")
    (example,) = encode_records([record], tokenizer, TEMPLATE, 64)
    prompt = tokenizer.decode(example.tokens[: int(example.spans[0, 0])])
    assert prompt == "Human: Say\nnow\n\nAssistant: "
    assert tokenizer.decode(example.tokens[int(example.spans[0, 0]) :]) == "yes</s>"


def test_braces_in_records_are_text_and_not_template(tokenizer):
    record = Record.make("Use {prompt} and {x}", "ok")
    (example,) = encode_records([record], tokenizer, "{prompt}", 64)
    assert tokenizer.decode(example.tokens).startswith("Use {prompt} and {x}ok")


def test_empty_prompt_becomes_the_start_token(tokenizer):
    (example,) = encode_records([Record.make("", "hi")], tokenizer, "{prompt}", 64)
    assert example.tokens[0] == tokenizer.bos_token_id
    assert int(example.spans[0, 0]) == 1


def test_template_without_prompt_and_tokenizer_without_end_are_refused(tokenizer):
    with pytest.raises(InputError, match="template has no"):
        list(encode_records([Record.make("a", "b")], tokenizer, "Hello", 64))
    tokenizer.eos_token, saved = None, tokenizer.eos_token
    try:
        with pytest.raises(InputError, match="no end token"):
            list(encode_records([Record.make("a", "b")], tokenizer, TEMPLATE, 64))
    finally:
        tokenizer.eos_token = saved
