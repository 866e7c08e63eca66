"""Tokenizing: what is supervised, what is cut, what is refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Message, Record
from instruct_scaling.data import encoding
from instruct_scaling.data.chat_template import Draft
from instruct_scaling.data.encoding import cut, encode_records, end_token_ids, prompt_tokens

END = 2
TEMPLATE = "Human: {prompt}\n\nAssistant: "
TALK = (
    Message("system", "Be brief."),
    Message("user", "Hi"),
    Message("assistant", "Hello!"),
    Message("user", "and now"),
    Message("assistant", "bye"),
)


@given(
    st.lists(st.integers(10, 99), min_size=1, max_size=30),
    st.lists(st.integers(100, 199), max_size=30),
    st.lists(st.just(7), max_size=2),
    st.integers(2, 40),
)
def test_cutting_keeps_the_prompts_end_and_the_answers_start(prompt, answer, rest, limit):
    stop = len(prompt) + len(answer) + 1
    example = cut(Draft([*prompt, *answer, END, *rest], [(len(prompt), stop)]), limit)
    start, end = example.spans[0].tolist()
    tokens = example.tokens.tolist()
    head, tail = tokens[:start], tokens[start:end]
    assert len(tokens) <= limit
    assert start >= 1
    assert tail
    assert head == prompt[-start:]
    assert tail == [*answer, END][: len(tail)]
    assert example.prompt_cut == (start < len(prompt))
    assert example.answer_cut == (tail[-1] != END)
    if stop <= limit:
        assert tokens == [*prompt, *answer, END, *rest][:limit]
    if example.answer_cut:
        assert start == 1  # the whole prompt but one token went first


def encoded(tokenizer, messages, template=TEMPLATE, length=10_000, **rest):
    (one,) = encode_records([Record.of_messages(messages)], tokenizer, template, length, **rest)
    return one


def parts(tokenizer, example):
    """The text of each stretch, not supervised and supervised in turn."""
    bounds = [0, *example.spans.flatten().tolist(), len(example.tokens)]
    texts = [tokenizer.decode(example.tokens[a:b]) for a, b in pairwise(bounds)]
    return texts if texts[-1] else texts[:-1]


def test_turns_follow_each_other_and_every_answer_is_supervised(tokenizer):
    assert parts(tokenizer, encoded(tokenizer, TALK)) == [
        "Human: Be brief.\nHi\n\nAssistant: ",
        "Hello!</s>",
        "Human: and now\n\nAssistant: ",
        "bye</s>",
    ]


def test_the_last_answer_alone_can_be_supervised(tokenizer):
    both, last = encoded(tokenizer, TALK), encoded(tokenizer, TALK, supervise="last")
    assert last.tokens.tolist() == both.tokens.tolist()
    assert last.spans.tolist() == both.spans[1:].tolist()


@pytest.mark.parametrize("template", [TEMPLATE, "{prompt}"])
def test_generation_is_given_what_stands_before_an_answer(tokenizer, template):
    example = encoded(tokenizer, TALK, template)
    for number, (start, stop) in zip((2, 4), example.spans.tolist(), strict=True):
        assert prompt_tokens(TALK[:number], tokenizer, template) == example.tokens[:start].tolist()
        assert end_token_ids(tokenizer, template) == [int(example.tokens[stop - 1])]
    empty = Record.make("", "hi")
    assert prompt_tokens(empty.messages[:1], tokenizer, "{prompt}") == [tokenizer.bos_token_id]


WORDS = st.text("abc é\n", min_size=1, max_size=12).filter(str.strip)


@given(
    talks=st.lists(
        st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6), min_size=1, max_size=5
    ),
    system=st.booleans(),
    limit=st.integers(2, 120),
    supervise=st.sampled_from(["all", "last"]),
)
def test_a_long_conversation_loses_as_few_exchanges_as_possible(
    tokenizer, talks, system, limit, supervise
):
    first = TALK[:1] if system else ()
    records = [
        Record.of_messages(
            (*first, *(turn for ask, answer in talk for turn in (
                Message("user", ask), Message("assistant", answer)
            )))
        )
        for talk in talks
    ]  # fmt: skip
    examples = encode_records(records, tokenizer, TEMPLATE, limit, supervise=supervise)
    for record, example in zip(records, examples, strict=True):
        for dropped in range(len(record.messages) // 2):
            kept = (*first, *record.messages[len(first) + 2 * dropped :])
            whole = encoded(tokenizer, kept, supervise=supervise)
            if len(whole.tokens) <= limit:
                assert example.tokens.tolist() == whole.tokens.tolist()
                assert example.spans.tolist() == whole.spans.tolist()
                assert example.prompt_cut == (dropped > 0)
                break
        else:
            assert len(example.spans) == 1
            assert len(example.tokens) == limit
            assert example.prompt_cut or example.answer_cut


@given(WORDS, WORDS)
def test_one_turn_is_prompt_answer_and_end_token_tokenized_apart(tokenizer, ask, answer):
    record = Record.make(ask, answer)
    (example,) = encode_records([record], tokenizer, TEMPLATE, 1000)
    prompt = tokenizer(f"Human: {record.prompt}\n\nAssistant: ", add_special_tokens=False)
    output = tokenizer(record.output, add_special_tokens=False)["input_ids"]
    whole = [*prompt["input_ids"], *output, tokenizer.eos_token_id]
    assert example.tokens.tolist() == whole
    assert example.spans.tolist() == [[len(prompt["input_ids"]), len(whole)]]


def test_chunks_do_not_change_the_result(tokenizer, monkeypatch):
    records = [Record.make(f"Say {n}", f"{n}" * (n % 5 + 1)) for n in range(30)]
    records += [Record.of_messages(TALK)]
    whole = list(encode_records(records, tokenizer, TEMPLATE, 40))
    monkeypatch.setattr(encoding, "CHUNK", 7)
    again = list(encode_records(iter(records), tokenizer, TEMPLATE, 40))
    assert [one.tokens.tolist() for one in again] == [one.tokens.tolist() for one in whole]
    assert list(encode_records([], tokenizer, TEMPLATE, 40)) == []


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
