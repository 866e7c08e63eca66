"""Command line of the pool stage."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from instruct_scaling.common.files import sha256_file, write_json
from instruct_scaling.common.provenance import provenance
from instruct_scaling.config.pools import Pool
from instruct_scaling.config.section import parse_section
from instruct_scaling.data.evalset import read_items
from instruct_scaling.data.pool.build import build_pool

log = logging.getLogger(__name__)


def pool(
    pool: Annotated[str, typer.Option(help="The study's section of this pool, as JSON.")],
    evalset: Annotated[Path, typer.Option(help="Eval items (items.jsonl) to keep out.")],
    out_records: Annotated[Path, typer.Option(help="Folder for the Parquet parts.")],
    out_audit: Annotated[Path, typer.Option(help="What was read, removed and kept, as JSON.")],
) -> None:
    """Load, filter, deduplicate and decontaminate instruction data."""
    config = parse_section(Pool, pool, "--pool")
    audit = build_pool(config, list(read_items(evalset)), out_records)
    inputs = {**audit.pop("inputs"), str(evalset): sha256_file(evalset)}
    audit["provenance"] = provenance("pool", json.loads(pool), inputs)
    write_json(out_audit, audit)
    for mark, count in audit["special_tokens"].items():
        log.warning(
            "%d outputs hold %r, a mark of another model's format (see `strip_suffixes`)",
            count,
            mark,
        )
    log.info("%d records in the pool (%d read)", audit["kept"], audit["read"])
