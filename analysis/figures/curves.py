"""Figure 2: score against scale, a panel per category, with bands, fits and verdicts."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.figures import captions, style
from analysis.figures.panels import Grid
from analysis.figures.sources import Sources, paper_points
from analysis.options import FigureOptions

NAME = "figure2_curves"
TITLE = "Score against instruction records"
SPLIT = ("judge",)

KEY = ("judge", "arm", "category")
COLUMNS = (
    *KEY,
    *("scale", "mean", "low", "high", "n_items", "n_seeds", "n_missing"),
    *("bound_low", "bound_high"),
)
BASE_LOOK: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 0.9}
FIT_LOOK: dict[str, Any] = {"linestyle": (0, (1, 1)), "linewidth": 1.0, "zorder": 4}
BOUND_LOOK: dict[str, Any] = {"linestyle": "solid", "linewidth": 0.6}
PAPER_LOOK: dict[str, Any] = {
    "color": "#111111",
    "marker": "*",
    "linestyle": "none",
    "markersize": 4.5,
    "markerfacecolor": "white",
    "markeredgewidth": 0.6,
}


def prepare(sources: Sources) -> pd.DataFrame:
    """Rows of four kinds: `mean` (curves), `fit`, `verdict`, and `paper` if asked for.

    A row of the kind `verdict` has the columns verdict, margin and range_margin; the others have
    scale, mean, low, high.
    """
    curves = sources.table("curves", COLUMNS)
    parts = [curves[list(COLUMNS)].assign(kind="mean")]
    fits = sources.optional("extrapolation", (*KEY, "scale", "mean", "status"))
    if fits is not None:
        inside = fits.loc[fits["status"] == "fit", [*KEY, "scale", "mean"]]
        parts.append(inside.assign(kind="fit"))
    verdicts = sources.optional("verdicts", (*KEY, "verdict", "margin", "range_margin"))
    if verdicts is not None:
        kept = [*KEY, "verdict", "margin", "range_margin"]
        parts.append(verdicts[kept].assign(kind="verdict"))
    if sources.options.paper_overlay:
        points = paper_points().rename(columns={"score": "mean"}).assign(kind="paper", arm="")
        points = points[points["category"].isin(curves["category"])]
        parts += [points.assign(judge=judge) for judge in curves["judge"].unique()]
    frame = pd.concat([part for part in parts if not part.empty], ignore_index=True)
    return frame.reindex(columns=[*COLUMNS, "verdict", "margin", "range_margin", "kind"])


def draw(frame: pd.DataFrame, options: FigureOptions = FigureOptions()) -> Figure:
    """Small multiples of one judge; arms are colors and markers, the base is a dashed line."""
    width = style.figure_width(options)
    means = frame[frame["kind"] == "mean"]
    arms = list(means["arm"].drop_duplicates())
    grid = Grid(
        style.category_order(means["category"]),
        width,
        captions.heading(frame, TITLE),
        caption(frame) if options.captions else "",
        _handles(frame, arms, width),
    )
    for category in grid.panels:
        part = frame[frame["category"] == category]
        _panel(grid.panels[category], part, arms)
        _badges(grid, category, part[part["kind"] == "verdict"], arms)
        if part.loc[part["kind"] == "mean", "mean"].isna().all():
            grid.empty(category, "no scores")
    grid.score_axis(frame[["mean", "low", "high", "bound_low", "bound_high"]].to_numpy(float))
    shown = frame[frame["kind"].isin(["mean", "paper"]) & (frame["scale"] > 0)]
    scales = sorted(int(scale) for scale in shown["scale"].unique())
    grid.log_axis(scales, style.scale_names(scales))
    grid.label("instruction records (log scale)", "mean score")
    return grid.figure


def _panel(axes: Axes, part: pd.DataFrame, arms: list[str]) -> None:
    colors = style.arm_colours(arms)
    means = part[part["kind"] == "mean"]
    _bases(axes, means[(means["scale"] == 0)].dropna(subset="mean"), colors)
    for index, arm in enumerate(arms):
        tuned = means[(means["arm"] == arm) & (means["scale"] > 0)].sort_values("scale")
        _curve(axes, tuned, colors[arm], style.marker(index), len(arms))
        fit = part[(part["kind"] == "fit") & (part["arm"] == arm)].sort_values("scale")
        axes.plot(fit["scale"], fit["mean"], color=style.darker(colors[arm]), **FIT_LOOK)
    paper = part[part["kind"] == "paper"]
    axes.plot(paper["scale"], paper["mean"], zorder=4, **PAPER_LOOK)


def _bases(axes: Axes, bases: pd.DataFrame, colors: dict[str, style.Color]) -> None:
    """The untuned model: one grey line if all arms share it, else a line in each arm's color."""
    shared = len(colors) == 1 or (len(bases) > 1 and bases["mean"].nunique() == 1)
    for row in (bases.head(1) if shared else bases).itertuples():
        color = style.GREY if shared else colors[row.arm]
        axes.axhspan(row.low, row.high, color=color, alpha=0.10, linewidth=0)
        axes.axhline(row.mean, color=color, **BASE_LOOK)


