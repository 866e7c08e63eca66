"""Chances of each verdict: against studies that are simulated whole, and at their limits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from analysis.inference.curves import build_arm_curves
from analysis.inference.multiplicity import correct
from analysis.inference.score_array import build_score_arrays
from analysis.inference.verdicts import decide
from analysis.options import CurveOptions
from analysis.power.design import Components
from analysis.power.plan_verdicts import plan_verdict_rows
from analysis.power.verdict_chances import (
    VERDICTS,
    CurveComponents,
    _wishart,
    curve_components,
    mean_components,
    true_curves,
    verdict_chances,
)
from benchmarks.calibration import simulated_noise, study_evidence
from benchmarks.simulated_study import Design
from tests.analysis.score_tables import checked

OPTIONS = CurveOptions()
LADDER = 250 * 2.0 ** np.arange(5)
UNIT = Components(0.01, 1e-4, 0.01, shared=4.0)


@pytest.mark.parametrize("df", [1.0, 1.6, 4.0, 7.3, 60.0, 500.0])
def test_mean_squares_have_the_mean_and_the_spread_of_their_degrees_of_freedom(df):
    mean = np.array([[2.0, 0.5], [0.5, 1.0]])
    rng = np.random.default_rng(0)
    drawn = np.concatenate([_wishart(rng, mean, df) for _ in range(20)])
    error = 2 * np.sqrt(2 / df / len(drawn))
    assert drawn.mean(0) == pytest.approx(mean, abs=4 * error)
    diagonal = drawn[:, 0, 0] / 2
    assert diagonal.var() == pytest.approx(2 / df, rel=0.1)


def test_verdicts_come_as_often_as_in_studies_that_are_simulated_whole():
    """Two curves, 180 items and five seeds: within 3 standard errors of 60 studies."""
    design, rng = Design("graded", 180, 5, 5, 0.0075), np.random.default_rng(1)
    flat = np.full((12, 5), 0.6)
    noise = [each for _ in range(6) for each in simulated_noise(flat, design, rng).values()]
    parts = mean_components([curve_components(each) for each in noise])
    chances = verdict_chances(parts, design.ladder, 180, 5, 36, OPTIONS)
    curves = true_curves(design.ladder, OPTIONS)
    for name in ("level", "slope of the margin"):
        means = flat.copy()
        means[0] += curves[name] - curves[name].mean()
        found: Counter[str] = Counter()
        for _ in range(60):
            evidence = study_evidence(means, design, rng, OPTIONS)
            p_values = correct(evidence, OPTIONS.corrected)["0"]
            found[decide(evidence["0"], p_values, OPTIONS).replace("-", "_")] += 1
        for verdict in VERDICTS:
            assert found[verdict] / 60 == pytest.approx(chances[name][verdict], abs=0.19)


def test_chances_add_up_and_a_precise_study_is_right():
    parts = CurveComponents.independent(replace(UNIT, run=1e-8), 5)
    found = verdict_chances(parts, LADDER, 20_000, 5, 36, OPTIONS)
    right = {
        "level": "flat",
        "level after a rise": "plateaued",
        "slope of twice the margin": "improving",
    }
    for name, chances in found.items():
        assert sum(chances.values()) == pytest.approx(1)
        assert name not in right or chances[right[name]] > 0.99
    # On the margin a level tail is shown in .05, after a rise that is shown as well.
    assert found["slope of the margin"]["plateaued"] <= 0.09


def test_one_seed_has_no_verdict_unless_its_run_noise_is_known():
    one = verdict_chances(CurveComponents.independent(UNIT, 5), LADDER, 400, 1, 36, OPTIONS)
    assert {chances["undetermined"] for chances in one.values()} == {1.0}
    known = CurveComponents.independent(replace(UNIT, run_known=True), 5)
    stated = verdict_chances(known, LADDER, 4000, 1, 36, OPTIONS)
    assert stated["slope of twice the margin"]["improving"] > 0.5


def test_correcting_all_claims_costs_the_flat_ones_most():
    parts = CurveComponents.independent(UNIT, 5)
    few, every = (
        verdict_chances(parts, LADDER, 400, 5, 36, CurveOptions(corrected=which))["level"]["flat"]
        for which in ("directional", "all")
    )
    assert every < 0.5 * few


def test_a_ladder_within_its_tail_has_no_rise():
    assert list(true_curves(LADDER[:3], OPTIONS)) == [
        "level",
        "slope of the margin",
        "slope of twice the margin",
    ]
    found = verdict_chances(CurveComponents.independent(UNIT, 3), LADDER[:3], 400, 3, 36, OPTIONS)
    assert {chances["plateaued"] for chances in found.values()} == {0.0}


def test_the_table_has_every_design_of_two_seeds_or_more():
    (array,) = build_score_arrays(checked({"math": [0.4, 0.42, 0.45, 0.46, 0.47]}))
    options = CurveOptions(plan_items=[50, 200], plan_seeds=[1, 2, 5])
    rows = plan_verdict_rows(build_arm_curves(array, options), options)
    assert [(row["items"], row["seeds"]) for row in rows[::4]] == [
        (50, 2),
        (50, 5),
        (200, 2),
        (200, 5),
    ]
    (one,) = build_score_arrays(checked({"math": [0.4]}, scales=(10,)))
    assert plan_verdict_rows(build_arm_curves(one, options), options) == []
