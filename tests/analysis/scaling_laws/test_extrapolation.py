"""The envelope beyond the ladder, where it ends, and the records needed for a score."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from analysis.inference.curves import ArmCurves, build_arm_curves
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from analysis.scaling_laws.extrapolation import envelope, extrapolation_rows
from analysis.scaling_laws.families import FAMILIES
from analysis.scaling_laws.fits import KEPT, CurveFit, FamilyFit
from analysis.scaling_laws.needs import need_rows
from tests.analysis.score_tables import LADDER, checked

OPTIONS = CurveOptions(fit_draws=100, targets=[0.52, 0.9])
X = np.array(LADDER) / LADDER[-1]


def run(means: dict[str, list[float]], options: CurveOptions = OPTIONS, **kwargs: object):
    return analyze(checked(means, **kwargs), options)


def test_four_scales_fit_one_family_and_extrapolate_nothing():
    found = run({"math": [0.3, 0.35, 0.4, 0.45]}, scales=LADDER[:4], items=60)
    fits = found["fits"].query("category == 'math'").set_index("family")
    assert fits.loc["saturating power law", "status"] == "refused"
    assert "needs 5" in fits.loc["saturating power law", "reason"]
    assert fits.loc["logit-linear", "status"] == "kept"
    beyond = found["extrapolation"].query("category == 'math' and factor > 1")
    assert (beyond["status"] == "refused").all()
    assert beyond["reason"].str.contains("one family alone").all()
    assert (found["needs"]["status"] == "refused").all()


def test_a_curve_that_is_not_monotone_is_not_fitted():
    found = run({"math": [0.3, 0.45, 0.55, 0.48, 0.4]}, items=100)
    assert (found["verdicts"]["verdict"] == "non-monotone").all()
    assert found["fits"]["reason"].str.contains("not monotone").all()
    assert (found["extrapolation"]["status"] == "refused").all()
    assert len(found["extrapolation"]) == 2


def test_extrapolation_stops_at_the_stated_factor():
    rows = run({"math": [0.3, 0.35, 0.4, 0.45, 0.5]}, items=60)["extrapolation"]
    given = rows[rows["status"] == "extrapolated"]
    assert given["factor"].max() == pytest.approx(4)
    assert (given["reason"].str.contains("if nothing changes regime")).all()
    assert (given["low"] <= given["mean"]).all()
    assert (given["mean"] <= given["high"]).all()
    assert rows[rows["status"] == "refused"]["factor"].tolist() == [10.0, 10.0]
    nothing = OPTIONS.model_copy(update={"extrapolate": 1.0})
    rows = run({"math": [0.3, 0.35, 0.4, 0.45, 0.5]}, nothing, items=60)["extrapolation"]
    assert "extrapolated" not in set(rows["status"])


def test_data_needed_is_near_the_truth_and_may_be_never():
    truth = expit(-0.2 + 0.2 * np.log2(X)).tolist()
    found = run({"math": truth}, items=300, noise=0.02, run_sd=0.001)["needs"]
    rows = found.query("category == 'math'").set_index("target")
    score = OPTIONS.targets[0]
    truth_needs = LADDER[-1] * 2 ** ((np.log(score / (1 - score)) + 0.2) / 0.2)
    near = rows.loc[score]
    assert near["status"] == "extrapolated"
    assert near["low"] < truth_needs < near["high"]
    far = rows.loc[0.9]
    assert far["status"] == "refused"
    assert np.isnan(far["scale"])
    assert far["p_within"] < 0.5


def test_a_flat_curve_mostly_never_reaches_more():
    rows = run({"math": [0.5] * 5}, items=100, seed=1)["needs"].query("target == 0.9")
    assert (rows["p_within"] < 0.05).all()
    assert (rows["p_never"] > 0.3).all()


def kept(name: str, parameters: list[float], draws: np.ndarray) -> FamilyFit:
    return FamilyFit(FAMILIES[name], KEPT, "", np.array(parameters), draws)


def level(scores: np.ndarray) -> np.ndarray:
    """Draws of a logit line without slope, one at each score."""
    return np.stack([logit(scores), np.zeros(len(scores))], axis=1)


def test_the_envelope_is_the_widest_of_the_families_quantiles():
    """5% and 95% of .2 to .4 are .21 and .39, of .35 to .45 .355 and .445; lines at .3 and .4."""
    fit = CurveFit(
        [
            kept("logit-linear", [logit(0.3), 0.0], level(np.linspace(0.2, 0.4, 101))),
            kept("logit-linear", [logit(0.4), 0.0], level(np.linspace(0.35, 0.45, 101))),
        ],
        "",
    )
    for ends in zip(*envelope(fit, np.array([0.5, 2.0]), 0.9), strict=True):
        assert ends == pytest.approx((0.35, 0.21, 0.445))


@pytest.fixture(scope="module")
def arm() -> ArmCurves:
    (array,) = build_score_arrays(checked({"math": [0.3, 0.35, 0.4, 0.45, 0.5]}))
    return build_arm_curves(array, OPTIONS)


def needs_of(arm: ArmCurves, target: float) -> dict:
    """Records for a target by two families: logit lines of slope 1 that pass .5 at 1 to 4 times
    the largest scale, evenly in log, and power laws of which 30 in 101 end below .7."""
    lines = np.stack([-np.linspace(0, 2, 101), np.ones(101)], axis=1)
    ceilings = np.where(np.arange(101) < 30, 0.6, 0.9)
    laws = np.stack([ceilings, ceilings - 0.4, np.full(101, 0.5)], axis=1)
    fit = CurveFit(
        [
            kept("logit-linear", list(lines[50]), lines),
            kept("saturating power law", list(laws[50]), laws),
        ],
        "",
    )
    options = OPTIONS.model_copy(update={"targets": [target]})
    (row,) = need_rows(arm, {"math": fit}, options)
    return row


def test_needs_by_hand(arm):
    """The lines reach .7 at 2^(logit .7 + 0 to 2), the laws with a ceiling of .9 at (.5 / .2)^2."""
    row = needs_of(arm, 0.7)
    first = 2 ** logit(0.7)
    assert row["low"] == pytest.approx(LADDER[-1] * first * 2**0.1)
    assert np.isnan(row["high"])  # three in ten of the laws never reach it
    assert row["p_never"] == pytest.approx(30 / 101)
    assert row["p_within"] == pytest.approx(71 / 101)
    assert row["horizon"] == 10 * LADDER[-1]
    # 202 draws in order: all lines, 71 laws at 6.25, 30 at infinity; the median is a line's.
    draws = np.sort(np.r_[first * 2 ** np.linspace(0, 2, 101), np.full(71, 6.25)])
    assert row["scale"] == pytest.approx(LADDER[-1] * draws[100], rel=0.02)
    assert row["status"] == "extrapolated"


def test_a_score_inside_the_ladder_is_reached_and_one_too_far_is_refused(arm):
    inside, far = needs_of(arm, 0.1), needs_of(arm, 0.95)
    assert (inside["status"], inside["p_never"]) == ("reached", 0)
    assert inside["high"] <= LADDER[-1]
    assert far["status"] == "refused"
    assert "not within 10 times" in far["reason"]
    assert np.isnan(far["scale"])


def test_targets_are_gains_above_the_last_scale_unless_they_are_stated():
    found = run({"math": [0.3, 0.35, 0.4, 0.97, 1.0]}, CurveOptions(), items=200, noise=0.01)
    curves = found["curves"].query("category == 'math'")
    last = curves["mean"].iloc[-1]
    targets = found["needs"].query("category == 'math'")["target"].tolist()
    assert 0.95 < last < 0.98
    assert targets == [round(last + 0.02, 4)]  # .05 more would be above 1


def test_points_lie_inside_the_ladder_and_beyond_it(arm):
    fits = {"math": CurveFit([kept("logit-linear", [0.0, 0.1], level(np.full(9, 0.5)))] * 2, "")}
    rows = extrapolation_rows(arm, fits, OPTIONS)
    inside = [row["factor"] for row in rows if row["status"] == "fit"]
    beyond = [row["factor"] for row in rows if row["status"] == "extrapolated"]
    assert inside == pytest.approx(np.geomspace(1 / 16, 1, 17))
    assert beyond == pytest.approx(2 ** (np.arange(1, 9) / 4))
    assert all(row["scale"] == pytest.approx(4000 * row["factor"]) for row in rows)
    line = [row["mean"] for row in rows if row["status"] == "fit"]
    assert line == pytest.approx(expit(0.1 * np.log2(inside)))
