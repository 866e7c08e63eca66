"""Intervals of shares, and the hierarchical bootstrap against what it should converge to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.inference.covariance import Estimate
from analysis.inference.intervals import (
    bootstrap_means,
    overall_interval,
    percentile_interval,
    resample,
    seed_weights,
    share_interval,
    sum_bound,
)
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from tests.analysis.score_tables import checked

NONE = Estimate(0.0, 0.0, np.inf)
B = 4000


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_the_wider_of_t_interval_and_exact_bound_is_taken(edge):
    exact = 1 - 0.05 ** (1 / 12)
    for se in (0.0, 0.01):
        low, high, note = share_interval(Estimate(edge, se, 8), 12, 0.9)
        assert high - low == pytest.approx(exact)
        assert "exact bound" in note
    low, high, note = share_interval(Estimate(edge, 0.4, 8), 12, 0.9)
    assert high - low > 0.5
    assert not note


def test_the_bound_of_one_category_and_of_equal_ones_by_hand():
    assert sum_bound([], 0.9) == 0
    assert sum_bound([12], 0.9) == pytest.approx(1 - 0.05 ** (1 / 12))
    assert sum_bound([5] * 12, 0.9) == pytest.approx(12 * (1 - 0.05 ** (1 / 60)))


@given(st.lists(st.integers(2, 60), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_no_means_that_could_give_only_zeros_pass_the_joint_bound(sizes, seed):
    # Chances of only zeros whose product is exactly alpha, dealt out to the categories at random.
    shares = np.random.default_rng(seed).dirichlet(np.full(len(sizes), 0.5))
    means = 1 - 0.05 ** (shares / np.array(sizes))
    assert means.sum() <= sum_bound(sizes, 0.9) + 1e-9


def test_overall_is_widened_on_the_side_of_the_constant_categories_only():
    estimate = Estimate(0.5, 0.01, 20)
    plain_low, plain_high = estimate.interval(0.9)
    low, high, note = overall_interval(estimate, [10], [], 2, 0.9)
    assert low == pytest.approx(plain_low)
    assert high == pytest.approx(plain_high + (1 - 0.05 ** (1 / 10)) / 2)
    assert "1 of 2" in note
    low, high, _ = overall_interval(estimate, [], [10], 2, 0.9)
    assert low == pytest.approx(plain_low - (1 - 0.05 ** (1 / 10)) / 2)
    assert high == pytest.approx(plain_high)
    assert overall_interval(estimate, [], [], 2, 0.9) == (plain_low, plain_high, "")


def test_overall_of_constant_categories_alone():
    _, high, _ = overall_interval(NONE, [5] * 12, [], 12, 0.9)
    assert high == pytest.approx(1 - 0.05 ** (1 / 60))
    low, high, _ = overall_interval(Estimate(0.0, 0.05, 9), [5] * 12, [], 12, 0.9)
    assert (low, high) == pytest.approx((0, Estimate(0.0, 0.05, 9).interval(0.9)[1]))  # the wider
    low, high, _ = overall_interval(Estimate(1.0, 0.0, np.inf), [], [5] * 12, 12, 0.9)
    assert (low, high) == pytest.approx((0.05 ** (1 / 60), 1))
    half = sum_bound([9], 0.9) / 2
    low, high, _ = overall_interval(Estimate(0.5, 0.0, np.inf), [9], [9], 2, 0.9)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half))
    low, high, note = overall_interval(Estimate(0.25, 0.0, np.inf), [9], [], 2, 0.9)
    assert np.isnan([low, high]).all()
    assert "no noise to measure" in note


def test_an_interval_near_an_edge_is_cut_there():
    assert share_interval(Estimate(0.02, 0.02, 30), 31, 0.9)[0] == 0
    assert share_interval(Estimate(0.98, 0.02, 30), 31, 0.9)[1] == 1
    low, high, note = share_interval(Estimate(0.3, 0.02, 30), 31, 0.9)
    assert (low, high, note) == (*Estimate(0.3, 0.02, 30).interval(0.9), "")


def test_percentiles_are_those_of_a_known_sample():
    sample = np.random.default_rng(0).permutation(np.linspace(0, 1, 101))
    assert percentile_interval(sample, 0.9) == pytest.approx((0.05, 0.95))
    assert percentile_interval(sample, 0.5) == pytest.approx((0.25, 0.75))
    assert all(np.isnan(percentile_interval(np.array([0.1, np.nan]), 0.9)))


def replicates(values: np.ndarray, clusters: np.ndarray | None = None) -> np.ndarray:
    clusters = np.arange(values.shape[-1]) if clusters is None else clusters
    rng = np.random.default_rng(0)
    return resample(values, clusters, seed_weights(values.shape[1], B, rng), rng)


def test_one_seed_draws_items_only():
    y = np.random.default_rng(1).uniform(0, 1, (1, 1, 50))
    found = replicates(y)
    assert found.mean() == pytest.approx(y.mean(), abs=0.005)
    assert found.std() == pytest.approx(y.std() / np.sqrt(50), rel=0.05)


@pytest.mark.parametrize("seeds", [2, 3, 6])
def test_the_variance_between_runs_is_not_understated(seeds):
    runs = np.random.default_rng(2).normal(0.5, 0.05, (1, seeds))
    found = replicates(np.repeat(runs[..., None], 3, axis=2))
    assert found.mean() == pytest.approx(runs.mean(), abs=0.003)
    assert found.std() == pytest.approx(runs.std(ddof=1) / np.sqrt(seeds), rel=0.05)


def test_scales_are_drawn_jointly():
    easiness = np.random.default_rng(3).uniform(0, 1, 40)
    found = replicates(np.stack([easiness, easiness - 0.1])[:, None])
    assert (found[:, 0] - found[:, 1]).std() < 1e-12
    assert found[:, 0].std() > 0.03


def test_clusters_are_drawn_whole():
    y = np.random.default_rng(4).uniform(0, 1, (1, 1, 30))
    single = replicates(y).std()
    copies = replicates(np.repeat(y, 3, axis=2), np.repeat(np.arange(30), 3)).std()
    assert copies == pytest.approx(single, rel=0.05)


def test_missing_scores_are_left_out():
    y = np.array([[[0.2, 0.4, np.nan, 0.6, 0.5, 0.3]]])
    found = replicates(y)
    assert np.nanmean(found) == pytest.approx(np.nanmean(y), abs=0.01)


def test_replicates_of_an_arm_share_their_seeds_and_start_with_the_base_model():
    means = {"math": [0.3, 0.4], "code": [0.6, 0.7]}
    scores = checked(means, scales=(1, 2), items=10, seeds=4, noise=0, run_sd=0.05, base=True)
    (arm,) = build_score_arrays(scores)
    found = bootstrap_means(arm, CurveOptions(bootstrap_replicates=B))
    assert set(found) == {"math", "code", "overall"}
    for name, each in arm.categories.items():
        assert found[name].shape == (B, 3)
        expected = [each.base.mean(), *each.values.mean((1, 2))]
        assert found[name].mean(0) == pytest.approx(expected, abs=0.005)
    assert found["overall"] == pytest.approx((found["math"] + found["code"]) / 2)
    drawn = [each - each[:, :1] for each in (found["math"], found["code"])]
    # Items have no noise of their own, so what is left is the seeds', the same in both.
    runs = [arm.categories[name].values.mean(2) for name in ("math", "code")]
    expected = np.corrcoef(runs[0][0], runs[1][0])[0, 1]
    assert np.corrcoef(drawn[0][:, 1], drawn[1][:, 1])[0, 1] == pytest.approx(expected, abs=0.02)
