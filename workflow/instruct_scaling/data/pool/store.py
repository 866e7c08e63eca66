"""A pool on disk: a folder of Parquet parts, the same bytes for the same records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Record

PART_RECORDS = 50_000

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("instruction", pa.string(), nullable=False),
        pa.field("input", pa.string(), nullable=False),
        pa.field("output", pa.string(), nullable=False),
        pa.field("category", pa.string()),
        pa.field("language", pa.string()),
        pa.field("source", pa.string(), nullable=False),
    ]
)


def write_records(folder: Path, records: Iterable[Record]) -> None:
    """Write records as `part-00000.parquet`, ...; one part is in memory at a time."""
    folder.mkdir()
    stream = iter(records)
    part = 0
    while batch := list(islice(stream, PART_RECORDS)):
        columns = zip(*map(attrgetter(*SCHEMA.names), batch), strict=True)
        typed = zip(columns, SCHEMA.types, strict=True)
        arrays = [pa.array(column, type_) for column, type_ in typed]
        table = pa.Table.from_arrays(arrays, schema=SCHEMA)
        pq.write_table(table, folder / f"part-{part:05d}.parquet", compression="zstd")
        part += 1


def read_ids(folder: str | Path) -> list[str]:
    """Ids of all records, in the order of the sources.

    Raises:
        InputError: this is not the folder of a pool.
    """
    ids: list[str] = []
    for part in _parts(folder):
        ids += pq.read_table(part, columns=["id"]).column("id").to_pylist()
    return ids


def read_labels(folder: str | Path) -> list[tuple[str, str | None]]:
    """Id and category of all records, in the order of the sources.

    Raises:
        InputError: this is not the folder of a pool.
    """
    labels: list[tuple[str, str | None]] = []
    for part in _parts(folder):
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
    for part in _parts(folder):
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(batch_size=4096):
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    yield Record(*values)


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


def _parts(folder: str | Path) -> list[Path]:
    parts = sorted(Path(folder).glob("part-*.parquet"))
    if not parts:
        raise InputError("no pool here (no part-*.parquet)", where=folder)
    return parts
