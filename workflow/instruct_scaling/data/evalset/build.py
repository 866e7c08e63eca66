"""Choose the study's items from what its sources hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import EvalItem
from instruct_scaling.config.evaluation import EvalSet, SyntheticEval
from instruct_scaling.data.evalset.audit import SourceCounts, audit
from instruct_scaling.data.evalset.sources import read_source


def build_evalset(config: EvalSet) -> tuple[list[EvalItem], dict[str, Any]]:
    """The study's items, by category in the study's order, and the audit (see `audit`).

    An item that occurs twice (same category, prompt and input) is kept once. Items without a
    reference stay, and are counted: whether a scorer can do without is the judge's matter.

    Raises:
        InputError: a source is missing or broken, a category is unknown, or a category of the
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
