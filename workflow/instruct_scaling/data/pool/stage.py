"""The pool stage: read the sources, apply the steps, write what is left with its audit."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from instruct_scaling.common.categories import require_category
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, sha256_file, write_json
from instruct_scaling.common.provenance import provenance
from instruct_scaling.common.records import EvalItem, Record, read_items
from instruct_scaling.config.pools import Filters, Pool
from instruct_scaling.config.section import parse_section
from instruct_scaling.data.pool.decontaminate import DecontaminateStep
from instruct_scaling.data.pool.deduplicate import DeduplicateStep
from instruct_scaling.data.pool.funnel import Funnel
from instruct_scaling.data.pool.sources import RecordSource, open_source
from instruct_scaling.data.pool.steps import FilterStep, Step
from instruct_scaling.data.pool.store import data_hash, write_records

log = logging.getLogger(__name__)


def pool(
    pool: Annotated[str, typer.Option(help="The study's section of this pool, as JSON.")],
    evalset: Annotated[Path, typer.Option(help="Eval items (items.jsonl) to keep out.")],
    out_records: Annotated[Path, typer.Option(help="Folder for the Parquet parts.")],
    out_audit: Annotated[Path, typer.Option(help="What was read, removed and kept, as JSON.")],
) -> None:
    """Load, filter, deduplicate and decontaminate instruction data."""
    config = parse_section(Pool, pool, "--pool")
    audit = build_pool(config, list(read_items(evalset).values()), out_records)
    inputs = {**audit.pop("inputs"), str(evalset): sha256_file(evalset)}
    audit["provenance"] = provenance("pool", json.loads(pool), inputs)
    write_json(out_audit, audit)
    for token, count in audit["special_tokens"].items():
        log.warning(
            "%d outputs hold %r, a special token of another format; set `strip_suffixes`",
            count,
            token,
        )
    log.info("%d records in the pool (%d read)", audit["kept"], audit["read"])


def build_pool(config: Pool, items: Sequence[EvalItem], folder: str | Path) -> dict[str, Any]:
    """Write the pool's records and return its audit.

    Records are streamed: memory holds the keys of what was kept, not the texts.

    Args:
        config: sources and steps.
        items: the eval set, which the pool must not give away. Its categories may occur in the
            pool beside the standard ones.
        folder: where the Parquet parts go.

    Returns:
        What `Funnel.to_json` says, with `data_hash` and `inputs` (location -> SHA-256).

    Raises:
        InputError: a source is missing or invalid, a category is unknown, or nothing is left.
    """
    known = tuple(sorted({item.category for item in items}))
    filters = _with_standard_categories(config.filters, known)
    sources = [open_source(source, known, filters.categories) for source in config.sources]
    steps = _steps(config, filters, items)
    funnel = Funnel(sources, steps)
    ids: list[str] = []
    with atomic_path(folder) as temporary:
        write_records(temporary, _kept(sources, steps, funnel, ids))
        if not ids:
            raise InputError(
                f"the pool is empty: {funnel.summary()}",
                fix="loosen the step that removes most, or check `fields` and paths of the sources",
            )
    return {
        **funnel.to_json(),
        "data_hash": data_hash(ids),
        "inputs": {source.location: source.sha256 for source in sources if source.sha256},
    }


def _steps(config: Pool, filters: Filters, items: Sequence[EvalItem]) -> list[Step]:
    """The steps in the order in which records meet them. A new step is added here."""
    steps: list[Step] = [FilterStep(filters), DeduplicateStep(config.deduplicate)]
    if config.decontaminate.method != "none":
        steps.append(DecontaminateStep(config.decontaminate, items))
    return steps


def _kept(
    sources: Sequence[RecordSource], steps: Sequence[Step], funnel: Funnel, ids: list[str]
) -> Iterator[Record]:
    for index, source in enumerate(sources):
        for number, record in tqdm(
            source.records, desc=source.name, unit=" records", mininterval=1
        ):
            funnel.usable(index)
            for step in steps:
                removal = step(record)
                if removal is not None:
                    funnel.removed(step.name, removal, index, number, record)
                    break
            else:
                funnel.kept(index, record)
                ids.append(record.id)
                yield record


def _with_standard_categories(filters: Filters, known: tuple[str, ...]) -> Filters:
    if filters.categories is None:
        return filters
    try:
        names = [require_category(name, known) for name in filters.categories]
    except ValueError as error:
        raise InputError(str(error), where="filters.categories") from error
    return filters.model_copy(update={"categories": names})
