"""Tokenizing: what is supervised, what is cut, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Record
from instruct_scaling.training.examples import (
    encode,
    encode_records,
    load_examples,
    subset_records,
    write_examples,
)

from .conftest import make_records, write_pool, write_subset

END, START = 2, 1
TEMPLATE = "Human: {prompt}\n\nAssistant: "


@given(
    st.lists(st.integers(10, 99), max_size=30),
    st.lists(st.integers(100, 199), max_size=30),
    st.integers(2, 40),
)
def test_cutting_keeps_the_prompts_end_and_the_answers_start(prompt, answer, limit):
    example = encode(prompt, answer, end=END, start=START, max_length=limit)
    tokens, kept = example.tokens.tolist(), example.prompt_length
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
    prompt = tokenizer.decode(example.tokens[: example.prompt_length])
    assert prompt == "Human: Say\nnow\n\nAssistant: "
    assert tokenizer.decode(example.tokens[example.prompt_length :]) == "yes</s>"


def test_braces_in_records_are_text_and_not_template(tokenizer):
    record = Record.make("Use {prompt} and {x}", "ok")
    (example,) = encode_records([record], tokenizer, "{prompt}", 64)
    assert tokenizer.decode(example.tokens).startswith("Use {prompt} and {x}ok")


def test_empty_prompt_becomes_the_start_token(tokenizer):
    (example,) = encode_records([Record.make("", "hi")], tokenizer, "{prompt}", 64)
    assert example.tokens[0] == tokenizer.bos_token_id
    assert example.prompt_length == 1


def test_template_without_prompt_and_tokenizer_without_end_are_refused(tokenizer):
    with pytest.raises(InputError, match="template has no"):
        list(encode_records(make_records(1), tokenizer, "Hello", 64))
    tokenizer.eos_token, saved = None, tokenizer.eos_token
    try:
        with pytest.raises(InputError, match="no end token"):
            list(encode_records(make_records(1), tokenizer, TEMPLATE, 64))
    finally:
        tokenizer.eos_token = saved


def test_arrays_survive_the_disk(tmp_path):
    encoded = [
        encode([5, 6], [7], end=END, start=START, max_length=9),
        encode([], [8, 9], end=END, start=START, max_length=9),
        encode([5] * 20, [7] * 20, end=END, start=START, max_length=9),
    ]
    write_examples(tmp_path / "examples", ["a", "b", "c"], iter(encoded))
    examples = load_examples(tmp_path / "examples")
    assert examples.ids == ["a", "b", "c"]
    for index, example in enumerate(encoded):
        tokens, prompt_length = examples.sequence(index)
        np.testing.assert_array_equal(tokens, example.tokens)
        assert prompt_length == example.prompt_length
    counts = examples.counts
    assert (counts.examples, counts.tokens, counts.longest) == (3, 4 + 4 + 9, 9)
    assert counts.supervised_tokens == 2 + 3 + 8
    assert (counts.prompts_cut, counts.answers_cut) == (1, 1)


def test_subset_order_is_kept_and_unknown_ids_are_named(tmp_path):
    records = make_records(5)
    pool = write_pool(tmp_path, records)
    wanted = [records[3].id, records[0].id]
    found = subset_records(pool, write_subset(tmp_path / "s.parquet", wanted))
    assert found == [records[3], records[0]]
    bad = write_subset(tmp_path / "bad.parquet", [records[0].id, "missing"])
    with pytest.raises(InputError, match=r"1 of 2 ids.*missing"):
        subset_records(pool, bad)
    empty = tmp_path / "empty.parquet"
    write_subset(empty, [records[0].id])
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(empty).slice(0, 0), empty)
    with pytest.raises(InputError, match="no records"):
        subset_records(pool, empty)
