"""Figure 5, second part: overall score against what it costs, and the frontier of the arms."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import captions, style
from analysis.figures.canvas import canvas
from analysis.figures.sources import NothingToDraw, Sources
from analysis.figures.text import printable
from analysis.figures.ticks import log_ticks
from analysis.options import FigureOptions

NAME = "figure5b_frontier"
TITLE = "Overall score against cost"
SPLIT = ("judge",)

POINTS = ("judge", "arm", "category", "scale", "mean", "low", "high", "n_items", "n_seeds")
COSTS = ("arm", "scale", "cost", "unit")
RECORDS = "instruction records"


def prepare(sources: Sources) -> pd.DataFrame:
    """Overall means with the columns cost, unit and frontier (no cheaper run scores as high).

    The cost comes from the optional table costs.csv: columns arm, scale, cost (of one run, any
    unit) and unit (such as "GPU hours per run"). Without it the cost is the number of records.

    Raises:
        NothingToDraw: one arm and no costs.csv, where figure 2 shows the same.
    """
    curves = sources.table("curves", POINTS)
    points = curves.loc[(curves["category"] == style.OVERALL) & (curves["scale"] > 0), list(POINTS)]
    points = points.dropna(subset="mean")
    costs = sources.optional("costs", COSTS)
    if costs is not None:
        points = points.merge(costs[list(COSTS)], on=["arm", "scale"])
    elif points["arm"].nunique() < 2:
        raise NothingToDraw("one arm and no costs.csv: figure 2 shows score against records")
    else:
        points = points.assign(cost=points["scale"], unit=RECORDS)
    points = points[points["cost"] > 0]
    if points.empty:
        raise NothingToDraw("no run has both an overall score and a cost")
    best = [_on_frontier(points, row) for row in points.itertuples()]
    return points.assign(frontier=best)


def _on_frontier(points: pd.DataFrame, row: object) -> bool:
    same = points[points["judge"] == row.judge]
    cheaper = same[(same["cost"] < row.cost) & (same["mean"] >= row.mean)]
    better = same[(same["cost"] == row.cost) & (same["mean"] > row.mean)]
    return cheaper.empty and better.empty


def draw(frame: pd.DataFrame, options: FigureOptions = FigureOptions()) -> Figure:
    """A point per arm and scale with its interval; the frontier is a stepped line."""
    width = style.figure_width(options)
    arms = list(frame["arm"].drop_duplicates())
    frontier = Line2D(
        [], [], color=style.GREY, linewidth=0.9, linestyle=(0, (4, 2)), label="frontier"
    )
    figure, body = canvas(
        width,
        min(width * 0.5, 3.2) + 0.4,
        captions.heading(frame, TITLE),
        caption(frame) if options.captions else "",
        [*style.arm_handles(arms, width), frontier],
    )
    axes = body.subplots()
    span = frame["cost"].max() / frame["cost"].min()
    for index, (arm, color) in enumerate(style.arm_colours(arms).items()):
        rows = frame[frame["arm"] == arm].sort_values("cost")
        # Arms of equal cost stand a little apart, so that their intervals can be seen.
        apart = span ** (0.008 * (index - (len(arms) - 1) / 2)) if _shared_costs(frame) else 1
        axes.errorbar(
            rows["cost"] * apart,
            rows["mean"],
            yerr=[rows["mean"] - rows["low"], rows["high"] - rows["mean"]],
            color=color,
            marker=style.marker(index),
            markeredgecolor="white",
            markeredgewidth=0.4,
            elinewidth=0.8,
            linewidth=0.9,
        )
    _frontier(axes, frame)
    _dress(axes, frame, width)
    return figure


def _shared_costs(frame: pd.DataFrame) -> bool:
    return bool(frame["cost"].duplicated().any())


def _frontier(axes: Axes, frame: pd.DataFrame) -> None:
    best = frame[frame["frontier"]].sort_values("cost")
    end = frame["cost"].max()
    axes.step(
        [*best["cost"], end],
        [*best["mean"], best["mean"].max()],
        where="post",
        color=style.GREY,
        linewidth=0.9,
        linestyle=(0, (4, 2)),
        zorder=1,
    )
    names = style.scale_names([int(scale) for scale in best["scale"]])
    for name, row in zip(names, best.itertuples(), strict=True):
        axes.annotate(
            name,
            (row.cost, row.high),
            (0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=6.3,
            color=style.INK,
        )


def _dress(axes: Axes, frame: pd.DataFrame, width: float) -> None:
    unit = str(frame["unit"].iloc[0])
    axes.set_xscale("log")
    axes.margins(x=0.06, y=0.1)
    axes.minorticks_off()
    axes.grid(axis="x", visible=True)
    if unit == RECORDS:
        scales = sorted(int(scale) for scale in frame["scale"].unique())
        axes.set_xticks(scales, style.scale_names(scales))
    else:
        axes.xaxis.set_major_locator(log_ticks())
        axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:.2g}")
    axes.set(xlabel=printable(f"{unit} (log scale)"), ylabel="mean score, overall")


def caption(frame: pd.DataFrame) -> str:
    """What the frontier and the numbers at its points are, with seeds and interval level."""
    parts = [
        f"Judge {frame['judge'].iloc[0]}",
        captions.interval_name(frame),
        captions.counted(frame["n_items"], "item"),
        captions.seeds_note(frame["n_seeds"]),
        "frontier: no cheaper run scores as high (by the means alone; the intervals may overlap)",
        "numbers: records",
    ]
    return "; ".join(parts) + "."
