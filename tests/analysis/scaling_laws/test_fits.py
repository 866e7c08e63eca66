"""Fits of one arm's curves: the misfit test, draws around the means, what is dropped or refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from analysis.inference.covariance import Covariance
from analysis.inference.sample import Sample
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from analysis.scaling_laws.draws import draw_means
from analysis.scaling_laws.families import FAMILIES
from analysis.scaling_laws.fits import fit_curve, jumps
from tests.analysis.score_tables import LADDER, checked

OPTIONS = CurveOptions(fit_draws=100)
LINE = OPTIONS.model_copy(update={"families": ["logit-linear"], "fit_draws": 200})
X = np.array(LADDER) / LADDER[-1]


def fits_of(means: dict[str, list[float]], options: CurveOptions = OPTIONS, **kwargs: object):
    return analyze(checked(means, **kwargs), options)["fits"]


@pytest.mark.parametrize(("slope", "expected"), [(4.3, False), (4.5, True), (28.0, True)])
def test_a_rise_between_two_scales_is_a_jump(slope, expected):
    """logit .9 - logit .1 = 4.394: the slope per doubling beyond which one doubling holds it."""
    assert jumps(FAMILIES["logit-linear"], np.array([3.0, slope]), X) == expected


def test_a_ceiling_below_nine_tenths_is_no_jump():
    assert not jumps(FAMILIES["saturating power law"], np.array([0.7, 0.6, 3.0]), X)


def test_a_jump_is_not_drawn_as_a_law():
    lenient = OPTIONS.model_copy(update={"misfit_level": 1e-9})  # nothing else drops it
    fits = fits_of({"c": [0.0, 0.0, 0.0, 0.0, 1.1]}, lenient).set_index("family")
    (reason,) = set(fits.loc["logit-linear", "reason"])
    assert reason.startswith("jumps")


def test_a_jump_makes_every_family_misfit():
    found = analyze(
        checked(
            {"math": [0.30, 0.30, 0.30, 0.60, 0.60]},
            items=300,
            noise=0.02,
            run_sd=0.001,
            base=True,
        ),
        OPTIONS,
    )
    fits = found["fits"].query("category == 'math'")
    assert (fits["status"] == "dropped").all()
    assert (fits["p_misfit"] < 0.05).all()
    refused = found["extrapolation"].query("category == 'math'")
    assert refused["reason"].tolist() == ["no family fits"]


def one_seed(items: int = 25) -> Covariance:
    rng = np.random.default_rng(3)
    y = np.array([0.3, 0.36, 0.41, 0.43, 0.47])[:, None] + rng.normal(0, 0.1, (5, items))
    return Covariance(Sample.from_scores(y[:, None], np.arange(items)))


def right_or_wrong(rng: np.random.Generator) -> Covariance:
    """Three seeds, 24 items in clusters of four that stand or fall together at all scales."""
    means = 0.35 + 0.03 * np.arange(5)
    cluster = np.repeat(rng.normal(0, 0.25, 6), 4)
    p = np.clip(means[:, None, None] + cluster + rng.normal(0, 0.01, (5, 3, 1)), 0, 1)
    scores = (rng.random((5, 3, 24)) < p).astype(float)
    return Covariance(Sample.from_scores(scores, np.repeat(np.arange(6), 4)))


def test_no_fit_runs_below_or_above_all_its_points():
    """Noise that scales share must not draw a fit away from them (Peelle's puzzle)."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        covariance = right_or_wrong(rng)
        found = fit_curve(covariance, np.array(LADDER), "undetermined", OPTIONS, "a curve")
        for fit in (
            fit for fit in found.fits if fit.status != "refused"
        ):  # no base, no sixth point
            off = covariance.means - fit.family.predict(fit.parameters[None], X)[0]
            assert off.min() <= 1e-9
            assert off.max() >= -1e-9
            assert fit.rms == pytest.approx(np.sqrt(np.square(off).mean()), rel=1e-6)


def test_the_misfit_of_a_true_law_is_rare():
    """A logit line, runs and items with their own deviations: dropped in about 5% of studies."""
    rng = np.random.default_rng(1)
    means = expit(-0.4 + 0.1 * np.arange(5))
    dropped = []
    for number in range(300):
        y = means[:, None, None] + rng.normal(0, 0.2, 60) + rng.normal(0, 0.01, (5, 3, 1))
        sample = Sample.from_scores(y + rng.normal(0, 0.1, (5, 3, 60)), np.arange(60))
        found = fit_curve(
            Covariance(sample), np.array(LADDER), "undetermined", LINE, f"study {number}"
        )
        dropped.append(found.fits[0].status == "dropped")
    assert np.mean(dropped) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_a_family_is_dropped_where_its_misfit_is_below_the_level():
    for level, status in ((1e-6, "kept"), (1 - 1e-9, "dropped")):
        options = OPTIONS.model_copy(update={"misfit_level": level})
        found = fit_curve(one_seed(), np.array(LADDER), "undetermined", options, "a curve")
        assert {fit.status for fit in found.fits} == {status, "refused"}  # the rectified law
        assert found.refusal == ("" if status == "kept" else "no family fits")


@pytest.mark.parametrize("df", [6.0, np.inf])
def test_draws_have_the_covariance_of_a_multivariate_t(df):
    matrix = np.array([[4.0, 1.0], [1.0, 2.0]])
    options = OPTIONS.model_copy(update={"fit_draws": 40_000})
    draws = draw_means(np.array([1.0, 5.0]), matrix, df, options, "a curve")
    spread = 1.0 if np.isinf(df) else df / (df - 2)
    assert draws.mean(0) == pytest.approx([1.0, 5.0], abs=0.05)
    assert np.cov(draws.T) == pytest.approx(spread * matrix, rel=0.06)


def test_draws_are_a_curves_own_and_those_of_the_options_seed():
    means, matrix = np.array([0.5, 0.6]), np.eye(2)
    first = draw_means(means, matrix, 5.0, OPTIONS, "a/b/math")
    assert (draw_means(means, matrix, 5.0, OPTIONS, "a/b/math") == first).all()
    assert not np.isclose(draw_means(means, matrix, 5.0, OPTIONS, "a/b/code"), first).any()
    seeded = OPTIONS.model_copy(update={"draw_seed": 1})
    assert not np.isclose(draw_means(means, matrix, 5.0, seeded, "a/b/math"), first).any()


def test_draws_do_not_depend_on_what_else_is_in_the_table():
    both = checked({"math": [0.3, 0.35, 0.4, 0.45, 0.5], "code": [0.5, 0.52, 0.51, 0.53, 0.55]})
    alone = both[both["category"] == "math"]
    first, second = (analyze(t, OPTIONS)["extrapolation"] for t in (both, alone))
    for column in ("mean", "low", "high"):
        parts = [each.query("category == 'math'")[column].to_numpy() for each in (first, second)]
        assert parts[0] == pytest.approx(parts[1], nan_ok=True)
