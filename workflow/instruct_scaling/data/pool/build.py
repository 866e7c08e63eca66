"""Build a pool: read the sources, apply the steps, write what is left with its audit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from instruct_scaling.common.categories import require_category
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path
from instruct_scaling.common.records import EvalItem, Record
from instruct_scaling.config.pools import Filters, Pool
from instruct_scaling.data.pool.decontaminate import DecontaminateStep
from instruct_scaling.data.pool.deduplicate import DeduplicateStep
from instruct_scaling.data.pool.filters import FilterStep
from instruct_scaling.data.pool.funnel import Funnel
from instruct_scaling.data.pool.sources import RecordSource, open_source
from instruct_scaling.data.pool.steps import Step
from instruct_scaling.data.pool.store import data_hash, write_records


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
        InputError: a source is missing or broken, a category is unknown, or nothing is left.
    """
    known = tuple(sorted({item.category for item in items}))
    filters = _with_standard_categories(config.filters, known)
    sources = [open_source(source, known, filters.categories) for source in config.sources]
    steps: list[Step] = [FilterStep(filters), DeduplicateStep(config.deduplicate)]
    if config.decontaminate.method != "none":
        steps.append(DecontaminateStep(config.decontaminate, items))
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
