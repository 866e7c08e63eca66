"""Intervals of shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.inference.estimate import Estimate
from analysis.inference.intervals import (
    overall_interval,
    share_interval,
    sum_bound,
)

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
