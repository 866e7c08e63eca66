"""Power of the verdicts: against t tests, and against studies that are simulated whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.inference.contrasts import tail_weights
from analysis.inference.estimate import Estimate
from analysis.power.design import Components
from analysis.power.simulate import simulate_power

SCALES = np.array([250, 500, 1000, 2000, 4000])
ACROSS = float(tail_weights(SCALES) @ tail_weights(SCALES))


def test_many_items_and_known_run_noise_are_the_normal_test():
    parts = Components(0.02, 0.0, 0.0, run_known=True)
    found = simulate_power(parts, np.array([10_000]), np.array([3]), 0.02, 0.05, 4, 0.8)
    se = np.sqrt(0.02 / 10_000)
    expected = (stats.norm.ppf(1 - 0.05 / 4) + stats.norm.ppf(0.8)) * se
    assert found.detectable[0] == pytest.approx(expected, rel=0.03)
    assert found.at_twice[0] == 1


def test_more_claims_need_a_steeper_slope():
    parts = Components(0.02, 1e-4, 0.02, shared=3)
    few, many = (
        simulate_power(parts, np.array([200]), np.array([3]), 0.02, 0.05, n, 0.8) for n in (3, 36)
    )
    assert many.detectable[0] > 1.2 * few.detectable[0]
    assert many.level[0] == few.level[0]


def test_no_slope_is_detectable_that_scores_cannot_have():
    """With two seeds of one degree of freedom the rule asks for more than the scale of scores."""
    parts = Components(0.1, 0.05, 0.1)
    found = simulate_power(parts, np.array([40, 40]), np.array([2, 40]), 0.02, 0.05, 36, 0.8)
    assert np.isnan(found.detectable[0])
    assert 0 < found.detectable[1] < 1


@pytest.mark.parametrize("shared", [3.0, 4.0])
def test_more_items_never_raise_the_detectable_slope(shared):
    """Two seeds: by Satterthwaite's rule 16,000 items had a slope 1.44 times that of 250 (three
    degrees of freedom), 1.16 times that of 500 (four)."""
    items = np.array([60, 120, 250, 500, 1000, 2000, 4000, 16000])
    parts = Components(0.02, 1e-4, 0.005, shared=shared)
    found = simulate_power(parts, items, np.full(8, 2), 0.02, 0.05, 36, 0.8).detectable
    assert (found[1:] <= 1.02 * np.minimum.accumulate(found)[:-1]).all()  # 2,000 draws


def test_the_power_is_that_of_the_claims_own_p_values():
    """Two seeds: shares of simulated estimates whose corrected p value is below the level."""
    parts, items, seeds = Components(0.02, 1e-4, 0.01, shared=4), 400, 2
    claims, draws = 36, 1500
    slope = float(
        simulate_power(parts, np.array(items), np.array(seeds), 0.02, 0.05, claims, 0.8).detectable
    )
    rng = np.random.default_rng(1)
    of_items, of_seeds = 0.02 / items, (1e-4 + 0.01 / items) / seeds
    rest, item_df, seed_df = 0.01 / items / seeds, items - 1.0, 4.0
    error = rng.normal(0, np.sqrt(of_items + of_seeds), draws)
    squares = zip(
        (of_items + rest) * rng.chisquare(item_df, draws) / item_df,
        of_seeds * rng.chisquare(seed_df, draws) / seed_df,
        slope + error,
        strict=True,
    )
    made = 0
    for ms_items, ms_seeds, value in squares:
        left = max(max(0.0, ms_items - rest), ms_items / 2 - ms_seeds)
        two = ((left, item_df), (ms_seeds, seed_df))
        estimate = Estimate(value, np.sqrt(left + ms_seeds), 1.0, parts=two)
        made += estimate.corrected_p_above(0.0) < 0.05 / claims
    assert made / draws == pytest.approx(0.8, abs=0.04)
