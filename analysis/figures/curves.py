"""Figures 2 and 4: score against scale, and the fitted curves beyond the ladder."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.figures import layout, style, text
from analysis.figures.kind import Kind, NothingToDraw, Sources, paper_points
from analysis.figures.layout import Grid, Page

KEY = ("judge", "arm", "category")
POINTS = (*KEY, "scale", "mean", "low", "high", "n_items", "n_seeds")
COLUMNS = (*POINTS, "n_missing", "bound_low", "bound_high")
VERDICTS = (*KEY, "verdict", "margin", "range_margin")
FAN = (*KEY, "scale", "factor", "mean", "low", "high", "families", "status", "reason")
EXTRA = ("verdict", "margin", "range_margin", "shots", "kind")
HORIZON = 10  # the widest factor that is ever drawn, refused or not
AXES = ("instruction records (log scale)", "mean score")
FITS_NOTE = "fits: least squares, every scale with the same weight"

FEW_SHOT_LINE: dict[str, Any] = {"linestyle": (0, (5, 1.5, 1, 1.5)), "linewidth": 0.9}
FIT_LOOK: dict[str, Any] = {"linestyle": style.DOTTED, "linewidth": 1.0, "zorder": 4}
BOUND_WIDTH = 0.6
PAPER_LOOK: dict[str, Any] = {
    "color": "#111111",
    "marker": "*",
    "linestyle": "none",
    "markersize": 4.5,
    "markerfacecolor": "white",
    "markeredgewidth": 0.6,
}
INSIDE: dict[str, Any] = {"color": "#0173B2", "linewidth": 1.1}
BEYOND: dict[str, Any] = {"color": "#DE8F05", "linewidth": 1.1, "linestyle": (0, (3, 1.5))}
MEASURED: dict[str, Any] = {"color": style.INK, "marker": "o", "markersize": 2.8}
REFUSED = {"facecolor": "#F4F4F4", "hatch": "////", "hatchcolor": "#B5B5B5", "linewidth": 0}


def prepare_curves(sources: Sources) -> pd.DataFrame:
    """Rows of the kinds `mean` (curves), `fit`, `verdict`, `few-shot` (the base with examples in
    its prompt), and `paper` if the options say so.

    A row of the kind `verdict` has the columns verdict, margin and range_margin; a row of the kind
    `few-shot` has mean and shots; the others have scale, mean, low, high.
    """
    curves = sources.table("curves", COLUMNS)
    parts = [curves.assign(kind="mean")]
    fits = sources.optional("extrapolation", (*KEY, "scale", "mean", "status"))
    if fits is not None:
        inside = fits[fits["status"] == "fit"].drop(columns="status")
        parts.append(inside.assign(kind="fit"))
    verdicts = sources.optional("verdicts", VERDICTS)
    if verdicts is not None:
        parts.append(verdicts.assign(kind="verdict"))
    few_shot = sources.optional("base_comparison", (*KEY, "shots", "base_mean"))
    if few_shot is not None:
        examples = few_shot[few_shot["shots"] > 0].drop_duplicates([*KEY, "shots"])
        parts.append(examples.rename(columns={"base_mean": "mean"}).assign(kind="few-shot"))
    if sources.options.paper_overlay:
        points = paper_points().rename(columns={"score": "mean"}).assign(kind="paper", arm="")
        points = points[points["category"].isin(curves["category"])]
        parts += [points.assign(judge=judge) for judge in curves["judge"].unique()]
    frame = pd.concat([part for part in parts if not part.empty], ignore_index=True)
    return frame.reindex(columns=[*COLUMNS, *EXTRA])


def draw_curves(frame: pd.DataFrame, page: Page) -> Figure:
    """Small multiples of one judge; arms are colors and markers, the base is a dashed line."""
    means, verdicts = (frame[frame["kind"] == kind] for kind in ("mean", "verdict"))
    looks = style.looks(means["arm"].unique())
    categories = style.category_order(means["category"])
    grid = Grid(page, categories, _curve_handles(frame, page.width), AXES, notes=len(verdicts) > 0)
    for category, axes in grid.panels.items():
        part = frame[frame["category"] == category]
        _curve_panel(axes, part, looks)
        _signs(grid, category, part[part["kind"] == "verdict"], looks)
        if part.loc[part["kind"] == "mean", "mean"].isna().all():
            middle = {"ha": "center", "va": "center", "transform": axes.transAxes}
            axes.text(0.5, 0.5, "no scores", color=style.GREY, fontsize=7, **middle)
    grid.score_axis(frame[["mean", "low", "high", "bound_low", "bound_high"]].to_numpy(float))
    shown = frame[frame["kind"].isin(["mean", "paper"]) & (frame["scale"] > 0)]
    scales = sorted(int(scale) for scale in shown["scale"].unique())
    grid.log_axis(scales, style.scale_names(scales))
    return grid.figure


def _curve_panel(axes: Axes, part: pd.DataFrame, looks: style.Looks) -> None:
    means, fits, paper = (part[part["kind"] == kind] for kind in ("mean", "fit", "paper"))
    _bases(axes, means[means["scale"] == 0].dropna(subset="mean"), looks)
    _few_shot(axes, part[part["kind"] == "few-shot"], looks)
    for arm, look in looks.items():
        tuned = means[(means["arm"] == arm) & (means["scale"] > 0)].sort_values("scale")
        _curve(axes, tuned, look, alpha=0.22 if len(looks) <= 3 else 0.12)
        fit = fits[fits["arm"] == arm].sort_values("scale")
        axes.plot(fit["scale"], fit["mean"], color=style.darker(look["color"]), **FIT_LOOK)
    axes.plot(paper["scale"], paper["mean"], zorder=4, **PAPER_LOOK)


def _bases(axes: Axes, bases: pd.DataFrame, looks: style.Looks) -> None:
    """The untuned model: one grey line if all arms share it, else a line in each arm's color."""
    shared = len(looks) == 1 or (len(bases) > 1 and bases["mean"].nunique() == 1)
    for row in (bases.head(1) if shared else bases).itertuples():
        color = style.GREY if shared else looks[row.arm]["color"]
        axes.axhspan(row.low, row.high, color=color, alpha=0.10, linewidth=0)
        axes.axhline(row.mean, color=color, **style.BASE_LINE)


