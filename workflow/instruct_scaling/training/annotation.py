"""The annotation stage: one value for each record of a pool, joined by the record's id.

It stands in this phase because one of its kinds runs a model; the others are in
`data/annotations/`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file
from instruct_scaling.common.records import Record
from instruct_scaling.common.versions import STAGE_VERSIONS
from instruct_scaling.config.annotations import (
    Annotation,
    BaseLossAnnotation,
    FileAnnotation,
    LengthAnnotation,
)
from instruct_scaling.config.section import parse_section
from instruct_scaling.data.annotations.file import read_values
from instruct_scaling.data.annotations.store import Value, annotation_facts, write_annotation
from instruct_scaling.data.annotations.text import language_of, length_of
from instruct_scaling.data.pool.store import iter_records, read_ids

log = logging.getLogger(__name__)


def annotation(
    records: Annotated[Path, typer.Option(help="Folder of the pool's Parquet parts.")],
    annotation: Annotated[str, typer.Option(help="The section of this annotation, as JSON.")],
    out: Annotated[Path, typer.Option(help="Values to write, Parquet.")],
    base: Annotated[
        Path | None, typer.Option(help="Folder of the base model (base_loss only).")
    ] = None,
) -> None:
    """Give each record of a pool a value: length, language, of a file, loss under a base."""
    config: Any = parse_section(Annotation, annotation, "--annotation")
    ids = read_ids(records)
    if isinstance(config, FileAnnotation):
        found = read_values(config)
        values: list[Value] = [found.get(record_id) for record_id in ids]
        inputs = {config.path: sha256_file(config.path)}
    else:
        values = _computed(config, iter_records(records), base)
        inputs = {}
    facts = {
        "annotation": annotation,
        "inputs": json.dumps(inputs),
        "version": str(STAGE_VERSIONS["annotation"]),
    }
    write_annotation(out, ids, values, facts)
    written = annotation_facts(out)
    if written["missing"] == written["records"]:
        raise _no_value(config, out)
    log.info(
        "%s records, %s without a value (%.1f%%)",
        written["records"],
        written["missing"],
        100 * float(written["missing_share"]),
    )


def _computed(config: Any, records: Iterable[Record], base: Path | None) -> list[Value]:
    if isinstance(config, BaseLossAnnotation):
        # Imported here: they take seconds, and the other kinds need no model.
        import torch

        from instruct_scaling.training.base_loss import base_losses

        if base is None:
            raise InputError("base_loss needs the option --base", where="--base")
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return list(base_losses(records, base, config, device))
    value_of = length_of(config) if isinstance(config, LengthAnnotation) else language_of(config)
    return [value_of(record) for record in records]


def _no_value(config: Any, out: Path) -> InputError:
    out.unlink()
    if isinstance(config, FileAnnotation):
        return InputError(
            "no row belongs to a record of the pool",
            where=config.path,
            fix="compare its ids with the pool's, or use `match: text` with the texts as the pool "
            "has them after its steps",
        )
    return InputError(f"no record has a value of type {config.type}", where="annotations")
