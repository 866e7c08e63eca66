"""Clusters of eval items: those made from one template or passage, which count together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from instruct_scaling.common.records import EvalItem
from instruct_scaling.reporting.report.wording import count, plural


def cluster_counts(items: Iterable[EvalItem]) -> dict[str, tuple[int, int]]:
    """Items and clusters of each category; an item without a cluster is one of its own."""
    members: dict[str, list[str]] = defaultdict(list)
    for item in items:
        members[item.category].append(item.cluster or item.id)
    return {name: (len(clusters), len(set(clusters))) for name, clusters in members.items()}


def clusters_told(counts: dict[str, tuple[int, int]]) -> str:
    """A sentence such as "There are 40 items in 6 to 12 clusters per category: ..."; empty where
    no two items share a cluster.
    """
    if all(clusters == items for items, clusters in counts.values()):
        return ""
    items, clusters = zip(*counts.values(), strict=True)
    return (
        f"There are {_range(items, 'item')} in {_range(clusters, 'cluster')} per category: items "
        "of one cluster, such as those made from one template, count together in every interval."
    )


def _range(numbers: Iterable[int], noun: str) -> str:
    low, high = min(numbers), max(numbers)
    return plural(high, noun) if low == high else f"{count(low)} to {plural(high, noun)}"