def _few_shot(axes: Axes, rows: pd.DataFrame, looks: style.Looks) -> None:
    """The base with examples in its prompt: a line per number of them, grey if arms share it."""
    for _, part in rows.groupby("shots", sort=True):
        shared = len(looks) == 1 or (len(part) > 1 and part["mean"].nunique() == 1)
        for row in (part.head(1) if shared else part).itertuples():
            color = style.INK if shared else looks[row.arm]["color"]
            axes.axhline(row.mean, color=color, **FEW_SHOT_LINE)


def _curve(axes: Axes, tuned: pd.DataFrame, look: dict[str, Any], alpha: float) -> None:
    x, color = tuned["scale"], look["color"]
    axes.fill_between(x, tuned["low"], tuned["high"], color=color, alpha=alpha, linewidth=0)
    axes.plot(x, tuned["mean"], zorder=3, **look, **style.MARKER_EDGE)
    bounded = tuned.dropna(subset=["bound_low", "bound_high"])
    length = bounded["bound_high"] - bounded["bound_low"]
    bar = {"fmt": "none", "ecolor": color, "elinewidth": BOUND_WIDTH, "capsize": 2, "zorder": 2}
    axes.errorbar(bounded["scale"], bounded["bound_low"], yerr=[0 * length, length], **bar)