def _curve(axes: Axes, tuned: pd.DataFrame, color: style.Color, marker: str, arms: int) -> None:
    axes.fill_between(
        tuned["scale"],
        tuned["low"],
        tuned["high"],
        color=color,
        alpha=0.22 if arms <= 3 else 0.12,
        linewidth=0,
    )
    axes.plot(
        tuned["scale"],
        tuned["mean"],
        color=color,
        marker=marker,
        zorder=3,
        markeredgecolor="white",
        markeredgewidth=0.4,
    )
    bounded = tuned.dropna(subset=["bound_low", "bound_high"])
    middle = (bounded["bound_low"] + bounded["bound_high"]) / 2
    axes.errorbar(
        bounded["scale"],
        middle,
        yerr=(bounded["bound_high"] - bounded["bound_low"]) / 2,
        fmt="none",
        ecolor=color,
        elinewidth=BOUND_LOOK["linewidth"],
        capsize=2,
        zorder=2,
    )


def _badges(grid: Grid, category: str, verdicts: pd.DataFrame, arms: list[str]) -> None:
    """The verdict below the category's name (one arm), or one sign per arm in its color."""
    grid.heading(category, second_line=not verdicts.empty)
    colors = style.arm_colours(arms)
    for row in verdicts.itertuples():
        sign, color = style.verdict_look(row.verdict)
        if len(arms) == 1:
            grid.note(category, f"{sign} {style.verdict_name(row.verdict)}", color=color)
        else:
            step = min(11, 72 * grid.panel_width / len(arms))
            shift = step * arms.index(row.arm)
            grid.note(category, sign, shift, color=colors[row.arm], fontsize=7)


def _handles(frame: pd.DataFrame, arms: list[str], width: float) -> list[Artist]:
    """The legend's entries: arms, then what else the panels hold."""
    kinds, means = set(frame["kind"]), frame[frame["kind"] == "mean"]
    handles: list[Artist] = [*style.arm_handles(arms, width)]
    handles.append(Patch(facecolor=style.GREY, alpha=0.25, label="interval"))
    if (means["scale"] == 0).any():
        handles.append(Line2D([], [], color=style.GREY, label="base, before tuning", **BASE_LOOK))
    if "fit" in kinds:
        handles.append(Line2D([], [], color=style.GREY, label="fit", **FIT_LOOK))
    if means["bound_low"].notna().any():
        label = "bounds if missing were 0 or 1"
        handles.append(
            Line2D([], [], color=style.GREY, marker="|", markersize=5, label=label, **BOUND_LOOK)
        )
    if "paper" in kinds:
        label = "paper's points (its own judge)"
        handles.append(Line2D([], [], label=label, **PAPER_LOOK))
    if len(arms) > 1:
        used = set(frame.loc[frame["kind"] == "verdict", "verdict"])
        handles += [style.verdict_handle(v) for v in style.VERDICT_LOOK if v in used]
    return handles


def caption(frame: pd.DataFrame) -> str:
    """Judge, items, seeds, interval level, margins and missing scores in one line."""
    means = frame[(frame["kind"] == "mean") & (frame["scale"] > 0)]
    single = means[means["category"] != style.OVERALL]
    arms = means["arm"].unique()
    parts = [f"Judge {frame['judge'].iloc[0]}"]
    if len(arms) == 1:
        parts.append(f"arm {arms[0]}")
    parts += [
        captions.counted(single["n_items"], "item") + " per category",
        captions.seeds_note(means["n_seeds"]),
        f"bands: {captions.interval_name(frame)}",
    ]
    if (frame["kind"] == "fit").any():
        parts.append(captions.FITS_NOTE)
    verdicts = frame[frame["kind"] == "verdict"]
    if not verdicts.empty:
        parts.append(captions.margins_note(verdicts))
    if means["n_missing"].sum():
        parts.append(f"{int(single['n_missing'].sum()):,} scores missing")
    return "; ".join(parts) + "."
