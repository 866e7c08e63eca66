"""What the report reads of the subsets' overlap."""

from __future__ import annotations

import pandas as pd

from instruct_scaling.data.subset_overlap import COLUMNS
from instruct_scaling.reporting.report.overlap import read_overlap


def table(path, in_common, selections=("uniform",)):
    shares = [0.1, 0.6, 1.0]
    rows = [
        ("p", selection, f"{selection[0]}; b", round(1000 * share), 1000, share, 2, common)
        for selection in selections
        for share, common in zip(shares, in_common, strict=True)
    ]
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(path, index=False)
    return path


def test_scales_with_much_and_all_in_common_are_told_apart(tmp_path):
    (part,) = read_overlap(table(tmp_path / "t.csv", [0.11, 0.61, 1.0]))
    assert part["arms"] == ["u", "b"]
    assert (part["scales"], part["records"]) == ([100, 600, 1000], 1000)
    assert part["in_common"] == [0.11, 0.61, 1.0]
    assert (part["much"], part["same"]) == ([600], [1000])


def test_one_subset_has_nothing_to_compare(tmp_path):
    (part,) = read_overlap(table(tmp_path / "t.csv", [None, None, None]))
    assert part["in_common"] == part["much"] == part["same"] == []
    assert part["shares"] == [0.1, 0.6, 1.0]


def test_selections_with_equal_figures_are_one_entry(tmp_path):
    path = table(tmp_path / "t.csv", [None, None, None], ("uniform", "ranked-1"))
    (part,) = read_overlap(path)
    assert part["arms"] == ["b", "b", "r", "u"]


def test_no_table_is_no_entry(tmp_path):
    assert read_overlap(tmp_path / "t.csv") == []
