"""Figure 4: the fitted curve, its fan beyond the ladder, and the zone where none is drawn."""

from __future__ import annotations

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.figures import captions, style
from analysis.figures.panels import Grid
from analysis.figures.sources import NothingToDraw, Sources
from analysis.options import FigureOptions

NAME = "figure4_extrapolation"
TITLE = "What the fitted curves say beyond the ladder"
SPLIT = ("judge", "arm")

KEY = ("judge", "arm", "category")
POINTS = (*KEY, "scale", "mean", "low", "high", "n_items", "n_seeds")
FAN = (*KEY, "scale", "factor", "mean", "low", "high", "families", "status", "reason")
HORIZON = 10  # the widest factor that is ever drawn, refused or not

INSIDE, BEYOND = "#0173B2", "#DE8F05"
REFUSED = {"facecolor": "#F4F4F4", "hatch": "////", "hatchcolor": "#B5B5B5", "linewidth": 0}


def prepare(sources: Sources) -> pd.DataFrame:
    """Rows whose `status` is measured (curves.csv), or fit, extrapolated or refused."""
    fan = sources.table("extrapolation", FAN)[list(FAN)]
    points = sources.table("curves", POINTS)
    points = points.loc[points["scale"] > 0, list(POINTS)].assign(status="measured")
    if not (fan["status"] == "fit").any():
        reasons = "; ".join(sorted(set(fan["reason"].dropna())))
        raise NothingToDraw(f"no curve may be fitted: {reasons}")
    return pd.concat([points, fan], ignore_index=True)


def draw(frame: pd.DataFrame, options: FigureOptions = FigureOptions()) -> Figure:
    """A panel per category of one arm: points, fit, fan, and a hatched zone where it ends."""
    width = style.figure_width(options)
    measured = frame[frame["status"] == "measured"]
    grid = Grid(
        style.category_order(measured["category"]),
        width,
        captions.heading(frame, TITLE),
        caption(frame) if options.captions else "",
        _handles(frame),
    )
    largest = float(measured["scale"].max())
    for category, axes in grid.panels.items():
        part = frame[frame["category"] == category]
        _panel(axes, part, largest)
        beyond = part[part["status"] == "extrapolated"]
        grid.heading(category, second_line=True)
        if beyond.empty:
            grid.note(category, "refused", color=style.GREY)
        else:
            grid.note(category, f"to {beyond['factor'].max():g}× the data", color=style.GREY)
    values = frame[["mean", "low", "high"]].to_numpy(float)
    grid.score_axis(values)
    scales = sorted(int(scale) for scale in measured["scale"].unique())
    ticks = [*scales, HORIZON * scales[-1]]
    grid.log_axis(ticks, style.scale_names(ticks))
    grid.label("instruction records (log scale)", "mean score")
    return grid.figure


def _panel(axes: Axes, part: pd.DataFrame, largest: float) -> None:
    points = part[part["status"] == "measured"]
    half = [points["mean"] - points["low"], points["high"] - points["mean"]]
    axes.errorbar(
        points["scale"],
        points["mean"],
        yerr=half,
        fmt="o",
        color=style.INK,
        markersize=2.8,
        elinewidth=0.7,
        zorder=4,
    )
    fit = part[part["status"] == "fit"].sort_values("scale")
    beyond = part[part["status"] == "extrapolated"].sort_values("scale")
    # The fan starts where the fit ends, so that no gap is drawn between the two.
    beyond = pd.concat([fit.tail(1), beyond]) if len(beyond) else beyond
    for rows, color, line in ((fit, INSIDE, "solid"), (beyond, BEYOND, (0, (3, 1.5)))):
        axes.fill_between(
            rows["scale"], rows["low"], rows["high"], color=color, alpha=0.25, linewidth=0
        )
        axes.plot(rows["scale"], rows["mean"], color=color, linestyle=line, linewidth=1.1)
    end = max(largest, float(beyond["scale"].max()) if len(beyond) else 0)
    axes.axvspan(end, HORIZON * largest * 10, zorder=0.5, **REFUSED)


def _handles(frame: pd.DataFrame) -> list[Artist]:
    handles: list[Artist] = [
        Line2D(
            [], [], color=style.INK, marker="o", markersize=2.8, linewidth=0.7, label="measured"
        ),
        Line2D([], [], color=INSIDE, linewidth=1.1, label="fit"),
    ]
    if (frame["status"] == "extrapolated").any():
        line = Line2D(
            [], [], color=BEYOND, linestyle=(0, (3, 1.5)), linewidth=1.1, label="extrapolation"
        )
        handles.append(line)
    handles.append(Patch(facecolor=style.GREY, alpha=0.3, label="interval (envelope of the fits)"))
    handles.append(Patch(label="refused", **REFUSED))
    return handles


def caption(frame: pd.DataFrame) -> str:
    """Items, seeds, interval level, the assumption, and why panels have no extrapolation."""
    measured = frame[frame["status"] == "measured"]
    single = measured[measured["category"] != style.OVERALL]
    first = frame.iloc[0]
    parts = [
        f"Judge {first['judge']}",
        f"arm {first['arm']}",
        captions.interval_name(frame),
        captions.counted(single["n_items"], "item") + " per category",
        captions.seeds_note(measured["n_seeds"]),
        captions.FITS_NOTE,
    ]
    assumptions = frame.loc[frame["status"] == "extrapolated", "reason"].dropna().unique()
    if len(assumptions):
        parts.append("extrapolated " + " or ".join(sorted(assumptions)))
    return "; ".join(parts) + "." + _refusals(frame)


def _refusals(frame: pd.DataFrame) -> str:
    """Reasons for panels without any extrapolation, each with its categories."""
    drawn = set(frame.loc[frame["status"] == "extrapolated", "category"])
    refused = frame[(frame["status"] == "refused") & ~frame["category"].isin(drawn)]
    groups = refused.dropna(subset="reason").groupby("reason", sort=False)["category"]
    texts = [
        f" Refused for {', '.join(style.category_name(c) for c in style.category_order(names))}:"
        f" {reason}."
        for reason, names in groups
    ]
    return "".join(texts)
