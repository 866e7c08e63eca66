"""Few-shot items: solved examples of the same kind before each question, nothing else changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import write_jsonl
from instruct_scaling.common.records import EvalItem, Message, Record, read_items
from instruct_scaling.data.few_shot import choose_examples, with_examples
from instruct_scaling.data.pool.store import write_records
from instruct_scaling.data.validation_set import write_validation_set
from tests.stages import run_stage

KINDS = [(category, language) for category in ("math", "code") for language in ("en", "zh")]
RECORDS = [
    Record.make(f"question {n}", f"answer {n}", category=category, language=language)
    for n, (category, language) in enumerate(KINDS * 4)
]


def item(prompt="1 + 1?", **fields):
    return EvalItem.make(category="math", prompt=prompt, reference="2", language="zh", **fields)


@given(st.integers(1, 16), st.integers(0, 2**31 - 1))
def test_examples_of_the_items_kind_come_first_and_order_of_the_pool_is_nothing(shots, seed):
    chosen = choose_examples(item(), RECORDS, shots, seed)
    assert chosen == choose_examples(item(), RECORDS[::-1], shots, seed)
    assert len({record.id for record in chosen}) == shots
    kinds = [(record.category, record.language) for record in chosen]
    wanted = [("math", "zh"), ("math", "en"), ("code", "zh"), ("code", "en")]
    assert kinds == sorted(kinds, key=wanted.index)
    assert all(kinds.count(kind) == 4 for kind in wanted[: shots // 4])


def test_each_item_has_a_draw_of_its_own():
    draws = {tuple(r.id for r in choose_examples(item(f"{n}?"), RECORDS, 2, 7)) for n in range(20)}
    assert len(draws) > 5


def test_examples_stand_between_the_system_message_and_the_items_own_turns():
    own = (Message("user", "Hello"), Message("assistant", "Hello!"))
    asked = item(history=(Message("system", "Be brief."), *own))
    (example,) = choose_examples(asked, RECORDS, 1, 3)
    shown = with_examples(asked, [example])
    assert shown.history == (
        Message("system", "Be brief."),
        Message("user", example.prompt),
        Message("assistant", example.output),
        *own,
    )
    assert (shown.id, shown.prompt, shown.reference) == (asked.id, asked.prompt, asked.reference)


@pytest.fixture
def files(tmp_path):
    dialog = Record.of_messages(
        [Message(role, text) for text in "ab" for role in ("user", "assistant")],
        category="math",
    )
    write_records(tmp_path / "records", [*RECORDS, dialog])
    drawn = [(record.id, "math") for record in (*RECORDS[:3], dialog)]
    write_validation_set(tmp_path / "validation.parquet", drawn, 1)
    write_jsonl(tmp_path / "items.jsonl", [item(f"{n}?").to_row() for n in range(3)])
    return tmp_path


def run(files, shots):
    run_stage(
        *("few-shot", "--records", files / "records", "--items", files / "items.jsonl"),
        *("--validation", files / "validation.parquet", "--shots", shots, "--seed", 5),
        *("--out", files / "few_shot.jsonl"),
    )


def test_the_stage_keeps_items_and_takes_validation_records_only(files):
    run(files, 2)
    plain, shown = read_items(files / "items.jsonl"), read_items(files / "few_shot.jsonl")
    assert list(plain) == list(shown)
    allowed = {record.prompt for record in RECORDS[:3]}
    for one in shown.values():
        assert [turn.role for turn in one.history] == ["user", "assistant"] * 2
        assert {turn.content for turn in one.history[::2]} <= allowed


def test_too_few_examples_are_refused_with_both_numbers(files):
    with pytest.raises(InputError, match="4 examples are wanted, and 3 of the 4") as error:
        run(files, 4)
    assert "validation.records" in error.value.fix
