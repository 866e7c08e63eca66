"""Families of curves: recovery, refusals, envelopes, data needed, joint laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from analysis.curves import analyze
from analysis.errors import InputError
from analysis.options import CurveOptions
from analysis.scaling_laws.families import FAMILIES
from analysis.scaling_laws.fits import jumps
from tests.analysis.score_tables import LADDER, checked

OPTIONS = CurveOptions(bootstrap_replicates=100, fit_draws=100, targets=[0.52, 0.9])
X = np.array(LADDER) / LADDER[-1]
EXACT = {
    "saturating power law": np.array([[0.7, 0.1, 0.5]]),
    "logit-linear": np.array([[0.2, 0.15]]),
}


def run(means: dict[str, list[float]], options: CurveOptions = OPTIONS, **kwargs: object):
    return analyze(checked(means, **kwargs), options)


@pytest.mark.parametrize("name", EXACT)
def test_a_family_recovers_its_own_curve(name):
    family = FAMILIES[name]
    means = family.predict(EXACT[name], X)
    fitted = family.fit(X, means, np.eye(5) / 0.01)
    ahead = np.array([2.0, 4.0])
    assert fitted.chi2[0] < 0.01
    assert family.predict(fitted.parameters, ahead) == pytest.approx(
        family.predict(EXACT[name], ahead), abs=0.003
    )


@pytest.mark.parametrize(("slope", "expected"), [(4.3, False), (4.5, True), (28.0, True)])
def test_a_rise_between_two_scales_is_a_jump(slope, expected):
    """logit .9 - logit .1 = 4.394: the slope per doubling beyond which one doubling holds it."""
    assert jumps(FAMILIES["logit-linear"], np.array([3.0, slope]), X) == expected


def test_a_ceiling_below_nine_tenths_is_no_jump():
    assert not jumps(FAMILIES["saturating power law"], np.array([0.7, 0.6, 3.0]), X)


def test_a_jump_is_not_drawn_as_a_law():
    lenient = OPTIONS.model_copy(update={"misfit_level": 1e-9})  # nothing else drops it
    fits = run({"c": [0.0, 0.0, 0.0, 0.0, 1.1]}, lenient)["fits"].set_index("family")
    (reason,) = set(fits.loc["logit-linear", "reason"])
    assert reason.startswith("jumps")


def test_a_broken_line_recovers_its_break():
    family = FAMILIES["broken logit-linear"]
    x = 2.0 ** np.arange(-11, 1)
    truth = np.array([[0.5, 0.05, 0.3, x[6]]])
    fitted = family.fit(x, family.predict(truth, x), np.eye(12) / 0.01)
    assert fitted.parameters[0] == pytest.approx(truth[0], abs=0.01)
    reached = family.inverse(truth, 0.8)
    assert family.predict(truth, reached)[0, 0] == pytest.approx(0.8)


@given(
    st.sampled_from(sorted(EXACT)),
    st.lists(st.floats(0, 1), min_size=5, max_size=5),
)
def test_curves_stay_inside_zero_and_one_whatever_the_means(name, means):
    family = FAMILIES[name]
    fitted = family.fit(X, np.array([means]), np.eye(5) / 0.02)
    curve = family.predict(fitted.parameters, np.geomspace(0.01, 10, 30))
    assert np.isfinite(curve).all()
    assert ((curve >= 0) & (curve <= 1)).all()


@pytest.mark.parametrize("name", EXACT)
def test_reach_inverts_predict(name):
    family = FAMILIES[name]
    x = family.inverse(EXACT[name], 0.6)
    assert family.predict(EXACT[name], x)[0, 0] == pytest.approx(0.6)
    assert np.isinf(family.inverse(EXACT["saturating power law"], 0.9)) if "power" in name else True


def test_least_squares_uses_the_covariance():
    """A mean that is ten times noisier moves the fit far less."""
    family = FAMILIES["logit-linear"]
    means = family.predict(EXACT["logit-linear"], X)
    means[0, 2] += 0.1
    even = family.fit(X, means, np.eye(5) / 0.01)
    loose = family.fit(X, means, np.diag([100, 100, 1, 100, 100]).astype(float))
    truth = EXACT["logit-linear"][0]
    assert abs(loose.parameters[0] - truth).max() < 0.1 * abs(even.parameters[0] - truth).max()


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


def test_a_broken_law_is_refused_under_ten_scales():
    options = OPTIONS.model_copy(update={"families": ["logit-linear", "broken logit-linear"]})
    fits = run({"math": [0.3, 0.35, 0.4, 0.45, 0.5]}, options)["fits"]
    broken = fits.query("family == 'broken logit-linear'")
    assert (broken["status"] == "refused").all()
    assert broken["reason"].str.contains("needs 10").all()


def test_a_curve_that_is_not_monotone_is_not_fitted():
    found = run({"math": [0.3, 0.45, 0.55, 0.48, 0.4]}, items=100)
    assert (found["verdicts"]["verdict"] == "non-monotone").all()
    assert found["fits"]["reason"].str.contains("not monotone").all()
    assert (found["extrapolation"]["status"] == "refused").all()
    assert len(found["extrapolation"]) == 2


def test_a_jump_makes_every_family_misfit():
    found = run({"math": [0.30, 0.30, 0.30, 0.60, 0.60]}, items=300, noise=0.02, run_sd=0.001)
    fits = found["fits"].query("category == 'math'")
    assert (fits["status"] == "dropped").all()
    assert (fits["p_misfit"] < 0.05).all()
    refused = found["extrapolation"].query("category == 'math'")
    assert refused["reason"].tolist() == ["no family fits"]


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


def test_draws_do_not_depend_on_what_else_is_in_the_table():
    math, code = [0.3, 0.35, 0.4, 0.45, 0.5], [0.5, 0.52, 0.51, 0.53, 0.55]
    both = checked({"math": math, "code": code})
    alone = both[both["category"] == "math"]
    pair = [analyze(t, OPTIONS)["fits"].query("category == 'math'") for t in (both, alone)]
    pd.testing.assert_frame_equal(*[p.reset_index(drop=True) for p in pair])


SIZED = OPTIONS.model_copy(update={"sizes": {"small": 1e8, "large": 4e8}})


def sized_arms(**kwargs: object) -> pd.DataFrame:
    line = np.log2(X)
    parts = [
        checked({"math": expit(0.1 + 0.2 * line + shift).tolist()}, arms=(arm,), **kwargs)
        for arm, shift in (("small", -0.6), ("large", 0.0))
    ]
    return pd.concat(parts)


def test_a_joint_law_recovers_both_slopes():
    joint = analyze(sized_arms(items=200, noise=0.02, run_sd=0.001), SIZED)["joint"]
    row = joint.query("category == 'math' and family == 'logit-linear in both'").iloc[0]
    values = dict(part.split("=") for part in row["parameters"].split("; "))
    assert row["status"] == "kept"
    assert float(values["data_slope"]) == pytest.approx(0.2, abs=0.03)
    assert float(values["size_slope"]) == pytest.approx(0.3, abs=0.05)


def test_two_sizes_are_too_few_for_two_power_laws():
    joint = analyze(sized_arms(), SIZED)["joint"]
    refused = joint.query("family == 'sum of two power laws'")
    assert (refused["status"] == "refused").all()
    assert refused["reason"].str.contains("2 base sizes").all()


def test_without_sizes_there_is_no_joint_law():
    assert analyze(sized_arms(), OPTIONS)["joint"].empty


def test_a_size_of_an_unknown_arm_is_refused():
    options = OPTIONS.model_copy(update={"sizes": {"huge": 1e12}})
    with pytest.raises(InputError, match="huge"):
        analyze(sized_arms(), options)