def _signs(grid: Grid, category: str, verdicts: pd.DataFrame, looks: style.Looks) -> None:
    """The verdict below the category's name (one arm), or one sign per arm in its color."""
    step = min(11, 72 * grid.panel_width / len(looks))
    for row in verdicts.itertuples():
        sign, color = style.verdict_look(row.verdict)
        if len(looks) == 1:
            grid.note(category, f"{sign} {style.verdict_name(row.verdict)}", color=color)
        else:
            shift, color = step * list(looks).index(row.arm), looks[row.arm]["color"]
            grid.note(category, sign, shift, color=color, fontsize=7)


def _curve_handles(frame: pd.DataFrame, width: float) -> list[Artist]:
    """The legend's entries: arms, then what else the panels hold."""
    kinds, means = set(frame["kind"]), frame[frame["kind"] == "mean"]
    arms = means["arm"].unique()
    entries: list[Artist] = [*style.handles(arms, width * 0.4)]
    entries.append(Patch(facecolor=style.GREY, alpha=0.25, label="interval"))
    if (means["scale"] == 0).any():
        look = {"color": style.GREY, "label": "base, before tuning", **style.BASE_LINE}
        entries.append(Line2D([], [], **look))
    if "few-shot" in kinds:
        numbers = sorted({int(n) for n in frame.loc[frame["kind"] == "few-shot", "shots"]})
        label = f"base with {' or '.join(map(str, numbers))} examples in its prompt"
        entries.append(Line2D([], [], color=style.INK, label=label, **FEW_SHOT_LINE))
    if "fit" in kinds:
        entries.append(Line2D([], [], color=style.GREY, label="fit", **FIT_LOOK))
    if means["bound_low"].notna().any():
        look = {"color": style.GREY, "linewidth": BOUND_WIDTH, "marker": "|", "markersize": 5}
        entries.append(Line2D([], [], label="bounds if missing were 0 or 1", **look))
    if "paper" in kinds:
        entries.append(Line2D([], [], label="paper's points (its own judge)", **PAPER_LOOK))
    if len(arms) > 1:
        entries += style.verdict_handles(frame["verdict"].dropna())
    return entries


def caption_curves(frame: pd.DataFrame) -> str:
    """Judge, items, seeds, interval level, margins and missing scores in one line."""
    means = frame[(frame["kind"] == "mean") & (frame["scale"] > 0)]
    verdicts = frame[frame["kind"] == "verdict"]
    arms = means["arm"].unique()
    missing = means.loc[means["category"] != style.OVERALL, "n_missing"].sum()
    return text.sentence(
        f"Judge {frame['judge'].iloc[0]}",
        f"arm {arms[0]}" if len(arms) == 1 else "",
        text.per_category(means, "n_items", "item"),
        text.seeds_note(means["n_seeds"]),
        f"bands: {text.interval_name(frame)}",
        FITS_NOTE if (frame["kind"] == "fit").any() else "",
        text.margins_note(verdicts) if len(verdicts) else "",
        f"{int(missing):,} scores missing" if missing else "",
    )


def prepare_extrapolation(sources: Sources) -> pd.DataFrame:
    """Rows whose `status` is measured (curves.csv), or fit, extrapolated or refused."""
    fan = sources.table("extrapolation", FAN)
    points = sources.table("curves", POINTS)
    if not (fan["status"] == "fit").any():
        reasons = "; ".join(sorted(set(fan["reason"].dropna())))
        raise NothingToDraw(f"no curve may be fitted: {reasons}")
    measured = points[points["scale"] > 0].assign(status="measured")
    return pd.concat([measured, fan], ignore_index=True)


