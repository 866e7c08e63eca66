"""What is drawn is what the figure's CSV holds: the data of the artists, against the rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import same_color, to_hex
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation, Text

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
from analysis.figures.axes import AXES_KIND
from analysis.figures.kind import Kind, NothingToDraw, Sources
from analysis.options import FigureOptions
from tests.analysis.figures import figure_tables

ARMS = ("full", "lora")
CATEGORIES = ("math", "open_qa")
JUDGES = ("metric", "llm")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two arms and two judges in which some scores are missing."""
    folder = tmp_path_factory.mktemp("tables")
    study = figure_tables.study(categories=CATEGORIES, arms=ARMS, judges=JUDGES)
    curve = study["curves"]
    many_missing = (curve["category"] == "math") & (curve["scale"] == 1000)
    curve.loc[many_missing, "bound_low"] = curve["mean"] - 0.05
    curve.loc[many_missing, "bound_high"] = curve["mean"] + 0.15
    study["costs"] = pd.DataFrame(
        {"arm": arm, "scale": scale, "cost": 0.5 * (1 + a) * scale**0.9, "unit": "GPU hours"}
        for a, arm in enumerate(ARMS)
        for scale in (250, 1000, 4000, 16000)
    )
    figure_tables.audit(folder / "pools/synthetic/audit.json")
    return figure_tables.write(folder, **study)


@pytest.fixture
def look() -> Iterator[None]:
    """The style that drawing needs."""
    with style.styled():
        yield


pytestmark = pytest.mark.usefixtures("look")


def draw(
    kind: Kind, tables: Path, options: FigureOptions = FigureOptions(), one_arm: bool = False
) -> tuple[pd.DataFrame, Figure]:
    """The rows of a kind's first figure and the figure."""
    audit = tables / "pools/synthetic/audit.json"
    rows = kind.prepare(Sources(tables, options, [audit])).assign(study="", interval=0.9)
    if one_arm:
        rows = rows[rows["arm"].isin(["full", ""])]
    _, part = next(drawing.split(kind, rows))
    return part, drawing.picture(kind, part, options)


def panel(figure: Figure, title: str) -> Axes:
    """The panel of that name; of a figure with one plot, that plot."""
    visible = [axes for axes in figure.findobj(Axes) if axes.get_visible()]
    (found,) = [axes for axes in visible if axes.get_title(loc="left") == title]
    return found


def points(line: Line2D) -> list[tuple[float, float]]:
    return [tuple(map(float, xy)) for xy in line.get_xydata()]


def lines(axes: Axes, count: int = 1) -> list[list[tuple[float, float]]]:
    """Data of the lines of at least `count` points, each as a list of (x, y)."""
    return [points(line) for line in axes.lines if len(line.get_xdata()) >= count]


def segments(axes: Axes) -> set[tuple[float, ...]]:
    """(x0, y0, x1, y1) of all intervals."""
    found = [c for c in axes.collections if isinstance(c, LineCollection)]
    return {rounded(part.ravel()) for each in found for part in each.get_segments() if len(part)}


def rounded(values: object) -> tuple[float, ...]:
    return tuple(round(float(value), 9) for value in values)  # type: ignore[attr-defined]


def pairs(rows: pd.DataFrame, x: str, y: str) -> list[tuple[float, float]]:
    return list(zip(rows[x].astype(float), rows[y].astype(float), strict=True))


def upright(rows: pd.DataFrame, x: str, low: str = "low", high: str = "high") -> set:
    """The vertical intervals that the rows hold."""
    cells = zip(rows[x], rows[low], rows[x], rows[high], strict=True)
    return {rounded(cell) for cell in cells}


def notes(axes: Axes) -> list[Annotation]:
    shown = [text for text in axes.texts if text.get_visible() and text.get_text()]
    return [text for text in shown if isinstance(text, Annotation)]


def legend(figure: Figure) -> dict[str, object]:
    (found,) = [each for each in figure.findobj(Legend) if each.axes is None]
    names = [text.get_text() for text in found.get_texts()]
    return dict(zip(names, found.legend_handles, strict=True))


