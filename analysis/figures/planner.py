"""Figure 8: the smallest tail slope that a study could find, by its items and seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from analysis.figures import layout, style, text
from analysis.figures.kind import Kind, NothingToDraw, Sources
from analysis.figures.layout import Grid, Page

SeedLooks = dict[int, dict[str, Any]]
KEY = ["judge", "arm", "category"]
PLAN = (*KEY, "items", "seeds", "answers", "repeats", "scales", "power", "detectable", "noise")
VERDICTS = (*KEY, "margin", "n_items", "n_seeds", "detectable")
MARGIN_LOOK = {"color": "#111111", "linewidth": 0.8, "linestyle": style.DASHED}
HERE_LOOK: dict[str, Any] = {
    "marker": "*",
    "color": "#D55E00",
    "markersize": 7,
    "linestyle": "none",
    **style.MARKER_EDGE,
}


def prepare(sources: Sources) -> pd.DataFrame:
    """plan.csv with the verdicts' margin, and a row of the kind `here` for the study itself.

    `detectable` of the study itself is that of verdicts.csv, at its own items and seeds. Of several
    numbers of answers and judgements the fewest are drawn.
    """
    plan = sources.table("plan", PLAN).assign(kind="plan")
    for column in ("answers", "repeats"):
        fewest = plan.groupby(KEY)[column].transform("min")
        plan = plan[plan[column] == fewest]
    plan = plan[np.isfinite(plan["detectable"])]
    if plan.empty:
        raise NothingToDraw("no design of plan.csv has a detectable slope")
    verdicts = sources.optional("verdicts", VERDICTS)
    if verdicts is None:
        return plan.assign(margin=np.nan)
    here = verdicts.rename(columns={"n_items": "items", "n_seeds": "seeds"})
    here = here[here["category"].isin(plan["category"])].assign(kind="here")
    plan = plan.merge(verdicts[[*KEY, "margin"]], on=KEY, how="left")
    return pd.concat([plan, here], ignore_index=True)


def draw(frame: pd.DataFrame, page: Page) -> Figure:
    """A panel per category of one arm, a line per number of seeds, the margin dashed."""
    plan = frame[frame["kind"] == "plan"]
    # The overall row counts the items of all categories and has no position on this axis.
    here = frame[(frame["kind"] == "here") & (frame["category"] != style.OVERALL)]
    here = here[np.isfinite(here["detectable"])]
    looks = _seed_looks(plan)
    labels = ("items per category (log scale)", "detectable slope (log scale)")
    grid = Grid(page, style.category_order(plan["category"]), _handles(looks, plan, here), labels)
    for category, axes in grid.panels.items():
        _panel(axes, *(rows[rows["category"] == category] for rows in (plan, here)), looks)
    items = sorted(int(count) for count in plan["items"].unique())
    grid.log_axis(items, [f"{count:,}" for count in items], here["items"].tolist())
    _slope_axis(next(iter(grid.panels.values())), frame)
    return grid.figure


def _seed_looks(plan: pd.DataFrame) -> SeedLooks:
    """Darker with more seeds; one seed is dotted, because its line knows no training noise."""
    seeds = sorted(int(count) for count in plan["seeds"].unique())
    palette = sns.color_palette("crest", len(seeds))
    shared = {"markersize": 3, "linewidth": 1.0}
    return {
        count: {
            "color": palette[index],
            "marker": style.MARKERS[index % len(style.MARKERS)],
            "linestyle": style.DOTTED if count == 1 else "solid",
            **shared,
        }
        for index, count in enumerate(seeds)
    }


def _panel(axes: Axes, plan: pd.DataFrame, here: pd.DataFrame, looks: SeedLooks) -> None:
    for count, look in looks.items():
        rows = plan[plan["seeds"] == count].sort_values("items")
        axes.plot(rows["items"], rows["detectable"], **look)
    margin = plan["margin"].max()
    if np.isfinite(margin):
        axes.axhline(margin, zorder=1.5, **MARGIN_LOOK)
    axes.plot(here["items"], here["detectable"], zorder=4, **HERE_LOOK)


def _slope_axis(axes: Axes, frame: pd.DataFrame) -> None:
    values = frame[["detectable", "margin"]].to_numpy(float)
    known = values[np.isfinite(values) & (values > 0)]
    axes.set_yscale("log")
    axes.set_ylim(known.min() / 1.15, known.max() * 1.15)
    axes.yaxis.set_major_locator(layout.log_ticks(known.max() / known.min()))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")


def _handles(looks: SeedLooks, plan: pd.DataFrame, here: pd.DataFrame) -> list[Artist]:
    entries: list[Artist] = [
        Line2D([], [], label=text.counted([count], "seed"), **look) for count, look in looks.items()
    ]
    if plan["margin"].notna().any():
        entries.append(Line2D([], [], label="margin", **MARGIN_LOOK))
    if len(here):
        entries.append(Line2D([], [], label="this study", **HERE_LOOK))
    return entries


def caption(frame: pd.DataFrame) -> str:
    """Where the noise comes from, the ladder, and what one seed leaves out."""
    plan = frame[frame["kind"] == "plan"]
    sources = sorted(plan["noise"].dropna().unique())
    warning = ""
    if any("unmeasured" in source for source in sources):
        warning = "so all lines are too low and say nothing of what more seeds bring"
    elif (plan["seeds"] == 1).any():
        warning = "1 seed: items only, training noise unmeasured, so its line is too low"
    return text.sentence(
        f"Judge {plan['judge'].iloc[0]}",
        f"arm {plan['arm'].iloc[0]}",
        text.counted(plan["scales"], "scale"),
        f"tail slope found with a power of {plan['power'].iloc[0]:g}",
        _answers(plan),
        *(f"variances {source}" for source in sources),
        warning,
    )


def _answers(plan: pd.DataFrame) -> str:
    """Answers and judgements of an item, where there is more than one of either."""
    if plan["answers"].max() == 1 and plan["repeats"].max() == 1:
        return ""
    answers, repeats = (
        text.counted(plan[name].round().astype(int), what)
        for name, what in (("answers", "answer"), ("repeats", "judgement"))
    )
    return f"{answers} to an item, {repeats} of each"


PLANNER = Kind(
    name="figure8_planner",
    title="Smallest detectable gain per doubling, by items and seeds",
    split=("judge", "arm"),
    prepare=prepare,
    caption=caption,
    draw=draw,
)
