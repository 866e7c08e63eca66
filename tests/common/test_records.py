"""Rows that stages hand each other: ids, text in one form, every mistake with file and line."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import write_jsonl
from instruct_scaling.common.records import (
    Constraints,
    EvalItem,
    Judgement,
    Record,
    Response,
    checks_of,
    content_id,
    join_prompt,
    normalize,
    read_items,
    read_responses,
    read_rows,
)

ITEM = EvalItem.make("math", "1+1?", reference="2", checks={"answer": "number"})
OTHER = EvalItem.make("math", "1+2?", reference="3")


def answer(item, text):
    """A response to an item."""
    return Response(
        content_id(item.id, text), item.id, item.category, "a", 8, 1, text, 3, 4, "stop"
    )


@given(st.text(max_size=40))
def test_normalized_text_is_nfc_without_blanks_at_the_ends_of_lines(text):
    found = normalize(text)
    assert normalize(found) == found
    assert unicodedata.is_normalized("NFC", found)
    assert "\r" not in found
    assert all(line == line.rstrip() for line in found.split("\n"))
    assert found == found.strip()


def test_known_normal_forms():
    assert normalize(" a \r\n b\t\rc \n\n") == "a\n b\nc"
    assert normalize("e\u0301") == "\u00e9"
    assert normalize("ｆ") == "ｆ", "NFC leaves compatibility forms"


def test_ids_are_the_same_everywhere():
    # Subsets, caches and judgements are named by them.
    record = Record.make("Say hello", "Hello", input="x", category="code", language="en")
    assert record.id == "5afd794f6ba219fcada32f94cf552733"
    item = EvalItem.make("math", "1+1?", input="x", reference="2")
    assert item.id == "5ec4f759812f3c5bac571f1e8805cfa8"


def test_an_id_stands_for_the_texts_and_where_one_ends():
    assert Record.make("a", "b").id == Record.make(" a\r\n", "b ", category="math").id
    assert Record.make("ab", "c").id != Record.make("a", "bc").id
    assert Record.make("a", "b").id != Record.make("a", "b", input="c").id
    ids = {EvalItem.make(category, "q").id for category in ("math", "cot")}
    assert len(ids) == 2
    assert EvalItem.make("math", "q", reference="1").id == EvalItem.make("math", "q").id


def test_a_prompt_is_the_instruction_with_its_input_on_the_next_line():
    assert join_prompt("Add.", "1 2") == "Add.\n1 2"
    assert join_prompt("Add.", "") == join_prompt("Add.", None) == "Add."
    assert Record.make("Add.", "3", input="1 2").prompt == "Add.\n1 2"
    assert EvalItem.make("math", "Add.", input="1 2").full_prompt == "Add.\n1 2"


def test_blank_references_and_inputs_are_none():
    item = EvalItem.make("math", "q", input=" ", reference=" \n")
    assert (item.input, item.reference) == (None, None)
    assert item.to_row() == {"id": item.id, "category": "math", "prompt": "q"}


def test_checks_of_an_item():
    assert checks_of(ITEM) == Constraints(answer="number")
    assert checks_of(OTHER) == Constraints()
    with pytest.raises(InputError, match=r"checks: size: .*") as error:
        checks_of(EvalItem.make("math", "q", checks={"size": 3}))
    assert "use the checks answer, labels" in error.value.fix


def test_rows_come_back_as_they_were_written(tmp_path):
    write_jsonl(tmp_path / "items.jsonl", [ITEM.to_row(), OTHER.to_row()])
    items = read_items(tmp_path / "items.jsonl")
    assert items == {ITEM.id: ITEM, OTHER.id: OTHER}
    rows = [answer(ITEM, "2"), answer(OTHER, "3")]
    write_jsonl(tmp_path / "r.jsonl", [row.to_row() for row in rows])
    assert read_responses(tmp_path / "r.jsonl", items) == rows


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"id": "a", "category": "math"}'], "line 1: prompt: "),
        (['{"id": "a", "category": "math", "prompt": 3}'], "line 1: prompt: "),
        ([json.dumps(ITEM.to_row()), '{"id": '], "line 2: not valid JSON"),
        (["[1]"], "line 1: "),
        ([json.dumps(ITEM.to_row() | {"color": "red"})], "line 1: unknown field `color`"),
        ([json.dumps(ITEM.to_row())] * 2, f"item {ITEM.id} occurs twice"),
        ([json.dumps(ITEM.to_row() | {"checks": {"test": "x"}})], "checks: test: "),
        ([json.dumps(ITEM.to_row() | {"checks": {"answer": "color"}})], "checks: answer: "),
        ([], "the file has no rows"),
    ],
)
def test_bad_items_are_named(tmp_path, lines, message):
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(InputError) as caught:
        read_items(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_rows(tmp_path / "none.jsonl", Judgement)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (answer(OTHER, "3").to_row(), "which the eval set lacks"),
        (answer(ITEM, "2").to_row() | {"category": "code"}, "says category code"),
    ],
)
def test_responses_must_fit_the_items(tmp_path, row, message):
    write_jsonl(tmp_path / "r.jsonl", [row])
    with pytest.raises(InputError, match=message):
        read_responses(tmp_path / "r.jsonl", {ITEM.id: ITEM})


def test_an_item_is_answered_once(tmp_path):
    rows = [answer(ITEM, "2").to_row(), answer(ITEM, "3").to_row()]
    write_jsonl(tmp_path / "r.jsonl", rows)
    with pytest.raises(InputError, match="is answered twice, the second time by"):
        read_responses(tmp_path / "r.jsonl", {ITEM.id: ITEM})
