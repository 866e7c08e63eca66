"""A judge over its repeats, two judges on the same responses: by hand and by scipy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.inference.judges import judge_bin_rows, judge_rows
from analysis.options import CurveOptions
from analysis.scores import check_scores
from tests.analysis.oracles import score_interval
from tests.analysis.score_tables import table

OPTIONS = CurveOptions()


def judges(scores: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(judge_rows(check_scores(scores), OPTIONS))


def bins(scores: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(judge_bin_rows(check_scores(scores), OPTIONS))


def two_judges(a: list[float], b: list[float]) -> pd.DataFrame:
    scores = table({"math": [0.5]}, scales=(1,), seeds=1, items=len(a), judges=("a", "b"))
    for judge, values in {"a": a, "b": b}.items():
        scores.loc[scores["judge"] == judge, "score"] = [float(v) for v in values]
    return scores


def test_the_repeat_sd_of_a_judge():
    scores = table({"math": [0.5, 0.5]}, scales=(1, 2), repeats=2, items=50)
    scores["score"] = np.where(scores["repeat"] == 0, 0.5, 0.6)
    own = judges(scores).query("category == 'math'").iloc[0]
    assert own["repeat_sd"] == pytest.approx(np.sqrt(0.005))
    assert own["repeats"] == 2


def test_repeats_that_failed_leave_fewer_degrees_of_freedom():
    """Three repeats .1 .2 .3 (squares .02, 2 df), two .4 .5 (.005, 1 df): variance .025 / 3."""
    scores = table({"math": [0.5]}, scales=(1,), seeds=1, items=2, repeats=3)
    scores["score"] = [0.1, 0.2, 0.3, 0.4, 0.5, np.nan]
    scores.loc[scores["score"].isna(), "status"] = "timeout"
    own = judges(scores).query("category == 'math'").iloc[0]
    assert own["repeat_sd"] == pytest.approx(np.sqrt(0.025 / 3))
    assert own["missing_share"] == pytest.approx(1 / 6)


def test_agreement_of_two_judges_by_hand():
    scores = two_judges([1, 1, 0, 0], [1, 0, 0, 0])
    pair = judges(scores).query("other == 'b' and category == 'math'").iloc[0]
    assert pair["agreement"] == pytest.approx(0.75)
    assert pair["kappa"] == pytest.approx(0.5)
    assert pair["mean_difference"] == pytest.approx(0.25)
    assert pair["spearman"] == pytest.approx(1 / np.sqrt(3))
    found = bins(scores).query("judge == 'a' and bin_low == 0.9").iloc[0]
    assert (found["n"], found["mean_other"]) == (2, 0.5)
    expected = score_interval(0.5, 0.5, stats.t.ppf(0.95, 1))  # of two items
    assert (found["low"], found["high"]) == pytest.approx(expected)


def test_a_score_at_the_threshold_counts_as_right():
    pair = judges(two_judges([0.5, 0.5, 0.4, 0.2], [1, 0.6, 0.5, 0.1])).query("other == 'b'")
    assert pair["agreement"].tolist() == [0.75, 0.75]


def test_the_difference_of_two_judges_is_a_paired_t_test_over_items():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 1, (2, 12))
    interval = stats.ttest_rel(a, b).confidence_interval(0.9)
    pair = judges(two_judges(list(a), list(b))).query("other == 'b'").iloc[0]
    assert (pair["low"], pair["high"]) == pytest.approx((interval.low, interval.high))


def test_the_difference_of_two_judges_counts_a_cluster_of_items_once():
    scores = two_judges([0.9, 0.9, 0.9, 0.5, 0.2], [0.5, 0.5, 0.5, 0.5, 0.4])
    scores["cluster"] = scores.groupby("judge").cumcount().map(dict(enumerate("xxxyz")))
    pair = judges(scores).query("other == 'b' and category == 'math'").iloc[0]
    interval = stats.ttest_1samp([0.4, 0.0, -0.2], 0).confidence_interval(0.9)
    assert pair["mean_difference"] == pytest.approx(0.2 / 3)
    assert (pair["low"], pair["high"]) == pytest.approx((interval.low, interval.high))


def test_every_tenth_of_a_judges_scale_is_a_bin():
    scores = two_judges([0.0, 0.05, 0.1, 0.55, 0.99, 1.0], [0.3, 0.5, 0.4, 0.6, 0.7, 0.9])
    found = bins(scores).query("judge == 'a'").set_index("bin_low")
    assert found["n"].to_dict() == {0.0: 2, 0.1: 1, 0.5: 1, 0.9: 2}
    assert found.loc[0.9, ["bin_high", "mean_judge", "mean_other"]].tolist() == pytest.approx(
        [1.0, 0.995, 0.8]
    )
    assert found.loc[0.0, "mean_other"] == pytest.approx(0.4)


def test_a_calibration_bin_has_an_interval_over_its_items():
    scores = table({"math": [0.5, 0.5]}, scales=(1, 2), seeds=2, items=30, judges=("a", "b"))
    scores.loc[scores["judge"] == "a", "score"] = 0.55
    row = bins(scores).query("judge == 'a'").iloc[0]
    other = scores[scores["judge"] == "b"]
    per_item = other.groupby("item")["score"].mean()
    mean, se = other["score"].mean(), per_item.std() / np.sqrt(30)
    assert row["mean_other"] == pytest.approx(mean)
    expected = score_interval(mean, se, stats.t.ppf(0.95, 29))
    assert (row["low"], row["high"]) == pytest.approx(expected)


def test_a_calibration_bin_with_one_item_has_no_interval_and_equal_values_an_exact_one():
    scores = two_judges([0.1] + [0.9] * 20, [1.0] * 21)
    found = bins(scores).query("judge == 'a'").set_index("bin_low")
    assert np.isnan(found.loc[0.1, "low"])
    assert found.loc[0.9, "high"] == 1
    assert found.loc[0.9, "low"] == pytest.approx(0.05 ** (1 / 20))


def test_judges_that_share_no_response_are_named():
    first = table({"math": [0.5]}, scales=(1,), judges=("a",))
    second = table({"code": [0.5]}, scales=(1,), judges=("b",))
    scores = pd.concat([first, second])
    rows = judges(scores)
    pair = rows[rows["other"] == "b"]
    assert pair["note"].tolist() == ["no response judged by both"]
    assert bins(scores).empty


def test_a_judge_whose_version_changes_is_named():
    scores = table({"math": [0.5]}, scales=(1,), seeds=2)
    assert not judges(scores)["note"].str.contains("version").any()
    scores["judge_version"] = scores["seed"].map({0: "1", 1: "2"})
    assert judges(scores)["note"].str.contains("several versions of the judge: 1, 2").all()


def test_one_judge_has_no_bins():
    assert judge_bin_rows(check_scores(table({"math": [0.5]}, scales=(1,))), OPTIONS) == []