def draw_extrapolation(frame: pd.DataFrame, page: Page) -> Figure:
    """A panel per category of one arm: points, fit, fan, and a hatched zone where it ends."""
    measured = frame[frame["status"] == "measured"]
    categories = style.category_order(measured["category"])
    grid = Grid(page, categories, _fan_handles(frame), AXES, notes=True)
    scales = sorted(int(scale) for scale in measured["scale"].unique())
    for category, axes in grid.panels.items():
        part = frame[frame["category"] == category]
        furthest = part.loc[part["status"] == "extrapolated", "factor"].max()
        _fan_panel(axes, part, scales[-1])
        note = "refused" if pd.isna(furthest) else f"to {furthest:g}× the data"
        grid.note(category, note, color=style.GREY)
    grid.score_axis(frame[["mean", "low", "high"]].to_numpy(float))
    ticks = [*scales, HORIZON * scales[-1]]
    grid.log_axis(ticks, style.scale_names(ticks))
    return grid.figure


def _fan_panel(axes: Axes, part: pd.DataFrame, largest: int) -> None:
    points = part[part["status"] == "measured"]
    look = {"linestyle": "none", "elinewidth": 0.7, "zorder": 4, **MEASURED}
    axes.errorbar(points["scale"], points["mean"], yerr=layout.half_widths(points), **look)
    fit = part[part["status"] == "fit"].sort_values("scale")
    beyond = part[part["status"] == "extrapolated"].sort_values("scale")
    # The fan starts where the fit ends, so that no gap is drawn between the two.
    beyond = pd.concat([fit.tail(1), beyond]) if len(beyond) else beyond
    for rows, look in ((fit, INSIDE), (beyond, BEYOND)):
        band = {"color": look["color"], "alpha": 0.25, "linewidth": 0}
        axes.fill_between(rows["scale"], rows["low"], rows["high"], **band)
        axes.plot(rows["scale"], rows["mean"], **look)
    end = max(largest, float(beyond["scale"].max()) if len(beyond) else 0)
    axes.axvspan(end, HORIZON * largest * 10, zorder=0.5, **REFUSED)


def _fan_handles(frame: pd.DataFrame) -> list[Artist]:
    entries: list[Artist] = [
        Line2D([], [], linewidth=0.7, label="measured", **MEASURED),
        Line2D([], [], label="fit", **INSIDE),
    ]
    if (frame["status"] == "extrapolated").any():
        entries.append(Line2D([], [], label="extrapolation", **BEYOND))
    entries.append(Patch(facecolor=style.GREY, alpha=0.3, label="interval (envelope of the fits)"))
    entries.append(Patch(label="refused", **REFUSED))
    return entries


def caption_extrapolation(frame: pd.DataFrame) -> str:
    """Items, seeds, interval level, the assumption, and why panels have no extrapolation."""
    measured, beyond = (frame[frame["status"] == s] for s in ("measured", "extrapolated"))
    assumptions = sorted(beyond["reason"].dropna().unique())
    line = text.sentence(
        f"Judge {frame['judge'].iloc[0]}",
        f"arm {frame['arm'].iloc[0]}",
        text.interval_name(frame),
        text.per_category(measured, "n_items", "item"),
        text.seeds_note(measured["n_seeds"]),
        FITS_NOTE,
        f"extrapolated {' or '.join(assumptions)}" if assumptions else "",
    )
    return line + _refusals(frame, set(beyond["category"]))


def _refusals(frame: pd.DataFrame, drawn: set[str]) -> str:
    """Reasons for panels without any extrapolation, each with its categories."""
    refused = frame[(frame["status"] == "refused") & ~frame["category"].isin(drawn)]
    groups = refused.dropna(subset="reason").groupby("reason", sort=False)["category"]
    return "".join(
        f" Refused for {', '.join(map(style.category_name, style.category_order(names)))}: {why}."
        for why, names in groups
    )


CURVES = Kind(
    name="figure2_curves",
    title="Score against instruction records",
    split=("judge",),
    prepare=prepare_curves,
    caption=caption_curves,
    draw=draw_curves,
    intervals="curves",
)
EXTRAPOLATION = Kind(
    name="figure4_extrapolation",
    title="Fitted curves beyond the ladder",
    split=("judge", "arm"),
    prepare=prepare_extrapolation,
    caption=caption_extrapolation,
    draw=draw_extrapolation,
    intervals="extrapolation",
)
