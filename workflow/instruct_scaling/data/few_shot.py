"""The few_shot stage: every eval item with solved examples before it, for the untuned base.

The examples are validation records of the arm's pool: no run trains on them, and they went through
the same decontamination. Each item has a draw of its own, so that the mean over items does not hang
on one choice of examples. The examples are turns of a conversation: template and end tokens are
those of training.

Writes the eval set's items, in its order, with their ids, checks and references as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import write_jsonl
from instruct_scaling.common.records import EvalItem, Message, Record, read_items
from instruct_scaling.common.seeds import rank_key
from instruct_scaling.data.pool.store import read_records


def choose_examples(
    item: EvalItem, candidates: Sequence[Record], shots: int, seed: int
) -> list[Record]:
    """The examples of one item, the last of them the nearest to the question.

    Records of its category and language go first, then those of its category, then those of its
    language; among equals a keyed hash of item and record decides. So a category that the pool
    lacks gets examples of the answer's form at least.

    Args:
        candidates: records of one exchange, at least `shots`.
    """

    def rank(record: Record) -> tuple[bool, bool, bytes]:
        same = record.category == item.category, record.language == item.language
        return not same[0], not same[1], rank_key(seed, f"{item.id}/{record.id}")

    return sorted(candidates, key=rank)[:shots]


def with_examples(item: EvalItem, examples: Iterable[Record]) -> EvalItem:
    """The item after the examples' exchanges; a system message of its own stays the first."""
    system = tuple(turn for turn in item.history if turn.role == "system")
    others = tuple(turn for turn in item.history if turn.role != "system")
    solved = tuple(
        turn
        for example in examples
        for turn in (Message("user", example.prompt), Message("assistant", example.output))
    )
    return replace(item, history=(*system, *solved, *others))


def read_candidates(pool: Path, validation: Path, shots: int) -> list[Record]:
    """The validation records that may be examples: one exchange, without a system message.

    Raises:
        InputError: there are fewer than `shots`.
    """
    ids = pq.read_table(validation, columns=["id"]).column("id").to_pylist()
    plain = [
        record
        for record in read_records(pool, ids)
        if [turn.role for turn in record.messages] == ["user", "assistant"]
    ]
    if len(plain) < shots:
        raise InputError(
            f"{shots} examples are wanted, and {len(plain)} of the {len(ids)} validation records "
            "are one question with its answer",
            where="ladder.few_shot",
            fix="lower ladder.few_shot or raise validation.records",
        )
    return plain


def few_shot(
    records: Annotated[Path, typer.Option(help="Folder of the pool's Parquet parts.")],
    validation: Annotated[Path, typer.Option(help="Validation ids of the pool, Parquet.")],
    items: Annotated[Path, typer.Option(help="Eval items (items.jsonl).")],
    shots: Annotated[int, typer.Option(min=1, help="Examples before each question.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice.")],
    out: Annotated[Path, typer.Option(help="Items with examples to write, JSON lines.")],
) -> None:
    """Put solved examples before every question, for the untuned base."""
    candidates = read_candidates(records, validation, shots)
    write_jsonl(
        out,
        [
            with_examples(item, choose_examples(item, candidates, shots, seed)).to_row()
            for item in read_items(items).values()
        ],
    )
