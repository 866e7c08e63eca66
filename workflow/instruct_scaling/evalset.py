"""The evalset stage: the questions that every run is asked, in one file, with an audit."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from instruct_scaling.categories import CATEGORIES, require_category
from instruct_scaling.cli import run_stage
from instruct_scaling.config.evalset import EmbeddedEval, EvalFile, EvalSet, EvalUrl
from instruct_scaling.config.section import parse_section
from instruct_scaling.download import downloaded
from instruct_scaling.embedded import generate_items
from instruct_scaling.errors import InputError
from instruct_scaling.files import read_jsonl, sha256_file, write_json, write_jsonl
from instruct_scaling.provenance import provenance
from instruct_scaling.records import Checks, EvalItem
from instruct_scaling.rows import Broken, BrokenLog, FieldReader, Row, RowFile

log = logging.getLogger(__name__)


@dataclass(slots=True)
class SourceAudit:
    """What became of one source's entries."""

    source: str
    sha256: str | None
    broken: BrokenLog
    read: int = 0
    duplicates: int = 0
    other_categories: Counter[str] = field(default_factory=Counter)
    over_limit: int = 0
    kept: int = 0

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return {
            "source": self.source,
            "sha256": self.sha256,
            "read": self.read,
            "broken": self.broken.to_json(),
            "duplicates": self.duplicates,
            "other_categories": dict(self.other_categories),
            "over_limit": self.over_limit,
            "kept": self.kept,
        }


def build_evalset(config: EvalSet) -> tuple[list[EvalItem], dict[str, Any]]:
    """The study's items, by category in the study's order, with the audit.

    An item that occurs twice (same category, prompt and input) is kept once. Items without a
    reference stay, and are counted: whether a scorer can do without is the judge's matter.

    Returns:
        The items, and the counts of each source, in total and by category.

    Raises:
        InputError: a source is missing or broken, a category is unknown, or a category of the
            study has no item.
    """
    declared = tuple(config.categories or ())
    order = declared or CATEGORIES
    items: dict[str, EvalItem] = {}
    audits = []
    for source in config.sources:
        audit, read = _read_source(source, declared)
        limit = None if isinstance(source, EmbeddedEval) else source.limit_per_category
        fresh: dict[str, EvalItem] = {}
        for item in read:
            if item.category not in order:
                audit.other_categories[item.category] += 1
            elif item.id in items or item.id in fresh:
                audit.duplicates += 1
            else:
                fresh[item.id] = item
        kept = _limited(fresh.values(), limit)
        audit.read = len(read) + audit.broken.count
        audit.over_limit = len(fresh) - len(kept)
        audit.kept = len(kept)
        items |= {item.id: item for item in kept}
        audits.append(audit)
    by_category = Counter(item.category for item in items.values())
    _refuse_empty(declared, by_category)
    ordered = sorted(items.values(), key=lambda item: order.index(item.category))
    return ordered, _audit(ordered, order, audits)


def read_items(path: str | Path) -> Iterator[EvalItem]:
    """The items of an `items.jsonl` that this stage wrote.

    Raises:
        InputError: the file is missing or is not such a file.
    """
    for number, row in read_jsonl(path):
        try:
            yield EvalItem(**row)
        except TypeError as error:
            raise InputError(f"not an eval item: {error}", where=path, line=number) from error


def _read_source(
    source: EmbeddedEval | EvalFile | EvalUrl, declared: tuple[str, ...]
) -> tuple[SourceAudit, list[EvalItem]]:
    if isinstance(source, EmbeddedEval):
        place = f"embedded, seed {source.seed}"
        standard = tuple(name for name in CATEGORIES if not declared or name in declared)
        items = list(
            generate_items(source.items_per_category, source.seed, categories=standard)
            if standard
            else ()
        )
        return SourceAudit(place, None, BrokenLog(place, "row", "stop")), items
    if isinstance(source, EvalUrl):
        with downloaded(source.url, source.sha256) as path:
            return _read_file(RowFile(path, source.url), source, declared)
    return _read_file(RowFile(source.path), source, declared)


