"""Command line of the evalset stage."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from instruct_scaling.common.files import write_json, write_jsonl
from instruct_scaling.common.provenance import provenance
from instruct_scaling.config.evaluation import EvalSet
from instruct_scaling.config.section import parse_section
from instruct_scaling.data.evalset.build import build_evalset

log = logging.getLogger(__name__)


def evalset(
    evalset: Annotated[str, typer.Option(help="The study's section `evalset`, as JSON.")],
    out_items: Annotated[Path, typer.Option(help="Items, one JSON object per line.")],
    out_audit: Annotated[Path, typer.Option(help="What was read and kept, as JSON.")],
) -> None:
    """Collect the questions that every run is asked."""
    config = parse_section(EvalSet, evalset, "--evalset")
    items, audit = build_evalset(config)
    inputs = {entry["source"]: entry["sha256"] for entry in audit["by_source"] if entry["sha256"]}
    audit["provenance"] = provenance("evalset", json.loads(evalset), inputs)
    write_jsonl(out_items, [item.to_row() for item in items])
    write_json(out_audit, audit)
    log.info(
        "%d items in %d categories (%d entries read, %d broken)",
        len(items),
        len(audit["by_category"]),
        audit["read"],
        audit["steps"][0]["removed"],
    )
