"""Figure 2: score against scale, a panel per category, with bands, fits and verdicts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.figures import style
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
PANEL_HEIGHT = 1.2  # inches, its heading included
BASE_LOOK: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 0.9}
FIT_LOOK: dict[str, Any] = {"linestyle": (0, (1, 1)), "linewidth": 0.9}
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
    """Small multiples of one judge; arms are colours and markers, the base is a dashed line."""
    width = style.figure_width(options)
    means = frame[frame["kind"] == "mean"]
    categories = style.category_order(means["category"])
    arms = list(means["arm"].drop_duplicates())
    columns = _columns(len(categories), width)
    rows = math.ceil(len(categories) / columns)
    figure, body = style.canvas(
        width,
        rows * PANEL_HEIGHT + 0.35,
        style.heading(frame, TITLE),
        _caption(frame, arms) if options.captions else "",
        _handles(frame, arms, width),
    )
    panels = list(body.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    panel_width = (width - 0.45) / columns - 0.12
    for axes, category in zip(panels, categories, strict=False):
        part = frame[frame["category"] == category]
        _panel(axes, part, arms)
        _heading(axes, category, part, arms, panel_width)
    _score_axis(panels[0], frame)
    _scale_axis(panels, frame, panel_width)
    for position, axes in enumerate(panels):
        axes.tick_params(labelbottom=position + columns >= len(categories))
        axes.set_visible(position < len(categories))
    body.supxlabel("instruction records (log scale)", fontsize=7.5)
    body.supylabel("mean score", fontsize=7.5)
    return figure


def _columns(categories: int, width: float) -> int:
    """The number of columns that leaves the fewest cells empty; more columns if equal."""
    choices = (3, 4, 5)
    if width < 5:
        choices = (2,) if categories <= 8 else (3,)
    if categories <= choices[0]:
        return categories
    return min(choices, key=lambda columns: (-categories % columns, -columns))


def _panel(axes: Axes, part: pd.DataFrame, arms: list[str]) -> None:
    colours = style.arm_colours(arms)
    means = part[part["kind"] == "mean"]
    _bases(axes, means[(means["scale"] == 0)].dropna(subset="mean"), colours)
    for index, arm in enumerate(arms):
        tuned = means[(means["arm"] == arm) & (means["scale"] > 0)].sort_values("scale")
        _curve(axes, tuned, colours[arm], style.MARKERS[index], len(arms))
        fit = part[(part["kind"] == "fit") & (part["arm"] == arm)].sort_values("scale")
        axes.plot(fit["scale"], fit["mean"], color=colours[arm], zorder=2, **FIT_LOOK)
    paper = part[part["kind"] == "paper"]
    axes.plot(paper["scale"], paper["mean"], zorder=4, **PAPER_LOOK)
    if means["mean"].isna().all():
        axes.text(
            *(0.5, 0.5, "no scores"),
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=style.GREY,
            fontsize=7,
        )


def _bases(axes: Axes, bases: pd.DataFrame, colours: dict[str, style.Colour]) -> None:
    """The untuned model: one grey line if all arms share it, else a line in each arm's colour."""
    shared = len(colours) == 1 or (len(bases) > 1 and bases["mean"].nunique() == 1)
    for row in (bases.head(1) if shared else bases).itertuples():
        colour = style.GREY if shared else colours[row.arm]
        axes.axhspan(row.low, row.high, color=colour, alpha=0.10, linewidth=0)
        axes.axhline(row.mean, color=colour, **BASE_LOOK)


def _curve(axes: Axes, tuned: pd.DataFrame, colour: style.Colour, marker: str, arms: int) -> None:
    axes.fill_between(
        tuned["scale"],
        tuned["low"],
        tuned["high"],
        color=colour,
        alpha=0.22 if arms <= 3 else 0.12,
        linewidth=0,
    )
    axes.plot(
        tuned["scale"],
        tuned["mean"],
        color=colour,
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
        ecolor=colour,
        elinewidth=BOUND_LOOK["linewidth"],
        capsize=2,
        zorder=2,
    )


