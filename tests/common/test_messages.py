"""Turns of a conversation as files hold them, and what is refused with which reason."""

from __future__ import annotations

import pytest

from instruct_scaling.common.files import write_jsonl
from instruct_scaling.common.messages import parse_messages
from instruct_scaling.common.records import EvalItem, Message, Record, read_items

TALK = (Message("user", "Hi"), Message("assistant", "Hello!"))
USER = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    "rows",
    [
        [USER, {"role": "assistant", "content": "Hello!"}],
        [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}],
        [{"from": "user", "value": "Hi"}, {"role": "Assistant", "content": "Hello!"}],
        [USER | {"name": "Tom", "tool_calls": None}, {"from": "gpt", "value": "Hello!", "id": 7}],
    ],
)
def test_both_forms_of_a_message_are_read(rows):
    assert parse_messages(rows) == TALK


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("Hi", "`talk` is not a list of messages but str"),
        ({"from": ["human"], "value": ["Hi"]}, "`talk` is not a list of messages but dict"),
        (["Hi"], "message 1 is not an object but str"),
        ([USER, {"text": "Hello!"}], r"message 2 has neither .* \(keys: text\)"),
        ([USER, {"role": "bot", "content": "x"}], "message 2 is of unknown role 'bot'"),
        ([USER, {"role": None, "content": "x"}], "message 2 is of unknown role None"),
        ([USER, {"role": "tool", "content": "x"}], "message 2 is of role tool: conversations with"),
        ([USER, {"from": "observation", "value": "x"}], "tool calls are not supported"),
        ([USER | {"tool_calls": [{"name": "f"}]}], "message 1 has `tool_calls`: only the text"),
        ([USER | {"weight": 0}], "message 1 has `weight`"),
        ([USER | {"reasoning_content": "so"}], "message 1 has `reasoning_content`"),
        ([{"role": "user", "content": None}], "`content` of message 1 is not text but null"),
        ([{"from": "human", "value": [{"type": "text"}]}], "`value` of message 1 is not text but"),
        ([{"role": "user", "content": "\ud800"}], "message 1 is not valid Unicode"),
    ],
)
def test_what_is_no_message_is_refused_with_its_place(value, message):
    with pytest.raises(ValueError, match=message):
        parse_messages(value, "talk")


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        (["assistant"], "message 1 is of role assistant, not user"),
        (["user", "user"], "message 2 is of role user, not assistant"),
        (["user", "system", "assistant"], "message 2 is of role system, not assistant"),
        (["system"], "the last message is not of role assistant"),
        (["user", "assistant", "user"], "the last message is not of role assistant"),
        ([], "the last message is not of role assistant"),
    ],
)
def test_a_record_is_a_conversation_that_ends_with_an_answer(roles, message):
    with pytest.raises(ValueError, match=message):
        Record.of_messages([Message(role, "x") for role in roles])


def test_an_empty_turn_is_refused():
    with pytest.raises(ValueError, match=r"message 2 \(assistant\) is empty"):
        Record.of_messages([TALK[0], Message("assistant", " \n")])


def test_one_turn_has_the_id_of_its_instruction_and_output():
    assert Record.of_messages(TALK).id == Record.make("Hi", "Hello!").id
    longer = Record.of_messages([Message("system", "x"), *TALK])
    assert longer.id != Record.of_messages(TALK).id
    assert (longer.prompt, longer.output) == ("x\nHi", "Hello!")


def test_an_item_with_earlier_turns_comes_back_as_it_was_written(tmp_path):
    item = EvalItem.make("math", "And?", input="2", history=TALK, tags={"turns": "2"})
    write_jsonl(tmp_path / "items.jsonl", [item.to_row()])
    assert read_items(tmp_path / "items.jsonl") == {item.id: item}
    assert item.messages == (*TALK, Message("user", "And?\n2"))
    assert item.id != EvalItem.make("math", "And?", input="2").id