def test_bars_are_means_and_whiskers_are_intervals(tables: Path):
    rows, figure = draw(bars.BARS, tables)
    axes = panel(figure, "")
    scales = [0, 250, 1000, 4000, 16000]
    containers = [c for c in axes.containers if isinstance(c, BarContainer)]
    assert len(containers) == len(scales)
    order = ["math", "open_qa", "overall"]
    for scale, container in zip(scales, containers, strict=True):
        wanted = rows[rows["scale"] == scale].set_index("category").loc[order]
        assert [bar.get_y() for bar in container] == [0, 0, 0]
        assert np.allclose([bar.get_height() for bar in container], wanted["mean"])
        middles = [bar.get_x() + bar.get_width() / 2 for bar in container]
        for x, (_, row) in zip(middles, wanted.iterrows(), strict=True):
            assert rounded([x, row["low"], x, row["high"]]) in segments(axes)
    edges = [[(bar.get_x(), bar.get_x() + bar.get_width()) for bar in c] for c in containers]
    flat = [edges[s][c] for c in range(3) for s in range(5)]
    assert all(a[1] < b[0] for a, b in itertools.pairwise(flat))  # in order, apart
    gaps = [b[0] - a[1] for a, b in itertools.pairwise(flat)]
    assert min(gaps[4::5]) > 3 * max(gaps[:4])  # categories are groups
    handles = legend(figure)
    assert list(handles) == ["base", "250", "1k", "4k", "16k"]
    for handle, container in zip(handles.values(), containers, strict=True):
        assert handle.get_facecolor() == container[0].get_facecolor()
    labels = [(round(t.get_position()[0]), t.get_text()) for t in axes.get_xticklabels()]
    assert labels == [(0, "Math"), (1, "Open QA"), (2, "Overall")]
    _, plain = draw(bars.BARS, tables, FigureOptions(whiskers=False))
    assert segments(panel(plain, "")) == set()


def test_more_scales_than_colors_are_hatched():
    scales = [0, *range(1, 11)]
    looks = [bars._bar_look(scale, scales) for scale in scales]
    assert looks[1]["facecolor"] == looks[9]["facecolor"]
    assert ["hatch" in look for look in looks] == [False] * 9 + [True] * 2


def test_bars_of_a_study_start_at_zero(tables: Path):
    rows, _ = draw(bars.BARS, tables)
    (axes,) = drawing.picture(bars.BARS, rows.assign(mean=0.9, high=0.95)).findobj(Axes)
    assert axes.get_ylim() == (0, 1)
    (axes,) = drawing.picture(bars.BARS, rows.assign(mean=0.31, high=0.42)).findobj(Axes)
    assert axes.get_ylim() == (0, 0.5)


def test_missing_scores_are_marked_and_not_drawn_as_zero(tables: Path):
    rows, _ = draw(bars.BARS, tables)
    gone = rows["category"] == "open_qa"
    rows.loc[gone, ["mean", "low", "high"]] = float("nan")
    (axes,) = drawing.picture(bars.BARS, rows).findobj(Axes)
    heights = [patch.get_height() for patch in axes.patches]
    assert sum(pd.isna(height) for height in heights) == 5
    crosses = [x for line in axes.lines if line.get_marker() == "x" for x in line.get_xdata()]
    assert len(crosses) == 5
    assert all(0.5 < x < 1.5 for x in crosses)  # in the group of the second category
    assert "×: no score" in bars.caption(rows)


def curve_panels(tables: Path, **options: bool) -> Iterator[tuple[pd.DataFrame, Axes]]:
    rows, figure = draw(curves.CURVES, tables, FigureOptions(**options))
    for category, title in (("math", "Math"), ("open_qa", "Open QA"), ("overall", "Overall")):
        yield rows[rows["category"] == category], panel(figure, title)


def test_curves_bands_fits_bounds_and_bases_are_those_of_the_rows(tables: Path):
    looks, fits = style.looks(ARMS), 0
    for rows, axes in curve_panels(tables):
        means = rows[rows["kind"] == "mean"]
        bands = [c for c in axes.collections if isinstance(c, PolyCollection)]
        assert len(bands) == len(ARMS)
        for arm, band in zip(ARMS, bands, strict=True):
            tuned = means[(means["arm"] == arm) & (means["scale"] > 0)]
            (line,) = [ln for ln in axes.lines if points(ln) == pairs(tuned, "scale", "mean")]
            assert same_color(line.get_color(), looks[arm]["color"])
            assert line.get_marker() == looks[arm]["marker"]
            corners = {rounded(xy) for xy in band.get_paths()[0].vertices}
            ends = pairs(tuned, "scale", "low") + pairs(tuned, "scale", "high")
            assert corners == {rounded(xy) for xy in ends}
            assert same_color(band.get_facecolor()[0][:3], looks[arm]["color"])
            fit = rows[(rows["kind"] == "fit") & (rows["arm"] == arm)].sort_values("scale")
            for line in axes.lines:
                if len(fit) and points(line) == pairs(fit, "scale", "mean"):
                    assert same_color(line.get_color(), style.darker(looks[arm]["color"]))
                    fits += 1
            (base,) = means[(means["arm"] == arm) & (means["scale"] == 0)].itertuples()
            assert [(0, base.mean), (1, base.mean)] in lines(axes)
        spans = {rounded([p.get_y(), p.get_y() + p.get_height()]) for p in axes.patches}
        bases = means[means["scale"] == 0]
        assert spans == {rounded(ends) for ends in zip(bases["low"], bases["high"], strict=True)}
        assert segments(axes) == upright(
            means.dropna(subset="bound_low"), "scale", "bound_low", "bound_high"
        )
    assert fits == 5  # one of six curves is refused


