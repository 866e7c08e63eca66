"""Verdicts on curves whose truth is plain, the order of the rules, and their correction."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.inference.contrasts import Drop, Evidence, estimate_contrasts
from analysis.inference.curves import build_arm_curves
from analysis.inference.estimate import Estimate
from analysis.inference.score_array import build_score_arrays
from analysis.inference.verdicts import decide, ladder_direction, tail_region
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from tests.analysis.score_tables import LADDER, checked

CURVES = {
    "flat": [0.5] * 5,
    "plateaued": [0.3, 0.42, 0.5, 0.5, 0.5],
    "improving": [0.3, 0.35, 0.4, 0.45, 0.5],
    "non-monotone": [0.3, 0.45, 0.55, 0.48, 0.4],
}
OPTIONS = CurveOptions()


def verdicts(*args: object, options: CurveOptions = OPTIONS, **kwargs: object):
    return analyze(checked(*args, **kwargs), options)["verdicts"].set_index("category")


def test_each_shape_gets_its_verdict():
    found = verdicts(CURVES, items=150)
    assert {name: found.loc[name, "verdict"] for name in CURVES} == {n: n for n in CURVES}
    assert found.loc["improving", "ladder"] == "improved"
    assert found.loc["flat", "ladder"] == "not shown"
    assert found.loc["non-monotone", ["drop_from", "drop_to"]].tolist() == [1000, 4000]


def test_a_small_noisy_study_decides_nothing_and_names_the_sample_size_that_would():
    found = verdicts({"math": [0.4, 0.42, 0.44, 0.45, 0.46]}, items=25, noise=0.2).loc["math"]
    assert found["verdict"] == "undetermined"
    assert found["detectable"] > found["margin"]
    assert found["items_needed"] * found["seeds_needed"] > 25 * 3
    assert found["seeds_needed"] >= 2


def test_a_falling_curve_is_called_a_decline():
    found = verdicts({"math": [0.6, 0.55, 0.5, 0.45, 0.4]}, items=100).loc["math"]
    assert (found["verdict"], found["ladder"]) == ("non-monotone", "declined")
    assert "decline rather than a hump" in found["note"]


def test_wider_margins_turn_an_improvement_into_a_plateau():
    wide = OPTIONS.model_copy(update={"tail_margin": 0.08})
    found = verdicts({"math": CURVES["improving"]}, items=150, options=wide).loc["math"]
    assert (found["verdict"], found["margin"]) == ("plateaued", 0.08)


def test_too_many_missing_scores_leave_no_verdict():
    scores = checked({"math": CURVES["improving"], "code": CURVES["improving"]}, items=100)
    hit = (scores["category"] == "math") & (scores["scale"] == 4000) & (scores.index % 10 == 0)
    scores.loc[hit, ["score", "status"]] = [np.nan, "timeout"]
    tables = analyze(scores, OPTIONS)
    found = tables["verdicts"].set_index("category")
    assert found.loc["math", "verdict"] == "undetermined"
    assert "up to 10% of the scores are missing at a scale (limit 5%)" in found.loc["math", "note"]
    assert found.loc["code", "verdict"] == "improving"
    refused = tables["fits"].query("category == 'math'")
    assert (refused["reason"] == "the noise is not known").all()
    assert (tables["fits"].query("category == 'code'")["status"] == "kept").any()


def test_two_scales_cannot_show_a_plateau():
    found = verdicts({"math": [0.3, 0.6]}, scales=LADDER[:2], items=100).loc["math"]
    assert found["verdict"] == "improving"
    assert "no plateau can show" in found["note"]


def test_one_scale_has_no_verdict():
    found = verdicts({"math": [0.3]}, scales=(100,)).loc["math"]
    assert found["verdict"] == "undetermined"
    assert "one scale only" in found["note"]


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
    assert "seeds" not in found["note"]  # the required design has columns of its own


def evidence(tail: float) -> Evidence:
    """With the given tail slope; the p values of the claims are given apart."""
    none = Estimate(0.0, 1.0, 10)
    drop = Drop(0, 1, none, 0.0, 1.0)
    return Evidence(Estimate(tail, 0.001, 10), none, none, drop, 1.0, 1.0)


NOTHING = {"flat": 0.06, "drop": 0.06, "plateau": 0.06, "tail": 0.06}


def test_the_first_rule_that_holds_decides_at_the_one_sided_level():
    steep, options = evidence(0.03), CurveOptions()
    order = {
        "flat": "flat",
        "drop": "non-monotone",
        "plateau": "plateaued",
        "tail": "improving",
    }
    shown = dict.fromkeys(order, 0.04)
    for claim, verdict in order.items():
        assert decide(steep, NOTHING | {claim: 0.04}, options) == verdict
        assert decide(steep, shown, options) == verdict
        shown[claim] = 0.06
    assert decide(steep, NOTHING, options) == "undetermined"
    wide = CurveOptions(interval=0.8)
    assert decide(steep, dict.fromkeys(order, 0.09) | {"flat": 0.11}, wide) == "non-monotone"


def test_improving_is_a_tail_above_0_whatever_its_estimate_and_last_step():
    """The paper's math: +.052 [.019, .085] was undetermined for a last step of -.003."""
    rising = NOTHING | {"tail": 0.001}
    for slope in (0.052, 0.019):
        assert decide(evidence(slope), rising, CurveOptions()) == "improving"


