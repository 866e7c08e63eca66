"""Two arms, single items, components of variance and judges: known answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.curves import analyze
from analysis.options import CurveOptions
from analysis.scores import check_scores
from tests.analysis.score_tables import table

OPTIONS = CurveOptions(bootstrap_replicates=100, fit_draws=100)
RISING = {"math": [0.3, 0.36, 0.42, 0.48, 0.54]}


def run(scores: pd.DataFrame, name: str) -> pd.DataFrame:
    return analyze(check_scores(scores), OPTIONS)[name]


def two_arms(shift: float, **kwargs: object) -> pd.DataFrame:
    first = table(RISING, **kwargs)
    second = first.assign(arm="lora", score=(first["score"] + shift).clip(0, 1))
    return pd.concat([first, second])


def test_a_constant_difference_is_found_exactly():
    rows = run(two_arms(0.04, noise=0.02), "comparisons")
    assert rows["difference"].tolist() == pytest.approx([-0.04] * len(rows))
    assert (rows["high"] - rows["low"] < 1e-9).all()


def test_pairing_by_item_beats_the_noise_between_items():
    scores = two_arms(0.03)
    rng = np.random.default_rng(0)
    moved = scores["arm"] == "lora"
    scores.loc[moved, "score"] += rng.normal(0, 0.01, moved.sum())
    scores["score"] = scores["score"].clip(0, 1)
    rows = run(scores, "comparisons").query("category == 'math'")
    assert (rows["high"] < 0).all()
    assert (rows["p_holm"] < 0.05).all()
    assert (rows["n_seeds"] == 3).all()


def test_arms_without_a_common_seed_or_scale_are_not_compared():
    scores = two_arms(0.0)
    apart = scores.assign(seed=scores["seed"] + 10 * (scores["arm"] == "lora"))
    assert run(apart, "comparisons")["note"].str.contains("share no seed").all()
    apart = scores.assign(scale=scores["scale"] * (1 + (scores["arm"] == "lora") * 6))
    assert run(apart, "comparisons")["note"].str.contains("share no scale").all()


def test_an_arm_one_doubling_behind_needs_twice_the_data():
    fast = {"math": [0.30, 0.36, 0.42, 0.48, 0.54]}
    slow = {"math": [0.24, 0.30, 0.36, 0.42, 0.48]}
    scores = pd.concat(
        [
            table(fast, arms=("fast",), noise=0.01, run_sd=0.001),
            table(slow, arms=("slow",), noise=0.01, run_sd=0.001),
        ]
    )
    rows = run(scores, "efficiency").query("category == 'math'")
    assert rows["ratio"].tolist() == pytest.approx([2.0] * 3, rel=0.1)
    assert (rows["low"] < rows["ratio"]).all()
    assert (rows["ratio"] < rows["high"]).all()


def test_no_multiplier_where_the_ranges_do_not_overlap():
    rows = run(two_arms(0.4, noise=0.01), "efficiency")
    assert rows["ratio"].isna().all()
    assert rows["note"].str.contains("do not overlap").all()


def binary(after: list[int]) -> pd.DataFrame:
    before = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    scores = table({"math": [0.5, 0.5]}, scales=(100, 200), items=10, seeds=1)
    return scores.assign(score=[float(s) for s in before + after])


def test_wins_ties_losses_and_flips_by_hand():
    rows = run(binary([1, 1, 1, 0, 1, 1, 0, 0, 0, 0]), "changes")
    row = rows[rows["category"] == "math"].iloc[0]
    assert len(rows) == 2
    assert (row["wins"], row["ties"], row["losses"]) == pytest.approx((0.2, 0.7, 0.1))
    assert row["negative_flips"] == pytest.approx(0.1)
    assert row["wins_low"] < 0.2 < row["wins_high"]


def test_no_flip_seen_is_bounded_not_zero():
    row = run(binary([1, 1, 1, 1, 1, 1, 0, 0, 0, 0]), "changes").iloc[0]
    assert row["negative_flips"] == 0
    assert row["negative_flips_high"] == pytest.approx(1 - 0.05 ** (1 / 10))


def test_wins_ties_and_losses_sum_to_one():
    rows = run(table(RISING, base=True), "changes")
    assert (rows["wins"] + rows["ties"] + rows["losses"]).tolist() == pytest.approx([1] * len(rows))
    assert (0, 4000) in set(zip(rows["scale_from"], rows["scale_to"], strict=True))


def test_components_of_variance_are_recovered():
    rng = np.random.default_rng(1)
    scores = table({"math": [0.5] * 5}, items=300, seeds=25, repeats=3)
    shape = (5, 25, 300, 3)
    made = (
        0.5
        + rng.normal(0, 0.08, (1, 1, 300, 1))
        + rng.normal(0, 0.03, (5, 25, 1, 1))
        + rng.normal(0, 0.06, (5, 25, 300, 1))
        + rng.normal(0, 0.05, shape)
    )
    scores["score"] = made.clip(0, 1).reshape(-1)
    rows = run(scores, "variance").query("category == 'math'").set_index("component")
    expected = {"item": 0.08**2, "run": 0.03**2, "item_x_run": 0.06**2, "judge": 0.05**2}
    for component, variance in expected.items():
        assert rows.loc[component, "variance"] == pytest.approx(variance, rel=0.3)
    assert rows["share"].sum() == pytest.approx(1)


def test_one_seed_leaves_the_run_component_empty():
    rows = run(table(RISING, seeds=1), "variance").query("category == 'math'")
    assert rows.set_index("component").loc["run", "variance"] != 0
    assert np.isnan(rows.set_index("component").loc["run", "variance"])
    assert rows["note"].str.contains("unmeasured").all()


def test_the_repeat_sd_of_a_judge():
    scores = table({"math": [0.5, 0.5]}, scales=(1, 2), repeats=2, items=50)
    scores["score"] = np.where(scores["repeat"] == 0, 0.5, 0.6)
    own = run(scores, "judges").query("category == 'math'").iloc[0]
    assert own["repeat_sd"] == pytest.approx(np.sqrt(0.005))
    assert own["repeats"] == 2


def test_agreement_of_two_judges_by_hand():
    scores = table({"math": [0.5]}, scales=(1,), seeds=1, items=4, judges=("a", "b"))
    first = {"a": [1, 1, 0, 0], "b": [1, 0, 0, 0]}
    for judge, values in first.items():
        scores.loc[scores["judge"] == judge, "score"] = [float(v) for v in values]
    pair = run(scores, "judges").query("other == 'b' and category == 'math'").iloc[0]
    assert pair["agreement"] == pytest.approx(0.75)
    assert pair["kappa"] == pytest.approx(0.5)
    assert pair["mean_difference"] == pytest.approx(0.25)
    assert pair["spearman"] == pytest.approx(1 / np.sqrt(3))
    bins = run(scores, "judge_bins").query("judge == 'a' and bin_low == 0.9").iloc[0]
    assert (bins["n"], bins["mean_other"]) == (2, 0.5)
    assert (bins["low"], bins["high"]) == (0, 1)  # two items, a t interval of +-3: cut


def test_a_calibration_bin_has_an_interval_over_its_items():
    scores = table({"math": [0.5, 0.5]}, scales=(1, 2), seeds=2, items=30, judges=("a", "b"))
    scores.loc[scores["judge"] == "a", "score"] = 0.55
    row = run(scores, "judge_bins").query("judge == 'a'").iloc[0]
    other = scores[scores["judge"] == "b"]
    per_item = other.groupby("item")["score"].mean()
    half = stats.t.ppf(0.95, 29) * per_item.std() / np.sqrt(30)
    assert row["mean_other"] == pytest.approx(other["score"].mean())
    assert row["high"] - row["low"] == pytest.approx(2 * half)


def test_a_calibration_bin_with_one_item_has_no_interval_and_equal_values_an_exact_one():
    scores = table({"math": [0.5]}, scales=(1,), seeds=1, items=21, judges=("a", "b"))
    first = scores["item"] == "math-000"
    scores.loc[scores["judge"] == "a", "score"] = np.where(first[scores["judge"] == "a"], 0.1, 0.9)
    scores.loc[scores["judge"] == "b", "score"] = 1.0
    bins = run(scores, "judge_bins").query("judge == 'a'").set_index("bin_low")
    assert np.isnan(bins.loc[0.1, "low"])
    assert bins.loc[0.9, "high"] == 1
    assert bins.loc[0.9, "low"] == pytest.approx(0.05 ** (1 / 20))


def test_judges_that_share_no_response_are_named():
    first = table({"math": [0.5]}, scales=(1,), judges=("a",))
    second = table({"code": [0.5]}, scales=(1,), judges=("b",))
    rows = run(pd.concat([first, second]), "judges")
    assert rows["note"].str.contains("no response judged by both").any()


def test_missing_judgements_are_counted():
    scores = table({"math": [0.5, 0.5]}, scales=(1, 2), items=10, seeds=1)
    scores.loc[:3, ["score", "status"]] = [np.nan, "timeout"]
    own = run(scores, "judges").query("category == 'math'").iloc[0]
    assert own["missing_share"] == pytest.approx(4 / 20)