def test_a_base_that_all_arms_share_is_one_grey_line(tables: Path):
    rows, _ = draw(curves.CURVES, tables)
    shared = rows["scale"] == 0
    rows.loc[shared, ["mean", "low", "high"]] = (0.25, 0.2, 0.3)
    axes = panel(drawing.picture(curves.CURVES, rows), "Math")
    (line,) = [line for line in axes.lines if points(line) == [(0, 0.25), (1, 0.25)]]
    assert same_color(line.get_color(), style.GREY)
    (span,) = axes.patches
    assert (span.get_y(), span.get_height()) == pytest.approx((0.2, 0.1))


def test_the_base_with_examples_is_a_line_across_its_panel(tables: Path):
    for rows, axes in curve_panels(tables):
        few = rows[rows["kind"] == "few-shot"]
        assert few["mean"].tolist() == pytest.approx([0.2, 0.2])  # shared by both arms: one line
        (line,) = [line for line in axes.lines if points(line) == [(0, 0.2), (1, 0.2)]]
        assert same_color(line.get_color(), style.INK)
    rows, _ = draw(curves.CURVES, tables)
    rows.loc[(rows["kind"] == "few-shot") & (rows["arm"] == "lora"), "mean"] = 0.3
    axes = panel(drawing.picture(curves.CURVES, rows), "Math")
    for arm, height in (("full", 0.2), ("lora", 0.3)):
        (line,) = [line for line in axes.lines if points(line) == [(0, height), (1, height)]]
        assert same_color(line.get_color(), style.looks(ARMS)[arm]["color"])


def test_sufficient_scales_are_marks_with_a_line_to_the_largest_and_gains_with_bounds(
    tables: Path,
):
    rows, figure = draw(sufficient.SUFFICIENT, tables)
    left, right = (axes for axes in figure.findobj(Axes) if axes.get_visible())
    found = rows.dropna(subset="scale")
    marks = {rounded(xy)[0] for line in lines(left) for xy in line if len(line)}
    assert marks >= set(found["scale"])
    assert {ends[0::2] for ends in segments(left)} == {
        rounded(ends) for ends in zip(found["scale"], found["largest"], strict=True)
    }
    tested = rows.dropna(subset="gain_upper")
    assert {ends[0::2] for ends in segments(right)} == {
        rounded(ends) for ends in zip(tested["gain"], tested["gain_upper"], strict=True)
    }
    words = sorted(note.get_text() for note in notes(left))
    nothing = rows[rows["scale"].isna()]
    assert words == sorted(
        "not tested" if np.isnan(upper) else "none shown" for upper in nothing["gain_upper"]
    )
    (band,) = [patch for patch in right.patches if isinstance(patch, Rectangle)]
    assert (band.get_x(), band.get_width()) == pytest.approx((-0.04, 0.08))
    assert [text.get_text() for text in left.get_yticklabels()] == ["Math", "Open QA", "Overall"]


def test_the_papers_points_are_drawn_where_the_options_say_so(tables: Path):
    for rows, axes in curve_panels(tables, paper_overlay=True):
        paper = rows[rows["kind"] == "paper"]
        assert len(paper) == 4
        (line,) = [line for line in axes.lines if line.get_marker() == "*"]
        assert points(line) == pairs(paper, "scale", "mean")
        assert axes.get_xlim()[1] > paper["scale"].max()


def test_each_arm_has_the_sign_of_its_verdict_in_its_color(tables: Path):
    looks = style.looks(ARMS)
    for rows, axes in curve_panels(tables):
        wanted = [
            (style.verdict_look(row.verdict)[0], to_hex(looks[row.arm]["color"]))
            for row in rows[rows["kind"] == "verdict"].itertuples()
        ]
        assert [(note.get_text(), to_hex(note.get_color())) for note in notes(axes)] == wanted
        positions = [note.xyann[0] for note in notes(axes)]
        assert positions == sorted(set(positions))


