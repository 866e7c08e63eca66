"""Whole numbers for shares: at every scale rounded down or up, never taken back."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.data.selection.quota import largest_scale, places, whole_weights

WEIGHTS = st.lists(st.integers(1, 1000), min_size=1, max_size=12)


@given(WEIGHTS, st.integers(1, 300))
def test_every_prefix_has_each_share_rounded_down_or_up(weights, count):
    order = places(weights, count)
    total = sum(weights)
    for index, weight in enumerate(weights):
        held = np.cumsum(order == index).tolist()
        for scale, found in enumerate(held, 1):
            exact = Fraction(scale * weight, total)
            assert floor(exact) <= found <= ceil(exact)


@given(WEIGHTS)
def test_a_scale_that_divides_evenly_has_exactly_the_shares(weights):
    assert np.bincount(places(weights, sum(weights))).tolist() == weights


def test_known_places():
    assert places([1, 1], 4).tolist() == [0, 1, 0, 1]
    assert np.bincount(places([6, 3, 1], 10)).tolist() == [6, 3, 1]


def test_shares_are_the_decimal_numbers_that_they_print_as():
    assert whole_weights([0.1, 0.2, 0.7]) == [1, 2, 7]
    assert whole_weights([0.25, 0.75]) == [1, 3]


@given(WEIGHTS, st.data())
def test_the_largest_scale_is_the_last_that_no_stratum_lacks(weights, data):
    sizes = [data.draw(st.integers(0, 40)) for _ in weights]
    order = places(weights, 200)
    largest = largest_scale(order, sizes)
    held = np.bincount(order[:largest], minlength=len(sizes))
    assert (held <= sizes).all()
    if largest < 200:
        assert (np.bincount(order[: largest + 1], minlength=len(sizes)) > sizes).any()
