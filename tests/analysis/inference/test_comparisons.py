"""Two arms at equal scale: known answers, pairing, and what they do not share."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.inference.comparisons import arm_pairs, comparison_rows
from analysis.inference.multiplicity import holm
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from analysis.scores import check_scores
from tests.analysis.score_tables import table

RISING = {"math": [0.3, 0.36, 0.42, 0.48, 0.54]}


def compare(scores: pd.DataFrame, options: CurveOptions | None = None) -> pd.DataFrame:
    pairs = arm_pairs(build_score_arrays(check_scores(scores)))
    options = options or CurveOptions()
    return pd.DataFrame([row for pair in pairs for row in comparison_rows(pair, options)])


def two_arms(shift: float, **kwargs: object) -> pd.DataFrame:
    first = table(RISING, **kwargs)
    second = first.assign(arm="lora", score=(first["score"] + shift).clip(0, 1))
    return pd.concat([first, second])


def unrelated_arms(means: dict[str, list[float]], **kwargs: object) -> pd.DataFrame:
    """Arms a and b with scores of their own."""
    return pd.concat([table(means, arms=(arm,), seed=i, **kwargs) for i, arm in enumerate("ab")])


def test_a_constant_difference_is_found_nearly_exactly():
    """Only the share's own spread differs a little between the two arms."""
    rows = compare(two_arms(0.04, noise=0.02))
    assert rows["difference"].tolist() == pytest.approx([-0.04] * len(rows))
    assert (rows["high"] - rows["low"] < 0.01).all()
    assert (rows["high"] < 0).all()


def test_equal_arms_do_not_differ():
    rows = compare(two_arms(0.0))
    assert (rows["difference"] == 0).all()
    assert rows["low"].to_numpy() == pytest.approx(-rows["high"].to_numpy())
    assert (rows["p_value"] == 1).all()


def test_arms_whose_scores_are_all_equal_have_no_noise_to_measure():
    rows = compare(two_arms(0.0).assign(score=0.5))
    assert rows["difference"].tolist() == [0] * len(rows)
    assert (rows["note"] == "all scores of one are equal: no noise to measure").all()
    assert "low" not in rows or rows["low"].isna().all()


def test_two_items_that_differ_prove_nothing():
    """Both right in one arm and wrong in the other: p was 0, the interval had no width."""
    scores = table({"math": [0.5]}, scales=(10,), seeds=1, items=2, arms=("a", "b"))
    scores["score"] = np.where(scores["arm"] == "a", 1.0, 0.0)
    row = compare(scores).iloc[0]
    assert row["difference"] == 1
    assert row["low"] == pytest.approx(1 - np.sqrt(2) * (1 - np.sqrt(0.05)))
    stated = compare(scores, CurveOptions(run_sd=1e-9)).iloc[0]
    assert stated["p_value"] > 0.05
    assert stated["low"] == pytest.approx(row["low"])


def test_one_seed_has_an_interval_and_no_p_value():
    """Two arms a run apart: p said that they differ, of noise that nothing had measured."""
    rows = compare(unrelated_arms({"math": [0.5, 0.6]}, scales=(10, 20), seeds=1, items=15))
    assert rows["low"].notna().all()
    assert not {"p_value", "p_holm"} & set(rows.columns)
    assert (rows["note"] == "one seed: training noise is unmeasured, so no p value").all()


def test_one_seed_is_nearly_the_paired_t_test():
    """Away from 0 and 1 Newcombe's interval is that of t."""
    scores = unrelated_arms({"math": [0.5]}, scales=(10,), seeds=1, items=15)
    a, b = (scores.loc[scores["arm"] == arm, "score"].to_numpy() for arm in "ab")
    expected = stats.ttest_rel(a, b)
    row = compare(scores, CurveOptions(run_sd=1e-9)).set_index("category").loc["math"]
    assert row["difference"] == pytest.approx((a - b).mean())
    assert row["p_value"] == pytest.approx(expected.pvalue, rel=0.01)
    interval = expected.confidence_interval(0.9)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high), abs=0.001)
    assert row["note"] == ""


