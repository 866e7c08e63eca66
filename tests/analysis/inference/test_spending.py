"""Published levels, and the chance of a false claim in simulated studies that grow by seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.inference.spending import (
    OBRIEN_FLEMING,
    POCOCK,
    false_claims,
    nominal_levels,
    spent,
)

FIFTHS = [0.2, 0.4, 0.6, 0.8, 1.0]
STUDIES = 20_000


@pytest.mark.parametrize(
    ("spending", "bounds"),
    [
        (OBRIEN_FLEMING, [4.877, 3.357, 2.680, 2.290, 2.031]),
        (POCOCK, [2.438, 2.427, 2.410, 2.397, 2.386]),
    ],
)
def test_five_looks_have_the_published_bounds(spending, bounds):
    """Two-sided .05, so .025 on each side (as in Lan and DeMets's own program, and gsDesign)."""
    levels = nominal_levels(FIFTHS, 0.025, spending)
    assert stats.norm.isf(levels) == pytest.approx(bounds, abs=6e-4)


@pytest.mark.parametrize("spending", [OBRIEN_FLEMING, POCOCK])
@settings(max_examples=15, deadline=None)
@given(seeds=st.sets(st.integers(1, 12), min_size=1, max_size=6))
def test_the_chance_of_a_false_claim_is_what_has_been_spent(spending, seeds):
    fractions = [one / 12 for one in sorted(seeds)]
    levels = nominal_levels(fractions, 0.05, spending)
    for looks in range(1, len(fractions) + 1):
        chance = false_claims(fractions[:looks], levels[:looks])
        assert chance == pytest.approx(spent(fractions[looks - 1], 0.05, spending), abs=1e-6)


def test_all_is_spent_at_the_end_and_a_single_look_costs_nothing():
    for spending in (OBRIEN_FLEMING, POCOCK):
        assert spent(1.0, 0.05, spending) == pytest.approx(0.05)
        assert nominal_levels([1.0], 0.05, spending) == pytest.approx([0.05], rel=1e-6)


def test_two_looks_at_the_full_level_are_the_bivariate_normal():
    both = stats.multivariate_normal([0, 0], [[1, np.sqrt(0.5)], [np.sqrt(0.5), 1]])
    expected = 1 - both.cdf([stats.norm.isf(0.05)] * 2)
    assert false_claims([1, 2], [0.05, 0.05]) == pytest.approx(expected, abs=1e-5)


def claimed(levels: list[float]) -> list[float]:
    """Share of studies without an effect that claim one at 3, 4, ... seeds or earlier, each with
    its level (t tests, one value per seed)."""
    values = np.random.default_rng(0).normal(size=(STUDIES, 2 + len(levels)))
    any_so_far, shares = np.zeros(STUDIES, bool), []
    for seeds, level in enumerate(levels, 3):
        part = values[:, :seeds]
        t = part.mean(1) / (part.std(1, ddof=1) / np.sqrt(seeds))
        any_so_far |= t > stats.t.isf(level, seeds - 1)
        shares.append(float(any_so_far.mean()))
    return shares


def test_testing_at_every_number_of_seeds_from_3_on_raises_the_error():
    """.05 becomes .09 at five seeds and .13 at eight."""
    shares = claimed([0.05] * 6)
    assert shares[0] == pytest.approx(0.05, abs=0.006)
    assert shares[2] == pytest.approx(0.09, abs=0.007)
    assert shares[5] == pytest.approx(0.13, abs=0.008)
    assert false_claims(range(3, 9), [0.05] * 6) == pytest.approx(shares[5], abs=0.02)


@pytest.mark.parametrize("spending", [OBRIEN_FLEMING, POCOCK])
def test_with_spending_it_stays_at_its_level(spending):
    levels = nominal_levels([seeds / 8 for seeds in range(3, 9)], 0.05, spending)
    assert claimed(list(levels))[-1] == pytest.approx(0.05, abs=0.007)


def test_information_must_rise():
    with pytest.raises(ValueError, match="must rise"):
        false_claims([1, 1], [0.05, 0.05])
