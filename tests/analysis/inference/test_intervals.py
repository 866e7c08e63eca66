"""Intervals of shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.inference.covariance import Covariance
from analysis.inference.estimate import Estimate
from analysis.inference.intervals import (
    overall_interval,
    paired_interval,
    paired_p_value,
    share_interval,
    sum_bound,
    wilson,
)
from analysis.inference.sample import Sample
from tests.analysis.oracles import score_interval

NONE = Estimate(0.0, 0.0, np.inf)


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
    plain_low, plain_high = wilson(estimate, estimate.critical(0.9))
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


@pytest.mark.parametrize(("wrong", "n"), [(1, 40), (20, 40), (36, 40)])
def test_the_interval_of_a_share_is_wilsons(wrong, n):
    p = wrong / n
    low, high, note = share_interval(Estimate(p, np.sqrt(p * (1 - p) / n), np.inf), n, 0.9)
    expected = stats.binomtest(wrong, n).proportion_ci(0.9, method="wilson")
    assert (low, high, note) == (pytest.approx(expected.low), pytest.approx(expected.high), "")


def test_one_right_answer_is_not_less_uncertain_than_none():
    """At 0 of 40 the upper end is .072; at 1 of 40 the t interval ended at .067."""
    none = share_interval(Estimate(0.0, 0.0, np.inf), 40, 0.9)[1]
    one = share_interval(Estimate(1 / 40, np.std([1] + [0] * 39, ddof=1) / 40**0.5, 39), 40, 0.9)
    assert none == pytest.approx(1 - 0.05 ** (1 / 40))
    assert one[1] > none + 0.02


@pytest.mark.parametrize(("mean", "se", "df"), [(0.02, 0.02, 30), (0.98, 0.02, 30), (0.3, 0.02, 9)])
def test_the_interval_of_a_graded_mean_has_the_standard_error_of_its_own_ends(mean, se, df):
    low, high, _ = share_interval(Estimate(mean, se, df), 31, 0.9)
    assert (low, high) == pytest.approx(score_interval(mean, se, stats.t.ppf(0.95, df)))
    assert 0 < low < mean < high < 1


@pytest.mark.parametrize("p", [0.01, 0.03, 0.05, 0.5, 0.97])
def test_shares_near_an_edge_are_covered(p):
    """40 items in 3 runs that agree by .8; the t interval covered .80 at .03. Nominal .90."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        easy = rng.random(40) < p
        same = rng.random((3, 40)) < 0.8
        y = np.where(same, easy, rng.random((3, 40)) < p).astype(float)[None]
        estimate = Covariance(Sample.from_scores(y, np.arange(40))).scale_mean(0)
        low, high, _ = share_interval(estimate, 40, 0.9)
        covered.append(low <= p <= high)
    assert np.mean(covered) >= 0.87 - 2 * np.sqrt(0.13 * 0.87 / 400)


def pair_of(counts: tuple[int, int, int, int]) -> tuple[list[Estimate], int]:
    """First, second and difference of paired answers: both right, first only, second only, none."""
    n = sum(counts)
    first, second = np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)
    return [
        Estimate(y.mean(), y.std() / n**0.5, np.inf) for y in (first, second, first - second)
    ], n


def test_paired_shares_have_the_published_interval():
    """Newcombe (1998), table II: 36, 12, 2 and 0 pairs, method 10."""
    estimates, n = pair_of((36, 12, 2, 0))
    assert paired_interval(*estimates, n, 0.95) == pytest.approx((0.0569, 0.3404), abs=5e-5)


@pytest.mark.parametrize("counts", [(36, 12, 2, 0), (10, 3, 9, 4), (1, 8, 0, 5)])
def test_the_p_value_is_the_level_at_which_the_interval_ends_at_0(counts):
    estimates, n = pair_of(counts)
    p = paired_p_value(*estimates, n)
    low, high = paired_interval(*estimates, n, 1 - p)
    assert min(abs(low), abs(high)) < 1e-4
    assert paired_p_value(estimates[1], estimates[0], estimates[2].mirrored(), n) == pytest.approx(
        p
    )


def test_missing_scores_widen_a_mean_by_what_they_could_be():
    """3 of 13 missing and a mean of .6: between .6 x 10/13 and that plus 3/13."""
    estimate = Estimate(0.6, 0.03, 40, 0.6 * 3 / 13, 0.4 * 3 / 13)
    low, high, _ = share_interval(estimate, 10, 0.9)
    assert low < 0.6 * 10 / 13
    assert high > 0.6 * 10 / 13 + 3 / 13
    c = estimate.critical(0.9)
    inside = stats.t.cdf(c + (3 / 13) / 0.03, 40) - stats.t.cdf(-c, 40)
    assert inside == pytest.approx(0.9)
    assert stats.t.ppf(0.9, 40) <= c < stats.t.ppf(0.95, 40)
