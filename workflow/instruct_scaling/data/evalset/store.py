"""Eval items on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_jsonl
from instruct_scaling.common.records import EvalItem


def read_items(path: str | Path) -> Iterator[EvalItem]:
    """The items of an `items.jsonl` that this stage wrote.

    Raises:
        InputError: the file is missing or is not such a file.
    """
    for number, row in read_jsonl(path):
        try:
            yield EvalItem(**row)
        except TypeError as error:
            raise InputError(f"not an eval item: {error}", where=path, line=number) from error
