"""Backtests of fits, intervals of parameters, and asymptotes that the scales do not show."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from analysis.inference.covariance import Covariance
from analysis.inference.curves import build_arm_curves
from analysis.inference.sample import Sample
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from analysis.scaling_laws.backtest import Backtest, backtest, envelope_of
from analysis.scaling_laws.draws import BasePoint, base_point, draw_curve, draw_means
from analysis.scaling_laws.families import FAMILIES
from analysis.scaling_laws.fits import fit_curve
from tests.analysis.score_tables import LADDER, checked

OPTIONS = CurveOptions(fit_draws=100)
LINE = OPTIONS.model_copy(update={"families": ["logit-linear"]})


def fits_of(means: dict[str, list[float]], options: CurveOptions = OPTIONS, **kwargs: object):
    return analyze(checked(means, **kwargs), options)


def test_the_interval_of_the_error_is_that_of_its_draws():
    measured = np.r_[0.5, np.full(101, 0.5)]
    found = backtest(np.r_[0.52, np.linspace(0.5, 0.6, 101)], measured, 0.9)
    assert (found.error, found.low, found.high) == pytest.approx((0.02, 0.005, 0.095))
    assert found.result == "missed"
    assert Backtest(0.02, -0.01, 0.05).result == "covered"


def test_a_curve_is_covered_where_one_of_its_families_is():
    tests = [Backtest(0.02, 0.01, 0.03), Backtest(-0.01, -0.02, 0.0), Backtest(reason="no fit")]
    found = envelope_of(tests)
    assert (found.error, found.low, found.high) == pytest.approx((0.005, -0.02, 0.03))
    assert found.result == "covered"
    assert envelope_of(tests[2:]).result == "no fit"
    assert envelope_of([]).result == "no fit"


def test_a_true_law_is_covered_in_about_nine_of_ten_studies():
    rng = np.random.default_rng(2)
    means = expit(-0.4 + 0.1 * np.arange(5))
    results = []
    for number in range(150):
        y = means[:, None, None] + rng.normal(0, 0.2, 60) + rng.normal(0, 0.01, (5, 3, 1))
        sample = Sample.from_scores(y + rng.normal(0, 0.1, (5, 3, 60)), np.arange(60))
        found = fit_curve(
            Covariance(sample), np.array(LADDER), "undetermined", LINE, f"study {number}"
        )
        results.append(found.fits[0].backtest.result)
    assert results.count("covered") >= 150 * (0.87 - 2 * np.sqrt(0.9 * 0.1 / 150))
    assert "missed" in results


def test_a_curve_whose_regime_changes_at_the_last_scale_is_missed():
    lenient = OPTIONS.model_copy(update={"misfit_level": 1e-9})
    tables = fits_of(
        {"math": [0.30, 0.35, 0.40, 0.45, 0.452]}, lenient, items=300, noise=0.02, run_sd=0.001
    )
    row = tables["fits"].query("category == 'math' and family == 'logit-linear'").iloc[0]
    assert row["backtest"] == "missed"
    assert row["backtest_error"] == pytest.approx(0.05, abs=0.01)
    assert row["backtest_low"] > 0
    curve = tables["extrapolation"].query("category == 'math'")
    assert curve["backtest"].nunique() == 1


def test_a_curve_that_is_not_fitted_has_no_backtest():
    found = fits_of({"math": [0.3, 0.45, 0.55, 0.48, 0.4]}, items=100)
    assert (found["fits"]["backtest"] == "no fit").all()
    assert (found["extrapolation"]["backtest"] == "no fit").all()


def test_parameter_intervals_hold_the_parameters():
    fits = fits_of({"math": [0.30, 0.45, 0.52, 0.56, 0.58]}, items=200, noise=0.02)["fits"]
    row = fits.query("category == 'math' and family == 'logit-linear'").iloc[0]
    values = dict(part.split("=") for part in row["parameters"].split("; "))
    for part in row["parameter_intervals"].split("; "):
        name, ends = part.split("=")
        low, high = (float(end) for end in ends.strip("[]").split(", "))
        assert low < float(values[name]) < high


def test_nothing_is_said_of_an_asymptote_that_the_scales_do_not_show():
    """A line in log n: laws with a ceiling fit too, and leave it open."""
    line = [0.40, 0.42, 0.44, 0.46, 0.48]
    fits = fits_of({"math": line}, items=60, noise=0.05, run_sd=0.005)["fits"]
    law = fits.query("category == 'math' and family == 'saturating power law'").iloc[0]
    assert law["status"] == "kept"
    assert "ceiling=[" in law["parameter_intervals"]
    assert ", open]" in law["parameter_intervals"].split(";")[0]
    assert law["asymptote"] == "not shown: its interval is open"
    logit = fits.query("category == 'math' and family == 'logit-linear'").iloc[0]
    assert pd.isna(logit["asymptote"]) or logit["asymptote"] == ""


def test_an_asymptote_is_given_only_where_no_law_without_one_fits():
    bent = [0.20, 0.40, 0.50, 0.55, 0.575]
    exact = {"items": 300, "noise": 0.02, "run_sd": 0.002}
    fits = fits_of({"math": bent}, **exact)["fits"].query("category == 'math'")
    status = fits.set_index("family")["status"]
    assert status["logit-linear"] == "dropped"
    law = fits.set_index("family").loc["saturating power law"]
    low, high = law["asymptote"].split("]")[0].strip("[").split(", ")
    assert float(low) < 0.6 < float(high)
    lenient = OPTIONS.model_copy(update={"misfit_level": 1e-9})
    fits = fits_of({"math": bent}, lenient, **exact)["fits"].query("category == 'math'")
    law = fits.set_index("family").loc["saturating power law"]
    assert law["asymptote"] == "not shown: a law without one fits these scales too"


def test_the_base_is_a_point_of_the_rectified_law_alone():
    options = OPTIONS.model_copy(update={"fit_draws": 50})
    curve = {"math": [0.30, 0.36, 0.41, 0.44, 0.46]}
    fits = fits_of(curve, options, base=True, items=60)["fits"].query("category == 'math'")
    assert fits.set_index("family")["n_scales"].to_dict() == {
        "saturating power law": 5,
        "logit-linear": 5,
        "rectified power law": 6,
    }
    without = fits_of(curve, options, items=60)["fits"].query("category == 'math'")
    reason = without.set_index("family").loc["rectified power law", "reason"]
    assert reason == "5 points; rectified power law needs 6"


def test_draws_of_the_base_have_its_variance_and_its_covariance_with_the_tuned_means():
    (array,) = build_score_arrays(checked({"math": [0.3, 0.35, 0.4]}, scales=(1, 2, 4), base=True))
    arm = build_arm_curves(array, OPTIONS)
    base, covariance = base_point(arm, "math"), arm.curves["math"].covariance
    many = OPTIONS.model_copy(update={"fit_draws": 40_000})
    draws = draw_curve(covariance, base, np.inf, many, "a curve")
    assert draws[0] == pytest.approx([base.mean, *covariance.means])
    expected = np.block(
        [[np.array([[base.variance]]), base.shared[None]], [base.shared[:, None], covariance.total]]
    )
    assert np.cov(draws[1:].T) == pytest.approx(expected, rel=0.05, abs=0.02 * expected.max())
    alone = draw_means(covariance.means, covariance.total, np.inf, many, "a curve")
    assert (draws[1:, 1:] == alone).all()


def test_a_base_that_is_not_known_is_no_point():
    (array,) = build_score_arrays(checked({"math": [0.3, 0.35, 0.4]}, scales=(1, 2, 4)))
    arm = build_arm_curves(array, OPTIONS)
    assert base_point(arm, "math") is None
    draws = draw_curve(arm.curves["math"].covariance, None, np.inf, OPTIONS, "a curve")
    assert np.isnan(draws[:, 0]).all()


def test_the_rectified_law_finds_the_law_behind_a_base_and_five_scales():
    x = np.append(0.0, np.array(LADDER) / LADDER[-1])
    truth = FAMILIES["rectified power law"].predict(np.array([[0.6, 0.1, 0.7, 0.25]]), x)[0]
    rng = np.random.default_rng(0)
    y = truth[1:, None, None] + rng.normal(0, 0.1, 200) + rng.normal(0, 0.002, (5, 3, 1))
    sample = Sample.from_scores(y + rng.normal(0, 0.02, (5, 3, 200)), np.arange(200))
    base = BasePoint(float(truth[0] + sample.scale_means[0] - truth[1]), 1e-6, np.zeros(5))
    options = OPTIONS.model_copy(update={"families": ["rectified power law"]})
    found = fit_curve(Covariance(sample), np.array(LADDER), "improving", options, "a", base)
    (fit,) = found.fits
    assert fit.status == "kept"
    ahead = fit.family.predict(fit.parameters[None], np.array([2.0]))[0, 0]
    expected = fit.family.predict(np.array([[0.6, 0.1, 0.7, 0.25]]), np.array([2.0]))[0, 0]
    assert ahead == pytest.approx(expected, abs=0.03)
