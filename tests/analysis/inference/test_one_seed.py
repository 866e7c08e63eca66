"""One run per scale: no claim, and an interval from the curve's own roughness."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.inference.contrasts import tail_weights
from analysis.inference.covariance import UNMEASURED
from analysis.inference.one_seed import smooth_estimate
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from benchmarks.simulated_study import truth
from tests.analysis.score_tables import LADDER, checked

SCALES = np.array(LADDER)
OPTIONS = CurveOptions(fit_draws=50)
CURVES = {
    "flat": [0.5] * 5,
    "plateau": [0.3, 0.42, 0.5, 0.5, 0.5],
    "rising": [0.3, 0.35, 0.4, 0.45, 0.5],
    "hump": [0.3, 0.45, 0.55, 0.48, 0.4],
}


def test_one_seed_claims_nothing_however_many_items_it_has():
    found = analyze(checked(CURVES, seeds=1, items=150), OPTIONS)["verdicts"]
    assert (found["verdict"] == "undetermined").all()
    assert (found["ladder"] == "not shown").all()
    assert found[["p_value", "p_holm", "detectable"]].isna().all(axis=None)
    assert found["note"].str.contains("no verdict: training noise is unmeasured").all()
    assert (found["noise"] == UNMEASURED).all()
    assert found[["tail_slope", "tail_low", "tail_high", "smooth_low"]].notna().all(axis=None)


def test_a_stated_run_sd_allows_verdicts_of_one_seed():
    stated = OPTIONS.model_copy(update={"run_sd": 0.005})
    found = analyze(checked(CURVES, seeds=1, items=150), stated)["verdicts"]
    assert (found["verdict"] != "undetermined").sum() >= 4
    assert found["smooth_low"].isna().all()
    assert found["noise"].str.contains("stated run SD").all()


def test_second_differences_by_hand():
    """Of .1, .2, .2 and .4 over doublings: -.1 and .2, over sqrt 6; mean square .05 / 12. The form
    has trace 1, and its squares sum to 1/4 (1 + 1 + 2 (4/6)^2)."""
    estimate = smooth_estimate(
        np.array([0.1, 0.2, 0.2, 0.4]), SCALES[:4], np.array([0.0, -0.5, 0.0, 0.5])
    )
    assert estimate.value == pytest.approx(0.1)
    assert estimate.se**2 == pytest.approx(0.05 / 12 / 2)
    assert estimate.df == pytest.approx(4 / (2 + 2 * (4 / 6) ** 2))


def test_a_straight_line_has_no_roughness_on_any_ladder():
    scales = np.array([10, 30, 70, 500, 900])
    means = 0.2 + 0.03 * np.log2(scales)
    assert smooth_estimate(means, scales, tail_weights(scales)).se == pytest.approx(0, abs=1e-12)
    assert smooth_estimate(means[:3], scales[:3], tail_weights(scales[:3])) is None


@pytest.mark.parametrize("name", ["flat", "saturating", "logit-linear", "plateau"])
def test_the_interval_of_a_smooth_curve_covers_its_slope(name):
    """Noise of .01 at each scale; the nominal coverage is .90."""
    rng = np.random.default_rng(0)
    means, weights = truth(name, 5), tail_weights(SCALES)
    covered = []
    for _ in range(1500):
        drawn = means + rng.normal(0, 0.01, 5)
        low, high = smooth_estimate(drawn, SCALES, weights).interval(0.9)
        covered.append(low <= weights @ means <= high)
    assert np.mean(covered) >= 0.9 - 3 * np.sqrt(0.09 / 1500)