def _heading(axes: Axes, category: str, part: pd.DataFrame, arms: list[str], width: float) -> None:
    """The category's name, and below it its verdict (one arm) or one sign per arm."""
    colours = style.arm_colours(arms)
    verdicts = part[part["kind"] == "verdict"].set_index("arm")["verdict"]
    size = 8 if width > 0.9 else 7
    name = style.shorten(style.category_name(category), (width + 0.05) / 1.12, size)
    axes.set_title(name, pad=4 if verdicts.empty else 13, fontsize=size)
    for index, arm in enumerate(arms):
        if arm not in verdicts.index:
            continue
        sign, colour = style.VERDICT_LOOK[verdicts[arm]]
        alone = len(arms) == 1
        step = min(11, 72 * width / len(arms))
        badge = axes.annotate(
            f"{sign} {verdicts[arm]}" if alone else sign,
            (0, 1),
            (index * step, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=6.3 if alone else 7,
            color=colour if alone else colours[arm],
            gid="badge",
        )
        badge.set_in_layout(False)  # the title above it already holds its room


def _score_axis(axes: Axes, frame: pd.DataFrame) -> None:
    """The same limits in all panels, so that heights compare: tenths around all that is drawn."""
    values = frame[["mean", "low", "high", "bound_low", "bound_high"]].to_numpy(float)
    known = values[np.isfinite(values)] if np.isfinite(values).any() else np.array([0.0, 1.0])
    low = max(0.0, np.floor(known.min() * 10 - 0.15) / 10)
    high = min(1.0, np.ceil(known.max() * 10 + 0.15) / 10)
    pad = 0.03 * (high - low)
    axes.set_ylim(low - pad, high + pad)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter("{x:.2g}")


def _scale_axis(panels: list[Axes], frame: pd.DataFrame, width: float) -> None:
    shown = frame[frame["kind"].isin(["mean", "paper"]) & (frame["scale"] > 0)]
    scales = sorted(int(scale) for scale in shown["scale"].unique())
    panels[0].set_xscale("log")
    if not scales:
        return
    span = max(scales[-1] / scales[0], 4)
    panels[0].set_xlim(scales[0] / span**0.08, scales[-1] * span**0.08)
    places = np.log(scales) / np.log(span**1.16) * width
    names = style.thin_labels(list(places), style.scale_names(scales), 6.8)
    for panel in panels:
        panel.set_xticks(scales, names)
        panel.minorticks_off()


def _handles(frame: pd.DataFrame, arms: list[str], width: float) -> list[Artist]:
    """The legend's entries: arms, then what else the panels hold."""
    kinds, means = set(frame["kind"]), frame[frame["kind"] == "mean"]
    colours = style.arm_colours(arms)
    handles: list[Artist] = [
        Line2D(
            [],
            [],
            color=colours[arm],
            marker=style.MARKERS[index],
            markeredgecolor="white",
            markeredgewidth=0.4,
            label=style.shorten(style.printable(arm), width * 0.4, 6.8),
        )
        for index, arm in enumerate(arms)
    ]
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


def _caption(frame: pd.DataFrame, arms: list[str]) -> str:
    means = frame[(frame["kind"] == "mean") & (frame["scale"] > 0)]
    single = means[means["category"] != style.OVERALL]
    parts = [f"Judge {frame['judge'].iloc[0]}"]
    if len(arms) == 1:
        parts.append(f"arm {arms[0]}")
    parts += [
        style.counted(single["n_items"], "item") + " per category",
        style.seeds_note(means["n_seeds"]),
        f"bands: {style.interval_name(frame)}",
    ]
    verdicts = frame[frame["kind"] == "verdict"]
    if not verdicts.empty:
        parts.append(style.margins_note(verdicts))
    if means["n_missing"].sum():
        parts.append(f"{int(single['n_missing'].sum()):,} scores missing")
    return "; ".join(parts) + "."
