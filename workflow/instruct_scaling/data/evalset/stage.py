"""The evalset stage: the questions that every run answers, in one file, with an audit."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import write_json, write_jsonl
from instruct_scaling.common.provenance import provenance
from instruct_scaling.common.records import EvalItem
from instruct_scaling.config.evaluation import EvalSet, SyntheticEval
from instruct_scaling.config.section import parse_section
from instruct_scaling.data.evalset.audit import SourceCounts, audit
from instruct_scaling.data.evalset.sources import read_source

log = logging.getLogger(__name__)


def evalset(
    evalset: Annotated[str, typer.Option(help="The study's section `evalset`, as JSON.")],
    out_items: Annotated[Path, typer.Option(help="Items, one JSON object per line.")],
    out_audit: Annotated[Path, typer.Option(help="What was read and kept, as JSON.")],
) -> None:
    """Collect the questions that every run answers."""
    config = parse_section(EvalSet, evalset, "--evalset")
    items, found = build_evalset(config)
    inputs = {entry["source"]: entry["sha256"] for entry in found["by_source"] if entry["sha256"]}
    found["provenance"] = provenance("evalset", json.loads(evalset), inputs)
    write_jsonl(out_items, [item.to_row() for item in items])
    write_json(out_audit, found)
    log.info(
        "%d items in %d categories (%d entries read, %d invalid)",
        len(items),
        len(found["by_category"]),
        found["read"],
        found["broken"],
    )


def build_evalset(config: EvalSet) -> tuple[list[EvalItem], dict[str, Any]]:
    """The study's items, by category in the study's order, and the audit (see `audit`).

    An item that occurs twice (same category, prompt and input) is kept once. Items without a
    reference stay, and are counted: the judge says whether its scorer needs one.

    Raises:
        InputError: a source is missing or invalid, a category is unknown, or a category of the
            study has no item.
    """
    declared = tuple(config.categories or ())
    order = declared or CATEGORIES
    items: dict[str, EvalItem] = {}
    counts = []
    for source in config.sources:
        read = read_source(source, declared)
        count = SourceCounts(read)
        fresh: dict[str, EvalItem] = {}
        for item in read.items:
            if item.category not in order:
                count.other_categories[item.category] += 1
            elif item.id in items or item.id in fresh:
                count.duplicates += 1
            else:
                fresh[item.id] = item
        limit = None if isinstance(source, SyntheticEval) else source.limit_per_category
        kept = _limited(fresh.values(), limit)
        count.over_limit = len(fresh) - len(kept)
        items |= {item.id: item for item in kept}
        counts.append(count)
    ordered = sorted(items.values(), key=lambda item: order.index(item.category))
    _refuse_empty(declared, ordered)
    return ordered, audit(ordered, counts)


def _limited(items: Iterable[EvalItem], limit: int | None) -> list[EvalItem]:
    """At most `limit` items of each category: those with the smallest ids, in reading order.

    Ids are hashes, so this is a draw without regard to the file's order, and it stays the same
    when the file is re-ordered.
    """
    items = list(items)
    if limit is None:
        return items
    chosen: set[str] = set()
    for category in {item.category for item in items}:
        ids = sorted(item.id for item in items if item.category == category)
        chosen.update(ids[:limit])
    return [item for item in items if item.id in chosen]


def _refuse_empty(declared: tuple[str, ...], items: list[EvalItem]) -> None:
    present = {item.category for item in items}
    empty = [category for category in declared if category not in present]
    if empty:
        raise InputError(
            f"the eval set has no item of {', '.join(empty)}",
            where="evalset.categories",
            fix="add a source that has such items, or leave the category out",
        )
    if not items:
        raise InputError("the eval set is empty", where="evalset.sources")