def test_one_arm_has_its_verdict_in_words(tables: Path):
    rows, figure = draw(curves.CURVES, tables, one_arm=True)
    (row,) = rows[(rows["kind"] == "verdict") & (rows["category"] == "math")].itertuples()
    (note,) = notes(panel(figure, "Math"))
    sign, color = style.verdict_look(row.verdict)
    assert (note.get_text(), note.get_color()) == (f"{sign} {row.verdict}", color)


def test_a_panel_without_scores_says_so(tables: Path):
    rows, _ = draw(curves.CURVES, tables)
    rows.loc[(rows["category"] == "math") & (rows["kind"] == "mean"), ["mean", "low", "high"]] = (
        np.nan
    )
    figure = drawing.picture(curves.CURVES, rows)
    assert "no scores" in [text.get_text() for text in panel(figure, "Math").texts]
    assert "no scores" not in [text.get_text() for text in panel(figure, "Open QA").texts]


def test_a_study_of_the_base_alone_has_a_base_line(tables: Path):
    rows, _ = draw(curves.CURVES, tables)
    figure = drawing.picture(curves.CURVES, rows[(rows["scale"] == 0) & (rows["arm"] == "full")])
    assert len(lines(panel(figure, "Math"), 2)) == 1


def test_the_legend_names_what_the_panels_hold(tables: Path):
    rows, figure = draw(curves.CURVES, tables, FigureOptions(paper_overlay=True))
    verdicts = [name for name in style.VERDICT_LOOK if name in set(rows["verdict"].dropna())]
    assert list(legend(figure)) == [
        *ARMS,
        *("interval", "base, before tuning", "base with 5 examples in its prompt"),
        *("fit", "bounds if missing were 0 or 1"),
        *("paper's points (its own judge)", *verdicts),
    ]
    plain = rows[(rows["kind"] == "mean") & (rows["scale"] > 0) & (rows["arm"] == "full")]
    figure = drawing.picture(curves.CURVES, plain.assign(bound_low=np.nan, bound_high=np.nan))
    assert list(legend(figure)) == ["full", "interval"]


def test_score_axes_hold_all_values_and_are_shared(tables: Path):
    values = []
    for rows, axes in curve_panels(tables):
        low, high = axes.get_ylim()
        values.append((low, high))
        assert low <= rows["low"].min() and rows["high"].max() <= high
        left, right = axes.get_xlim()
        assert left < 250 and right > 16000
        assert axes.get_xscale() == "log"
        assert list(axes.get_xticks()) == [250, 1000, 4000, 16000]
    assert len(set(values)) == 1


def test_the_fan_starts_at_the_fit_and_ends_in_the_refused_zone(tables: Path):
    rows, figure = draw(curves.EXTRAPOLATION, tables)
    checked = 0
    for category, title in (("math", "Math"), ("open_qa", "Open QA"), ("overall", "Overall")):
        part, axes = rows[rows["category"] == category], panel(figure, title)
        measured, fit, beyond = (
            part[part["status"] == status].sort_values("scale")
            for status in ("measured", "fit", "extrapolated")
        )
        assert pairs(measured, "scale", "mean") in lines(axes)
        assert upright(measured, "scale") == segments(axes)
        beyond = pd.concat([fit.tail(1), beyond]) if len(beyond) else beyond
        bands = [c for c in axes.collections if isinstance(c, PolyCollection)]
        for rows_, color, band in zip(
            (fit, beyond), (curves.INSIDE, curves.BEYOND), bands, strict=False
        ):
            (line,) = [ln for ln in axes.lines if points(ln) == pairs(rows_, "scale", "mean")] or [
                None
            ]
            if len(rows_):
                assert line.get_color() == color["color"]
                corners = {rounded(xy) for xy in band.get_paths()[0].vertices}
                ends = pairs(rows_, "scale", "low") + pairs(rows_, "scale", "high")
                assert corners == {rounded(xy) for xy in ends}
                checked += 1
        (zone,) = [patch for patch in axes.patches if patch.get_hatch()]
        assert zone.get_x() == pytest.approx(beyond["scale"].max() if len(beyond) else 16000)
        assert zone.get_x() + zone.get_width() >= axes.get_xlim()[1]
        (note,) = notes(axes)
        assert note.get_text() == ("to 4× the data" if len(beyond) else "refused")
        assert axes.get_xlim()[1] > 160000
    assert checked >= 4
    assert list(legend(figure)) == [
        *("measured", "fit", "extrapolation", "interval (envelope of the fits)", "refused"),
    ]