def _read_file(
    file: RowFile, source: EvalFile | EvalUrl, declared: tuple[str, ...]
) -> tuple[SourceAudit, list[EvalItem]]:
    broken = BrokenLog(file.name, file.unit, source.on_error)
    fields = FieldReader(source.fields)
    items = []
    for row in file:
        if isinstance(row, Row):
            try:
                items.append(_item(row.value, fields, source, declared))
                continue
            except ValueError as error:
                row = Broken(row.number, str(error))
        broken.add(row)
    fields.check_all_found(file.name)
    return SourceAudit(file.name, sha256_file(file.path), broken), items


def _item(
    row: dict[str, Any], fields: FieldReader, source: EvalFile | EvalUrl, declared: tuple[str, ...]
) -> EvalItem:
    category = fields.text(row, "category") or source.category
    if category is None:
        raise ValueError("item without category: give `category` or map its key in `fields`")
    return EvalItem.make(
        require_category(source.category_names.get(category, category), declared),
        fields.required(row, "prompt"),
        input=fields.text(row, "input"),
        reference=fields.text(row, "reference"),
        checks=_checks(fields.raw(row, "checks")),
        cluster=fields.text(row, "cluster"),
        language=fields.text(row, "language") or source.language,
    )


def _checks(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    try:
        return Checks.model_validate(value).model_dump(exclude_none=True) or None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ValueError(f"`checks`{f' ({key})' if key else ''}: {first['msg']}") from None


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


def _refuse_empty(declared: tuple[str, ...], by_category: Counter[str]) -> None:
    empty = [category for category in declared if not by_category[category]]
    if empty:
        raise InputError(
            f"the eval set has no item of {', '.join(empty)}",
            where="evalset.categories",
            fix="add a source that has such items, or leave the category out",
        )
    if not by_category:
        raise InputError("the eval set is empty", where="evalset.sources")


def _audit(
    items: list[EvalItem], order: tuple[str, ...], audits: list[SourceAudit]
) -> dict[str, Any]:
    present = [name for name in order if any(item.category == name for item in items)]
    return {
        "read": sum(audit.read for audit in audits),
        "broken": sum(audit.broken.count for audit in audits),
        "duplicates": sum(audit.duplicates for audit in audits),
        "other_categories": sum(audit.other_categories.total() for audit in audits),
        "over_limit": sum(audit.over_limit for audit in audits),
        "kept": len(items),
        "by_category": {name: _category_counts(items, name) for name in present},
        "sources": [audit.to_json() for audit in audits],
    }


def _category_counts(items: list[EvalItem], category: str) -> dict[str, Any]:
    own = [item for item in items if item.category == category]
    return {
        "items": len(own),
        "with_reference": sum(item.reference is not None for item in own),
        "with_checks": sum(item.checks is not None for item in own),
        "mean_prompt_chars": round(sum(len(item.full_prompt) for item in own) / len(own), 1),
    }


def evalset(
    evalset: Annotated[str, typer.Option(help="The study's section `evalset`, as JSON.")],
    out_items: Annotated[Path, typer.Option(help="Items, one JSON object per line.")],
    out_audit: Annotated[Path, typer.Option(help="What was read and kept, as JSON.")],
) -> None:
    """Collect the questions that every run is asked."""
    config = parse_section(EvalSet, evalset, "--evalset")
    items, audit = build_evalset(config)
    inputs = {entry["source"]: entry["sha256"] for entry in audit["sources"] if entry["sha256"]}
    audit["provenance"] = provenance("evalset", json.loads(evalset), inputs)
    write_jsonl(out_items, [item.to_row() for item in items])
    write_json(out_audit, audit)
    log.info(
        "%d items in %d categories (%d read, %d broken)",
        len(items),
        len(audit["by_category"]),
        audit["read"],
        audit["broken"],
    )


if __name__ == "__main__":
    run_stage(evalset)
