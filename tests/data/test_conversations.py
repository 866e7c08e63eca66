"""Conversations from files to pool and eval set, every mistake with its line."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import EvalItem, Message, Record
from instruct_scaling.config.evaluation import EvalSet
from instruct_scaling.config.pools import Pool
from instruct_scaling.data.evalset.stage import build_evalset
from instruct_scaling.data.pool.stage import build_pool
from instruct_scaling.data.pool.store import iter_records

ITEM = EvalItem.make("math", "How many apples are left when Tom eats three of his seven apples?")
SHARED = [
    {"from": "system", "value": "Be brief."},
    {"from": "human", "value": "Hi  \r\nthere"},
    {"from": "gpt", "value": "Hello!<eot>"},
    {"from": "human", "value": "Bye"},
    {"from": "gpt", "value": "Bye!"},
]
TALK = (
    Message("system", "Be brief."),
    Message("user", "Hi\nthere"),
    Message("assistant", "Hello!"),
    Message("user", "Bye"),
    Message("assistant", "Bye!"),
)


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def pool(path, folder, **source):
    section = {"sources": [{"type": "file", "path": str(path), **source}]}
    audit = build_pool(Pool.model_validate(section), [ITEM], folder)
    return list(iter_records(folder)), audit


def evalset(path, **source):
    section = {"sources": [{"type": "file", "path": str(path), **source}]}
    return build_evalset(EvalSet.model_validate(section))


def test_a_pool_keeps_the_turns_of_a_conversation(tmp_path):
    rows = [
        {"conversations": SHARED, "category": "open qa", "language": "en"},
        {"conversations": [{"role": one.role, "content": one.content} for one in TALK[3:]]},
    ]
    source = {"fields": {"messages": "conversations"}, "strip_suffixes": ["<eot>"]}
    path = write(tmp_path / "a.jsonl", *rows)
    (long, short), audit = pool(path, tmp_path / "records", **source)
    assert long.messages == TALK
    assert (long.id, short.id) == (Record.of_messages(TALK).id, Record.make("Bye", "Bye!").id)
    assert (long.category, long.language, long.source) == ("open_qa", "en", "a.jsonl")
    assert audit["read"] == audit["kept"] == 2


def test_one_file_may_hold_conversations_and_single_turns(tmp_path):
    rows = [{"messages": SHARED[1:3]}, {"instruction": "Add.", "input": "1 2", "output": "3"}]
    records, _ = pool(write(tmp_path / "a.jsonl", *rows), tmp_path / "records")
    assert [one.prompt for one in records] == ["Hi\nthere", "Add.\n1 2"]


def test_parquet_holds_the_same_conversations(tmp_path):
    # Parquet gives every message all keys, null where a message lacks them.
    turns = [{"role": one.role, "content": one.content, "tool_calls": None} for one in TALK]
    kind = pa.list_(
        pa.struct(
            [("role", pa.string()), ("content", pa.string()), ("tool_calls", pa.list_(pa.int8()))]
        )
    )
    table = pa.table({"messages": pa.array([turns], kind)})
    pq.write_table(table, tmp_path / "a.parquet")
    (record,), _ = pool(tmp_path / "a.parquet", tmp_path / "records")
    assert record.messages == TALK


INVALID = [
    ({"messages": []}, "the last message is not of role assistant"),
    ({"messages": SHARED[:2]}, "the last message is not of role assistant"),
    ({"messages": SHARED[2:]}, "message 1 is of role assistant, not user"),
    ({"messages": [SHARED[1], {"from": "gpt", "value": " "}]}, "message 2 (assistant) is empty"),
    ({"messages": [SHARED[1], {"from": "tool", "value": "x"}]}, "message 2 is of role tool"),
    ({"messages": "Hi"}, "`messages` is not a list of messages but str"),
]


@pytest.mark.parametrize(("row", "message"), INVALID)
def test_what_is_no_conversation_stops_with_file_and_line(tmp_path, row, message):
    path = write(tmp_path / "a.jsonl", {"messages": SHARED}, row)
    with pytest.raises(InputError) as error:
        pool(path, tmp_path / "records")
    assert f"{path}, line 2: " in str(error.value)
    assert message in str(error.value)


def test_such_rows_are_skipped_and_counted_on_request(tmp_path):
    path = write(tmp_path / "a.jsonl", {"messages": SHARED}, *(row for row, _ in INVALID))
    records, audit = pool(path, tmp_path / "records", on_error="skip")
    assert (len(records), audit["read"]) == (1, 1 + len(INVALID))


def test_a_mapping_to_conversations_must_hold_in_every_row(tmp_path):
    path = write(tmp_path / "a.jsonl", {"talk": SHARED}, {"instruction": "a", "output": "b"})
    with pytest.raises(InputError, match="line 2: entry without messages: no `talk`"):
        pool(path, tmp_path / "records", fields={"messages": "talk"})


def test_the_last_message_of_an_eval_item_is_its_prompt(tmp_path):
    row = {"turns": SHARED[:4], "category": "math", "reference": "Bye!"}
    path = write(tmp_path / "a.jsonl", row)
    [item], _ = evalset(path, fields={"messages": "turns"})
    history = [*TALK[:2], Message("assistant", "Hello!<eot>")]
    assert item == EvalItem.make("math", "Bye", history=history, reference="Bye!")


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        (SHARED, "the last message is not of role user"),
        (SHARED[2:4], "message 1 is of role assistant, not user"),
        ([SHARED[1], {"from": "gpt", "value": ""}, SHARED[3]], "message 2 (assistant) is empty"),
    ],
)
def test_an_eval_item_that_is_no_question_stops_with_its_line(tmp_path, turns, message):
    path = write(tmp_path / "a.jsonl", {"messages": turns, "category": "math"})
    with pytest.raises(InputError) as error:
        evalset(path)
    assert f"{path}, line 1: " in str(error.value)
    assert message in str(error.value)
