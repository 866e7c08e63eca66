"""The pool stage: read the sources, apply the steps, write what is left with its audit."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from instruct_scaling.common.categories import require_category
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, sha256_file, write_json
from instruct_scaling.common.provenance import provenance
from instruct_scaling.common.records import EvalItem, Record, read_items
from instruct_scaling.config.pool_steps import Decontaminate, Deduplicate, Filter
from instruct_scaling.config.pools import Pool
from instruct_scaling.config.section import parse_section
from instruct_scaling.data.pool.decontaminate import DecontaminateStep
from instruct_scaling.data.pool.deduplicate import DeduplicateStep
from instruct_scaling.data.pool.filter import FilterStep
from instruct_scaling.data.pool.funnel import Entry, Funnel
from instruct_scaling.data.pool.sources import PoolFiles, RecordSource, open_source
from instruct_scaling.data.pool.steps import BATCH_RECORDS, Step
from instruct_scaling.data.pool.store import data_hash, write_records

log = logging.getLogger(__name__)

# Steps that never change a record.
REMOVING = (Filter, Decontaminate)


def pool(
    pool: Annotated[str, typer.Option(help="The study's section of this pool, as JSON.")],
    evalset: Annotated[Path, typer.Option(help="Eval items (items.jsonl) to keep out.")],
    out_records: Annotated[Path, typer.Option(help="Folder for the Parquet parts.")],
    out_audit: Annotated[Path, typer.Option(help="What was read, removed and kept, as JSON.")],
    records_of: Annotated[
        list[str], typer.Option(help="NAME=FOLDER: records of a pool that this one is made of.")
    ] = [],  # noqa: B006 (typer reads it)
    annotation_of: Annotated[
        list[str], typer.Option(help="NAME=FILE: an annotation of such a pool, as FILE is called.")
    ] = [],  # noqa: B006
) -> None:
    """Load instruction data and apply the steps."""
    config = parse_section(Pool, pool, "--pool")
    pools = _pool_files(records_of, annotation_of)
    audit = build_pool(config, list(read_items(evalset).values()), out_records, pools)
    inputs = {**audit.pop("inputs"), str(evalset): sha256_file(evalset)}
    for files in pools.values():
        inputs |= {str(path): sha256_file(path) for path in files.annotations.values()}
    audit["provenance"] = provenance("pool", json.loads(pool), inputs)
    write_json(out_audit, audit)
    for token, count in audit["special_tokens"].items():
        log.warning(
            "%d outputs hold %r, a special token of another format; set `strip_suffixes`",
            count,
            token,
        )
    log.info("%d records in the pool (%d read)", audit["kept"], audit["read"])


def _pool_files(records: Sequence[str], annotations: Sequence[str]) -> dict[str, PoolFiles]:
    """Pools by name, from options of the form NAME=PATH."""
    found = {name: PoolFiles(Path(path), {}) for name, path in map(_named, records)}
    for name, path in map(_named, annotations):
        if name not in found:
            raise InputError(f"the records of pool {name} are not given", where="--annotation-of")
        found[name].annotations[Path(path).stem] = Path(path)
    return found


def _named(option: str) -> tuple[str, str]:
    name, equals, path = option.partition("=")
    if not equals:
        raise InputError(f"{option!r} is not of the form NAME=PATH", where="--records-of")
    return name, path


def build_pool(
    config: Pool,
    items: Sequence[EvalItem],
    folder: str | Path,
    pools: Mapping[str, PoolFiles] | None = None,
) -> dict[str, Any]:
    """Write the pool's records and return its audit.

    Records are streamed: memory holds the keys of what was kept, not the texts.

    Args:
        config: sources and steps.
        items: the eval set, which the pool must not give away. Its categories may occur in the
            pool beside the standard ones.
        folder: where the Parquet parts go.
        pools: the study's pools that this one is made of, by name.

    Returns:
        What `Funnel.to_json` says, with `data_hash` and `inputs` (location -> SHA-256).

    Raises:
        InputError: a source is missing or invalid, a category is unknown, or nothing is left.
    """
    known = tuple(sorted({item.category for item in items}))
    configs = _prepared(config.steps, known)
    wanted = _wanted_categories(configs)
    sources = [open_source(source, known, wanted, pools) for source in config.sources]
    funnel = Funnel(sources, _named_steps(configs, items))
    ids: list[str] = []
    with atomic_path(folder) as temporary:
        write_records(temporary, _noting_ids(funnel.records(_batches(sources)), ids))
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


def open_step(config: Any, items: Sequence[EvalItem]) -> Step:
    """The step that a section of `steps` describes. A new step is added here."""
    match config:
        case Filter():
            return FilterStep(config)
        case Deduplicate():
            return DeduplicateStep(config)
        case Decontaminate():
            return DecontaminateStep(config, items)
    raise TypeError(type(config).__name__)


def _noting_ids(records: Iterator[Record], ids: list[str]) -> Iterator[Record]:
    for record in records:
        ids.append(record.id)
        yield record


def _named_steps(configs: Sequence[Any], items: Sequence[EvalItem]) -> list[tuple[str, Step]]:
    """The steps under names that occur once: filter, deduplicate, filter_2, ..."""
    seen: Counter[str] = Counter()
    named = []
    for config in configs:
        seen[config.type] += 1
        number = seen[config.type]
        name = config.type if number == 1 else f"{config.type}_{number}"
        named.append((name, open_step(config, items)))
    return named


def _batches(sources: Sequence[RecordSource]) -> Iterator[list[Entry]]:
    """The sources' records in batches; a batch holds records of one source."""
    for index, source in enumerate(sources):
        stream = iter(tqdm(source.records, desc=source.name, unit=" records", mininterval=1))
        while batch := list(islice(stream, BATCH_RECORDS)):
            yield [Entry(index, number, record) for number, record in batch]


def _prepared(steps: Sequence[Any], known: tuple[str, ...]) -> list[Any]:
    """The steps with categories under their standard names, and an end at which ids are distinct.

    An id stands once in a pool, whatever the list: where it has no `deduplicate`, or a later step
    may change records, one of method none is added.
    """
    prepared = [
        _with_standard_categories(step, known, index) if isinstance(step, Filter) else step
        for index, step in enumerate(steps)
    ]
    after = list(takewhile(lambda step: not isinstance(step, Deduplicate), reversed(prepared)))
    kept_distinct = len(after) < len(prepared) and all(isinstance(s, REMOVING) for s in after)
    return (
        prepared if kept_distinct else [*prepared, Deduplicate(type="deduplicate", method="none")]
    )


def _wanted_categories(steps: Sequence[Any]) -> list[str] | None:
    """The categories that every filter keeps, None for all."""
    lists = [
        step.categories
        for step in steps
        if isinstance(step, Filter) and step.categories is not None
    ]
    return [name for name in lists[0] if all(name in one for one in lists)] if lists else None


def _with_standard_categories(config: Filter, known: tuple[str, ...], index: int) -> Filter:
    if config.categories is None:
        return config
    try:
        names = [require_category(name, known) for name in config.categories]
    except ValueError as error:
        raise InputError(str(error), where=f"steps.{index}.categories") from error
    return config.model_copy(update={"categories": names})
