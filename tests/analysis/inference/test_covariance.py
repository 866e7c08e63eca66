"""Variances of means and contrasts against analysis of variance, scipy and hand-made answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.inference.contrasts import tail_weights
from analysis.inference.covariance import UNMEASURED, Covariance
from analysis.inference.estimate import Estimate
from analysis.inference.sample import Sample, average, cluster_df, difference

SCALES = np.array([250, 500, 1000, 2000])


def sample_of(y: np.ndarray) -> Sample:
    """Of (K, S, N) scores, every item a cluster."""
    return Sample.from_scores(y, np.arange(y.shape[-1]))


def noisy(scales: int, seeds: int, items: int, seed: int = 10) -> np.ndarray:
    """Scores with all parts of the model: items, their own deviations, seeds, runs, noise."""
    rng = np.random.default_rng(seed)
    return (
        0.5
        + rng.normal(0, 0.2, items)
        + rng.normal(0, 0.05, (scales, 1, items))
        + rng.normal(0, 0.02, (seeds, 1))
        + rng.normal(0, 0.03, (scales, seeds, 1))
        + rng.normal(0, 0.1, (scales, seeds, items))
    )


def test_one_seed_gives_the_t_interval_of_a_mean():
    y = np.array([0.1, 0.4, 0.35, 0.9, 0.6])
    covariance = Covariance(sample_of(y[None, None]))
    expected = stats.t.interval(0.9, 4, y.mean(), stats.sem(y))
    assert covariance.scale_mean(0).interval(0.9) == pytest.approx(expected)
    assert covariance.noise == UNMEASURED


def test_one_seed_slope_is_the_t_interval_of_the_items_own_slopes():
    y = np.random.default_rng(1).uniform(0.2, 0.8, (4, 1, 12))
    slopes = tail_weights(SCALES) @ y[:, 0]
    estimate = Covariance(sample_of(y)).contrast(tail_weights(SCALES))
    assert estimate.interval(0.9) == pytest.approx(
        stats.t.interval(0.9, 11, slopes.mean(), stats.sem(slopes))
    )


def test_the_item_covariance_of_one_seed_is_that_of_numpy():
    y = noisy(4, 1, 30)
    assert Covariance(sample_of(y)).items == pytest.approx(np.cov(y[:, 0]) / 30)


def test_runs_without_item_noise_give_the_t_interval_over_runs():
    runs = np.random.default_rng(2).normal(0.5, 0.05, (1, 6))
    y = np.repeat(runs[..., None], 4, axis=2)
    estimate = Covariance(sample_of(y)).scale_mean(0)
    assert estimate.interval(0.9) == pytest.approx(
        stats.t.interval(0.9, 5, runs.mean(), stats.sem(runs[0]))
    )


def test_without_item_noise_the_total_keeps_the_variance_of_the_runs():
    """Within and between split the squares of the run means: the trace is their sum over scales."""
    runs = np.random.default_rng(2).normal(0.5, 0.05, (3, 5))
    total = Covariance(sample_of(np.repeat(runs[..., None], 4, axis=2))).total
    assert np.trace(total) == pytest.approx(runs.var(axis=1, ddof=1).sum() / 5)


def test_one_scale_is_the_two_way_analysis_of_variance():
    """Var = (MS seed + MS item - MS residual) / (N S) (Judd, Westfall and Kenny 2012)."""
    s, n = 4, 12
    y = noisy(1, s, n)[0]
    rows, columns = y.mean(1, keepdims=True), y.mean(0, keepdims=True)
    ms_seed = n * ((rows - y.mean()) ** 2).sum() / (s - 1)
    ms_item = s * ((columns - y.mean()) ** 2).sum() / (n - 1)
    ms_rest = ((y - rows - columns + y.mean()) ** 2).sum() / ((s - 1) * (n - 1))
    estimate = Covariance(sample_of(y[None])).scale_mean(0)
    variance = (ms_seed + ms_item - ms_rest) / (n * s)
    divisor = ms_seed**2 / (s - 1) + ms_item**2 / (n - 1) + ms_rest**2 / ((s - 1) * (n - 1))
    assert estimate.se**2 == pytest.approx(variance)
    assert estimate.df == pytest.approx((variance * n * s) ** 2 / divisor)


@pytest.mark.parametrize("weights", [[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.2, -1.0, 0.3]])
def test_any_contrast_is_the_two_way_analysis_of_variance_of_its_own_values(weights):
    """D = sum of w_k y_k in every seed and item; then as for one scale."""
    s, n = 4, 9
    y = np.tensordot(np.array(weights), noisy(3, s, n), 1)
    rows, columns = y.mean(1, keepdims=True), y.mean(0, keepdims=True)
    ms_seed = n * ((rows - y.mean()) ** 2).sum() / (s - 1)
    ms_item = s * ((columns - y.mean()) ** 2).sum() / (n - 1)
    ms_rest = ((y - rows - columns + y.mean()) ** 2).sum() / ((s - 1) * (n - 1))
    estimate = Covariance(sample_of(noisy(3, s, n))).contrast(weights)
    variance = (ms_seed + ms_item - ms_rest) / (n * s)
    divisor = ms_seed**2 / (s - 1) + ms_item**2 / (n - 1) + ms_rest**2 / ((s - 1) * (n - 1))
    assert estimate.value == pytest.approx(y.mean())
    assert estimate.se**2 == pytest.approx(variance)
    assert estimate.df == pytest.approx((variance * n * s) ** 2 / divisor)


def test_run_means_that_agree_by_chance_leave_half_of_the_item_part():
    y = np.random.default_rng(3).normal(0.5, 0.1, (2, 5, 40))
    y -= y.mean(2, keepdims=True) - 0.5  # nothing but item-by-run noise, all run means equal
    covariance = Covariance(sample_of(y))
    w = np.array([-1.0, 1.0])
    assert covariance.contrast(w).se ** 2 == pytest.approx(w @ covariance.items @ w / 2)
    assert np.diag(covariance.runs) == pytest.approx(0)


def test_an_effect_that_a_seed_has_at_every_scale_leaves_the_slope_alone():
    y = np.random.default_rng(3).uniform(0.4, 0.6, (4, 3, 20))
    plain = Covariance(sample_of(y))
    moved = Covariance(sample_of(y + np.array([-0.2, 0.0, 0.2])[None, :, None]))
    slope = tail_weights(SCALES)
    assert moved.contrast(slope).se == pytest.approx(plain.contrast(slope).se)
    assert moved.scale_mean(0).se > 2 * plain.scale_mean(0).se


def test_clusters_of_copies_count_once():
    y = np.random.default_rng(4).uniform(0.3, 0.7, (2, 1, 10))
    single = Covariance(sample_of(y)).scale_mean(1)
    copies = Sample.from_scores(np.repeat(y, 2, axis=2), np.repeat(np.arange(10), 2))
    clustered = Covariance(copies).scale_mean(1)
    assert clustered.se == pytest.approx(single.se)
    assert clustered.df == pytest.approx(single.df)


def test_unequal_clusters_by_hand():
    """Clusters of three and one in four items, whose sums deviate by .3 and -.3 from the mean:
    CR2 divides their squares by 1 - 3/4 and 1 - 1/4."""
    y = np.array([[[0.6, 0.6, 0.6, 0.2]]])
    estimate = Covariance(Sample.from_scores(y, np.array([0, 0, 0, 1]))).scale_mean(0)
    assert estimate.value == pytest.approx(0.5)
    assert estimate.se**2 == pytest.approx((0.3 / 4) ** 2 * (4 + 4 / 3))
    assert estimate.df == 1


@pytest.mark.parametrize("sizes", [[5, 5, 5, 5], [20, 8, 5, 3, 2, 2], [30, 4, 2, 2, 1, 1]])
def test_degrees_of_freedom_of_unequal_clusters(sizes):
    """Bell and McCaffrey's Satterthwaite approximation from the CR2 matrices themselves."""
    n, labels = sum(sizes), np.repeat(np.arange(len(sizes)), sizes)
    project = np.eye(n) - 1 / n  # residuals of a mean
    columns = []
    for cluster in range(len(sizes)):
        inside = labels == cluster
        block = project[np.ix_(inside, inside)]
        values, vectors = np.linalg.eigh(block)
        adjust = (vectors / np.sqrt(values)) @ vectors.T
        columns.append(project[:, inside] @ adjust @ np.full(inside.sum(), 1 / n))
    gram = np.array(columns) @ np.array(columns).T
    assert cluster_df(np.array(sizes)) == pytest.approx(np.trace(gram) ** 2 / (gram**2).sum())


