"""curves.csv: means with their intervals, missing scores, categories without noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.inference.curves import ArmCurves, build_arm_curves, curve_rows
from analysis.inference.sample import missing_share
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from analysis.scores import check_scores
from tests.analysis.oracles import score_interval
from tests.analysis.score_tables import checked, table

OPTIONS = CurveOptions()
MEANS = {"math": [0.3, 0.35, 0.4, 0.43, 0.45], "code": [0.5, 0.5, 0.52, 0.5, 0.51]}


def arm_of(scores: pd.DataFrame) -> ArmCurves:
    (array,) = build_score_arrays(scores)
    return build_arm_curves(array, OPTIONS)


def curves(scores: pd.DataFrame, options: CurveOptions = OPTIONS) -> pd.DataFrame:
    """By category and scale."""
    return pd.DataFrame(curve_rows(arm_of(scores), options)).set_index(["category", "scale"])


def test_means_are_means_of_items_and_overall_the_plain_mean_of_categories():
    scores = checked(MEANS, items=20, seeds=2, repeats=2, base=True)
    found = curves(scores)["mean"]
    for (category, scale), mean in scores.groupby(["category", "scale"])["score"].mean().items():
        assert found[category, scale] == pytest.approx(mean)
    for scale in scores["scale"].unique():
        assert found["overall", scale] == pytest.approx(
            (found["math", scale] + found["code", scale]) / 2
        )


def test_the_interval_of_one_seed_is_that_of_the_mean_of_its_items():
    scores = checked(MEANS, items=20, seeds=1)
    y = scores.query("category == 'math' and scale == 1000")["score"]
    row = curves(scores).loc[("math", 1000)]
    assert (row["low"], row["high"]) == pytest.approx(
        score_interval(y.mean(), stats.sem(y), stats.t.ppf(0.95, 19))
    )
    assert (row["n_items"], row["n_seeds"], row["n_missing"]) == (20, 1, 0)


def test_the_base_model_is_a_point_of_its_own_runs():
    scores = checked(MEANS, items=20, base=True)
    again = scores[scores["scale"] == 0].assign(seed=5)
    again["score"] = again["score"] + 0.1
    both = check_scores(pd.concat([scores, again]))
    found = curves(both).xs(0, level="scale")
    assert list(found.index) == ["code", "math", "overall"]
    assert (found["n_seeds"] == 1).all()
    assert found["noise"].str.contains("not tuned").all()
    assert found.loc["math", "mean"] == pytest.approx(
        curves(scores).loc[("math", 0), "mean"] + 0.05
    )


def test_clusters_of_the_table_are_the_unit_of_its_intervals():
    scores = table({"math": [0.5]}, scales=(1,), items=12, seeds=1)
    scores["cluster"] = scores["item"].map(lambda item: f"text {int(item[-3:]) // 3}")
    per_cluster = scores.groupby("cluster")["score"].mean()
    row = curves(check_scores(scores)).loc[("math", 1)]
    assert (row["low"], row["high"]) == pytest.approx(
        score_interval(per_cluster.mean(), stats.sem(per_cluster), stats.t.ppf(0.95, 3))
    )


def test_too_many_missing_scores_are_bounded_by_the_worst_cases():
    """math: half of 4 missing, the others .2 and .4; code: none missing, all about .5."""
    scores = table({"math": [0.5], "code": [0.5]}, scales=(1,), items=4, seeds=1)
    math = scores["category"] == "math"
    scores.loc[math, "score"] = [0.2, 0.4, np.nan, np.nan]
    scores.loc[scores["score"].isna(), "status"] = "timeout"
    scores.loc[~math, "score"] = [0.45, 0.55, 0.5, 0.5]
    found = curves(check_scores(scores)).xs(1, level="scale")
    assert found.loc["math", ["bound_low", "bound_high"]].tolist() == pytest.approx([0.15, 0.65])
    assert found.loc["overall", ["bound_low", "bound_high"]].tolist() == pytest.approx(
        [(0.15 + 0.5) / 2, (0.65 + 0.5) / 2]
    )
    assert found["n_missing"].to_dict() == {"math": 2, "code": 0, "overall": 2}
    assert found.loc["math", "note"].startswith("50% of the scores are missing")
    assert found.loc["overall", "note"].startswith("25% of the scores are missing")
    assert np.isnan(found.loc["code", "bound_low"])
    allowed = curves(check_scores(scores), CurveOptions(missing_limit=0.5))
    assert "bound_low" not in allowed


def test_the_share_of_missing_scores_is_counted_at_each_scale():
    values = np.array([[[0.1, np.nan], [np.nan, np.nan]], [[0.1, 0.2], [0.3, np.nan]]])
    assert missing_share(values, np.ones((2, 2), bool)).tolist() == [0.75, 0.25]
    one_run_less = np.array([[True, False], [True, True]])
    assert missing_share(values, one_run_less).tolist() == [0.5, 0.25]


def test_all_wrong_in_clusters_says_what_the_bound_counts():
    scores = table({"math": MEANS["math"]}, items=10, base=True).assign(score=0.0)
    scores["cluster"] = scores["item"].map(lambda item: f"c{int(item[-3:]) % 3}")
    found = curves(check_scores(scores)).loc["math"]
    assert found["high"].tolist() == pytest.approx([1 - 0.05 ** (1 / 3)] * 6)
    assert (found["n_items"] == 10).all()
    assert (
        found["note"].str.contains("from 3 independent values (a cluster of items", regex=False)
    ).all()


def test_a_scale_of_zeros_keeps_the_exact_bound_though_others_have_noise():
    scores = checked(MEANS, items=12, base=True, run_sd=0.001, noise=0.01)
    part = (scores["category"] == "code") & scores["scale"].isin([0, 250])
    scores.loc[part, "score"] = 0.0
    found = curves(scores)
    bound = 1 - 0.05 ** (1 / 12)
    for scale in (0, 250):
        assert found.loc[("code", scale), "high"] >= bound
        assert "from 12 independent values" in found.loc[("code", scale), "note"]
        overall = found.loc[("overall", scale)]
        assert overall["high"] - overall["mean"] > bound / 2
        assert "1 of 2 categories" in overall["note"]
    assert "exact" not in found.loc[("code", 500), "note"]
    assert "exact" not in found.loc[("overall", 500), "note"]


def test_a_category_without_scores_is_left_out_of_overall_and_named():
    scores = checked(MEANS, items=10)
    scores.loc[scores["category"] == "code", ["score", "status"]] = [np.nan, "no_reference"]
    found = curves(scores)
    assert found.loc[("overall", 250), "mean"] == pytest.approx(found.loc[("math", 250), "mean"])
    assert "no scores in Code" in found.loc[("overall", 250), "note"]
    assert found.loc["code", "mean"].isna().all()


def test_overall_names_the_categories_that_bring_it_no_noise():
    scores = checked(MEANS, items=10)
    scores.loc[scores["category"] == "code", "score"] = 0.0
    assert curves(scores).loc["overall", "note"].str.contains("all scores equal: Code").all()


def test_runs_that_only_some_scales_have_are_all_used_and_named():
    """Five seeds, and one at the largest scale: its run noise is the mean of the other scales'."""
    scores = table(MEANS, items=10, seeds=5, run_sd=0.03)
    part = check_scores(scores[(scores["seed"] == 0) | (scores["scale"] < 4000)])
    found, whole = curves(part), curves(check_scores(scores))
    assert found["n_seeds"].unstack()[4000].tolist() == [1, 1, 1]
    assert (found["n_seeds"].unstack()[250] == 5).all()
    assert found["note"].str.contains("runs at a scale: 5, but 1 at 4000").all()
    math, before = found.loc["math"], whole.loc["math"]
    assert math["mean"].iloc[:4].tolist() == before["mean"].iloc[:4].tolist()
    one = scores.query("category == 'math' and scale == 4000 and seed == 0")["score"].mean()
    assert math.loc[4000, "mean"] == pytest.approx(one)
    assert math.loc[4000, "noise"].endswith("scales of one run have the run noise of the others")
    width = math["high"] - math["low"]
    assert width[4000] > 1.4 * width.iloc[:4].max()


def test_arrays_hold_runs_crossed_with_items():
    scores = checked({"math": [0.4, 0.5]}, scales=(10, 20), items=7, seeds=2, repeats=2)
    (array,) = build_score_arrays(scores)
    values = array.categories["math"].values
    assert values.shape == (2, 2, 7)
    one = scores.query("scale == 20 and seed == 1 and item == 'math-004'")["score"]
    assert len(one) == 2
    assert values[1, 1, 4] == pytest.approx(one.mean())
