"""Quantiles of corrected claims: known answers, the level far in the tail, what reads them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.inference.contrasts import estimate_contrasts
from analysis.inference.covariance import Covariance
from analysis.inference.estimate import Estimate, half_width
from analysis.inference.sample import Sample
from analysis.options import CurveOptions

ITEM_DF, SEED_DF = 179.0, 4.0  # twelve categories, 180 items, two seeds
STRICT = 0.05 / 36
some = st.floats(1e-4, 1.0)
few = st.floats(1.0, 30.0)
levels = st.floats(1e-8, 0.45)


def of_parts(value: float, items: float, seeds: float, df: float = SEED_DF) -> Estimate:
    """With Satterthwaite's degrees of freedom and the two parts they come from."""
    total = items + seeds
    both = total**2 / (items**2 / ITEM_DF + seeds**2 / df)
    parts = ((items, ITEM_DF), (seeds, df))
    return Estimate(value, float(np.sqrt(total)), both, parts=parts)


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8])
def test_a_corrected_claim_keeps_its_level_where_satterthwaites_rule_does_not(share):
    """The estimate is normal with variance 1, of which two seeds bring a share."""
    rng, n = np.random.default_rng(0), 4000
    items = (1 - share) * rng.chisquare(ITEM_DF, n) / ITEM_DF
    seeds = share * rng.chisquare(SEED_DF, n) / SEED_DF
    value = 3.0
    found = [of_parts(value, *each) for each in zip(items, seeds, strict=True)]
    # The chance that a true value of 0 is called positive, given the mean squares.
    error = stats.norm.sf([-each.corrected_lower(STRICT) + value for each in found]).mean()
    old = stats.norm.sf([stats.t.isf(STRICT, each.df) * each.se for each in found]).mean()
    assert error < STRICT < old / 1.15


@given(some, some, few, levels)
def test_a_claim_is_made_exactly_where_its_bound_is_above_the_threshold(items, seeds, df, level):
    estimate = of_parts(0.9, items, seeds, df)
    threshold = estimate.corrected_lower(level)
    assert estimate.corrected_p_above(threshold) == pytest.approx(level, rel=1e-6)
    assert estimate.mirrored().corrected_p_below(-threshold) == pytest.approx(level, rel=1e-6)


@given(some, some, few, levels, st.floats(1.0, 10.0))
def test_more_noise_of_either_part_never_narrows(items, seeds, df, level, factor):
    def reach(a: float, b: float) -> float:
        return float(half_width([(a, ITEM_DF), (b, df)], level))

    least = reach(items, seeds) * (1 - 1e-12)
    assert reach(items * factor, seeds) >= least
    assert reach(items, seeds * factor) >= least


@given(some, few, levels)
def test_one_part_is_the_t_test_and_two_normal_ones_the_normal_test(variance, df, level):
    assert half_width([(variance, df)], level) == pytest.approx(
        stats.t.isf(level, df) * np.sqrt(variance), rel=1e-6
    )
    both = half_width([(variance, np.inf), (1.0, np.inf)], level)
    assert both == pytest.approx(stats.norm.isf(level) * np.sqrt(1 + variance), rel=1e-6)
    alone = Estimate(0.5, float(np.sqrt(variance)), df)
    assert alone.corrected_p_above(0.0) == alone.p_above(0.0)


@given(st.floats(-1.0, 1.0), some, some)
def test_p_values_fall_with_the_estimate_and_the_two_sides_add_up(value, items, seeds):
    estimate, more = of_parts(value, items, seeds), of_parts(value + 0.01, items, seeds)
    p = estimate.corrected_p_above(0.0)
    assert 0 < more.corrected_p_above(0.0) < p < 1
    assert p + estimate.corrected_p_below(0.0) == pytest.approx(1)


def test_missing_scores_and_no_noise():
    estimate = of_parts(0.9, 0.04, 0.04)
    assert estimate.widened(0.2).corrected_p_above(0.0) == pytest.approx(
        of_parts(0.7, 0.04, 0.04).corrected_p_above(0.0)
    )
    far = of_parts(1e6, 1e-4, 1e-4).corrected_p_above(0.0)
    assert 0 <= far < 1e-20
    assert Estimate(0.1, 0.0, np.inf).corrected_p_above(0.0) == 0
    assert Estimate(0.0, 0.0, np.inf).corrected_p_above(0.0) == 1


def test_claims_of_direction_read_it_and_intervals_do_not():
    """Two seeds, items that differ in their slopes, run noise."""
    rng = np.random.default_rng(3)
    y = 0.5 + 0.03 * np.arange(4)[:, None, None] + rng.normal(0, 0.1, (4, 2, 100))
    y = y + rng.normal(0, 0.1, 100) * rng.normal(0, 1, (4, 1, 1)) + rng.normal(0, 0.01, (4, 2, 1))
    covariance = Covariance(Sample.from_scores(y, np.arange(100)))
    found = estimate_contrasts(covariance, 100 * 2 ** np.arange(4), CurveOptions())
    assert len(found.tail.parts) == 2
    assert sum(variance for variance, _ in found.tail.parts) == pytest.approx(found.tail.se**2)
    for claim, estimate in {"tail": found.tail, "improved": found.ladder}.items():
        assert found.p_value(claim) == estimate.corrected_p_above(0.0) != estimate.p_above(0.0)
    drop = found.drop.estimate
    assert found.drop.p_value == min(1.0, 6 * drop.corrected_p_above(0.0))
    assert found.drop.bound == drop.corrected_lower(0.05 / 6)


def test_with_three_seeds_corrected_claims_take_satterthwaites_rule():
    y = np.random.default_rng(0).normal(0.5, 0.1, (4, 3, 50))
    covariance = Covariance(Sample.from_scores(y, np.arange(50)))
    found = estimate_contrasts(covariance, 100 * 2 ** np.arange(4), CurveOptions())
    assert found.tail.parts == ()
    assert found.p_value("tail") == found.tail.p_above(0.0)
