"""Figure 11: scores of the intermediate checkpoints against examples seen, beside finished runs."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import layout, style, text
from analysis.figures.kind import Kind, Sources
from analysis.figures.layout import Grid, Page

KEY = ("judge", "arm", "category")
COLUMNS = (*KEY, "scale", "seed", "fraction", "mean", "examples_seen", "run_examples", "n_items")
CURVES = (*KEY, "scale", "mean", "low", "high")
RUN = ["arm", "scale", "seed"]
RUN_LOOK: dict[str, Any] = {"linewidth": 0.8, "marker": ".", "markersize": 3.5, "zorder": 3}
# No table of the figures holds the finished score of a single run: the line ends at the mean.
END_LOOK: dict[str, Any] = {"linewidth": 0.8, "linestyle": style.DOTTED, "zorder": 2.5}
MEAN_LOOK: dict[str, Any] = {
    "linestyle": "none",
    "markersize": 4,
    "markerfacecolor": "white",
    "markeredgewidth": 0.9,
    "zorder": 4,
}


def prepare(sources: Sources) -> pd.DataFrame:
    """Rows of two kinds: `intermediate` (one run's checkpoint) and `mean` (curves.csv, all seeds).

    `examples_seen` of a mean is that of the arm's finished runs at its scale.
    """
    points = sources.table("intermediate_scores", COLUMNS)
    seen = points.groupby(["arm", "scale"], sort=False)["run_examples"].mean()
    means = sources.table("curves", CURVES)
    means = means.merge(seen.rename("examples_seen").reset_index(), on=["arm", "scale"])
    return pd.concat(
        [points.assign(kind="intermediate"), means.assign(kind="mean")], ignore_index=True
    )


def draw(frame: pd.DataFrame, page: Page) -> Figure:
    """A thin line per run through its checkpoints, dotted on to its scale's hollow point.

    A hollow point is a mean of finished runs with its interval.
    """
    looks = style.looks(frame["arm"].unique())
    labels = ("examples seen, repeats counted (log scale)", "mean score")
    categories = style.category_order(frame["category"])
    grid = Grid(page, categories, _handles(frame, looks, page.width), labels)
    for category, axes in grid.panels.items():
        part = frame[frame["category"] == category]
        for arm, look in looks.items():
            _arm(axes, part[part["arm"] == arm], look)
    grid.score_axis(frame[["mean", "low", "high"]].to_numpy(float))
    ticks = sorted({round(seen) for seen in frame.loc[frame["kind"] == "mean", "examples_seen"]})
    grid.log_axis(ticks, style.scale_names(ticks), frame["examples_seen"].to_list())
    return grid.figure


def _arm(axes: Axes, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    means = rows[rows["kind"] == "mean"].sort_values("examples_seen")
    thin = {"color": look["color"], "alpha": 0.7}
    for (_, scale, _), run in rows[rows["kind"] == "intermediate"].groupby(RUN):
        run = run.sort_values("examples_seen")
        axes.plot(run["examples_seen"], run["mean"], **thin, **RUN_LOOK)
        end = pd.concat([run.tail(1), means[means["scale"] == scale]])
        axes.plot(end["examples_seen"], end["mean"], **thin, **END_LOOK)
    hollow = {"color": style.darker(look["color"]), "marker": look["marker"], **MEAN_LOOK}
    half = layout.half_widths(means)
    axes.errorbar(means["examples_seen"], means["mean"], yerr=half, elinewidth=0.7, **hollow)


def _handles(frame: pd.DataFrame, looks: style.Looks, width: float) -> list[Artist]:
    points = frame[frame["kind"] == "intermediate"].groupby([*RUN, "category"]).size()
    run_line = {"linestyle": "solid" if points.max() > 1 else "none", **RUN_LOOK}
    return [
        *(style.handles(looks, width * 0.4) if len(looks) > 1 else []),
        Line2D([], [], color=style.GREY, label="intermediate checkpoints of a run", **run_line),
        Line2D([], [], color=style.GREY, label="to the mean at its scale", **END_LOOK),
        Line2D([], [], color=style.INK, marker="o", label="finished runs: mean", **MEAN_LOOK),
    ]


def caption(frame: pd.DataFrame) -> str:
    """Judge, items, what the lines are, and what they are no substitute for."""
    points = frame[frame["kind"] == "intermediate"]
    return text.sentence(
        f"Judge {frame['judge'].iloc[0]}",
        text.per_category(points, "n_items", "item"),
        text.counted([len(points.drop_duplicates(RUN))], "run"),
        f"hollow points: means of finished runs with {text.interval_name(frame)}",
        "checkpoints of one run share its data order and its noise, and a schedule that ends at "
        "the last step has not come to its end there: no substitute for separate runs",
    )


INTERMEDIATE_SCORES = Kind(
    name="figure11_intermediate_scores",
    title="Scores of intermediate checkpoints",
    split=("judge",),
    prepare=prepare,
    caption=caption,
    draw=draw,
    intervals="curves",
)