def forest_lines(axes: Axes) -> dict[float, tuple[float, ...]]:
    """y -> (low, middle, high) of every estimate."""
    middles = {
        round(y, 6): x
        for line in axes.lines
        if line.get_marker() != "None"
        for x, y in points(line)
    }
    ends = {round(y0, 6): (x0, x1) for x0, y0, x1, y1 in segments(axes) if y0 == y1}
    assert set(middles) == set(ends)
    return {y: rounded([ends[y][0], middles[y], ends[y][1]]) for y in sorted(middles)}


def test_slopes_are_points_with_intervals_beside_the_margin(tables: Path):
    rows, figure = draw(forest.SLOPES, tables)
    axes = panel(figure, "")
    order = [(category, arm) for category in (*CATEGORIES, "overall") for arm in ARMS]
    wanted = rows.set_index(["category", "arm"]).loc[order]
    columns = ["tail_low", "tail_slope", "tail_high"]
    drawn = forest_lines(axes)
    assert list(drawn.values()) == [rounded(row) for row in wanted[columns].to_numpy()]
    assert [round(y) for y in drawn] == [0, 0, 1, 1, 2, 2]  # from top to bottom
    assert axes.get_ylim() == (2.5, -0.5)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["Math", "Open QA", "Overall"]
    (band,) = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert (band.get_x(), band.get_width()) == pytest.approx((-0.02, 0.04))
    low, high = axes.get_xlim()
    assert low < min(rows["tail_low"].min(), -0.02) and max(rows["tail_high"].max(), 0.02) < high
    assert [(0, 0), (0, 1)] in lines(axes)  # no change
    looks = style.looks(ARMS)
    signs = [
        (style.verdict_look(v)[0], to_hex(looks[arm]["color"]))
        for (_, arm), v in wanted["verdict"].items()
    ]
    in_order = sorted(notes(axes), key=lambda note: note.xy[1])
    assert [(n.get_text(), to_hex(n.get_color())) for n in in_order] == signs
    assert [round(note.xy[1], 6) for note in in_order] == list(drawn)


def test_a_slope_that_is_not_estimated_says_so_on_its_line(tables: Path):
    rows, _ = draw(forest.SLOPES, tables, one_arm=True)
    rows.loc[rows["category"] == "open_qa", ["tail_slope", "tail_low", "tail_high"]] = np.nan
    axes = panel(drawing.picture(forest.SLOPES, rows), "")
    assert len(forest_lines(axes)) == 2
    texts = {note.get_text(): note.xy[1] for note in notes(axes)}
    assert texts["not estimated"] == 1
    (row,) = rows[rows["category"] == "math"].itertuples()
    assert texts[f"{style.verdict_look(row.verdict)[0]} {row.verdict}"] == 0


def test_differences_of_arms_are_points_with_intervals(tables: Path):
    rows, figure = draw(forest.ARMS, tables)
    wanted = rows.set_index("category").loc[[*CATEGORIES, "overall"], ["low", "difference", "high"]]
    assert list(forest_lines(panel(figure, "")).values()) == [rounded(r) for r in wanted.to_numpy()]
    assert list(legend(figure)) == ["full minus lora"]


