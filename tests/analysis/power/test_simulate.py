"""Power of the verdicts: against t tests, and against studies that are simulated whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.inference.contrasts import tail_weights
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
