"""An annotation on disk: Parquet with a row for each record of a pool, in the pool's order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path

Value = float | str | None


def write_annotation(
    path: str | Path, ids: Sequence[str], values: Sequence[Value], facts: Mapping[str, str]
) -> None:
    """Write the columns `id` and `value`: 64-bit floats where all values are numbers, else text.

    The file's metadata holds `facts` and the counts `records`, `missing` and `missing_share`.
    Equal values give equal bytes.

    Args:
        ids: of the records, in the order of the pool.
        values: one for each; None is a missing value.
    """
    is_text = any(isinstance(value, str) for value in values)
    missing = sum(value is None for value in values)
    counts = {
        "records": str(len(values)),
        "missing": str(missing),
        "missing_share": f"{missing / len(values):.6g}" if values else "0",
    }
    fields = [
        pa.field("id", pa.string(), nullable=False),
        pa.field("value", pa.string() if is_text else pa.float64()),
    ]
    schema = pa.schema(fields, metadata=dict(facts) | counts)
    table = pa.Table.from_pydict({"id": ids, "value": values}, schema=schema)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_annotation(path: str | Path) -> dict[str, Value]:
    """The value of every record by its id, None where it is missing.

    Raises:
        InputError: the file is missing or is no annotation.
    """
    return dict(iter_annotation(path))


def annotation_facts(path: str | Path) -> dict[str, str]:
    """What the file says of itself: see `write_annotation`."""
    with _open(path) as file:
        metadata = file.schema_arrow.metadata or {}
    return {key.decode(): value.decode() for key, value in metadata.items()}


def iter_annotation(path: str | Path) -> Iterator[tuple[str, Value]]:
    """(id, value) of every record, in the pool's order.

    Raises:
        InputError: the file is missing or is no annotation.
    """
    with _open(path) as file:
        if file.schema_arrow.names != ["id", "value"]:
            raise InputError(
                f"has the columns {', '.join(file.schema_arrow.names)}, not id and value",
                where=path,
                fix="remove the file and run the study again",
            )
        for batch in file.iter_batches(batch_size=65_536):
            yield from zip(
                batch.column("id").to_pylist(), batch.column("value").to_pylist(), strict=True
            )


def as_tag(value: float | str) -> str:
    """A value as the text of a tag; whole numbers without a decimal point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _open(path: str | Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise InputError("no such annotation", where=path) from error
    except pa.ArrowInvalid as error:
        raise InputError(f"damaged Parquet file: {error}", where=path) from error
