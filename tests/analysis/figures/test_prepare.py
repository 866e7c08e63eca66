"""What each figure takes from the tables, and what its caption says of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from analysis.errors import InputError
from analysis.figures import (
    bars,
    curves,
    curves_by_tag,
    drawing,
    forest,
    frontier,
    funnel,
    intermediate_scores,
    judges,
    planner,
    style,
    sufficient,
    validation_loss,
    variance,
)
from analysis.figures.kind import NothingToDraw, Sources
from analysis.inference.covariance import UNMEASURED
from analysis.options import FigureOptions
from tests.analysis.figures import figure_tables


def sources(folder: Path, options: FigureOptions = FigureOptions(), **tables: object) -> Sources:
    return Sources(figure_tables.write(folder, **tables), options)


def test_a_table_that_is_no_csv_is_refused(tmp_path: Path):
    (tmp_path / "curves.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a CSV table"):
        curves.prepare_curves(Sources(tmp_path, FigureOptions()))


def test_bars_say_what_they_are(tmp_path: Path):
    frame = bars.prepare(
        sources(tmp_path, curves=figure_tables.curves(categories=("math", "code")))
    )
    caption = bars.caption(frame.assign(interval=0.9))
    assert caption == (
        "Judge metric; arm full; 40 to 41 items per category; 2 seeds; whiskers: 90% intervals; "
        "base: the model before tuning."
    )
    assert "base" not in bars.caption(frame[frame["scale"] > 0])
    assert "The y axis starts at 0.2" in bars.caption(bars.paper_rows())


def test_curves_hold_means_fits_verdicts_and_the_papers_points_if_wanted(tmp_path: Path):
    tables = figure_tables.study(categories=("math", "chess"))
    frame = curves.prepare_curves(sources(tmp_path, FigureOptions(paper_overlay=True), **tables))
    counts = frame.groupby("kind")["category"].agg(set)
    assert counts["mean"] == counts["verdict"] == {"math", "chess", "overall"}
    assert counts["paper"] == {"math", "overall"}  # the paper has no chess
    fits = frame[frame["kind"] == "fit"]
    wanted = tables["extrapolation"].query("status == 'fit'")
    assert np.allclose(fits[["scale", "mean"]], wanted[["scale", "mean"]])
    assert "paper" not in set(curves.prepare_curves(sources(tmp_path))["kind"])


def test_a_curve_caption_states_items_seeds_level_margins_and_missing_scores(tmp_path: Path):
    curve = figure_tables.curves(categories=("math", "code"), seeds=1)
    curve["n_missing"] = curve["category"].map({"math": 3, "overall": 3}).fillna(0)
    tables = {"curves": curve, "verdicts": figure_tables.verdicts(curve)}
    frame = curves.prepare_curves(sources(tmp_path, **tables)).assign(study="", interval=0.9)
    assert curves.caption_curves(frame) == (
        "Judge metric; arm full; 40 to 41 items per category; "
        "1 seed (items only; training noise unmeasured); bands: 90% intervals; "
        "verdicts: claims with a direction corrected over the categories, "
        "margins 0.02 per doubling for the tail, 0.04 for the range; "
        "12 scores missing."  # three at each of the four tuned scales
    )


def test_captions_say_that_fits_share_noise_only_where_fits_are_drawn(tmp_path: Path):
    origin = sources(tmp_path, **figure_tables.study(categories=("math",)))
    assert curves.FITS_NOTE in curves.caption_curves(curves.prepare_curves(origin))
    assert curves.FITS_NOTE in curves.caption_extrapolation(curves.prepare_extrapolation(origin))
    without = Sources(tmp_path, FigureOptions(), without=["extrapolation"])
    assert curves.FITS_NOTE not in curves.caption_curves(curves.prepare_curves(without))


def test_extrapolation_holds_tuned_means_and_the_whole_fan(tmp_path: Path):
    tables = figure_tables.study(categories=("math", "code", "cot"))
    frame = curves.prepare_extrapolation(sources(tmp_path, **tables))
    measured = frame[frame["status"] == "measured"]
    assert sorted(measured["scale"].unique()) == [250, 1000, 4000, 16000]  # no base
    assert len(frame) - len(measured) == len(tables["extrapolation"])
    caption = curves.caption_extrapolation(frame)
    assert caption.endswith(" Refused for Overall: the curve is not monotone.")
    assert "extrapolated if nothing changes regime" in caption
    assert "beyond 4 times" not in caption  # every fan ends there: no refusal of a category


def test_the_base_with_examples_is_a_line_of_its_own_in_the_curves(tmp_path: Path):
    tables = figure_tables.study(categories=("math", "code"))
    frame = curves.prepare_curves(sources(tmp_path, **tables))
    few = frame[frame["kind"] == "few-shot"]
    assert set(few["category"]) == {"math", "code", "overall"}
    assert few["mean"].tolist() == pytest.approx([0.2] * 3)
    assert few["shots"].tolist() == [5] * 3
    without = Sources(tmp_path, FigureOptions(), without=["base_comparison"])
    assert "few-shot" not in set(curves.prepare_curves(without)["kind"])


def test_sufficient_scales_have_the_ends_of_their_ladder_and_say_the_margin(tmp_path: Path):
    tables = figure_tables.study(categories=("math", "code"))
    frame = sufficient.prepare(sources(tmp_path, **tables))
    assert frame["smallest"].tolist() == [250] * 3
    assert frame["largest"].tolist() == [16000] * 3
    assert sufficient.caption(frame.assign(interval=0.9)) == (
        "Judge metric; sufficient: the largest scale is shown to gain less than 0.04 over it; "
        "one-sided 95% bounds, tested from the top, not corrected over categories; 40 items per "
        "category; 2 seeds."
    )


def test_a_study_in_which_nothing_could_be_tested_has_no_sufficient_scale(tmp_path: Path):
    tables = figure_tables.study(categories=("math",))
    nothing = tables["sufficient"].assign(gain_upper=np.nan)
    with pytest.raises(NothingToDraw, match="no gain could be tested"):
        sufficient.prepare(sources(tmp_path, curves=tables["curves"], sufficient=nothing))


def test_a_study_without_any_fit_has_no_fan_and_says_why(tmp_path: Path):
    tables = figure_tables.study(categories=("math",))
    fan = tables["extrapolation"].assign(status="refused", reason="too few scales")
    with pytest.raises(NothingToDraw, match="too few scales"):
        curves.prepare_extrapolation(sources(tmp_path, curves=tables["curves"], extrapolation=fan))


def test_slopes_say_their_scales_and_margins(tmp_path: Path):
    curve = figure_tables.curves(categories=("math",))
    frame = forest.prepare_slopes(sources(tmp_path, verdicts=figure_tables.verdicts(curve)))
    caption = forest.caption_slopes(frame.assign(interval=0.9))
    assert "slope over the scales from a quarter of the largest on; 90% intervals" in caption
    assert "40 items per category; 2 seeds" in caption
    assert "margins 0.02 per doubling for the tail, 0.04 for the range" in caption


def test_arms_are_compared_at_the_largest_scale_they_share(tmp_path: Path):
    curve = figure_tables.curves(arms=("a", "b"))
    table = figure_tables.comparisons(curve)
    frame = forest.prepare_arms(sources(tmp_path, comparisons=table[table["scale"] < 16000]))
    assert set(frame["scale"]) == {4000}
    assert len(frame) == 13
    assert "at 4k records; paired by item and seed" in forest.caption_arms(frame)


def test_each_pair_of_arms_has_its_own_largest_scale(tmp_path: Path):
    table = figure_tables.comparisons(figure_tables.curves(arms=("a", "b", "c")))
    short = table[(table["scale"] < 16000) | ((table["arm_a"] == "a") & (table["arm_b"] == "b"))]
    frame = forest.prepare_arms(sources(tmp_path, comparisons=short))
    scales = frame.groupby(["arm_a", "arm_b"])["scale"].agg(set).to_dict()
    assert scales == {("a", "b"): {16000}, ("a", "c"): {4000}, ("b", "c"): {4000}}


def test_a_study_of_one_arm_says_so_instead_of_naming_an_empty_table(tmp_path: Path):
    empty = figure_tables.comparisons(figure_tables.curves(arms=("a", "b"))).iloc[:0]
    for names, why in ((("a",), "there is one arm"), (("a", "b"), "no rows")):
        with pytest.raises(NothingToDraw, match=why):
            forest.prepare_arms(
                sources(tmp_path, curves=figure_tables.curves(arms=names), comparisons=empty)
            )


@pytest.mark.parametrize(("arms", "pairs"), [("abc", 3), ("abcdef", 5)])
def test_many_arms_are_compared_with_the_first_one_only(tmp_path: Path, arms: str, pairs: int):
    curve = figure_tables.curves(arms=tuple(arms))
    frame = forest.prepare_arms(sources(tmp_path, comparisons=figure_tables.comparisons(curve)))
    assert len(frame[["arm_a", "arm_b"]].drop_duplicates()) == pairs
    if pairs > 3:
        assert set(frame["arm_a"]) == {"a"}
        assert set(frame["arm_b"]) == set("bcdef")


def overall(scores: dict[tuple[str, int], float]) -> pd.DataFrame:
    rows = figure_tables.curves(categories=("math",), arms=("a", "b"), scales=(0, 100, 200))
    known = {**scores, ("a", 0): 0.9, ("b", 0): 0.9}
    rows["mean"] = [known[row.arm, row.scale] for row in rows.itertuples()]
    return rows


SCORES = {("a", 100): 0.3, ("a", 200): 0.5, ("b", 100): 0.4, ("b", 200): 0.45}


def test_the_frontier_holds_what_no_cheaper_run_reaches(tmp_path: Path):
    costs = pd.DataFrame(
        {"arm": list("aabb"), "scale": [100, 200] * 2, "cost": [1.0, 4, 1, 2], "unit": "GPU hours"}
    )
    frame = frontier.prepare(sources(tmp_path, curves=overall(SCORES), costs=costs))
    assert len(frame) == 4  # neither the base nor a category
    best = {(row.arm, row.scale) for row in frame.itertuples() if row.frontier}
    assert best == {("b", 100), ("b", 200), ("a", 200)}
    assert set(frame["unit"]) == {"GPU hours"}


def test_an_equal_score_at_a_higher_cost_is_not_on_the_frontier(tmp_path: Path):
    curve = overall({("a", 100): 0.5, ("a", 200): 0.5, ("b", 100): 0.5, ("b", 200): 0.4})
    frame = frontier.prepare(sources(tmp_path, curves=curve))
    best = {(row.arm, row.scale) for row in frame.itertuples() if row.frontier}
    assert best == {("a", 100), ("b", 100)}


def test_each_judge_has_a_frontier_of_its_own(tmp_path: Path):
    curve = overall(SCORES)
    strict = curve.assign(judge="strict", mean=curve["mean"] / 2)
    frame = frontier.prepare(sources(tmp_path, curves=pd.concat([curve, strict])))
    best = frame.groupby("judge")["frontier"].sum()
    assert best["metric"] == best["strict"] == 2


def test_without_costs_records_are_the_cost_and_one_arm_has_no_frontier(tmp_path: Path):
    curve = overall(SCORES)
    frame = frontier.prepare(sources(tmp_path / "two", curves=curve))
    assert (frame["cost"] == frame["scale"]).all()
    assert "numbers: records" in frontier.caption(frame)
    with pytest.raises(NothingToDraw, match=r"costs\.csv"):
        frontier.prepare(sources(tmp_path / "one", curves=curve[curve["arm"] == "a"]))
    free = pd.DataFrame({"arm": ["a"], "scale": [100], "cost": [0.0], "unit": "GPU hours"})
    with pytest.raises(NothingToDraw, match="no run has both"):
        frontier.prepare(sources(tmp_path / "two", curves=curve, costs=free))


def test_one_judge_without_repeats_has_no_panel(tmp_path: Path):
    curve = figure_tables.curves(categories=("math",))
    table = figure_tables.judges(curve).assign(repeats=1, repeat_sd=np.nan)
    with pytest.raises(NothingToDraw, match="one judge without repeats"):
        judges.prepare(sources(tmp_path, judges=table))


@pytest.mark.parametrize("names", [("b", "a"), ("a", "b")])
def test_calibration_has_the_direction_of_the_pair(tmp_path: Path, names: tuple[str, str]):
    curve = figure_tables.curves(categories=("math",), judges=names)
    tables = {"judges": figure_tables.judges(curve), "judge_bins": figure_tables.judge_bins(curve)}
    bins = judges.prepare(sources(tmp_path, **tables)).query("kind == 'bin'")
    assert set(zip(bins["judge"], bins["other"], strict=True)) == {names}
    assert len(bins) == 10


def test_the_judges_caption_counts_and_names_what_the_lines_are(tmp_path: Path):
    curve = figure_tables.curves(categories=("math",), judges=("a", "b"))
    tables = {"judges": figure_tables.judges(curve), "judge_bins": figure_tables.judge_bins(curve)}
    frame = judges.prepare(sources(tmp_path, **tables)).assign(interval=0.9)
    caption = judges.caption(frame)
    assert "a: 900 judgements, 3 per response, 1.0% without a score" in caption
    assert "a and b: 300 responses, kappa 0.70" in caption
    assert "lines of difference and calibration: 90% intervals, items as unit" in caption
    assert "a tenth with one item has no line" not in caption
    assert "a tenth with one item has no line" in judges.caption(frame.assign(low=np.nan))


def test_unmeasured_variance_is_not_drawn(tmp_path: Path):
    table = figure_tables.variance(figure_tables.curves(categories=("math",)))
    with pytest.raises(NothingToDraw, match="no component"):
        variance.prepare(sources(tmp_path, variance=table.assign(share=np.nan)))
    note = "no repeats: item_x_run holds the judge's noise too"
    caption = variance.caption(
        variance.prepare(sources(tmp_path, variance=table.assign(note=note)))
    )
    assert caption.endswith("; no judge repeats: item × run holds the judge's noise too.")


def test_the_planner_marks_the_study_itself(tmp_path: Path):
    tables = figure_tables.study(categories=("math",))
    tables["plan"].loc[tables["plan"]["seeds"] == 1, "detectable"] = np.inf
    frame = planner.prepare(sources(tmp_path, **tables))
    here = frame[(frame["kind"] == "here") & (frame["category"] == "math")]
    assert here[["items", "seeds", "detectable"]].to_numpy().tolist() == [[40, 2, 0.03]]
    assert set(frame["margin"]) == {0.02}
    assert set(frame.loc[frame["kind"] == "plan", "seeds"]) == {2, 3, 5, 8}
    assert "found with a power of 0.8" in planner.caption(frame)
    alone = planner.prepare(Sources(tmp_path, FigureOptions(), without=["verdicts"]))
    assert set(alone["kind"]) == {"plan"}
    assert alone["margin"].isna().all()


def test_of_several_answers_and_repeats_the_planner_draws_the_fewest(tmp_path: Path):
    plan = figure_tables.plan(figure_tables.curves(categories=("math",)))
    more = [plan.assign(answers=a, repeats=r) for a, r in ((4, 2), (2, 2), (2, 6))]
    frame = planner.prepare(sources(tmp_path, plan=pd.concat(more)))
    assert len(frame) == len(plan)
    assert set(zip(frame["answers"], frame["repeats"], strict=True)) == {(2, 2)}
    assert "2 answers to an item, 2 judgements of each" in planner.caption(frame)
    assert "judgement" not in planner.caption(plan.assign(kind="plan"))


def test_a_plan_without_run_noise_says_that_no_line_holds_it():
    plan = figure_tables.plan(figure_tables.curves(categories=("math",))).assign(kind="plan")
    measured = planner.caption(plan.assign(noise="measured: items and seeds"))
    unmeasured = planner.caption(plan.assign(noise=f"measured: {UNMEASURED}"))
    assert "1 seed: items only" in measured
    assert "all lines are too low" in unmeasured
    assert "so its line" not in unmeasured
    assert "1 seed" not in planner.caption(plan[plan["seeds"] > 1])


def test_the_funnel_leaves_out_a_reading_that_broke_nothing(tmp_path: Path):
    path = figure_tables.audit(tmp_path / "pools/synthetic/audit.json")
    audit = json.loads(path.read_text("utf-8"))
    audit["read"] -= audit["steps"][0]["removed"]
    audit["steps"][0] |= {"removed": 0, "reasons": {"broken": {"count": 0, "examples": []}}}
    path.write_text(json.dumps(audit), "utf-8")
    frame = funnel.prepare(Sources(tmp_path, FigureOptions(), [path]))
    assert frame["step"].tolist()[:2] == ["rows read", "filter: too_short"]
    assert frame["left"].iloc[-1] == 48238


def test_the_funnel_has_a_row_for_every_reason_and_ends_at_what_is_kept(tmp_path: Path):
    audit = figure_tables.audit(tmp_path / "pools/synthetic/audit.json")
    other = figure_tables.audit(tmp_path / "pools/other/audit.json")
    both = funnel.prepare(Sources(tmp_path, FigureOptions(), [audit, other]))
    assert list(both["pool"].unique()) == ["synthetic", "other"]
    frame = both[both["pool"] == "synthetic"]
    assert frame["step"].tolist() == [
        "rows read",
        "read: broken",
        "filter: too_short",
        "filter: too_long",
        "deduplicate: exact",
        "deduplicate: near",
        "decontaminate: nothing removed",
    ]
    assert frame["position"].tolist() == list(range(7))
    assert frame["left"].iloc[0] == 52000
    assert frame["left"].iloc[-1] == 52000 - frame["removed"].sum() == 48238


def test_a_pool_that_lost_nothing_has_no_entry_for_removed_records(tmp_path: Path):
    path = tmp_path / "pools/synthetic/audit.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"read": 20, "steps": [{"name": "filter", "reasons": {}}]}')
    frame = funnel.prepare(Sources(tmp_path, FigureOptions(), [path])).assign(study="")
    assert "removed" not in funnel.caption(frame)
    with style.styled():
        figure = drawing.picture(funnel.FUNNEL, frame)
        (legend,) = [axes.get_legend() for axes in figure.findobj(Axes)]
        assert [text.get_text() for text in legend.get_texts()] == ["left"]


def test_the_axis_of_a_pool_that_lost_nearly_all_holds_the_bar_of_what_was_read(tmp_path: Path):
    path = tmp_path / "pools/synthetic/audit.json"
    path.parent.mkdir(parents=True)
    path.write_text(
        '{"read": 1000, "steps": [{"name": "filters", "reasons": {"languages": {"count": 900}}}]}'
    )
    frame = funnel.prepare(Sources(tmp_path, FigureOptions(), [path])).assign(study="")
    with style.styled():
        (axes,) = drawing.picture(funnel.FUNNEL, frame).findobj(Axes)
    assert max(bar.get_x() + bar.get_width() for bar in axes.patches) == 1000
    assert axes.get_xlim()[0] == 0 and axes.get_xlim()[1] > 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not valid JSON"), ("{}", "not the audit"), ("[]", "not the audit")],
)
def test_a_broken_audit_is_refused(tmp_path: Path, content: str, message: str):
    (tmp_path / "audit.json").write_text(content)
    with pytest.raises(InputError, match=message):
        funnel.prepare(Sources(tmp_path, FigureOptions(), [tmp_path / "audit.json"]))
    with pytest.raises(InputError, match="no such file"):
        funnel.prepare(Sources(tmp_path, FigureOptions(), [tmp_path / "nowhere.json"]))


def test_losses_are_those_of_the_last_step_and_the_base_is_a_mean(tmp_path: Path):
    table = figure_tables.validation_loss(
        figure_tables.curves(categories=("math",), arms=("a", "b"))
    )
    table.loc[(table["fraction"] == 0) & (table["seed"] == 2), "loss"] = 4.2
    frame = validation_loss.prepare(sources(tmp_path, validation_loss=table))
    tuned, base = frame[frame["kind"] == "tuned"], frame[frame["kind"] == "base"]
    wanted = table[table["fraction"] == 1]
    assert np.allclose(tuned["loss"], wanted["loss"])
    assert base["loss"].tolist() == pytest.approx([4.1] * 4)  # two arms, math and overall
    assert set(base["scale"]) == {0}
    caption = validation_loss.caption(frame)
    assert "20 records per category; 2 seeds; lines join their means" in caption
    assert "arms compare where" in caption
    assert "arms compare where" not in validation_loss.caption(frame[frame["arm"] == "a"])
    with pytest.raises(NothingToDraw, match="no evaluation after a last step"):
        validation_loss.prepare(sources(tmp_path, validation_loss=table[table["fraction"] < 1]))


def test_means_of_finished_runs_stand_at_the_examples_of_a_whole_run(tmp_path: Path):
    tables = figure_tables.study(categories=("math",), arms=("a", "b"))
    points = tables["intermediate_scores"].query("scale != 250")  # as an arm without checkpoints
    tables["intermediate_scores"] = points
    frame = intermediate_scores.prepare(sources(tmp_path, **tables)).assign(interval=0.9)
    means = frame[frame["kind"] == "mean"]
    assert (means["examples_seen"] == 2 * means["scale"]).all()
    assert set(means["scale"]) == {1000, 4000, 16000}
    assert len(frame) - len(means) == len(points)
    caption = intermediate_scores.caption(frame)
    assert "40 items per category; 12 runs" in caption
    assert "means of finished runs with 90% intervals" in caption
    assert "no substitute for separate runs" in caption


def test_of_many_values_those_with_most_items_are_drawn_in_the_order_of_their_numbers(
    tmp_path: Path,
):
    curve = figure_tables.curves(categories=("math",), scales=(100, 200))
    parts = [
        curve.assign(tag="level", value=str(level), n_items=10 + level % 7) for level in range(9)
    ]
    folder = figure_tables.write(tmp_path, curves_by_tag=pd.concat(parts))
    frame = curves_by_tag.prepare(Sources(folder, FigureOptions())).assign(study="", interval=0.9)
    # 11 to 16 items; of the levels 0 and 7 with 10 items, and 1 and 8 with 11, one is too many
    assert list(frame["value"].unique()) == ["1", "2", "3", "4", "5", "6"]
    assert set(frame["left_out"]) == {3}
    assert "3 values with fewest items not shown" in curves_by_tag.caption(frame)
    assert "exploratory" in curves_by_tag.caption(frame)
