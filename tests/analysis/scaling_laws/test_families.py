"""Families of curves: recovery, inversion, limits, least squares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from analysis.scaling_laws.families import FAMILIES
from tests.analysis.score_tables import LADDER

X = np.array(LADDER) / LADDER[-1]
EXACT = {
    "saturating power law": np.array([[0.7, 0.1, 0.5]]),
    "logit-linear": np.array([[0.2, 0.15]]),
    "rectified power law": np.array([[0.7, 0.12, 0.6, 0.2]]),
}
WITH_BASE = np.append(0.0, X)
BOUNDS = {
    "saturating power law": ([0, -9, 0.02], [1, 9, 3]),
    "logit-linear": ([-9, -9], [9, 9]),
    "rectified power law": ([0, -9, 0.05, 0.003], [1, 9, 3, 3]),
}


@pytest.mark.parametrize("name", EXACT)
def test_a_family_recovers_its_own_curve(name):
    family = FAMILIES[name]
    means = family.predict(EXACT[name], X)
    fitted = family.fit(X, means)
    ahead = np.array([2.0, 4.0])
    assert fitted.squares[0] < 2e-6
    assert family.predict(fitted.parameters, ahead) == pytest.approx(
        family.predict(EXACT[name], ahead), abs=0.003
    )


@given(
    st.sampled_from(sorted(EXACT)),
    st.lists(st.floats(0, 1), min_size=5, max_size=5),
)
def test_curves_stay_inside_zero_and_one_whatever_the_means(name, means):
    family = FAMILIES[name]
    fitted = family.fit(X, np.array([means]))
    curve = family.predict(fitted.parameters, np.geomspace(0.01, 10, 30))
    assert np.isfinite(curve).all()
    assert ((curve >= 0) & (curve <= 1)).all()


@pytest.mark.parametrize("name", EXACT)
def test_inverse_inverts_predict(name):
    family = FAMILIES[name]
    for score in (0.55, 0.6, 0.65):
        x = family.inverse(EXACT[name], score)
        assert family.predict(EXACT[name], x)[0, 0] == pytest.approx(score)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("saturating power law", [0.7, 0.1, 0.5]),  # a ceiling of .7
        ("saturating power law", [0.9, -0.1, 0.5]),  # falling
        ("logit-linear", [0.2, -0.15]),
    ],
)
def test_what_is_never_reached_is_infinitely_far(name, parameters):
    assert FAMILIES[name].inverse(np.array([parameters]), 0.8)[0] == np.inf


@pytest.mark.parametrize(("edge", "near"), [(0.0, 1e-4), (1.0, 1 - 1e-4)])
def test_a_line_in_logits_reaches_an_edge_where_it_comes_near(edge, near):
    family = FAMILIES["logit-linear"]
    parameters = EXACT["logit-linear"]
    assert family.inverse(parameters, edge)[0] == family.inverse(parameters, near)[0] < np.inf


@pytest.mark.parametrize("name", EXACT)
def test_the_fit_is_the_least_squares_that_scipy_finds(name):
    family = FAMILIES[name]
    x = WITH_BASE if family.from_base else X
    rng = np.random.default_rng(1)
    truth = family.predict(EXACT[name], x)[0]
    for _ in range(5):
        means = truth + rng.normal(0, 0.01, len(x))
        fitted = family.fit(x, means[None])
        best = least_squares(
            lambda p, means=means: means - family.predict(p[None], x)[0],
            EXACT[name][0],
            bounds=BOUNDS[name],
            xtol=1e-12,
        )
        # Exponent and offset of the power laws start from a grid: their misfit is a little larger,
        # by less than a fifth of the noise's variance of 1e-4.
        assert 2 * best.cost <= fitted.squares[0] * (1 + 1e-4)
        excess = 2e-5 if family.from_base else 5e-6 if "power" in name else 1e-9
        assert fitted.squares[0] - 2 * best.cost < excess


def test_the_rectified_law_is_finite_without_data_and_reaches_the_base():
    family, parameters = FAMILIES["rectified power law"], EXACT["rectified power law"]
    assert family.predict(parameters, np.zeros(1))[0, 0] == pytest.approx(0.7 - 0.12 / 0.2)
    fitted = family.fit(WITH_BASE, family.predict(parameters, WITH_BASE))
    assert family.predict(fitted.parameters, np.zeros(1))[0, 0] == pytest.approx(0.1, abs=0.01)
    assert family.inverse(parameters, 0.05)[0] == 0


def test_an_asymptote_at_the_edge_or_of_a_line_in_log_n_is_none():
    """Cut off at 1, or an exponent that the grid ends at: the scales do not bound it."""
    draws = np.array([[0.7, 0.1, 0.5], [1.0, 0.4, 0.3], [0.9, 0.6, 0.02], [0.0, -0.3, 0.5]])
    found = FAMILIES["saturating power law"].asymptote(draws)
    assert found == pytest.approx([0.7, np.nan, np.nan, np.nan], nan_ok=True)
    assert FAMILIES["logit-linear"].asymptote(draws[:, :2]) is None
