"""The subset stage: the first records of a pool in the order that a seed gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path
from instruct_scaling.common.seeds import rank_key
from instruct_scaling.data.pool.store import data_hash, read_ids


def draw_subset(ids: Sequence[str], scale: int, seed: int) -> list[str]:
    """The `scale` ids that rank first under the seed, in that order.

    The rank is a keyed hash of the id (`seeds.rank_key`), so that each smaller subset of a seed
    is the beginning of every larger one, the order of `ids` has no influence, and a record that
    joins the pool leaves the order of the others alone.

    Args:
        ids: distinct record ids, in any order.
        scale: how many to draw, at most as many as there are.
        seed: a seed for the purpose "subset".
    """
    keys = np.frombuffer(b"".join(rank_key(seed, record_id) for record_id in ids), dtype=">u8")
    high, low = keys.reshape(-1, 2).T
    return [ids[index] for index in np.lexsort((low, high))[:scale]]


def write_subset(path: str | Path, ids: Sequence[str], seed: int) -> None:
    """Write ids as Parquet (column `id`) with the file metadata `data_hash`, `seed`, `scale`.

    The bytes depend on the ids and the seed alone, so that a pool edit which leaves a subset as
    it was also leaves its file as it was. `data_hash` stands for the set of the subset's records.
    """
    facts = {"data_hash": data_hash(ids), "seed": str(seed), "scale": str(len(ids))}
    schema = pa.schema([pa.field("id", pa.string(), nullable=False)], metadata=facts)
    table = pa.Table.from_arrays([pa.array(ids, pa.string())], schema=schema)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_subset(path: str | Path) -> tuple[list[str], dict[str, str]]:
    """Ids of a subset in rank order, and the metadata that `write_subset` put there."""
    table = pq.read_table(path)
    facts = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    return table.column("id").to_pylist(), facts


def subset(
    records: Annotated[Path, typer.Option(help="Folder of the pool's Parquet parts.")],
    scale: Annotated[int, typer.Option(min=1, help="Number of records to draw.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the order.")],
    out: Annotated[Path, typer.Option(help="Subset to write, Parquet.")],
    validation: Annotated[
        Path | None, typer.Option(help="Parquet with ids to leave out (stage validation_set).")
    ] = None,
) -> None:
    """Draw the records of one run from its pool."""
    reserved = set(read_subset(validation)[0]) if validation else set()
    ids = [record_id for record_id in read_ids(records) if record_id not in reserved]
    if scale > len(ids):
        raise _too_few(scale, len(ids), len(reserved), records)
    write_subset(out, draw_subset(ids, scale, seed), seed)


def _too_few(scale: int, left: int, reserved: int, where: Path) -> InputError:
    without = f" besides {reserved} validation records" if reserved else ""
    lower = "the ladder's largest scale" + (" or validation.records" if reserved else "")
    return InputError(
        f"scale {scale} is larger than the pool, which has {left} records{without}",
        where=where,
        fix=f"lower {lower}, add sources to the pool, or loosen its filters",
    )
