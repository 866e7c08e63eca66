"""The records that a selection may draw: a pool without its validation records, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.selection import ANNOTATION
from instruct_scaling.data.pool.store import pool_parts

TAG = "tag:"


@dataclass(frozen=True)
class Candidates:
    """`ids` [N] strings; `labels` [N]: the label that the selection reads, strings or float64,
    null where a record has none; None where it reads none."""

    ids: pa.Array
    labels: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.ids)


def read_candidates(
    records: str | Path,
    label: str | None,
    annotations: Mapping[str, Path],
    validation: Path | None = None,
) -> Candidates:
    """Read ids and one label column; no text of a record is read.

    Args:
        records: folder of the pool.
        label: what the selection reads (`config.selection.By`).
        annotations: name -> Parquet with the columns `id` and `value`.
        validation: Parquet with the ids to leave out.

    Raises:
        InputError: this is no pool, or the annotation is not among those given.
    """
    stored = label is not None and not label.startswith(ANNOTATION)
    parts = [_read_part(part, label if stored else None) for part in pool_parts(records)]
    table = pa.concat_tables(parts).combine_chunks()
    if validation is not None:
        reserved = pq.read_table(validation, columns=["id"])["id"]
        table = table.filter(pc.invert(pc.is_in(table["id"], value_set=reserved)))
    ids = _one_array(table["id"])
    if label is None:
        return Candidates(ids)
    if stored:
        return Candidates(ids, _one_array(table["label"]))
    return Candidates(ids, _annotation(ids, label.removeprefix(ANNOTATION), annotations))


def _read_part(part: Path, label: str | None) -> pa.Table:
    if label is None:
        return pq.read_table(part, columns=["id"])
    if label.startswith(TAG):
        table = pq.read_table(part, columns=["id", "tags"])
        values = _tag(_one_array(table["tags"]), label.removeprefix(TAG))
    else:
        table = pq.read_table(part, columns=["id", label])
        values = table[label]
    return pa.table({"id": table["id"], "label": values})


def _tag(tags: pa.ListArray, name: str) -> pa.Array:
    """The value of one tag in each row, null where the row has none."""
    flat, rows = tags.flatten(), pc.list_parent_indices(tags)
    own = pc.equal(flat.field("name"), name)
    positions = pc.index_in(
        pa.array(np.arange(len(tags))), value_set=rows.filter(own).cast("int64")
    )
    return flat.field("value").filter(own).take(positions)


def _annotation(ids: pa.Array, name: str, annotations: Mapping[str, Path]) -> pa.Array:
    """The annotation's value of each id, null where it has none or NaN."""
    if name not in annotations:
        known = ", ".join(sorted(annotations)) or "none"
        raise InputError(
            f"the pool has no annotation {name!r}",
            where="selection.by",
            fix=f"add it to the pool's `annotations`, or use one of these: {known}",
        )
    path = annotations[name]
    if not path.exists():
        raise InputError(f"no such file (annotation {name})", where=path)
    table = pq.read_table(path, columns=["id", "value"])
    values = _one_array(table["value"])
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        values = values.cast(pa.float64())
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    return _one_array(values.take(pc.index_in(ids, value_set=_one_array(table["id"]))))


def _one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