def test_the_frontier_steps_through_what_no_cheaper_run_reaches(tables: Path):
    rows, figure = draw(frontier.FRONTIER, tables)
    axes = panel(figure, "")
    for arm in ARMS:
        assert pairs(rows[rows["arm"] == arm].sort_values("cost"), "cost", "mean") in lines(axes)
    assert segments(axes) == upright(rows, "cost")
    best = rows[rows["frontier"]].sort_values("cost")
    (step,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    end = (rows["cost"].max(), best["mean"].max())
    assert points(step) == [*pairs(best, "cost", "mean"), end]
    names = {(note.get_text(), note.xy) for note in notes(axes)}
    scales = style.scale_names(list(best["scale"]))
    tops = pairs(best, "cost", "high")
    assert names == set(zip(scales, tops, strict=True))
    assert axes.get_xlabel() == "GPU hours (log scale)"


def test_arms_of_equal_cost_stand_beside_each_other(tables: Path):
    rows, _ = draw(frontier.FRONTIER, tables)
    same = rows.assign(cost=rows["scale"].astype(float), unit=frontier.RECORDS, frontier=False)
    same.loc[same.index[0], "frontier"] = True
    axes = panel(drawing.picture(frontier.FRONTIER, same), "")
    firsts = [line[0][0] for line in lines(axes, 4)]
    assert firsts[0] < 250 < firsts[1]
    assert firsts[1] / firsts[0] < 1.1
    assert list(axes.get_xticks()) == [250, 1000, 4000, 16000]


def test_shares_of_variance_are_stacked_to_one(tables: Path):
    rows, figure = draw(variance.VARIANCE, tables)
    rows = rows.copy()
    axes = panel(figure, "")
    ends = np.zeros(3)
    for component, container in zip(variance.LABELS, axes.containers, strict=True):
        share = rows[rows["component"] == component].set_index("category")["share"]
        share = share.loc[[*CATEGORIES, "overall"]].to_numpy()
        assert [bar.get_x() for bar in container] == pytest.approx(ends)
        assert [bar.get_width() for bar in container] == pytest.approx(share)
        ends += share
    assert ends == pytest.approx(1)
    shown = [note.get_text() for note in notes(axes)]
    assert shown.count("60%") == shown.count("21%") == shown.count("15%") == 3
    assert "4%" not in shown  # its bar is too narrow
    assert shown.count("SD 0.32") == 3  # the root of 0.1
    assert list(legend(figure)) == list(variance.LABELS.values())
    low = rows.assign(variance=rows["variance"].where(rows["category"] != "math"))
    low.loc[low["category"] == "open_qa", ["variance", "share"]] = [0.0, np.nan]
    words = [note.get_text() for note in notes(panel(drawing.picture(variance.VARIANCE, low), ""))]
    assert words.count("not measured") == words.count("no variance") == 1


def judge_marks(axes: Axes) -> list[list[tuple[float, float]]]:
    """Points of every series, to the nearest line."""
    series = [points(line) for line in axes.lines if line.get_marker() not in ("None", None)]
    return [[(round(x, 9), float(round(y))) for x, y in each] for each in series]


def test_repeats_differences_and_agreement_of_judges_are_on_their_lines(tables: Path):
    rows, figure = draw(judges.JUDGES_KIND, tables)
    order = {"math": 0, "open_qa": 1, "overall": 2}
    own, pair = rows[rows["kind"] == "own"], rows[rows["kind"] == "pair"]

    def on_lines(part: pd.DataFrame, column: str) -> list[tuple[float, float]]:
        return [(round(getattr(r, column), 9), float(order[r.category])) for r in part.itertuples()]

    repeats = panel(figure, "Repeat SD")
    assert judge_marks(repeats) == [on_lines(own[own["judge"] == j], "repeat_sd") for j in JUDGES]
    assert {(x0, x1) for x0, _, x1, _ in segments(repeats)} == {(0, 0.06), (0, 0.07)}
    assert len({y for _, y, _, _ in segments(repeats)}) == 6  # none over another
    difference = panel(figure, "Difference")
    assert judge_marks(difference) == [on_lines(pair, "mean_difference")]
    assert {(x0, x1) for x0, _, x1, _ in segments(difference)} == {(0, 0.06)}
    assert [(0, 0), (0, 1)] in lines(difference)
    agreement = panel(figure, "Agreement")
    assert judge_marks(agreement) == [on_lines(pair, "agreement"), on_lines(pair, "spearman")]
    assert [to_hex(line.get_markerfacecolor()) == "#ffffff" for line in agreement.lines[:2]] == [
        False,
        True,
    ]
    assert list(legend(figure)) == [
        *(*JUDGES, "metric against llm"),
        *("same side of right and wrong", "rank correlation"),
    ]


def test_a_negative_rank_correlation_is_inside_its_panel(tables: Path):
    rows, _ = draw(judges.JUDGES_KIND, tables)
    axes = panel(drawing.picture(judges.JUDGES_KIND, rows.assign(spearman=-0.4)), "Agreement")
    assert axes.get_xlim()[0] < -0.4


def test_calibration_is_the_second_judge_against_the_first(tables: Path):
    rows, figure = draw(judges.JUDGES_KIND, tables)
    bins = rows[rows["kind"] == "bin"]
    assert len(bins) == 10
    assert set(bins["judge"]) == {"metric"}  # the direction of the pair, not of the alphabet
    axes = panel(figure, "Calibration")
    assert lines(axes, 2) == [[(0, 0), (1, 1)], pairs(bins, "mean_judge", "mean_other")]
    assert segments(axes) == upright(bins, "mean_judge")
    (marks,) = [c for c in axes.collections if isinstance(c, PathCollection)]
    sizes = marks.get_sizes()
    assert np.all(np.diff(sizes) > 0)  # more responses, larger


def test_a_judge_without_repeats_is_not_in_the_legend(tables: Path):
    rows, _ = draw(judges.JUDGES_KIND, tables)
    single = rows.copy()
    single.loc[(single["kind"] == "own") & (single["judge"] == "llm"), "repeat_sd"] = np.nan
    assert "llm" not in legend(drawing.picture(judges.JUDGES_KIND, single))


def test_the_planner_draws_designs_margin_and_the_study_itself(tables: Path):
    rows, figure = draw(planner.PLANNER, tables)
    for category, title in (("math", "Math"), ("overall", "Overall")):
        part, axes = rows[rows["category"] == category], panel(figure, title)
        plan = part[part["kind"] == "plan"]
        for _, design in plan.groupby("seeds"):
            assert pairs(design.sort_values("items"), "items", "detectable") in lines(axes)
        assert [(0, 0.02), (1, 0.02)] in lines(axes)
        stars = [points(ln) for ln in axes.lines if ln.get_marker() == "*"]
        # The overall row counts the items of all categories.
        assert stars == [[(40, 0.03)] if category == "math" else []]
        assert axes.get_xscale() == axes.get_yscale() == "log"
        assert axes.get_xlim()[0] < 40 and axes.get_xlim()[1] > 800
        assert axes.get_ylim()[0] < plan["detectable"].min()
        assert axes.get_ylim()[1] > plan["detectable"].max()
    handles = legend(figure)
    seeds = [f"{n} seed{'s' * (n > 1)}" for n in (1, 2, 3, 5, 8)]
    assert list(handles) == [*seeds, "margin", "this study"]
    assert handles["1 seed"].is_dashed() and not handles["2 seeds"].is_dashed()
    colors = [sum(style.sns.color_palette([handles[name].get_color()])[0]) for name in seeds]
    assert colors == sorted(colors, reverse=True)  # darker with more seeds


def test_the_funnel_shows_what_is_left_and_what_was_removed(tables: Path):
    rows, figure = draw(funnel.FUNNEL, tables)
    axes = panel(figure, "Pool synthetic")
    left, removed = axes.containers
    assert [bar.get_width() for bar in left] == rows["left"].tolist()
    assert [bar.get_x() for bar in removed] == rows["left"].tolist()
    assert [bar.get_width() for bar in removed] == rows["removed"].tolist()
    assert [note.get_text() for note in notes(axes)] == [
        *("52,000", "51,997  −3 (<0.1%)", "51,297  −700 (1.3%)", "50,797  −500 (1.0%)"),
        *("50,285  −512 (1.0%)", "48,238  −2,047 (4.1%)", "48,238"),
    ]
    low, high = axes.get_ylim()
    assert low > high  # the first step is at the top
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels[0] == "rows read"
    assert labels[2] == "filter: too short"


def test_losses_are_points_of_runs_with_a_line_through_their_means(tables: Path):
    rows, figure = draw(validation_loss.VALIDATION_LOSS, tables)
    looks = style.looks(ARMS)
    for category, title in (("math", "Math"), ("overall", "Overall")):
        part, axes = rows[rows["category"] == category], panel(figure, title)
        for arm in ARMS:
            tuned = part[(part["kind"] == "tuned") & (part["arm"] == arm)]
            assert sorted(pairs(tuned, "scale", "loss")) in [sorted(line) for line in lines(axes)]
            means = tuned.groupby("scale", as_index=False)["loss"].mean()
            drawn = [ln for ln in axes.lines if points(ln) == pairs(means, "scale", "loss")]
            assert [to_hex(ln.get_color()) for ln in drawn] == [to_hex(looks[arm]["color"])]
        (base,) = [ln for ln in axes.lines if points(ln) == [(0, 4.0), (1, 4.0)]]
        assert same_color(base.get_color(), style.GREY)
        low, high = axes.get_ylim()
        assert low < part["loss"].min() and part["loss"].max() < high
        assert axes.get_yscale() == "log"
        assert list(axes.get_xticks()) == [250, 1000, 4000, 16000]
    assert list(legend(figure)) == [*ARMS, "one run each", "base, before tuning"]


def test_bases_that_differ_have_a_line_each(tables: Path):
    rows, _ = draw(validation_loss.VALIDATION_LOSS, tables)
    other = (rows["kind"] == "base") & (rows["arm"] == "lora")
    axes = panel(
        drawing.picture(
            validation_loss.VALIDATION_LOSS, rows.assign(loss=rows["loss"] + 0.5 * other)
        ),
        "Math",
    )
    for arm, loss in (("full", 4.0), ("lora", 4.5)):
        (line,) = [ln for ln in axes.lines if points(ln) == [(0, loss), (1, loss)]]
        assert same_color(line.get_color(), style.looks(ARMS)[arm]["color"])


def test_losses_of_zero_are_on_a_linear_axis(tables: Path):
    rows, _ = draw(validation_loss.VALIDATION_LOSS, tables)
    figure = drawing.picture(
        validation_loss.VALIDATION_LOSS, rows.assign(loss=rows["loss"] - rows["loss"].min())
    )
    axes = panel(figure, "Math")
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == 0
    labels = [" ".join(text.get_text().split()) for text in figure.findobj(Text)]
    assert "validation loss (nats per token)" in labels


def test_every_run_is_led_from_its_checkpoints_to_the_mean_at_its_scale(tables: Path):
    rows, figure = draw(intermediate_scores.INTERMEDIATE_SCORES, tables)
    part, axes = rows[rows["category"] == "math"], panel(figure, "Math")
    means = part[part["kind"] == "mean"]
    runs = part[part["kind"] == "intermediate"].groupby(["arm", "scale", "seed"])
    assert len(runs) == 2 * 4 * 2
    for (arm, scale, _), run in runs:
        run = run.sort_values("examples_seen")
        end = means[(means["arm"] == arm) & (means["scale"] == scale)]
        assert pairs(run, "examples_seen", "mean") in lines(axes)
        dotted = pairs(pd.concat([run.tail(1), end]), "examples_seen", "mean")
        assert dotted in lines(axes)
    assert segments(axes) == upright(means, "examples_seen")
    for arm in ARMS:
        finished = means[means["arm"] == arm].sort_values("examples_seen")
        (hollow,) = [
            ln for ln in axes.lines if points(ln) == pairs(finished, "examples_seen", "mean")
        ]
        assert to_hex(hollow.get_markerfacecolor()) == "#ffffff"
        assert hollow.get_marker() == style.looks(ARMS)[arm]["marker"]
    assert axes.get_xlim()[0] < rows["examples_seen"].min()
    assert axes.get_xlim()[1] > rows["examples_seen"].max()
    assert list(axes.get_xticks()) == [500, 2000, 8000, 32000]
    names = ["intermediate checkpoints of a run", "to the mean at its scale", "finished runs: mean"]
    assert list(legend(figure)) == [*ARMS, *names]


def test_curves_by_tag_show_each_value_with_its_base_and_its_items(tables: Path):
    rows, figure = draw(curves_by_tag.CURVES_BY_TAG, tables, one_arm=True)
    looks = style.looks(["en", "zh"])
    for category, title in (("math", "Math"), ("overall", "Overall")):
        part, axes = rows[rows["category"] == category], panel(figure, title)
        for value, look in looks.items():
            own = part[part["value"] == value]
            tuned, (base,) = own[own["scale"] > 0], own.loc[own["scale"] == 0, "mean"]
            drawn = [ln for ln in axes.lines if ln.get_color() == look["color"]]
            (line,) = [ln for ln in drawn if len(points(ln)) > 2]
            assert points(line) == pairs(tuned, "scale", "mean")
            assert [(0, base), (1, base)] in lines(axes)
        assert [note.get_text() for note in notes(axes)] == ["30 + 10 items"]
    assert list(legend(figure))[:2] == ["language en", "language zh"]


def test_axes_have_a_line_for_each_arm_at_its_own_x(tables: Path):
    rows, figure = draw(AXES_KIND, tables)
    panels = [each for each in figure.findobj(Axes) if each.get_visible()]
    assert [panel.get_xlabel() for panel in panels] == [
        "distinct records (log scale)",
        "tokens seen (log scale)",
        "training FLOPs (log scale)",
    ]
    for panel, name in zip(panels, ("records", "tokens", "training_flops"), strict=True):
        tuned = rows[(rows["axis"] == name) & (rows["scale"] > 0)]
        drawn = [line.get_xydata().tolist() for line in panel.lines if len(line.get_xdata()) > 2]
        assert drawn == [part[["x", "mean"]].values.tolist() for _, part in tuned.groupby("arm")]
    assert "each record seen 2 times" in AXES_KIND.caption(rows)


def test_axes_without_costs_are_not_drawn(tmp_path: Path):
    table = figure_tables.axes(figure_tables.curves())
    folder = figure_tables.write(tmp_path, axes=table[table["axis"] == "records"])
    with pytest.raises(NothingToDraw, match="not known on any axis but records"):
        AXES_KIND.prepare(Sources(folder, FigureOptions()))
