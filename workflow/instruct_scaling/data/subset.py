"""The subset stage: the records that a run trains on, as its arm's selection draws them.

Beside the Parquet file stands the hash of its rows (`.sha256`). The file's metadata name the size
of the pool; a pool that grows and leaves the rows as they were leaves the hash as it was, and the
hash decides whether a run is trained again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path
from instruct_scaling.config.identity import identity_json
from instruct_scaling.config.section import parse_section
from instruct_scaling.config.selection import Selection, label_of
from instruct_scaling.data.pool.store import data_hash
from instruct_scaling.data.selection.candidates import read_candidates
from instruct_scaling.data.selection.select import select

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("repeats", pa.int32(), nullable=False),
        pa.field("phase", pa.int32(), nullable=False),
    ]
)


def write_subset(
    path: str | Path,
    ids: Sequence[str],
    repeats: np.ndarray,
    phases: np.ndarray,
    facts: Mapping[str, str],
) -> None:
    """Write the rows of a subset, one for each distinct record, in rank order.

    Args:
        path: Parquet file with the columns `id`, `repeats` (how often a pass holds the record) and
            `phase` (from 0).
        ids: [n] record ids.
        repeats: [n], at least 1.
        phases: [n], from 0.
        facts: file metadata; `data_hash`, which stands for the set of records, and `scale` are
            added.

    Equal arguments give equal bytes.
    """
    own = {"data_hash": data_hash(ids), "scale": str(len(ids))}
    schema = SCHEMA.with_metadata(dict(sorted((own | dict(facts)).items())))
    columns = [pa.array(ids), pa.array(repeats, pa.int32()), pa.array(phases, pa.int32())]
    table = pa.Table.from_arrays(columns, schema=schema)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def rows_hash(ids: Sequence[str], repeats: np.ndarray, phases: np.ndarray) -> str:
    """SHA-256 of the rows, in their order."""
    found = hashlib.sha256("\n".join(ids).encode("ascii"))
    for column in (repeats, phases):
        found.update(np.asarray(column).astype("<i4").tobytes())
    return found.hexdigest()


def read_subset(path: str | Path) -> tuple[list[str], dict[str, str]]:
    """Ids of a subset (or of a validation set) in its order, and the file's metadata."""
    table = pq.read_table(path, columns=["id"])
    return table.column("id").to_pylist(), read_facts(path)


def read_facts(path: str | Path) -> dict[str, str]:
    """The metadata of a subset: `data_hash`, `seed`, `scale`, `selection` (JSON), `pool_records`
    (records that it was drawn from)."""
    metadata = pq.read_schema(path).metadata or {}
    return {key.decode(): value.decode() for key, value in metadata.items()}


def subset(
    records: Annotated[Path, typer.Option(help="Folder of the pool's Parquet parts.")],
    scale: Annotated[int, typer.Option(min=1, help="Number of records to draw.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the order.")],
    out: Annotated[Path, typer.Option(help="Subset to write, Parquet.")],
    selection: Annotated[
        str, typer.Option(help="Section `selection` of an arm, as JSON.")
    ] = '{"type": "uniform"}',
    annotation: Annotated[
        list[str] | None, typer.Option(help="NAME=FILE of an annotation of the pool; repeatable.")
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(help="Parquet with ids to leave out (stage validation_set).")
    ] = None,
) -> None:
    """Draw the records of one run from its pool."""
    section: Selection = parse_section(Selection, selection, "--selection")
    files = _annotation_files(annotation or [])
    candidates = read_candidates(records, label_of(section), files, validation)
    if scale > len(candidates):
        raise _too_few(scale, len(candidates), validation, records)
    chosen = select(section, candidates, scale, seed)
    facts = {
        "seed": str(seed),
        "selection": identity_json(section),
        "pool_records": str(len(candidates)),
    }
    ids = candidates.ids.take(pa.array(chosen.rows)).to_pylist()
    write_subset(out, ids, chosen.repeats, chosen.phases, facts)
    with atomic_path(out.with_suffix(".sha256")) as temporary:
        temporary.write_text(rows_hash(ids, chosen.repeats, chosen.phases) + "\n", "ascii")


def _annotation_files(options: Sequence[str]) -> dict[str, Path]:
    pairs = [option.partition("=") for option in options]
    if any(not name or not path for name, _, path in pairs):
        raise InputError("give an annotation as NAME=FILE", where="--annotation")
    return {name: Path(path) for name, _, path in pairs}


def _too_few(scale: int, left: int, validation: Path | None, where: Path) -> InputError:
    reserved = pq.read_metadata(validation).num_rows if validation else 0
    without = f" besides {reserved} validation records" if reserved else ""
    lower = "the ladder's largest scale" + (" or validation.records" if reserved else "")
    return InputError(
        f"scale {scale} is larger than the pool, which has {left} records{without}",
        where=where,
        fix=f"lower {lower}, add sources to the pool, or loosen its steps",
    )
