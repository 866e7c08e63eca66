"""The benchmark's own parts: simulated truths are exact, false and true claims are separated."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.options import CurveOptions
from benchmarks.calibration import TRUTHS, one_cell, one_extrapolation, one_family, wrong
from benchmarks.simulated_study import Design, simulate, truth, truth_at

LADDER = 1000 * 2.0 ** np.arange(5)


@pytest.mark.parametrize("kind", ["graded", "binary"])
def test_simulated_scores_have_the_stated_means_and_stay_in_range(kind):
    means = np.array([0.2, 0.45, 0.7])
    scores = simulate(means, Design(kind, 3000, 40, 3, run_sd=0.01), np.random.default_rng(0))
    assert scores.mean((1, 2)) == pytest.approx(means, abs=0.015)
    assert scores.min() >= 0
    assert scores.max() <= 1


def test_the_run_sd_is_the_stated_one():
    design = Design("graded", 4000, 60, 4, run_sd=0.02)
    scores = simulate(np.full(4, 0.5), design, np.random.default_rng(1))
    assert scores.mean(2).std(axis=1, ddof=1).mean() == pytest.approx(0.02, rel=0.15)


@pytest.mark.parametrize("scales", [4, 5, 8])
@pytest.mark.parametrize("name", TRUTHS)
def test_truths_are_scores_and_go_on_beyond_the_ladder(name, scales):
    means = truth(name, scales)
    assert ((means > 0.1) & (means < 0.9)).all()
    assert truth_at(name, scales, np.array([scales - 1.0])) == pytest.approx(means[-1])


@pytest.mark.parametrize(
    ("verdict", "name", "false"),
    [
        ("flat", "flat", False),
        ("flat", "plateau", True),
        ("plateaued", "plateau", False),
        ("plateaued", "flat", True),
        ("plateaued", "near-plateau", True),
        ("plateaued", "+.02", True),
        ("improving", "+.02", False),
        ("improving", "plateau", True),
        ("non-monotone", "hump", False),
        ("non-monotone", "+.035", True),
        ("undetermined", "hump", False),
        ("flat", "range of .04", True),
        ("plateaued", "range of .04", False),
    ],
)
def test_false_claims_are_separated_from_true_ones(verdict, name, false):
    assert wrong(verdict, truth(name, 5), LADDER, CurveOptions()) is false


def test_cells_are_the_same_for_the_same_seed():
    design = Design("graded", 60, 2, 5)
    assert one_cell("flat", design, 5, 1) == one_cell("flat", design, 5, 1)
    assert one_cell("flat", design, 20, 1) != one_cell("flat", design, 20, 2)


def test_rates_are_shares():
    families = one_family("all flat", Design("graded", 60, 2, 5), 3, 1)
    ahead = one_extrapolation("saturating", Design("graded", 60, 2, 5), 3, 1)
    rates = [family["family_wise_any"] for family in families]
    for rate in (*rates, ahead["refused"], ahead["coverage_4x"]):
        assert 0 <= rate <= 1


def test_correcting_all_claims_keeps_the_family_where_truths_sit_on_the_margin():
    few, every = one_family("on the margins", Design("graded", 600, 3, 5), 60, 1)
    assert (few["corrected"], every["corrected"]) == ("directional", "all")
    assert few["family_wise_any"] > 0.1
    assert every["family_wise_any"] <= 0.1
    assert every["claimed_per_category"] < few["claimed_per_category"]