@pytest.mark.parametrize(
    ("slope", "se", "region"),
    [
        (0.05, 0.01, "above margin"),
        (0.05, 0.0165, "not below margin"),  # above at .05 of one side, not at .025
        (0.0, 0.005, "within margin"),
        (0.019, 0.02, "not below margin"),
        (-0.019, 0.02, "not above margin"),
        (-0.05, 0.01, "below margin"),
        (0.0, 0.03, "not shown"),
    ],
)
def test_the_tail_lies_in_one_of_three_regions_or_is_not_shown(slope, se, region):
    assert tail_region(Estimate(slope, se, np.inf), 0.02, 0.05) == region


@pytest.mark.parametrize("slope", [-0.02, 0.0, 0.02, 0.021])
def test_a_region_without_the_truth_is_claimed_at_most_at_the_level(slope):
    rng = np.random.default_rng(0)
    excluded = {
        "above margin": slope <= 0.02,
        "within margin": abs(slope) > 0.02,
        "below margin": slope >= -0.02,  # a slope on the margin is within
        "not below margin": slope < -0.02,
        "not above margin": slope > 0.02,
        "not shown": False,
    }
    wrong = []
    for _ in range(4000):
        estimate = Estimate(slope + 0.01 * rng.standard_normal(), 0.01, np.inf)
        wrong.append(excluded[tail_region(estimate, 0.02, 0.05)])
    assert np.mean(wrong) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_the_ladder_shows_a_direction_at_the_one_sided_level():
    options = CurveOptions()
    for p_values, expected in (
        ({"improved": 0.04, "declined": 1.0}, "improved"),
        ({"improved": 1.0, "declined": 0.04}, "declined"),
        ({"improved": 0.06, "declined": 1.0}, "not shown"),
    ):
        assert ladder_direction(p_values, options) == expected


def test_the_columns_of_a_verdict_are_its_contrasts():
    scores = checked({"math": CURVES["improving"]}, items=60)
    row = analyze(scores, OPTIONS)["verdicts"].iloc[0]
    (array,) = build_score_arrays(scores)
    covariance = build_arm_curves(array, OPTIONS).curves["math"].covariance
    found = estimate_contrasts(covariance, array.scales, OPTIONS)
    for name, estimate in {"tail": found.tail, "ladder": found.ladder}.items():
        assert row[f"{name}_slope"] == estimate.value
        assert (row[f"{name}_low"], row[f"{name}_high"]) == estimate.interval(0.9)
    assert (row["rise_low"], row["rise_high"]) == found.rise.interval(0.9)
    assert row["p_value"] == found.tail.p_above(0)
    assert found.rise.p_above(0) < row["p_value"] < found.drop.p_value
    assert row["p_holm"] == pytest.approx(2 * row["p_value"])  # the rise comes first, the drop last


@pytest.mark.parametrize(("level", "expected"), [(0.0, "at floor"), (1.0, "at ceiling")])
def test_a_curve_at_an_edge_is_said_to_be_there_and_not_flat(level, expected):
    """A tenth of the scores lie .01 off the edge; or none does, in 400 items."""
    for share in (0.0, 0.1):
        scores = checked({"c": [level] * 5}, items=400)
        off = np.random.default_rng(0).random(len(scores)) < share
        scores["score"] = np.where(off, abs(level - 0.01), level)
        found = analyze(scores, OPTIONS)["verdicts"].set_index("category")
        assert (found["verdict"] == expected).all()
        assert found.loc["c", "note"].startswith("every mean lies within 0.04")
    few = analyze(checked({"c": [level] * 5}, items=10).assign(score=level), OPTIONS)["verdicts"]
    assert (few["verdict"] == "undetermined").all()


def test_a_category_of_one_item_leaves_overall_its_interval():
    scores = checked(CURVES, items=20)
    single = (scores["category"] != "flat") | (scores["item"] == "flat-000")
    tables = analyze(scores[single], OPTIONS)
    others = analyze(scores[scores["category"] != "flat"], OPTIONS)
    for name in ("mean", "low", "high"):
        both = [t["curves"].query("category == 'overall'")[name] for t in (tables, others)]
        assert both[0].tolist() == pytest.approx(both[1].tolist())
    notes = tables["curves"].query("category == 'overall'")["note"]
    assert notes.str.contains("one item or cluster only: Flat").all()


@pytest.mark.parametrize(("items", "expected"), [(10, "undetermined"), (400, "at floor")])
def test_zeros_alone_show_no_flat_curve_unless_there_are_many(items, expected):
    """All answers wrong at three scales of five: with ten items the truth may be .26 there."""
    scores = checked({"c": [0.0] * 5}, items=items)
    rng = np.random.default_rng(0)
    scores["score"] = np.where(scores["scale"] > 1000, rng.random(len(scores)) * 0.02, 0.0)
    found = analyze(scores, OPTIONS)["verdicts"].set_index("category").loc["c"]
    assert found["verdict"] == expected
    bound = f"may lie up to {1 - 0.05 ** (1 / items):.2f} away"
    assert (bound in found["note"]) == (expected == "undetermined")
