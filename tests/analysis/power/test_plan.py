"""plan.csv and the planner's table; its command line is in test_cli."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.errors import InputError
from analysis.inference.curves import ArmCurves, build_arm_curves
from analysis.inference.score_array import build_score_arrays
from analysis.inference.variance import Repeats
from analysis.options import CurveOptions
from analysis.power.design import Components, components_of, power_within, precision
from analysis.power.plan import (
    Costs,
    pilot_components,
    plan_rows,
    plan_table,
    plan_text,
    stated_components,
    with_answers,
)
from analysis.power.simulate import simulate_power
from tests.analysis.score_tables import LADDER, checked, table

OPTIONS = CurveOptions()
MEANS = {"math": [0.4, 0.42, 0.45, 0.46, 0.47], "code": [0.5, 0.5, 0.52, 0.5, 0.51]}


@pytest.fixture(scope="module")
def arm() -> ArmCurves:
    (array,) = build_score_arrays(checked(MEANS))
    return build_arm_curves(array, OPTIONS)


@pytest.fixture(scope="module")
def plan(arm) -> pd.DataFrame:
    return pd.DataFrame(plan_rows(arm, OPTIONS, {})).set_index(["category", "items", "seeds"])


def test_more_items_and_seeds_detect_less(plan):
    grid = plan.loc["math", "detectable"].unstack()
    assert (np.diff(grid, axis=0) < 0).all()
    assert (np.diff(grid[[2, 3, 5, 8]], axis=1) < 0).all()


def test_a_row_holds_the_precision_and_the_power_of_its_design(plan, arm):
    row = plan.loc[("math", 200, 3)]
    parts = components_of(arm.curves["math"].covariance, arm.scales)
    expected = precision(parts, np.array(200), np.array(3))
    assert (row["slope_se"], row["df"]) == pytest.approx((expected.se, expected.df))
    found = simulate_power(parts, np.array([200]), np.array([3]), 0.02, 0.05, 2 * 3, 0.8)
    assert row["detectable"] == pytest.approx(found.detectable[0], rel=0.1)
    assert row["power_flat"] == pytest.approx(found.level[0], abs=0.06)
    assert row["power_at_margin"] == pytest.approx(found.at_margin[0], abs=0.06)
    assert row["power_margin"] == pytest.approx(found.at_twice[0], abs=0.06)
    assert (row["power"], row["scales"]) == (0.8, 5)
    assert row["noise"] == "measured: items and seeds"


def test_judgements_count_every_category_of_overall(plan):
    assert plan.loc[("math", 50, 3), ["runs", "judgements"]].tolist() == [15, 15 * 50]
    assert plan.loc[("overall", 50, 3), "judgements"] == 15 * 50 * 2


def test_categories_without_noise_and_single_scales_have_no_plan():
    scores = checked(MEANS)
    scores.loc[scores["category"] == "code", "score"] = 0.5
    (array,) = build_score_arrays(scores)
    rows = plan_rows(build_arm_curves(array, OPTIONS), OPTIONS, {})
    assert {row["category"] for row in rows} == {"math", "overall"}
    (one,) = build_score_arrays(checked({"math": [0.4]}, scales=(10,)))
    assert plan_rows(build_arm_curves(one, OPTIONS), OPTIONS, {}) == []


def test_the_category_that_decides_is_named_and_the_feasible_ones_are_counted():
    unit = {
        "easy": Components(0.01, 1e-6, 0.01),
        "noisy": Components(0.01, 0.01, 0.01),
        "noisiest": Components(0.01, 0.02, 0.01),
    }
    found = plan_table(unit, [5], [1, 3], 2.0, OPTIONS, Costs()).set_index("seeds")
    assert found.loc[3, ["hardest", "feasible"]].tolist() == ["noisiest", 1]
    assert np.isnan(found.loc[3, "items"])
    assert found.loc[1, "feasible"] == 0


def test_runs_judgements_and_money_by_hand():
    costs = Costs(arms=2, categories=12, repeats=3, per_run=10.0, per_judgement=0.01)
    found = plan_table(stated_components(0.1, 0.01, 0.1, False), [5], [3], 2.0, OPTIONS, costs)
    row = found.iloc[0]
    assert row["runs"] == 5 * 3 * 2
    assert row["judgements"] == 30 * row["items"] * 12 * 3
    assert row["cost"] == pytest.approx(300 + 0.01 * row["judgements"])


def test_a_large_run_costs_more_than_a_small_one():
    """Scales 1/16 to 1 of 2 M records: 31/16 of 2 M in each seed, at 8 per million."""
    costs = Costs(arms=2, categories=1, per_run=1.0, per_million=8.0, largest=2e6)
    unit = stated_components(0.1, 0.01, 0.1, False)
    row = plan_table(unit, [5], [3], 2.0, OPTIONS, costs).iloc[0]
    assert row["cost"] == pytest.approx(2 * 3 * (5 * 1.0 + 31 / 16 * 2 * 8.0))


def test_without_prices_the_design_of_the_fewest_judgements_is_named_and_not_of_the_fewest_runs():
    unit = stated_components(0.1, 0.01, 0.1, False)
    found = plan_table(unit, [5], [2, 3, 5], 2.0, OPTIONS, Costs())
    best = found.loc[found["judgements"].idxmin()]
    assert best["runs"] > found["runs"].min()
    named = f"Fewest judgements: {best['items']:.0f} items per category x {best['seeds']} seeds"
    assert named in plan_text(found, "stated", 1, OPTIONS)


def test_the_items_are_the_fewest_that_show_a_level_tail():
    """At five doubling scales the tail slope has the squared weights 1/4 + 0 + 1/4."""
    found = plan_table(stated_components(0.1, 0.01, 0.1, False), [5], [3], 2.0, OPTIONS, Costs())
    items = int(found.loc[0, "items"])
    parts = Components(0.5 * 0.1**2, 0.5 * 0.01**2, 0.5 * 0.1**2)
    power = power_within(precision(parts, np.array([items, items * 0.95]), 3), 0.02, 0.05)
    assert power[0] >= 0.8 > power[1]


def test_a_pilot_of_two_seeds_and_two_scales_is_enough(tmp_path):
    path = tmp_path / "pilot.csv"
    table({"math": [0.4, 0.5]}, scales=(10, 20), seeds=2).to_csv(path, index=False)
    assert set(pilot_components(path, None, None)[0]) == {"math"}


@pytest.mark.parametrize("shape", [{"seeds": 1}, {"scales": (10,)}])
def test_a_pilot_of_one_seed_or_one_scale_is_refused(tmp_path, shape):
    path = tmp_path / "pilot.csv"
    means = [0.5] * len(shape.get("scales", LADDER))
    table({"math": means}, **shape).to_csv(path, index=False)
    with pytest.raises(InputError, match="run at least two of each"):
        pilot_components(path, None, None)


def test_a_pilot_carries_its_variance_to_other_ladders(tmp_path):
    """A pilot's own ladder gives its own components back: unit times the squared weights."""
    path = tmp_path / "pilot.csv"
    table(MEANS).to_csv(path, index=False)
    unit, _ = pilot_components(path, None, None)
    (array,) = build_score_arrays(checked(MEANS))
    curves = build_arm_curves(array, OPTIONS).curves
    for name in MEANS:
        parts = components_of(curves[name].covariance, array.scales)
        assert 0.5 * unit[name].item == pytest.approx(parts.item)
        assert 0.5 * unit[name].run == pytest.approx(parts.run)
        assert 0.5 * unit[name].item_run == pytest.approx(parts.item_run)


