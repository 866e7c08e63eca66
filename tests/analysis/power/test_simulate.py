"""Power of the verdicts: against t tests, and against studies that are simulated whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.inference.contrasts import estimate_contrasts, tail_weights
from analysis.inference.covariance import covariances
from analysis.inference.multiplicity import correct, number_of_claims
from analysis.inference.sample import Sample
from analysis.inference.verdicts import decide
from analysis.options import CurveOptions
from analysis.power.design import Components, shared_degrees
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


def study(slope: float, rng: np.random.Generator) -> dict[str, Sample]:
    """Twelve categories of 100 items and five seeds; the first rises by the slope, the others
    are flat. Half of the run noise is shared."""
    shared = rng.standard_normal((5, 5, 1))
    samples = {}
    for number in range(12):
        runs = 0.0075 * (shared + rng.standard_normal((5, 5, 1))) / np.sqrt(2)
        mean = 0.5 + (slope * np.arange(5) if number == 0 else np.zeros(5))
        y = mean[:, None, None] + runs + rng.normal(0, 0.05, (5, 1, 100))
        samples[f"c{number}"] = Sample.from_scores(
            y + rng.normal(0, 0.1, (5, 5, 100)), np.arange(100)
        )
    return samples


def test_the_detectable_slope_gets_its_verdict_as_often_as_promised():
    """It did in 17 to 19% of studies where the correction and the rule were left out."""
    options = CurveOptions()
    parts = Components(
        ACROSS * 0.05**2, ACROSS * 0.0075**2, ACROSS * 0.1**2, shared=shared_degrees(12)
    )
    claims = number_of_claims(12, "directional")
    found = simulate_power(parts, np.array([100]), np.array([5]), 0.02, 0.05, claims, 0.8)
    rng = np.random.default_rng(0)
    improving = []
    for _ in range(120):
        evidence = {
            name: estimate_contrasts(noise, SCALES, options)
            for name, noise in covariances(study(float(found.detectable[0]), rng)).items()
        }
        p_values = correct(evidence, options.corrected)
        improving.append(decide(evidence["c0"], p_values["c0"], options) == "improving")
    assert np.mean(improving) == pytest.approx(0.8, abs=0.12)