def cluster_scores(sizes: list[int], rng: np.random.Generator) -> Sample:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    y = 0.5 + rng.normal(0, 0.1, len(sizes))[labels] + rng.normal(0, 0.1, len(labels))
    return Sample.from_scores(y[None, None], labels)


@pytest.mark.parametrize("sizes", [[20, 8, 5, 3, 2, 2], [30, 4, 2, 2, 1, 1]])
def test_few_unequal_clusters_are_covered(sizes):
    """Half of the variance lies between clusters; the nominal coverage is .90."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(1000):
        low, high = Covariance(cluster_scores(sizes, rng)).scale_mean(0).interval(0.9)
        covered.append(low <= 0.5 <= high)
    assert np.mean(covered) >= 0.87 - 2 * np.sqrt(0.13 * 0.87 / 1000)


def test_overall_shares_run_noise_between_categories():
    rng = np.random.default_rng(5)
    runs = rng.normal(0, 0.05, (4, 5, 1))
    same = [sample_of(0.5 + runs + rng.normal(0, 0.01, (4, 5, 50))) for _ in "abcd"]
    alone = Covariance(same[0]).scale_mean(0).se
    assert Covariance(average(same)).scale_mean(0).se == pytest.approx(alone, rel=0.1)


def test_overall_item_noise_is_that_of_a_mean_of_independent_means():
    rng = np.random.default_rng(6)
    parts = [sample_of(rng.uniform(0, 1, (1, 1, n))) for n in (10, 40)]
    first, second = (Covariance(part).scale_mean(0).se ** 2 for part in parts)
    estimate = Covariance(average(parts)).scale_mean(0)
    assert estimate.se**2 == pytest.approx((first + second) / 4)
    # Welch's degrees of freedom
    assert estimate.df == pytest.approx((first + second) ** 2 / (first**2 / 9 + second**2 / 39))


def test_a_paired_difference_cancels_what_both_arms_share():
    rng = np.random.default_rng(7)
    easiness = rng.normal(0, 0.2, 60)
    a = 0.5 + easiness + rng.normal(0, 0.01, (3, 2, 60))
    b = 0.4 + easiness + rng.normal(0, 0.01, (3, 2, 60))
    paired = Covariance(difference(sample_of(a), sample_of(b)))
    assert paired.scale_mean(0).value == pytest.approx(0.1, abs=0.01)
    assert paired.scale_mean(0).se < 0.005
    assert Covariance(sample_of(a)).scale_mean(0).se > 0.02


def test_a_stated_run_sd_widens_the_interval_of_one_seed():
    sample = sample_of(np.random.default_rng(8).uniform(0, 1, (2, 1, 30)))
    plain, stated = Covariance(sample).scale_mean(0), Covariance(sample, 0.02).scale_mean(0)
    assert stated.se**2 == pytest.approx(plain.se**2 + 0.02**2)
    assert "stated run SD of 0.02" in Covariance(sample, 0.02).noise


def test_missing_scores_leave_the_mean_of_the_others():
    """Deviations -.2, 0 and .2 over three scores: the standard error of three."""
    covariance = Covariance(sample_of(np.array([[[0.2, 0.4, np.nan, 0.6]]])))
    estimate = covariance.with_missing(0.0).scale_mean(0)
    assert estimate.value == pytest.approx(0.4)
    assert estimate.se == pytest.approx(stats.sem([0.2, 0.4, 0.6]))
    assert estimate.df == pytest.approx(2)


@pytest.mark.parametrize(("score", "items"), [(0.1, 3), (0.7, 10), (1 / 3, 7)])
def test_equal_scores_have_exactly_their_mean_and_no_noise(score, items):
    sample = sample_of(np.full((2, 3, items), score))
    assert (sample.means == score).all()
    assert not Covariance(sample).total.any()
    assert Covariance(sample).scale_mean(0).se == 0


@given(st.permutations(range(4)), st.permutations(range(9)))
def test_neither_the_names_of_seeds_nor_of_items_matter(seeds, order):
    y = np.random.default_rng(9).uniform(0, 1, (3, 4, 9))
    plain = Covariance(sample_of(y)).scale_mean(1)
    shuffled = Covariance(sample_of(y[:, seeds][:, :, order])).scale_mean(1)
    assert shuffled.se == pytest.approx(plain.se)
    assert shuffled.df == pytest.approx(plain.df)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_of_a_slope_covers_the_truth_as_often_as_it_says(seeds):
    rng = np.random.default_rng(10)
    covered = 0
    for _ in range(400):
        y = (
            0.5
            + rng.normal(0, 0.2, 80)
            + rng.normal(0, 0.05, (4, 1, 80))
            + rng.normal(0, 0.01, (4, seeds, 1))
            + rng.normal(0, 0.1, (4, seeds, 80))
        )
        low, high = Covariance(sample_of(y)).contrast(tail_weights(SCALES)).interval(0.9)
        covered += low <= 0 <= high
    assert 0.86 <= covered / 400 <= 0.945


def test_p_values_are_those_of_the_t_distribution():
    estimate = Estimate(0.03, 0.02, 7)
    assert estimate.p_above(0.01) == pytest.approx(stats.t.sf(1, 7))
    assert estimate.p_below(0.05) == pytest.approx(stats.t.cdf(-1, 7))
    assert estimate.p_within(0.05) == pytest.approx(stats.t.sf(1, 7))
    assert Estimate(-0.03, 0.02, 7).p_within(0.05) == pytest.approx(stats.t.sf(1, 7))
    certain = Estimate(0.03, 0.0, np.inf)
    assert (certain.p_above(0.0), certain.p_above(0.03), certain.p_below(0.03)) == (0, 1, 1)


@given(st.floats(-0.2, 0.2), st.floats(0.001, 0.1), st.floats(1, 50))
def test_equivalence_is_shown_where_the_interval_lies_inside_the_margin(value, se, df):
    estimate = Estimate(value, se, df)
    low, high = estimate.interval(0.9)
    if abs(estimate.p_within(0.1) - 0.05) > 1e-9:
        assert (estimate.p_within(0.1) < 0.05) == (low > -0.1 and high < 0.1)
