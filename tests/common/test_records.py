from __future__ import annotations

import json

import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import write_jsonl
from instruct_scaling.common.records import (
    EvalItem,
    Judgement,
    read_items,
    read_responses,
    read_rows,
)
from tests.evaluation.judge.conftest import answer

ITEM = EvalItem.make("math", "1+1?", reference="2", checks={"answer": "number"})
OTHER = EvalItem.make("math", "1+2?", reference="3")


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
    with pytest.raises(InputError, match="is answered twice"):
        read_responses(tmp_path / "r.jsonl", {ITEM.id: ITEM})
