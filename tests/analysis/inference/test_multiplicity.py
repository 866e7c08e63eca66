"""Holm's correction by hand, and which claims of a study it takes together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.inference.contrasts import Drop, Evidence
from analysis.inference.estimate import Estimate
from analysis.inference.multiplicity import correct, holm


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


def test_holm_counts_what_can_be_false_by_hand():
    p_values, groups = [0.001, 0.002, 0.003, 0.5, 0.004], ["a", "a", "a", "b", "b"]
    # At most two of a group can be false: 2 + 2 at first, 2 + 2 with one of a made, then 1 + 2,
    # then none of a is left.
    assert holm(p_values, groups, 2).tolist() == pytest.approx([0.004, 0.008, 0.009, 0.5, 0.009])


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from("abc")), min_size=1, max_size=20))
def test_knowing_what_can_be_false_never_costs(claims):
    p_values, groups = zip(*claims, strict=True)
    assert (holm(p_values, groups, 2) <= holm(p_values)).all()
    assert holm(p_values, groups, 20).tolist() == holm(p_values).tolist()
    assert (holm(p_values, groups, 2) >= np.array(p_values)).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values)).all()
    assert (adjusted <= 1).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


def at(p: float) -> Estimate:
    """An estimate whose p value of being above 0 is p."""
    return Estimate(float(stats.norm.isf(p)), 1.0, np.inf)


def evidence(
    tail: float, drop: float, rise: float, level: float, flat: float, ladder: float = 0.3
) -> Evidence:
    """Of the given p values."""
    fall = Drop(0, 1, at(drop), 0.0, drop)
    return Evidence(at(tail), at(rise), at(ladder), fall, level, flat)


MATH = evidence(tail=0.004, drop=0.9, rise=0.03, level=0.6, flat=0.7, ladder=0.02)
CODE = evidence(tail=0.5, drop=0.01, rise=0.02, level=0.001, flat=0.002, ladder=0.8)
OVERALL = evidence(tail=0.012, drop=0.8, rise=0.4, level=0.9, flat=0.95, ladder=0.01)


def test_directional_claims_are_corrected_over_categories_and_overall_by_itself():
    """Categories: six claims, sorted .004 .01 .02 .03 .5 .9; overall: three."""
    found = correct({"math": MATH, "code": CODE, "overall": OVERALL}, "directional")
    assert found["math"]["tail"] == pytest.approx(6 * 0.004)
    assert found["code"]["drop"] == pytest.approx(5 * 0.01)
    assert found["code"]["plateau"] == pytest.approx(4 * 0.02)  # level .001, so the rise decides
    assert found["math"]["plateau"] == pytest.approx(0.6)  # the level part is not corrected
    assert found["code"]["flat"] == pytest.approx(0.002)
    assert found["overall"]["tail"] == pytest.approx(3 * 0.012)
    alone = correct({"overall": OVERALL}, "directional")
    assert found["overall"] == alone["overall"]


def test_both_directions_of_the_ladder_are_corrected_over_the_categories():
    """p of improved and declined: .02 .98 (math), .8 .2 (code); overall has two of its own."""
    found = correct({"math": MATH, "code": CODE, "overall": OVERALL}, "directional")
    assert found["math"]["improved"] == pytest.approx(4 * 0.02)
    assert found["code"]["declined"] == pytest.approx(3 * 0.2)
    assert found["overall"]["improved"] == pytest.approx(2 * 0.01)


def test_correcting_all_claims_counts_three_that_can_be_false_of_each_curve():
    """math: flat .7, drop .9, plateau .6, tail .004; code: .002, .01, .02, .5."""
    found = correct({"math": MATH, "code": CODE, "overall": OVERALL}, "all")
    assert found["code"]["flat"] == pytest.approx(6 * 0.002)
    assert found["math"]["tail"] == pytest.approx(6 * 0.004)  # three of code are left
    assert found["code"]["drop"] == pytest.approx(6 * 0.01)  # three of each are left
    assert found["code"]["plateau"] == pytest.approx(5 * 0.02)
    assert found["overall"]["tail"] == pytest.approx(3 * 0.012)


def test_a_curve_too_short_for_a_rise_claims_none():
    found = correct({"math": replace(MATH, rise=None)}, "directional")
    assert found["math"]["plateau"] == 1
    assert found["math"]["tail"] == pytest.approx(3 * 0.004)
