"""Figure 8: the smallest tail slope that a study could find, by its items and seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from analysis.figures import captions, style
from analysis.figures.panels import Grid
from analysis.figures.sources import NothingToDraw, Sources
from analysis.figures.ticks import log_ticks
from analysis.options import FigureOptions

NAME = "figure8_planner"
TITLE = "Smallest detectable gain per doubling, by items and seeds"
SPLIT = ("judge", "arm")

KEY = ("judge", "arm", "category")
PLAN = (*KEY, "items", "seeds", "scales", "power", "detectable", "noise")
VERDICTS = (*KEY, "margin", "n_items", "n_seeds", "detectable")
MARGIN_LOOK = {"color": "#111111", "linewidth": 0.8, "linestyle": (0, (4, 2))}
HERE_LOOK = {
    "marker": "*",
    "color": "#D55E00",
    "markeredgecolor": "white",
    "markeredgewidth": 0.4,
    "markersize": 7,
    "linestyle": "none",
}


def prepare(sources: Sources) -> pd.DataFrame:
    """plan.csv with the verdicts' margin, and a row of the kind `here` for the study itself.

    `detectable` of the study itself is that of verdicts.csv, at its own items and seeds.
    """
    plan = sources.table("plan", PLAN)[list(PLAN)].assign(kind="plan")
    plan = plan[np.isfinite(plan["detectable"])]
    if plan.empty:
        raise NothingToDraw("no design of plan.csv has a detectable slope")
    verdicts = sources.optional("verdicts", VERDICTS)
    if verdicts is None:
        return plan.assign(margin=np.nan)
    here = verdicts[list(VERDICTS)].rename(columns={"n_items": "items", "n_seeds": "seeds"})
    here = here[here["category"].isin(plan["category"])].assign(kind="here")
    margins = verdicts[[*KEY, "margin"]]
    return pd.concat([plan.merge(margins, on=list(KEY), how="left"), here], ignore_index=True)


def draw(frame: pd.DataFrame, options: FigureOptions = FigureOptions()) -> Figure:
    """A panel per category of one arm, a line per number of seeds, the margin dashed."""
    width = style.figure_width(options)
    plan = frame[frame["kind"] == "plan"]
    grid = Grid(
        style.category_order(plan["category"]),
        width,
        captions.heading(frame, TITLE),
        caption(frame) if options.captions else "",
        _handles(frame),
    )
    for category, axes in grid.panels.items():
        _panel(axes, frame[frame["category"] == category], _seed_looks(plan))
        grid.heading(category, second_line=False)
    items = sorted(int(count) for count in plan["items"].unique())
    here = frame[(frame["kind"] == "here") & (frame["category"] != style.OVERALL)]
    reach = here["items"].dropna().tolist()
    grid.log_axis(items, [f"{count:,}" for count in items], reach)
    _slope_axis(next(iter(grid.panels.values())), frame)
    grid.label("items per category (log scale)", "detectable slope (log scale)")
    return grid.figure


def _seed_looks(plan: pd.DataFrame) -> dict[int, dict[str, object]]:
    """Darker with more seeds; one seed is dotted, because its line knows no training noise."""
    seeds = sorted(int(count) for count in plan["seeds"].unique())
    palette = sns.color_palette("crest", len(seeds))
    return {
        count: {
            "color": palette[index],
            "marker": style.marker(index),
            "markersize": 3,
            "linewidth": 1.0,
            "linestyle": (0, (1, 1)) if count == 1 else "solid",
        }
        for index, count in enumerate(seeds)
    }


def _panel(axes: Axes, part: pd.DataFrame, looks: dict[int, dict[str, object]]) -> None:
    plan = part[part["kind"] == "plan"]
    for count, look in looks.items():
        rows = plan[plan["seeds"] == count].sort_values("items")
        axes.plot(rows["items"], rows["detectable"], **look)
    margin = plan["margin"].max()
    if np.isfinite(margin):
        axes.axhline(margin, zorder=1.5, **MARGIN_LOOK)
    here = part[(part["kind"] == "here") & np.isfinite(part["detectable"])]
    # The overall row counts the items of all categories and has no place on this axis.
    here = here[here["category"] != style.OVERALL]
    axes.plot(here["items"], here["detectable"], zorder=4, **HERE_LOOK)


def _slope_axis(axes: Axes, frame: pd.DataFrame) -> None:
    values = frame[["detectable", "margin"]].to_numpy(float)
    known = values[np.isfinite(values) & (values > 0)]
    axes.set_yscale("log")
    axes.set_ylim(known.min() / 1.15, known.max() * 1.15)
    axes.yaxis.set_major_locator(log_ticks())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")


def _handles(frame: pd.DataFrame) -> list[Artist]:
    looks = _seed_looks(frame[frame["kind"] == "plan"])
    handles: list[Artist] = [
        Line2D([], [], label="1 seed" if count == 1 else f"{count} seeds", **look)
        for count, look in looks.items()
    ]
    if frame["margin"].notna().any():
        handles.append(Line2D([], [], label="margin", **MARGIN_LOOK))
    if (frame["kind"] == "here").any():
        handles.append(Line2D([], [], label="this study", **HERE_LOOK))
    return handles


def caption(frame: pd.DataFrame) -> str:
    """Where the noise comes from, the ladder, and what one seed leaves out."""
    plan = frame[frame["kind"] == "plan"]
    first = plan.iloc[0]
    parts = [
        f"Judge {first['judge']}",
        f"arm {first['arm']}",
        captions.counted(plan["scales"], "scale"),
        f"tail slope found with a power of {first['power']:g}",
        "; ".join(sorted(f"variances {noise}" for noise in plan["noise"].dropna().unique())),
    ]
    if plan["noise"].astype(str).str.contains("unmeasured").any():
        parts.append("so all lines are too low and say nothing of what more seeds bring")
    elif (plan["seeds"] == 1).any():
        parts.append("1 seed: items only, training noise unmeasured, so its line is too low")
    return "; ".join(parts) + "."
