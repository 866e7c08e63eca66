"""The tables of the analysis as the templates read them."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from analysis.tables import frame
from instruct_scaling.common.records import EvalItem
from instruct_scaling.reporting.report import tables


def curves(*rows: dict[str, Any]) -> pd.DataFrame:
    """curves.csv with the given cells; one arm, one judge."""
    return frame("curves", [{"judge": "m", "arm": "full", **row} for row in rows])


def point(scale: int, mean: float, half: float = 0.1, category: str = "math") -> dict[str, Any]:
    """A row of curves.csv with an interval of `half` to either side."""
    return {"category": category, "scale": scale, "mean": mean} | {
        "low": mean - half,
        "high": mean + half,
    }


def test_answers_hold_the_base_at_the_sufficient_scale_or_at_the_largest():
    key = {"judge": "m", "arm": "a"}
    sufficient = [key | {"category": "math", "scale": 20}, key | {"category": "code"}]
    bases = [
        key | {"category": name, "shots": shots, "scale": scale, "which": which}
        for name in ("math", "code")
        for shots in (0, 5)
        for scale, which in ((10, "smallest"), (20, "sufficient"), (40, "largest"))
        if name == "math" or scale != 20
    ]
    (table,) = tables.answer_tables(
        frame("sufficient", sufficient), frame("base_comparison", bases), ["code", "math"]
    )
    code, math = table["rows"]
    assert (code["category"], code["base"]["scale"], math["base"]["scale"]) == ("code", 40, 20)
    assert [row["shots"] for row in math["few_shot"]] == [5]
    (alone,) = tables.answer_tables(frame("sufficient", sufficient), None, [])
    assert alone["rows"][0]["base"] is None


def test_a_verdict_names_where_it_changes():
    row = {
        "verdict": "flat",
        "margin_sensitivity": "half: undetermined; double: flat",
        "tail_sensitivity": "last half: flat; last quarter: improving",
    }
    assert tables.changes_with(row) == [
        "undetermined with half margins",
        "improving with the last quarter as tail",
    ]
    assert tables.changes_with({"verdict": "flat"}) == []


def test_categories_are_those_of_the_study_then_the_papers_then_others():
    items = [EvalItem.make(name, name) for name in ("own", "code", "math")]
    assert tables.study_categories(None, items) == ["math", "code", "own"]
    assert tables.study_categories(["own", "absent", "code"], items) == ["own", "code", "math"]


def test_rows_stand_in_the_studys_order_with_overall_last():
    table = pd.DataFrame({"category": ["overall", "zz", "b", "aa", "a", "b"], "n": range(6)})
    ordered = tables.in_order(table, ["b", "a"])
    assert ordered["category"].tolist() == ["b", "b", "a", "aa", "zz", "overall"]
    assert ordered["n"].tolist() == [2, 5, 4, 3, 1, 0]  # rows of one category keep their order


def test_a_curve_has_its_points_by_scale_and_half_an_interval_is_none():
    rows = (point(800, 0.6), point(0, 0.2), point(0, 0.3, category="overall") | {"high": None})
    (table,) = tables.curve_tables(curves(*rows), ["math"])
    assert table["scales"] == [0, 800]
    assert list(table["categories"]) == ["math", "overall"]
    assert list(table["categories"]["math"]) == [0, 800]
    assert table["categories"]["overall"][0]["low"] is None
    assert table["categories"]["overall"][0]["mean"] == 0.3


def test_distinct_notes_are_numbered_in_the_order_in_which_they_are_read():
    rows = [
        point(scale, 0.5) | {"note": note}
        for scale, note in ((0, "z"), (250, None), (500, "a"), (1000, "z"))
    ]
    (table,) = tables.curve_tables(curves(*rows), ["math"])
    assert table["notes"] == ["z", "a"]


def test_undetermined_categories_are_listed_without_overall():
    rows = [
        {"judge": "m", "arm": "full", "category": name, "verdict": verdict, "margin": 0.02}
        for name, verdict in (("math", None), ("code", "flat"), ("overall", "undetermined"))
    ]
    (table,) = tables.verdict_tables(frame("verdicts", rows), ["code", "math"])
    assert table["undetermined"] == ["math"]
    assert table["categories"] == 2
    assert [row["verdict"] for row in table["rows"]] == ["flat", "undetermined", "undetermined"]
    assert table["margins"] == [0.02]
    assert table["range_margins"] == []


@pytest.mark.parametrize(("half", "decimals"), [(0.0199, 3), (0.0201, 2)])
def test_narrow_intervals_of_categories_get_a_third_decimal(half, decimals):
    rows = [point(0, 0.5, half), point(250, 0.5, half), point(0, 0.5, 0.3, "overall")]
    table = curves(*rows, *[point(s, 0.5, 0.3, "overall") for s in (250, 500, 1000)])
    assert tables.half_width(table) == pytest.approx(half)
    assert tables.score_decimals(table) == decimals


def test_without_intervals_there_is_no_width():
    table = curves({"category": "math", "scale": 0, "mean": 0.5})
    assert tables.half_width(table) is None
    assert tables.score_decimals(table) == 2


def test_the_smallest_category_is_counted_without_overall():
    rows = [point(0, 0.5) | {"n_items": 40}, point(0, 0.5, category="code") | {"n_items": 7}]
    table = curves(*rows, point(0, 0.5, category="overall") | {"n_items": 1})
    assert tables.fewest_items(table) == 7
    assert tables.fewest_items(table.drop(columns="n_items")) is None


@pytest.mark.parametrize(
    ("last", "relation"),
    [(0.401, "above"), (0.399, "overlapping"), (0.001, "overlapping"), (-0.001, "below")],
)
def test_intervals_at_the_ends_must_lie_apart(last, relation):
    table = curves(point(0, 0.2), point(500, 0.9), point(800, last))
    (drawn,) = tables.curve_tables(table, [])
    found = tables.compare_ends(drawn["categories"])
    assert (found["first"], found["last"]) == (0, 800)
    assert {name for name in ("above", "below", "overlapping") if found[name]} == {relation}


def test_ends_that_differ_between_categories_are_not_compared():
    rows = [point(0, 0.2), point(800, 0.9), point(0, 0.1, category="code")]
    (table,) = tables.curve_tables(curves(*rows, point(400, 0.9, category="code")), [])
    assert tables.compare_ends(table["categories"]) is None


def test_a_difference_is_that_of_the_largest_scale_with_an_interval():
    pair = {"judge": "m", "arm_a": "a", "arm_b": "b", "category": "overall", "low": 0.0}
    rows = [
        pair | {"scale": 800, "difference": 0.3, "high": 0.4},
        pair | {"scale": 250, "difference": 0.1, "high": 0.2},
        pair | {"scale": 1600, "difference": 0.5},
        pair | {"scale": 3200, "difference": 0.5, "high": 0.9, "category": "math"},
    ]
    (found,) = tables.arm_differences(frame("comparisons", rows))
    assert (found["scale"], found["difference"]) == (800, 0.3)


def test_clusters_are_counted_within_a_category_and_no_cluster_is_one_of_its_own():
    items = [EvalItem.make("math", f"{n}", cluster="a" if n < 4 else None) for n in range(6)]
    items += [EvalItem.make("code", "x", cluster="a")]
    assert tables.cluster_ranges(items) == {"items": (1, 6), "clusters": (1, 3)}
    assert tables.cluster_ranges(items[-1:]) is None


def sparkline(*rows: dict[str, Any]) -> dict[str, Any] | None:
    (table,) = tables.curve_tables(curves(*rows), [])
    return tables.sparkline(table["categories"]["math"])


def test_a_sparkline_shows_the_mean_over_the_logarithm_of_the_scale():
    drawing = sparkline(point(0, 0.0, 0.0), point(250, 0.5), point(500, 1.0, 0.0))
    assert drawing["dots"] == [(4.0, 38.0), (55.0, 20.0), (106.0, 2.0)]  # the base a step before
    assert drawing["line"] == "4.0,38.0 55.0,20.0 106.0,2.0"
    upper_then_lower = "4.0,38.0 55.0,16.4 106.0,2.0 106.0,2.0 55.0,23.6 4.0,38.0"
    assert drawing["band"] == upper_then_lower


def test_a_sparkline_needs_two_points_and_draws_those_without_an_interval():
    missing = {"category": "math", "scale": 500, "mean": math.nan}
    assert sparkline(point(250, 0.5), missing) is None
    drawing = sparkline(point(250, 0.5), {"category": "math", "scale": 500, "mean": 0.5})
    assert len(drawing["dots"]) == 2
    assert drawing["band"].count(",") == 2


def test_looks_are_one_entry_per_judge_and_arm():
    key = {"judge": "m", "arm": "full", "spending": "none", "level": 0.05}
    rows = [key | {"seeds": 3, "false_claims": 0.05}, key | {"seeds": 5, "false_claims": 0.07}]
    (found,) = tables.look_tables({"looks": frame("looks", rows)})
    assert (found["seeds"], found["false_claims"], found["planned"]) == ([3, 5], 0.07, None)
    assert tables.look_tables({}) == []


def test_families_name_what_is_exploratory_alone():
    rows = [
        {"judge": judge, "arm": "full", "category": category, "family": family}
        for judge, category, family in [
            ("a", "math", "primary"),
            ("a", "code", "exploratory"),
            ("b", "math", "exploratory"),
        ]
    ]
    found = tables.families({"verdicts": frame("verdicts", rows)})
    assert found == {"primary": ["a / full"], "exploratory": ["b / full"]}
    assert tables.families({})["primary"] == []


def test_arms_at_equal_cost_are_those_at_the_largest_cost_and_unequal_records():
    key = {"judge": "m", "category": "overall", "arm_a": "x", "arm_b": "y", "axis": "tokens"}
    key |= {"difference": 0.1, "low": 0.0, "high": 0.2}
    rows = [
        key | {"x": 10.0, "records_a": 1, "records_b": 2},
        key | {"x": 20.0, "records_a": 2, "records_b": 4},
        key | {"x": 30.0, "records_a": 3, "records_b": 3},
        key | {"x": 40.0, "records_a": 4, "records_b": 8, "low": None},
        key | {"x": 50.0, "records_a": 5, "records_b": 9, "category": "math"},
    ]
    (found,) = tables.matched_axes({"matched": frame("matched", rows)})
    assert found["x"] == 20.0
    assert tables.matched_axes({}) == []
