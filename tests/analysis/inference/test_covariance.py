"""Variances of means and contrasts against hand-made and textbook answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.inference.contrasts import rise_weights, slope_weights, tail_scales
from analysis.inference.covariance import UNMEASURED, Covariance
from analysis.inference.sample import average, difference, from_scores

SCALES = np.array([250, 500, 1000, 2000])


def items(n: int) -> np.ndarray:
    return np.arange(n)


def test_one_seed_gives_the_t_interval_of_a_mean():
    y = np.array([0.1, 0.4, 0.35, 0.9, 0.6])
    covariance = Covariance(from_scores(y[None, None], items(5)))
    low, high = covariance.scale_mean(0).interval(0.9)
    expected = stats.t.interval(0.9, 4, y.mean(), stats.sem(y))
    assert (low, high) == pytest.approx(expected)
    assert covariance.noise == UNMEASURED


def test_one_seed_slope_is_the_t_interval_of_the_items_own_slopes():
    rng = np.random.default_rng(1)
    y = rng.uniform(0.2, 0.8, (4, 1, 12))
    weights = slope_weights(SCALES, tail_scales(SCALES))
    slopes = weights @ y[:, 0]
    estimate = Covariance(from_scores(y, items(12))).contrast(weights)
    assert estimate.interval(0.9) == pytest.approx(
        stats.t.interval(0.9, 11, slopes.mean(), stats.sem(slopes))
    )


def test_runs_without_item_noise_give_the_t_interval_over_runs():
    rng = np.random.default_rng(2)
    runs = rng.normal(0.5, 0.05, (1, 6))
    y = np.repeat(runs[..., None], 4, axis=2)
    estimate = Covariance(from_scores(y, items(4))).scale_mean(0)
    assert estimate.interval(0.9) == pytest.approx(
        stats.t.interval(0.9, 5, runs.mean(), stats.sem(runs[0]))
    )


def test_an_effect_that_a_seed_has_at_every_scale_leaves_the_slope_alone():
    rng = np.random.default_rng(3)
    y = rng.uniform(0.4, 0.6, (4, 3, 20))
    shifted = y + np.array([-0.2, 0.0, 0.2])[None, :, None]
    weights = slope_weights(SCALES, tail_scales(SCALES))
    plain = Covariance(from_scores(y, items(20)))
    moved = Covariance(from_scores(shifted, items(20)))
    assert moved.contrast(weights).se == pytest.approx(plain.contrast(weights).se)
    assert moved.scale_mean(0).se > 2 * plain.scale_mean(0).se


def test_clusters_of_copies_count_once():
    rng = np.random.default_rng(4)
    y = rng.uniform(0.3, 0.7, (2, 1, 10))
    doubled = np.repeat(y, 2, axis=2)
    single = Covariance(from_scores(y, items(10))).scale_mean(1)
    clustered = Covariance(from_scores(doubled, np.repeat(items(10), 2))).scale_mean(1)
    assert clustered.se == pytest.approx(single.se)
    assert clustered.df == pytest.approx(single.df)


def test_overall_shares_run_noise_between_categories():
    rng = np.random.default_rng(5)
    runs = rng.normal(0, 0.05, (4, 5, 1))
    same = [from_scores(0.5 + runs + rng.normal(0, 0.01, (4, 5, 50)), items(50)) for _ in "abcd"]
    alone = Covariance(same[0]).scale_mean(0).se
    together = Covariance(average(same)).scale_mean(0).se
    assert together == pytest.approx(alone, rel=0.1)


def test_overall_item_noise_is_that_of_a_mean_of_independent_means():
    rng = np.random.default_rng(6)
    parts = [from_scores(rng.uniform(0, 1, (1, 1, n)), items(n)) for n in (10, 40)]
    variances = [Covariance(part).scale_mean(0).se ** 2 for part in parts]
    assert Covariance(average(parts)).scale_mean(0).se ** 2 == pytest.approx(sum(variances) / 4)


def test_a_paired_difference_cancels_what_both_arms_share():
    rng = np.random.default_rng(7)
    easiness = rng.normal(0, 0.2, 60)
    a = 0.5 + easiness + rng.normal(0, 0.01, (3, 2, 60))
    b = 0.4 + easiness + rng.normal(0, 0.01, (3, 2, 60))
    paired = Covariance(difference(from_scores(a, items(60)), from_scores(b, items(60))))
    assert paired.scale_mean(0).value == pytest.approx(0.1, abs=0.01)
    assert paired.scale_mean(0).se < 0.005
    assert Covariance(from_scores(a, items(60))).scale_mean(0).se > 0.02


def test_a_stated_run_sd_widens_the_interval_of_one_seed():
    y = np.random.default_rng(8).uniform(0, 1, (2, 1, 30))
    sample = from_scores(y, items(30))
    plain, stated = Covariance(sample).scale_mean(0), Covariance(sample, 0.02).scale_mean(0)
    assert stated.se**2 == pytest.approx(plain.se**2 + 0.02**2)
    assert "stated run SD of 0.02" in Covariance(sample, 0.02).noise


def test_missing_scores_leave_the_mean_of_the_others():
    y = np.array([[[0.2, 0.4, np.nan, 0.6]]])
    sample = from_scores(y, items(4))
    assert sample.means[0, 0] == pytest.approx(0.4)
    complete = from_scores(y[..., [0, 1, 3]], items(3))
    assert Covariance(sample).scale_mean(0).se == pytest.approx(
        Covariance(complete).scale_mean(0).se, rel=0.1
    )


@given(st.permutations(range(4)), st.permutations(range(9)))
def test_neither_the_names_of_seeds_nor_of_items_matter(seeds, order):
    y = np.random.default_rng(9).uniform(0, 1, (3, 4, 9))
    plain = Covariance(from_scores(y, items(9))).scale_mean(1)
    shuffled = Covariance(from_scores(y[:, seeds][:, :, order], items(9))).scale_mean(1)
    assert shuffled.se == pytest.approx(plain.se)
    assert shuffled.df == pytest.approx(plain.df)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_of_a_slope_covers_the_truth_as_often_as_it_says(seeds):
    rng = np.random.default_rng(10)
    weights = slope_weights(SCALES, tail_scales(SCALES))
    covered = 0
    for _ in range(400):
        y = (
            0.5
            + rng.normal(0, 0.2, 80)
            + rng.normal(0, 0.05, (4, 1, 80))
            + rng.normal(0, 0.01, (4, seeds, 1))
            + rng.normal(0, 0.1, (4, seeds, 80))
        )
        low, high = Covariance(from_scores(y, items(80))).contrast(weights).interval(0.9)
        covered += low <= 0 <= high
    assert 0.86 <= covered / 400 <= 0.945


def test_the_tail_is_a_quarter_of_the_largest_scale_and_at_least_two_scales():
    assert tail_scales(np.array([250, 500, 1000, 2000])).tolist() == [False, True, True, True]
    assert tail_scales(np.array([1, 10, 100])).tolist() == [False, True, True]
    paper = np.array([200_000, 600_000, 1_000_000, 2_000_000])
    assert tail_scales(paper).tolist() == [False, True, True, True]
    rounded = np.array([333, 667, 1335])  # a quarter of 1335 is 333.75
    assert tail_scales(rounded).all()


def test_slopes_are_per_doubling():
    means = 0.3 + 0.035 * np.log2(SCALES)
    assert slope_weights(SCALES, tail_scales(SCALES)) @ means == pytest.approx(0.035)
    assert rise_weights(SCALES) @ means == pytest.approx(0.07)
    assert rise_weights(SCALES[1:]) is None