def test_a_stated_run_sd_counts_twice_in_a_difference():
    scores = unrelated_arms({"math": [0.5]}, scales=(10,), seeds=1, items=15)
    a, b = (scores.loc[scores["arm"] == arm, "score"].to_numpy() for arm in "ab")
    items = (a - b).var(ddof=1) / 15
    se = np.sqrt(items + 2 * 0.03**2)
    half = stats.t.ppf(0.95, se**4 / (items**2 / 14)) * se
    row = compare(scores, CurveOptions(run_sd=0.03)).set_index("category").loc["math"]
    assert row["high"] - row["low"] == pytest.approx(2 * half, rel=0.02)


def test_categories_and_scales_are_one_family_and_overall_another():
    means = {"math": [0.4, 0.45], "code": [0.6, 0.63]}
    rows = compare(unrelated_arms(means, scales=(10, 20)))
    parts = [part for _, part in rows.groupby(rows["category"] == "overall")]
    assert [len(part) for part in parts] == [4, 2]
    for part in parts:
        assert part["p_holm"].tolist() == pytest.approx(holm(part["p_value"]).tolist())


def test_pairing_by_item_beats_the_noise_between_items():
    scores = two_arms(0.03)
    rng = np.random.default_rng(0)
    moved = scores["arm"] == "lora"
    scores.loc[moved, "score"] += rng.normal(0, 0.01, moved.sum())
    scores["score"] = scores["score"].clip(0, 1)
    rows = compare(scores).query("category == 'math'")
    assert (rows["high"] < 0).all()
    assert (rows["p_holm"] < 0.05).all()
    assert (rows["n_seeds"] == 3).all()


def test_where_one_score_of_a_pair_is_missing_both_are_left_out():
    scores = two_arms(0.05, seeds=1, items=10).reset_index(drop=True)
    hit = (scores["arm"] == "full") & (scores["item"] == "math-003") & (scores["scale"] == 500)
    assert hit.sum() == 1
    scores.loc[hit, ["score", "status"]] = [np.nan, "timeout"]
    rows = compare(scores).query("category == 'math'").set_index("scale")
    assert rows["difference"].tolist() == pytest.approx([-0.05] * 5)
    assert rows["note"].str.contains("up to 10% of the pairs lack a score").tolist() == [
        scale == 500 for scale in rows.index
    ]


def test_a_category_that_one_arm_lacks_is_left_out_of_overall():
    scores = unrelated_arms({"math": [0.4], "code": [0.6]}, scales=(10,)).reset_index(drop=True)
    gone = (scores["category"] == "code") & (scores["arm"] == "b")
    scores.loc[gone, ["score", "status"]] = [np.nan, "no_reference"]
    rows = compare(scores).set_index("category")
    assert rows.loc["overall", "difference"] == pytest.approx(rows.loc["math", "difference"])
    assert rows.loc["code", "note"].startswith("noise unknown")
    # The row that cannot be tested still counts in the correction.
    assert rows.loc["math", "p_holm"] == pytest.approx(min(1, 2 * rows.loc["math", "p_value"]))


def test_only_what_both_arms_share_is_compared():
    scores = two_arms(0.1, seeds=3, noise=0.01)
    apart = scores[~((scores["arm"] == "lora") & (scores["seed"] == 0))]
    apart = apart.assign(scale=apart["scale"] * (1 + (apart["arm"] == "lora")))
    rows = compare(apart).query("category == 'math'")
    assert rows["scale"].tolist() == [500, 1000, 2000, 4000]
    assert (rows["n_seeds"] == 2).all()
    # lora at scale n is the other arm at n / 2, .1 higher
    by_scale = scores[(scores["arm"] == "full") & (scores["seed"] > 0)].groupby("scale")["score"]
    means = by_scale.mean().to_numpy()
    assert rows["difference"].tolist() == pytest.approx((means[1:] - means[:-1] - 0.1).tolist())


def test_arms_without_a_common_seed_or_scale_are_not_compared():
    scores = two_arms(0.0)
    apart = scores.assign(seed=scores["seed"] + 10 * (scores["arm"] == "lora"))
    assert compare(apart)["note"].str.contains("share no seed").all()
    apart = scores.assign(scale=scores["scale"] * (1 + (scores["arm"] == "lora") * 6))
    assert compare(apart)["note"].str.contains("share no scale").all()


def test_arms_of_two_judges_are_not_paired():
    scores = pd.concat([two_arms(0.1, judges=("x", "y")), table(RISING, judges=("z",))])
    rows = compare(scores)
    assert sorted(set(rows["judge"])) == ["x", "y"]
    assert (rows["arm_a"] == "full").all()
