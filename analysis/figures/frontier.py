"""Figure 5b: overall score against what it costs, and the frontier of the arms."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import layout, style, text
from analysis.figures.kind import Kind, NothingToDraw, Sources
from analysis.figures.layout import Page

POINTS = ("judge", "arm", "category", "scale", "mean", "low", "high", "n_items", "n_seeds")
COSTS = ("arm", "scale", "cost", "unit")
RECORDS = "instruction records"
FRONTIER_LOOK: dict[str, Any] = {
    "color": style.GREY,
    "linewidth": 0.9,
    "linestyle": style.DASHED,
}


def prepare(sources: Sources) -> pd.DataFrame:
    """Overall means with the columns cost, unit and frontier (no cheaper run scores as high).

    The cost comes from the optional table costs.csv: columns arm, scale, cost (of one run, any
    unit) and unit (such as "GPU hours per run"). Without it the cost is the number of records.

    Raises:
        NothingToDraw: one arm and no costs.csv, where figure 2 shows the same.
    """
    curves = sources.table("curves", POINTS)
    points = curves[(curves["category"] == style.OVERALL) & (curves["scale"] > 0)]
    points = points.dropna(subset="mean")
    costs = sources.optional("costs", COSTS)
    if costs is not None:
        points = points.merge(costs, on=["arm", "scale"])
    elif points["arm"].nunique() < 2:
        raise NothingToDraw("one arm and no costs.csv: figure 2 shows score against records")
    else:
        points = points.assign(cost=points["scale"], unit=RECORDS)
    points = points[points["cost"] > 0]
    if points.empty:
        raise NothingToDraw("no run has both an overall score and a cost")
    best = [_on_frontier(points[points["judge"] == row.judge], row) for row in points.itertuples()]
    return points.assign(frontier=best)


def _on_frontier(points: pd.DataFrame, row: Any) -> bool:
    cheaper = (points["cost"] < row.cost) & (points["mean"] >= row.mean)
    better = (points["cost"] == row.cost) & (points["mean"] > row.mean)
    return not (cheaper | better).any()


def draw(frame: pd.DataFrame, page: Page) -> Figure:
    """A point per arm and scale with its interval; the frontier is a stepped line."""
    looks = style.looks(frame["arm"].unique())
    legend = style.handles(looks, page.width * 0.4)
    legend.append(Line2D([], [], label="frontier", **FRONTIER_LOOK))
    figure, body = page.open(min(page.width * 0.5, 3.2) + 0.4, legend)
    axes = body.subplots()
    # Arms of equal cost stand a little apart, so that their intervals can be seen.
    apart = 0.008 if frame["cost"].duplicated().any() else 0.0
    span = frame["cost"].max() / frame["cost"].min()
    shifts = layout.offsets(len(looks), apart)
    for (arm, look), shift in zip(looks.items(), shifts, strict=True):
        rows = frame[frame["arm"] == arm].sort_values("cost")
        line = {"elinewidth": 0.8, "linewidth": 0.9, **look, **style.MARKER_EDGE}
        half = layout.half_widths(rows)
        axes.errorbar(rows["cost"] * span**shift, rows["mean"], yerr=half, **line)
    _frontier(axes, frame)
    _axes(axes, frame)
    return figure


def _frontier(axes: Axes, frame: pd.DataFrame) -> None:
    best = frame[frame["frontier"]].sort_values("cost")
    ends = [*best["cost"], frame["cost"].max()], [*best["mean"], best["mean"].max()]
    axes.step(*ends, where="post", zorder=1, **FRONTIER_LOOK)
    above = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center"}
    names = style.scale_names(best["scale"].tolist())
    for name, row in zip(names, best.itertuples(), strict=True):
        size = layout.NOTE_SIZE
        axes.annotate(name, (row.cost, row.high), fontsize=size, color=style.INK, **above)


def _axes(axes: Axes, frame: pd.DataFrame) -> None:
    unit = str(frame["unit"].iloc[0])
    axes.set_xscale("log")
    axes.margins(x=0.06, y=0.1)
    axes.minorticks_off()
    axes.grid(axis="x", visible=True)
    if unit == RECORDS:
        scales = sorted(int(scale) for scale in frame["scale"].unique())
        axes.set_xticks(scales, style.scale_names(scales))
    else:
        span = frame["cost"].max() / frame["cost"].min()
        axes.xaxis.set_major_locator(layout.log_ticks(span))
        axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:.2g}")
    axes.set(xlabel=text.printable(f"{unit} (log scale)"), ylabel="mean score, overall")


def caption(frame: pd.DataFrame) -> str:
    """What the frontier and the numbers at its points are, with seeds and interval level."""
    return text.sentence(
        f"Judge {frame['judge'].iloc[0]}",
        text.interval_name(frame),
        text.counted(frame["n_items"], "item"),
        text.seeds_note(frame["n_seeds"]),
        "frontier: no cheaper run scores as high (by the means alone; the intervals may overlap)",
        "numbers: records",
    )


FRONTIER = Kind(
    name="figure5b_frontier",
    title="Overall score against cost",
    split=("judge",),
    prepare=prepare,
    caption=caption,
    draw=draw,
    intervals="curves",
)
