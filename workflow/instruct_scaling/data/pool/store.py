"""A pool on disk: a folder of Parquet parts, the same bytes for the same records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Message, Record

PART_RECORDS = 50_000

MESSAGE = pa.struct(
    [
        pa.field("role", pa.string(), nullable=False),
        pa.field("content", pa.string(), nullable=False),
    ]
)
MESSAGES = pa.list_(pa.field("item", MESSAGE, nullable=False))
# Not a map of Arrow, which `datasets` does not read.
TAG = pa.struct(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("value", pa.string(), nullable=False),
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("messages", MESSAGES, nullable=False),
        pa.field("category", pa.string()),
        pa.field("language", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("tags", pa.list_(pa.field("item", TAG, nullable=False)), nullable=False),
    ]
)


def write_records(folder: Path, records: Iterable[Record]) -> None:
    """Write records as `part-00000.parquet`, ...; one part is in memory at a time."""
    folder.mkdir()
    stream = iter(records)
    part = 0
    while batch := list(islice(stream, PART_RECORDS)):
        table = pa.Table.from_arrays(_columns(batch), schema=SCHEMA)
        pq.write_table(table, folder / f"part-{part:05d}.parquet", compression="zstd")
        part += 1


def _columns(batch: Sequence[Record]) -> list[pa.Array]:
    turns = [turn for record in batch for turn in record.messages]
    texts = [[turn.role for turn in turns], [turn.content for turn in turns]]
    ends = accumulate((len(record.messages) for record in batch), initial=0)
    flat = pa.StructArray.from_arrays(
        [pa.array(column, pa.string()) for column in texts], fields=list(MESSAGE)
    )
    messages = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), flat, type=MESSAGES)
    tags = [
        [{"name": name, "value": value} for name, value in sorted(record.tags.items())]
        for record in batch
    ]
    return [
        pa.array([record.id for record in batch], pa.string()),
        messages,
        pa.array([record.category for record in batch], pa.string()),
        pa.array([record.language for record in batch], pa.string()),
        pa.array([record.source for record in batch], pa.string()),
        pa.array(tags, SCHEMA.field("tags").type),
    ]


def read_ids(folder: str | Path) -> list[str]:
    """Ids of all records, in the order of the sources.

    Raises:
        InputError: this is not the folder of a pool.
    """
    ids: list[str] = []
    for part in pool_parts(folder):
        ids += pq.read_table(part, columns=["id"]).column("id").to_pylist()
    return ids


def read_labels(folder: str | Path) -> list[tuple[str, str | None]]:
    """Id and category of all records, in the order of the sources.

    Raises:
        InputError: this is not the folder of a pool.
    """
    labels: list[tuple[str, str | None]] = []
    for part in pool_parts(folder):
        columns = pq.read_table(part, columns=["id", "category"])
        labels += zip(
            *(columns.column(name).to_pylist() for name in ("id", "category")), strict=True
        )
    return labels


def iter_records(folder: str | Path) -> Iterator[Record]:
    """All records, in the order of the sources.

    Raises:
        InputError: this is not the folder of a pool.
    """
    for batch in iter_batches(folder, 4096):
        yield from batch_records(batch)


def iter_batches(folder: str | Path, size: int) -> Iterator[pa.RecordBatch]:
    """All rows in the order of the sources, at most `size` at a time; no Python objects.

    Raises:
        InputError: this is not the folder of a pool.
    """
    for part in pool_parts(folder):
        with pq.ParquetFile(part) as file:
            yield from file.iter_batches(batch_size=size)


def count_records(folder: str | Path) -> int:
    """Number of records, from the files' metadata.

    Raises:
        InputError: this is not the folder of a pool.
    """
    return sum(pq.read_metadata(part).num_rows for part in pool_parts(folder))


def batch_records(batch: pa.RecordBatch) -> Iterator[Record]:
    """The records of some rows of a pool."""
    messages = batch.column("messages")
    flat = messages.flatten()
    turns = list(map(Message, flat.field("role").to_pylist(), flat.field("content").to_pylist()))
    ends = np.cumsum(messages.value_lengths().to_numpy())
    labels = [batch.column(name).to_pylist() for name in ("category", "language", "source")]
    start = 0
    for record_id, end, *row, tags in zip(
        batch.column("id").to_pylist(),
        ends.tolist(),
        *labels,
        batch.column("tags").to_pylist(),
        strict=True,
    ):
        yield Record(
            record_id, tuple(turns[start:end]), *row, {tag["name"]: tag["value"] for tag in tags}
        )
        start = end


def read_records(folder: str | Path, ids: Iterable[str]) -> list[Record]:
    """The records with these ids, in the order of the ids.

    Raises:
        InputError: this is not the folder of a pool, or it lacks one of the records.
    """
    wanted = list(ids)
    chosen = set(wanted)
    found = {record.id: record for record in iter_records(folder) if record.id in chosen}
    missing = [record_id for record_id in wanted if record_id not in found]
    if missing:
        raise InputError(
            f"{len(missing)} records of the subset are not in this pool, for instance {missing[0]}",
            where=folder,
            fix="the pool was rebuilt after the subset was drawn: run the subset stage again",
        )
    return [found[record_id] for record_id in wanted]


def data_hash(ids: Iterable[str]) -> str:
    """32 hex digits that stand for a set of records, whatever their order."""
    return hashlib.blake2b("\n".join(sorted(ids)).encode("ascii"), digest_size=16).hexdigest()


def pool_parts(folder: str | Path) -> list[Path]:
    """The Parquet files of a pool, in order.

    Raises:
        InputError: this is not the folder of a pool.
    """
    parts = sorted(Path(folder).glob("part-*.parquet"))
    if not parts:
        raise InputError("no pool here (no part-*.parquet)", where=folder)
    return parts
