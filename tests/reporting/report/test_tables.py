"""The tables of the analysis as the templates read them."""

from __future__ import annotations

from instruct_scaling.common.records import EvalItem
from instruct_scaling.reporting.report.tables import cluster_ranges


def test_clusters_are_counted_within_a_category_and_no_cluster_is_one_of_its_own():
    items = [EvalItem.make("math", f"{n}", cluster="a" if n < 4 else None) for n in range(6)]
    items += [EvalItem.make("code", "x", cluster="a")]
    assert cluster_ranges(items) == {"items": (1, 6), "clusters": (1, 3)}
    assert cluster_ranges(items[-1:]) is None
