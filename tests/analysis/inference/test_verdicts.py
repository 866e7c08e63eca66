"""Verdicts on curves whose truth is plain, the order of the rules, and their correction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.curves import analyze
from analysis.inference.covariance import UNMEASURED, Covariance
from analysis.inference.evidence import estimate_contrasts
from analysis.inference.multiplicity import holm
from analysis.inference.sample import from_scores
from analysis.inference.verdicts import correct, decide
from analysis.options import CurveOptions
from tests.analysis.score_tables import LADDER, checked

CURVES = {
    "flat": [0.5] * 5,
    "plateaued": [0.3, 0.42, 0.5, 0.5, 0.5],
    "improving": [0.3, 0.35, 0.4, 0.45, 0.5],
    "non-monotone": [0.3, 0.45, 0.55, 0.48, 0.4],
}
OPTIONS = CurveOptions(bootstrap_replicates=100)


def verdicts(*args: object, options: CurveOptions = OPTIONS, **kwargs: object):
    return analyze(checked(*args, **kwargs), options)["verdicts"].set_index("category")


def test_each_shape_gets_its_verdict():
    found = verdicts(CURVES, items=150)
    assert {name: found.loc[name, "verdict"] for name in CURVES} == {n: n for n in CURVES}
    assert found.loc["improving", "ladder"] == "improved"
    assert found.loc["flat", "ladder"] == "not shown"
    assert found.loc["non-monotone", ["drop_from", "drop_to"]].tolist() == [1000, 4000]


def test_a_small_noisy_study_decides_nothing_and_says_what_would():
    found = verdicts({"math": [0.4, 0.42, 0.44, 0.45, 0.46]}, items=25, noise=0.2).loc["math"]
    assert found["verdict"] == "undetermined"
    assert found["detectable"] > found["margin"]
    assert found["items_needed"] * found["seeds_needed"] > 25 * 3
    assert found["seeds_needed"] >= 2


def test_a_falling_curve_is_called_a_decline():
    found = verdicts({"math": [0.6, 0.55, 0.5, 0.45, 0.4]}, items=100).loc["math"]
    assert (found["verdict"], found["ladder"]) == ("non-monotone", "declined")
    assert "decline rather than a hump" in found["note"]


def test_a_steep_tail_whose_last_step_falls_is_not_improving():
    curve = {"math": [0.30, 0.30, 0.40, 0.70, 0.695]}
    found = verdicts(curve, items=200, noise=0.02, run_sd=0.001).loc["math"]
    assert found["tail_slope"] > 0.1
    assert found["verdict"] != "improving"


def test_wider_margins_turn_an_improvement_into_a_plateau():
    wide = OPTIONS.model_copy(update={"tail_margin": 0.08})
    found = verdicts({"math": CURVES["improving"]}, items=150, options=wide).loc["math"]
    assert (found["verdict"], found["margin"]) == ("plateaued", 0.08)


def test_one_seed_is_labelled():
    found = verdicts(CURVES, seeds=1, items=100)
    assert (found["noise"] == UNMEASURED).all()
    assert (found["n_seeds"] == 1).all()
    stated = OPTIONS.model_copy(update={"run_sd": 0.03})
    wider = verdicts(CURVES, seeds=1, items=100, options=stated)
    assert (
        (wider["tail_high"] - wider["tail_low"]) > (found["tail_high"] - found["tail_low"])
    ).all()
    assert wider["noise"].str.contains("stated run SD").all()


def test_too_many_missing_scores_leave_no_verdict():
    scores = checked({"math": CURVES["improving"], "code": CURVES["improving"]}, items=100)
    hit = (scores["category"] == "math") & (scores["scale"] == 4000) & (scores.index % 10 == 0)
    scores.loc[hit, ["score", "status"]] = [np.nan, "timeout"]
    tables = analyze(scores, OPTIONS)
    found = tables["verdicts"].set_index("category")
    assert found.loc["math", "verdict"] == "undetermined"
    assert "missing" in found.loc["math", "note"]
    assert found.loc["code", "verdict"] == "improving"
    point = tables["curves"].query("category == 'math' and scale == 4000").iloc[0]
    assert point["bound_low"] < point["low"]
    assert point["high"] < point["bound_high"]
    assert point["bound_high"] - point["bound_low"] == pytest.approx(point["n_missing"] / 300)


def test_two_scales_cannot_show_a_plateau():
    found = verdicts({"math": [0.3, 0.6]}, scales=LADDER[:2], items=100).loc["math"]
    assert found["verdict"] == "improving"
    assert "no plateau can show" in found["note"]


def test_one_scale_has_no_verdict():
    found = verdicts({"math": [0.3]}, scales=(100,)).loc["math"]
    assert found["verdict"] == "undetermined"
    assert "one scale only" in found["note"]


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
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


def test_more_categories_ask_more_of_each_claim():
    few = verdicts({"a": CURVES["improving"]}, items=40)
    many = verdicts(dict.fromkeys("abcdefgh", CURVES["improving"]), items=40)
    ratio = many.loc["a", "p_holm"] / many.loc["a", "p_value"]
    assert ratio >= few.loc["a", "p_holm"] / few.loc["a", "p_value"]


ALL = OPTIONS.model_copy(update={"corrected": "all"})


def test_the_table_says_which_claims_are_corrected():
    assert (verdicts(CURVES)["corrected"] == "directional").all()
    found = verdicts(CURVES, items=150, options=ALL)
    assert (found["corrected"] == "all").all()
    assert {name: found.loc[name, "verdict"] for name in CURVES} == {n: n for n in CURVES}


def test_level_categories_that_chance_could_make_are_kept_back_when_all_is_corrected():
    curves = {f"c{number}": [0.5] * 5 for number in range(8)}
    shape = {"items": 150, "noise": 0.15, "run_sd": 0.004}
    alone, together = verdicts(curves, **shape), verdicts(curves, **shape, options=ALL)
    flat = alone.index[(alone["verdict"] == "flat") & (alone.index != "overall")]
    lost = [name for name in flat if together.loc[name, "verdict"] == "undetermined"]
    assert lost
    assert together.loc[lost, "note"].str.contains("flat by itself").all()
    assert (alone.loc[flat, "p_holm"] == alone.loc[flat, "p_value"]).all()
    kept = together.index[(together["verdict"] == "flat") & (together.index != "overall")]
    assert set(kept) <= set(flat)


def test_a_flat_curve_has_the_p_value_of_its_claim():
    found = verdicts({"math": [0.5] * 5}, items=150).loc["math"]
    assert found["verdict"] == "flat"
    assert found["p_value"] < 0.05


def test_a_plateau_whose_tail_still_creeps_up_says_so():
    found = verdicts({"math": [0.3, 0.42, 0.50, 0.51, 0.52]}, items=300, noise=0.02, run_sd=0.001)
    assert found.loc["math", "verdict"] == "plateaued"
    assert "still moves" in found.loc["math", "note"]


def test_a_rise_that_only_the_correction_hides_is_said_to_be_one():
    level = {f"c{number}": [0.5] * 5 for number in range(11)}
    curves = {"math": [0.40, 0.42, 0.44, 0.47, 0.51], **level}
    found = verdicts(curves, items=40, noise=0.15).loc["math"]
    assert found["tail_low"] > 0
    assert found["p_value"] < 0.05 < found["p_holm"]
    assert found["verdict"] == "undetermined"
    assert "rises by itself" in found["note"]
    assert "correction over the claims of all categories" in found["note"]
    assert found["items_needed"] > 0
    assert "seeds" not in found["note"]  # the design that would settle it is told by itself


@pytest.mark.parametrize(("items", "expected"), [(10, "undetermined"), (400, "flat")])
def test_zeros_alone_show_no_flat_curve_unless_there_are_many(items, expected):
    """All answers wrong at three scales of five: with ten items the truth may be .26 there."""
    rng = np.random.default_rng(0)
    values = np.zeros((5, 3, items))
    values[3:] = rng.random((2, 3, items)) * 0.02
    covariance = Covariance(from_scores(values, np.arange(items)))
    options = CurveOptions()
    evidence = estimate_contrasts(covariance, np.array(LADDER), options)
    verdict = decide(evidence, correct({"c": evidence}, "directional")["c"], options)
    assert evidence.unseen == pytest.approx(1 - 0.05 ** (1 / items))
    assert verdict == expected
