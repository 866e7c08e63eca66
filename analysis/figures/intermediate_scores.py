"""Figure 11: scores along each run against examples seen, beside the separate runs."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import captions, style
from analysis.figures.panels import Grid
from analysis.figures.sources import Sources
from analysis.options import FigureOptions

NAME = "figure11_along"
TITLE = "Scores along each run"
SPLIT = ("judge",)

KEY = ("judge", "arm", "category")
COLUMNS = (*KEY, "scale", "seed", "fraction", "mean", "examples_seen", "run_examples", "n_items")
CURVES = (*KEY, "scale", "mean", "low", "high")
RUN = ["arm", "scale", "seed"]
WAY_LOOK: dict[str, Any] = {"linewidth": 0.8, "marker": ".", "markersize": 3.5, "zorder": 3}
# No table of the figures holds the finished score of a single run: the line ends at the mean.
END_LOOK: dict[str, Any] = {"linewidth": 0.8, "linestyle": (0, (1, 1)), "zorder": 2.5}
FINAL_LOOK: dict[str, Any] = {
    "linestyle": "none",
    "markersize": 4,
    "markerfacecolor": "white",
    "markeredgewidth": 0.9,
    "zorder": 4,
}


def prepare(sources: Sources) -> pd.DataFrame:
    """Rows of two kinds: `way` (a snapshot along a run) and `final` (curves.csv, means over seeds).

    `examples_seen` of a final point is that of the arm's runs at its scale.
    """
    ways = sources.table("intermediate_scores", COLUMNS)
    seen = ways.groupby(["arm", "scale"], sort=False)["run_examples"].mean()
    final = sources.table("curves", CURVES)[list(CURVES)]
    final = final.merge(seen.rename("examples_seen").reset_index(), on=["arm", "scale"])
    return pd.concat(
        [ways[list(COLUMNS)].assign(kind="way"), final.assign(kind="final")], ignore_index=True
    )


def draw(frame: pd.DataFrame, options: FigureOptions = FigureOptions()) -> Figure:
    """A thin line per run through its snapshots, dotted on to its scale's hollow point.

    A hollow point is a mean of finished runs with its interval.
    """
    width = style.figure_width(options)
    arms = list(frame["arm"].drop_duplicates())
    grid = Grid(
        style.category_order(frame["category"]),
        width,
        captions.heading(frame, TITLE),
        caption(frame) if options.captions else "",
        _handles(frame, arms, width),
    )
    for category, axes in grid.panels.items():
        _panel(axes, frame[frame["category"] == category], arms)
        grid.heading(category, second_line=False)
    grid.score_axis(frame[["mean", "low", "high"]].to_numpy(float))
    places = sorted({round(seen) for seen in frame.loc[frame["kind"] == "final", "examples_seen"]})
    reach = frame["examples_seen"].to_list()
    grid.log_axis(places, style.scale_names(places), reach)
    grid.label("examples seen, repeats counted (log scale)", "mean score")
    return grid.figure


def _panel(axes: Axes, part: pd.DataFrame, arms: list[str]) -> None:
    for index, (arm, color) in enumerate(style.arm_colours(arms).items()):
        rows = part[part["arm"] == arm]
        final = rows[rows["kind"] == "final"].sort_values("examples_seen")
        for (_, scale, _), way in rows[rows["kind"] == "way"].groupby(RUN):
            way = way.sort_values("examples_seen")
            axes.plot(way["examples_seen"], way["mean"], color=color, alpha=0.7, **WAY_LOOK)
            end = pd.concat([way.tail(1), final[final["scale"] == scale]])
            axes.plot(end["examples_seen"], end["mean"], color=color, alpha=0.7, **END_LOOK)
        axes.errorbar(
            final["examples_seen"],
            final["mean"],
            yerr=[final["mean"] - final["low"], final["high"] - final["mean"]],
            color=style.darker(color),
            marker=style.marker(index),
            elinewidth=0.7,
            **FINAL_LOOK,
        )


def _handles(frame: pd.DataFrame, arms: list[str], width: float) -> list[Artist]:
    points = frame[frame["kind"] == "way"].groupby([*RUN, "category"]).size()
    line = "solid" if points.max() > 1 else "none"
    label, mean = "one run along its way", "separate runs, finished: mean"
    return [
        *(style.arm_handles(arms, width) if len(arms) > 1 else []),
        Line2D([], [], color=style.GREY, label=label, linestyle=line, **WAY_LOOK),
        Line2D([], [], color=style.GREY, label="on to the mean at its scale", **END_LOOK),
        Line2D([], [], color=style.INK, marker="o", label=mean, **FINAL_LOOK),
    ]


def caption(frame: pd.DataFrame) -> str:
    """Judge, items, what the lines are, and what they are no substitute for."""
    ways = frame[frame["kind"] == "way"]
    single = ways[ways["category"] != style.OVERALL]
    parts = [
        f"Judge {frame['judge'].iloc[0]}",
        captions.counted(single["n_items"], "item") + " per category",
        captions.counted([len(ways.drop_duplicates(RUN))], "run"),
        f"hollow points: means of separate runs with {captions.interval_name(frame)}",
        "points of one run share its data order and its noise, and a schedule that ends at the "
        "last step has not come to its end there: no substitute for separate runs",
    ]
    return "; ".join(parts) + "."
