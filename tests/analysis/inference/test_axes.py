"""Curves against tokens, steps and FLOPs, and arms compared where one of these is equal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.errors import InputError
from analysis.inference.axes import costs_by_run, read_costs
from analysis.inference.comparisons import arm_pairs
from analysis.inference.matched import matched_rows
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from tests.analysis.score_tables import LADDER, checked

MEANS = {"math": [0.3, 0.35, 0.4, 0.43, 0.45], "code": [0.5, 0.5, 0.52, 0.5, 0.51]}
OPTIONS = CurveOptions()


def costs(**per_record: float) -> pd.DataFrame:
    """Of arms that see each record so often; 50 tokens and 1e9 FLOPs a record seen."""
    return pd.DataFrame(
        {
            "arm": arm,
            "scale": scale,
            "examples": scale * passes,
            "tokens": 50.0 * scale * passes,
            "training_flops": 1e9 * scale * passes,
        }
        for arm, passes in per_record.items()
        for scale in LADDER
    )


def test_means_are_those_of_the_curves_on_every_axis_that_is_known():
    tables = analyze(checked(MEANS, base=True), OPTIONS, costs(full=3))
    curves, axes = tables["curves"], tables["axes"]
    assert list(axes["axis"].unique()) == ["records", "examples", "tokens", "training_flops"]
    for axis, factor in {"records": 1, "examples": 3, "tokens": 150, "training_flops": 3e9}.items():
        part = axes[axes["axis"] == axis].reset_index(drop=True)
        for column in ("category", "scale", "mean", "low", "high", "n_items"):
            pd.testing.assert_series_equal(part[column], curves[column])
        assert part["x"].tolist() == pytest.approx((part["scale"] * factor).tolist())
    assert set(axes.loc[axes["scale"] > 0, "epochs"]) == {3.0}
    assert axes.loc[axes["scale"] == 0, "epochs"].isna().all()


def test_without_costs_records_are_the_only_axis_and_nothing_is_matched():
    tables = analyze(checked(MEANS, arms=("full", "lora")), OPTIONS)
    assert set(tables["axes"]["axis"]) == {"records"}
    assert tables["matched"].empty


def test_arms_of_equal_cost_differ_as_in_the_comparisons():
    scores = checked(MEANS, arms=("full", "lora"))
    tables = analyze(scores, OPTIONS, costs(full=2, lora=2))
    matched = tables["matched"]
    tokens = matched[matched["axis"] == "tokens"].sort_values(["category", "x"])
    expected = tables["comparisons"].sort_values(["category", "scale"])
    for column in ("difference", "low", "high"):
        single = tokens["category"].to_numpy() != "overall"
        found, wanted = tokens[column].to_numpy(), expected[column].to_numpy()
        assert found[single] == pytest.approx(wanted[single], abs=1e-9)
        # The run noise of overall is shrunk towards that of both arms' scales, not of their gap.
        assert found == pytest.approx(wanted, abs=0.002)
    assert tokens["records_a"].tolist() == pytest.approx(expected["scale"].tolist())


def test_repeated_records_are_compared_with_new_ones_at_equal_records_seen():
    """`twice` sees each record twice: its 500 records stand beside 1000 of `once`."""
    scores = checked(MEANS, arms=("once", "twice"))
    tables = analyze(scores, OPTIONS, costs(once=1, twice=2))
    found = tables["matched"].query("axis == 'examples' and category == 'math'").set_index("x")
    assert sorted(found.index) == [500, 1000, 2000, 4000]  # never outside of both ranges
    curves = tables["curves"].query("category == 'math'").set_index(["arm", "scale"])["mean"]
    for x in found.index:
        expected = curves["once", x] - curves["twice", x / 2]
        assert found.loc[x, "difference"] == pytest.approx(expected)
        assert (found.loc[x, "records_a"], found.loc[x, "records_b"]) == pytest.approx((x, x / 2))
        assert (found.loc[x, "epochs_a"], found.loc[x, "epochs_b"]) == pytest.approx((1, 2))
    assert set(found["note"]) == {""}
    assert found["q_value"].notna().all()


def test_a_point_between_two_scales_lies_on_the_line_between_them_in_log_x():
    shift = 2**0.5
    scores = checked(MEANS, arms=("a", "b"))
    tables = analyze(scores, OPTIONS, costs(a=1, b=shift))
    found = tables["matched"].query("axis == 'tokens' and category == 'math'").set_index("x")
    curves = tables["curves"].query("category == 'math'").set_index(["arm", "scale"])["mean"]
    x = 50 * 1000
    between = (curves["b", 500] + curves["b", 1000]) / 2  # 1000 is halfway, in the logarithm
    assert found.loc[x, "difference"] == pytest.approx(curves["a", 1000] - between)
    assert found.loc[x, "note"] == "on the line between two scales: b"
    assert found.loc[x, "records_b"] == pytest.approx(1000 / shift)


def test_the_interval_of_matched_means_covers_a_known_difference():
    """`b` is .03 lower at every cost, at half the cost per record; 120 studies."""
    slope, hits = 0.04, 0
    for seed in range(120):
        a = [0.4 + slope * k for k in range(5)]
        scores = pd.concat(
            [
                checked({"math": a}, arms=("a",), items=20, seeds=3, run_sd=0.01, seed=2 * seed),
                checked(
                    {"math": [mean - slope - 0.03 for mean in a]},
                    arms=("b",),
                    items=20,
                    seeds=3,
                    run_sd=0.01,
                    seed=2 * seed + 1,
                ),
            ]
        ).reset_index(drop=True)
        (pair,) = arm_pairs(build_score_arrays(scores))
        rows = matched_rows(pair, costs_by_run(costs(a=1, b=0.5)), OPTIONS)
        (row,) = [r for r in rows if r["axis"] == "tokens" and r["x"] == 50_000][:1]
        hits += row["low"] <= 0.03 <= row["high"]
    assert 0.83 <= hits / 120 <= 0.97


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (costs(full=1, lora=100), "the two arms share no range of it"),
        (
            costs(full=1, lora=1).assign(tokens=7.0),
            "it does not rise over the scales of arm full",
        ),
        (costs(full=1), "not known for every scale of arm lora"),
    ],
)
def test_what_cannot_be_matched_is_refused_with_the_reason(table, says):
    matched = analyze(checked(MEANS, arms=("full", "lora")), OPTIONS, table)["matched"]
    row = matched[matched["axis"] == "tokens"].iloc[0]
    assert row["note"] == f"not compared: {says}"
    assert np.isnan(row["difference"])


def test_a_file_of_something_else_is_named(tmp_path):
    (tmp_path / "costs.csv").write_text("arm,scale\nfull,1\n", "utf-8")
    for name in ("costs.csv", "none.csv"):
        with pytest.raises(InputError, match=name):
            read_costs(tmp_path / name)


@pytest.mark.parametrize(
    ("row", "line", "says"),
    [
        ("full,big,10", 3, "scale 'big' is not a number"),
        ("full,1.5,10", 3, "scale is not a whole number"),
        ("full,2000,many", 3, "tokens 'many' is not a number"),
        ("full,1000,20", 3, "another line"),
    ],
)
def test_a_cost_that_is_none_is_named_with_its_line(tmp_path, row, line, says):
    path = tmp_path / "costs.csv"
    path.write_text(f"arm,scale,tokens\nfull,1000,10\n{row}\n", "utf-8")
    with pytest.raises(InputError, match=says) as caught:
        read_costs(path)
    assert caught.value.line == line


def test_a_cost_that_is_not_known_may_be_empty(tmp_path):
    path = tmp_path / "costs.csv"
    path.write_text("arm,scale,tokens,steps\nfull,1000,10,\nfull,2000,,5\n", "utf-8")
    table = read_costs(path)
    assert table["scale"].tolist() == [1000, 2000]
    assert np.isnan(table.loc[0, "steps"])
