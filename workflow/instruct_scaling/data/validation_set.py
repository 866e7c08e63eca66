"""The validation_set stage: records of a pool that no run trains on, to measure the loss on.

They are drawn once for a pool, so that all scales, replicates and arms on it are measured on the
same records, and every subset leaves them out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path
from instruct_scaling.data.pool.store import data_hash, read_labels
from instruct_scaling.data.selection.ranking import draw_subset

UNLABELED = "unlabeled"
"""The group of the records without a category."""

Labeled = tuple[str, str]  # id, category


def shares(counts: Mapping[str, int], number: int) -> dict[str, int]:
    """How many records each category gives.

    Equal shares, but no category gives more than half of what it has; what a small one cannot
    give, the larger ones do.

    Args:
        counts: records of each category.
        number: records wanted in total.

    Raises:
        InputError: the halves do not suffice.
    """
    given, left = {}, number
    smallest_first = sorted(counts, key=lambda name: (counts[name], name))
    for done, name in enumerate(smallest_first):
        given[name] = min(counts[name] // 2, left // (len(counts) - done))
        left -= given[name]
    if left:
        raise InputError(
            f"{number} validation records are too many for a pool of {sum(counts.values())}: no "
            f"category gives more than half of its records, {number - left} in all",
            where="validation.records",
            fix="lower validation.records (0 turns it off), or add sources to the pool",
        )
    return given


def draw_validation_set(
    records: Sequence[tuple[str, str | None]], number: int, seed: int
) -> list[Labeled]:
    """Draw `number` records, of each category those that rank first under the seed.

    Args:
        records: id and category of every record of the pool, in any order.
        number: how many to draw.
        seed: a seed of its own (`config.runs.validation_seed`).

    Returns:
        Ids with their categories, by category, in rank order within each.

    Raises:
        InputError: see `shares`.
    """
    ids: dict[str, list[str]] = defaultdict(list)
    for record_id, category in records:
        ids[category or UNLABELED].append(record_id)
    taken = shares({name: len(members) for name, members in ids.items()}, number)
    return [
        (record_id, name)
        for name in sorted(ids)
        for record_id in draw_subset(ids[name], taken[name], seed)
    ]


def write_validation_set(path: str | Path, drawn: Sequence[Labeled], seed: int) -> None:
    """Write Parquet with the columns `id`, `category`; equal draws give equal bytes."""
    ids, categories = zip(*drawn, strict=True)
    facts = {"data_hash": data_hash(ids), "seed": str(seed), "records": str(len(ids))}
    fields = [pa.field(name, pa.string(), nullable=False) for name in ("id", "category")]
    table = pa.table([ids, categories], schema=pa.schema(fields, metadata=facts))
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def validation_set(
    records: Annotated[Path, typer.Option(help="Folder of the pool's Parquet parts.")],
    number: Annotated[int, typer.Option(min=1, help="Validation records to draw.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")],
    out: Annotated[Path, typer.Option(help="Validation ids to write, Parquet.")],
) -> None:
    """Draw the records that every subset of a pool leaves out."""
    write_validation_set(out, draw_validation_set(read_labels(records), number, seed), seed)