def test_answers_and_repeats_are_designs_beside_items_and_seeds(arm):
    options = OPTIONS.model_copy(
        update={"plan_answers": [1, 4], "plan_repeats": [1, 3], "answer_sd": 0.04}
    )
    repeats = {("exact", "full", name): Repeats(0.02**2, 3.0) for name in MEANS}
    rows = pd.DataFrame(plan_rows(arm, options, repeats))
    rows = rows[rows["category"] == "math"].set_index(["items", "seeds", "answers", "repeats"])
    parts = components_of(arm.curves["math"].covariance, arm.scales)
    across = 0.5  # sum of the tail's squared weights
    noise = across * (0.04**2 + 0.02**2) / 4
    less = parts.item_run - across * (0.04**2 + 0.02**2 / 3) + noise
    expected = precision(replace(parts, item_run=less), np.array(200), np.array(3)).se
    assert rows.loc[(200, 3, 4, 1), "slope_se"] == pytest.approx(expected)
    assert rows.loc[(200, 3, 4, 3), "judgements"] == 15 * 200 * 12
    assert rows.loc[(200, 3, 4, 3), "detectable"] < rows.loc[(200, 3, 1, 1), "detectable"]


def test_several_answers_of_unknown_noise_are_refused(arm):
    options = OPTIONS.model_copy(update={"plan_answers": [1, 2]})
    with pytest.raises(InputError, match="answer_sd"):
        plan_rows(arm, options, {})


def test_a_pilots_repeats_tell_the_judges_noise_and_more_of_them_take_it_away(tmp_path):
    """Judgements of an answer differ by an SD of .02."""
    path = tmp_path / "pilot.csv"
    table({"math": MEANS["math"]}, repeats=3, items=60).to_csv(path, index=False)
    unit, noise = pilot_components(path, None, None)
    assert noise["math"].judge == pytest.approx(0.02**2, rel=0.1)
    assert noise["math"].repeats == 3
    one, many = (with_answers(unit, noise, 1, n)["math"].item_run for n in (1, 100))
    assert one - many == pytest.approx(0.02**2 * 0.99, rel=0.1)
