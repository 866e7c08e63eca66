"""Data-efficiency multipliers between two arms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.inference.comparisons import arm_pairs
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from analysis.scaling_laws.efficiency import _interval, efficiency_rows, invert, rising
from analysis.scores import check_scores
from tests.analysis.score_tables import table

OPTIONS = CurveOptions(fit_draws=100)
QUIET = {"noise": 0.01, "run_sd": 0.001}


def efficiency(a: list[float], b: list[float], **kwargs: object) -> pd.DataFrame:
    """Of the arms a and b, which have one category."""
    parts = [table({"math": means}, arms=(arm,), **kwargs) for arm, means in (("a", a), ("b", b))]
    (pair,) = arm_pairs(build_score_arrays(check_scores(pd.concat(parts))))
    rows = pd.DataFrame(efficiency_rows(pair, OPTIONS))
    return rows.query("category == 'math'") if len(rows) else rows


def test_an_arm_one_doubling_behind_needs_twice_the_data():
    rows = efficiency([0.30, 0.36, 0.42, 0.48, 0.54], [0.24, 0.30, 0.36, 0.42, 0.48], **QUIET)
    assert rows["ratio"].tolist() == pytest.approx([2.0] * 3, rel=0.1)
    assert (rows["low"] < rows["ratio"]).all()
    assert (rows["ratio"] < rows["high"]).all()
    assert rows["ratio"].to_numpy() == pytest.approx((rows["scale_b"] / rows["scale_a"]).to_numpy())
    # A quarter, half and three quarters of the way from .30 to .48
    assert np.diff(rows["score"]) == pytest.approx([0.045] * 2, abs=0.002)
    assert rows["score"].iloc[1] == pytest.approx(0.39, abs=0.02)


def test_a_score_that_some_draws_do_not_reach_leaves_the_interval_open():
    rows = efficiency([0.48, 0.49, 0.5, 0.51, 0.52], [0.50, 0.505, 0.5, 0.51, 0.53], noise=0.15)
    note = rows["note"].str.extract(r"(\d+)% of the draws have the score outside")[0].astype(float)
    assert (note > 10).all()
    assert rows[["low", "high"]].isna().any(axis=1).all()


def test_draws_outside_one_curve_or_both_are_lost():
    """Outside both on the same side there is no ratio at all, which is lost as well."""
    found = _interval(np.array([0.0, 1.0, 1.0, np.inf, np.nan]), 0.9, "items only")
    assert found["note"] == "items only; 40% of the draws have the score outside a curve's range"
    assert found["low"] == 1.0
    assert np.isnan(found["high"])


def test_no_multiplier_where_the_ranges_do_not_overlap():
    rows = efficiency([0.3, 0.36, 0.42, 0.48, 0.54], [0.7, 0.76, 0.82, 0.88, 0.94], **QUIET)
    assert "ratio" not in rows
    assert rows["note"].str.contains("do not overlap").all()


def test_one_item_has_no_multiplier_and_one_scale_no_row():
    curve = [0.3, 0.36, 0.42, 0.48, 0.54]
    assert efficiency(curve, curve, items=1)["note"].str.contains("noise unknown").all()
    assert efficiency([0.3], [0.4], scales=(10,)).empty


def test_the_nearest_rising_curve_pools_what_falls():
    assert rising(np.array([0.3, 0.5, 0.4, 0.6])) == pytest.approx([0.3, 0.45, 0.45, 0.6])


def test_a_rising_curve_is_inverted_between_its_points():
    means, x = np.array([0.3, 0.5, 0.5, 0.6]), np.array([1.0, 2.0, 3.0, 4.0])
    assert invert(means, x, 0.4) == pytest.approx(1.5)
    assert invert(means, x, 0.5) == 2.0  # where it is reached first
    assert invert(means, x, 0.55) == pytest.approx(3.0, abs=1.0)
    assert (invert(means, x, 0.29), invert(means, x, 0.61)) == (-np.inf, np.inf)
