"""What each figure takes from the tables, and what its words and axes claim."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from analysis.errors import InputError
from analysis.figures import (
    arms,
    captions,
    curves,
    extrapolation,
    frontier,
    funnel,
    intermediate_scores,
    judges,
    planner,
    style,
    validation_loss,
    variance,
)
from analysis.figures.sources import NothingToDraw, Sources, paper_points
from analysis.figures.text import shorten, text_width, thin_labels, wrap
from analysis.figures.ticks import nice_ticks, signed
from analysis.options import FigureOptions
from tests.analysis.figures import figure_tables


def sources(folder: Path, options: FigureOptions = FigureOptions(), **tables: object) -> Sources:
    return Sources(figure_tables.write(folder, **tables), options)


@pytest.fixture
def look() -> Iterator[None]:
    """The style that drawing needs."""
    with style.styled():
        yield


def legend_texts(figure: Figure) -> list[Text]:
    return [text for legend in figure.findobj(Legend) for text in legend.get_texts()]


def test_curves_hold_means_fits_verdicts_and_the_papers_points_when_asked(tmp_path: Path):
    tables = figure_tables.study(categories=("math", "chess"))
    frame = curves.prepare(sources(tmp_path, FigureOptions(paper_overlay=True), **tables))
    counts = frame.groupby("kind")["category"].agg(set)
    assert counts["mean"] == counts["verdict"] == {"math", "chess", "overall"}
    assert counts["paper"] == {"math", "overall"}  # the paper has no chess
    fits = frame[frame["kind"] == "fit"]
    largest = tables["curves"]["scale"].max()
    assert fits["scale"].max() <= largest * (1 + 1e-9)
    assert "paper" not in set(curves.prepare(sources(tmp_path))["kind"])


def test_a_curve_caption_states_items_seeds_level_margins_and_missing_scores(tmp_path: Path):
    curve = figure_tables.curves(categories=("math", "code"), seeds=1)
    curve["n_missing"] = np.where(curve["category"] == "math", 3, 0)
    tables = {"curves": curve, "verdicts": figure_tables.verdicts(curve)}
    frame = curves.prepare(sources(tmp_path, **tables)).assign(study="", interval=0.9)
    caption = curves.caption(frame)
    assert "40 to 41 items per category" in caption
    assert "1 seed (items only; training noise unmeasured)" in caption
    assert "90% intervals" in caption
    assert "0.02 per doubling for the tail, 0.04 for the range" in caption
    assert "12 scores missing" in caption  # three at each of the four tuned scales


def test_refused_extrapolations_are_named_with_their_reasons(tmp_path: Path):
    tables = figure_tables.study(categories=("math", "code", "cot"))
    frame = extrapolation.prepare(sources(tmp_path, **tables))
    assert "Refused for Overall: the curve is not monotone." in extrapolation.caption(frame)
    assert "if nothing changes regime" in extrapolation.caption(frame)


def test_a_study_without_any_fit_has_no_fan_and_says_why(tmp_path: Path):
    tables = figure_tables.study(categories=("math",))
    fan = tables["extrapolation"].assign(status="refused", reason="too few scales")
    with pytest.raises(NothingToDraw, match="too few scales"):
        extrapolation.prepare(sources(tmp_path, curves=tables["curves"], extrapolation=fan))


def test_arms_are_compared_at_the_largest_scale_they_share(tmp_path: Path):
    curve = figure_tables.curves(arms=("a", "b"))
    table = figure_tables.comparisons(curve)
    frame = arms.prepare(sources(tmp_path, comparisons=table[table["scale"] < 16000]))
    assert set(frame["scale"]) == {4000}
    assert len(frame) == 13


def test_a_study_of_one_arm_says_so_instead_of_naming_an_empty_table(tmp_path: Path):
    empty = figure_tables.comparisons(figure_tables.curves(arms=("a", "b"))).iloc[:0]
    for names, why in ((("a",), "there is one arm"), (("a", "b"), "no rows")):
        with pytest.raises(NothingToDraw, match=why):
            arms.prepare(
                sources(tmp_path, curves=figure_tables.curves(arms=names), comparisons=empty)
            )


def test_many_arms_are_compared_with_the_first_one_only(tmp_path: Path):
    curve = figure_tables.curves(arms=tuple("abcdef"))
    frame = arms.prepare(sources(tmp_path, comparisons=figure_tables.comparisons(curve)))
    assert set(frame["arm_a"]) == {"a"}
    assert set(frame["arm_b"]) == set("bcdef")


def overall(scores: dict[tuple[str, int], float]) -> pd.DataFrame:
    rows = figure_tables.curves(categories=("math",), arms=("a", "b"), scales=(100, 200))
    rows = rows[rows["category"] == "overall"].copy()
    rows["mean"] = [scores[row.arm, row.scale] for row in rows.itertuples()]
    return rows


def test_the_frontier_holds_what_no_cheaper_run_reaches(tmp_path: Path):
    curve = overall({("a", 100): 0.3, ("a", 200): 0.5, ("b", 100): 0.4, ("b", 200): 0.45})
    costs = pd.DataFrame(
        {"arm": list("aabb"), "scale": [100, 200] * 2, "cost": [1.0, 4, 1, 2], "unit": "GPU hours"}
    )
    frame = frontier.prepare(sources(tmp_path, curves=curve, costs=costs))
    best = {(row.arm, row.scale) for row in frame.itertuples() if row.frontier}
    assert best == {("b", 100), ("b", 200), ("a", 200)}
    assert set(frame["unit"]) == {"GPU hours"}


def test_without_costs_records_are_the_cost_and_one_arm_has_no_frontier(tmp_path: Path):
    curve = overall({("a", 100): 0.3, ("a", 200): 0.5, ("b", 100): 0.4, ("b", 200): 0.45})
    frame = frontier.prepare(sources(tmp_path / "two", curves=curve))
    assert (frame["cost"] == frame["scale"]).all()
    with pytest.raises(NothingToDraw, match=r"costs\.csv"):
        frontier.prepare(sources(tmp_path / "one", curves=curve[curve["arm"] == "a"]))


def test_one_judge_without_repeats_has_no_panel(tmp_path: Path):
    curve = figure_tables.curves(categories=("math",))
    table = figure_tables.judges(curve).assign(repeats=1, repeat_sd=np.nan)
    with pytest.raises(NothingToDraw, match="one judge without repeats"):
        judges.prepare(sources(tmp_path, judges=table))


def test_calibration_keeps_one_direction_of_each_pair(tmp_path: Path):
    curve = figure_tables.curves(categories=("math",), judges=("b", "a"))
    tables = {
        "judges": figure_tables.judges(curve),
        "judge_bins": figure_tables.judge_bins(curve),
    }
    bins = judges.prepare(sources(tmp_path, **tables)).query("kind == 'bin'")
    assert set(zip(bins["judge"], bins["other"], strict=True)) == {("a", "b")}


def test_unmeasured_variance_is_not_drawn(tmp_path: Path):
    table = figure_tables.variance(figure_tables.curves(categories=("math",)))
    with pytest.raises(NothingToDraw, match="no component"):
        variance.prepare(sources(tmp_path, variance=table.assign(share=np.nan)))


def test_the_planner_marks_the_study_itself(tmp_path: Path):
    tables = figure_tables.study(categories=("math",))
    frame = planner.prepare(sources(tmp_path, **tables))
    here = frame[(frame["kind"] == "here") & (frame["category"] == "math")]
    assert here[["items", "seeds", "detectable"]].to_numpy().tolist() == [[40, 2, 0.03]]
    assert set(frame["margin"]) == {0.02}


def test_the_funnel_has_a_row_for_every_reason_and_ends_at_what_is_kept(tmp_path: Path):
    audit = figure_tables.audit(tmp_path / "pools/embedded/audit.json")
    frame = funnel.prepare(Sources(tmp_path, FigureOptions(), [audit]))
    assert set(frame["pool"]) == {"synthetic"}
    assert frame["step"].tolist() == [
        "rows read",
        "read: broken",
        "filters: too_short",
        "filters: too_long",
        "deduplicate: exact",
        "deduplicate: near",
        "decontaminate: nothing removed",
    ]
    assert frame["left"].iloc[0] == 52000
    assert frame["left"].iloc[-1] == 52000 - frame["removed"].sum() == 48238


@pytest.mark.usefixtures("look")
def test_a_pool_that_lost_nothing_speaks_of_no_removal(tmp_path: Path):
    path = tmp_path / "pools/embedded/audit.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"read": 20, "steps": [{"name": "filters", "reasons": {}}]}')
    frame = funnel.prepare(Sources(tmp_path, FigureOptions(), [path]))
    assert "removed" not in funnel.caption(frame)
    assert [text.get_text() for text in legend_texts(funnel.draw(frame))] == ["left"]


@pytest.mark.usefixtures("look")
def test_every_run_is_led_to_the_mean_at_its_scale(tmp_path: Path):
    tables = figure_tables.study(categories=("math",))
    tables["intermediate"] = tables["intermediate"].query("fraction == 0.5 and category == 'math'")
    frame = intermediate_scores.prepare(sources(tmp_path, **tables))
    panel = intermediate_scores.draw(frame).subfigs[0].axes[0]
    lines = [line.get_xydata() for line in panel.lines if len(line.get_xdata()) == 2]
    final = frame[(frame["kind"] == "final") & (frame["category"] == "math")]
    ends = {tuple(point) for point in final[["examples_seen", "mean"]].to_numpy()}
    assert len(lines) == len(frame[frame["kind"] == "way"])
    assert {tuple(line[-1]) for line in lines} == ends


@pytest.mark.usefixtures("look")
def test_losses_stand_on_a_logarithmic_axis_unless_one_is_zero(tmp_path: Path):
    frame = validation_loss.prepare(sources(tmp_path, **figure_tables.study(categories=("math",))))
    panel = validation_loss.draw(frame).subfigs[0].axes[0]
    assert panel.get_yscale() == "log"
    low, high = panel.get_ylim()
    assert low < frame["loss"].min() < frame["loss"].max() < high
    zero = validation_loss.draw(frame.assign(loss=frame["loss"] - frame["loss"].min()))
    assert zero.subfigs[0].axes[0].get_yscale() == "linear"
    assert "log" not in zero.subfigs[0]._supylabel.get_text()


def test_captions_say_what_power_is_meant_and_that_fits_weigh_shared_noise(tmp_path: Path):
    origin = sources(tmp_path, **figure_tables.study(categories=("math",)))
    assert "found with a power of 0.8" in planner.caption(planner.prepare(origin))
    for figure in (curves, extrapolation):
        frame = figure.prepare(origin).assign(study="", interval=0.9)
        assert "may run beside the points" in figure.caption(frame)
    without = Sources(tmp_path, FigureOptions(), without=["extrapolation"])
    assert "beside the points" not in curves.caption(curves.prepare(without))


def test_a_table_that_is_no_csv_is_refused(tmp_path: Path):
    (tmp_path / "curves.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a CSV table"):
        curves.prepare(Sources(tmp_path, FigureOptions()))


def test_the_papers_overall_is_the_mean_of_its_categories():
    points = paper_points()
    categories = points[points["category"] != "overall"].groupby("scale")["score"].mean()
    stated = points[points["category"] == "overall"].set_index("scale")["score"]
    assert np.allclose(categories, stated, atol=5e-4)


def test_categories_keep_the_papers_order_then_their_own_then_overall():
    order = style.category_order(["overall", "chess", "code", "math", "chess", "art"])
    assert order == ["math", "code", "chess", "art", "overall"]


@pytest.mark.parametrize(
    ("scales", "names"),
    [
        ([0, 250, 1000, 16000], ["base", "250", "1k", "16k"]),
        ([200_000, 600_000, 1_000_000, 2_000_000], ["0.2M", "0.6M", "1M", "2M"]),
        ([1500, 200_000, 2_500_000], ["1.5k", "200k", "2.5M"]),
        ([128_000], ["128k"]),
    ],
)
def test_scale_names(scales: list[int], names: list[str]):
    assert style.scale_names(scales) == names


def test_arms_beyond_the_palette_still_look_different():
    names = [f"arm {index}" for index in range(25)]
    looks = {(color, style.marker(i)) for i, color in enumerate(style.arm_colours(names).values())}
    assert len(looks) == 25


def test_counts_read_as_words():
    assert captions.counted([40, 40], "item") == "40 items"
    assert captions.counted([1, float("nan")], "seed") == "1 seed"
    assert captions.counted([142, 2000], "item") == "142 to 2,000 items"
    assert captions.counted([], "item") == ""


def test_signed_labels_have_a_true_minus_and_a_plain_zero():
    assert [signed(value) for value in (-0.02, 0.0, 0.05)] == ["−0.02", "0", "+0.05"]


@given(st.floats(1, 1e9), st.integers(2, 8))
def test_ticks_start_at_zero_and_stay_within(most: float, count: int):
    ticks = nice_ticks(most, count).tick_values(0, most)
    assert ticks[0] == 0
    assert ticks[-1] <= most * 1.001


@given(st.text(st.sampled_from("abc ilmW12"), max_size=60), st.floats(0.2, 3))
def test_shortened_text_fits_and_keeps_its_ends(text: str, width: float):
    with style.styled():
        short = shorten(text, width, 7)
        assert short == text or text_width(short, 7) <= width or len(short) <= 3
        assert short[:1] == text[:1]


@given(st.lists(st.text("abcW", min_size=1, max_size=9), min_size=1, max_size=30))
def test_wrapping_keeps_every_word_and_no_line_is_too_wide(words: list[str]):
    with style.styled():
        lines = wrap(" ".join(words), 1.5, 7).split("\n")
        assert " ".join(lines).split() == words
        assert all(text_width(line, 7) <= 1.5 or " " not in line for line in lines)


@given(st.lists(st.floats(0, 3), min_size=1, max_size=12, unique=True))
def test_thinned_labels_never_touch_and_the_ends_stay(places: list[float]):
    places = sorted(places)
    names = [f"{index}k" for index in range(len(places))]
    with style.styled():
        shown = thin_labels(places, names, 7)
        kept = [(p, text_width(n, 7) / 2) for p, n in zip(places, shown, strict=True) if n]
    assert shown[0] == names[0]
    assert shown[-1] == names[-1]
    inner = kept[:-1] if len(kept) == 2 else kept
    assert all(a + w < b - v for (a, w), (b, v) in itertools.pairwise(inner))
