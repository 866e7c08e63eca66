"""Figure 14: the smallest sufficient scale of each category, and the gain beyond it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator

from analysis.figures import layout, style, text
from analysis.figures.kind import Kind, NothingToDraw, Sources
from analysis.figures.layout import Page

COLUMNS = (
    *("judge", "arm", "category", "scale", "gain", "gain_upper", "margin"),
    *("n_items", "n_seeds"),
)
LINE = 0.19  # inches, the height of a category's line
NEXT = 0.11  # and of each further arm
BAND = {"facecolor": "#E9E9E9", "linewidth": 0}
OPEN = {"markerfacecolor": "white"}


def prepare(sources: Sources) -> pd.DataFrame:
    """The rows of sufficient.csv with the ends of their arm's ladder, `smallest` and `largest`.

    Raises:
        NothingToDraw: nothing could be tested in any category.
    """
    frame = sources.table("sufficient", COLUMNS)
    if frame["gain_upper"].isna().all():
        raise NothingToDraw("no gain could be tested: sufficient.csv says why")
    curves = sources.table("curves", ("judge", "arm", "scale"))
    ends = curves[curves["scale"] > 0].groupby(["judge", "arm"])["scale"].agg(["min", "max"])
    ends = ends.rename(columns={"min": "smallest", "max": "largest"}).reset_index()
    return frame.merge(ends, on=["judge", "arm"], how="left")


def draw(frame: pd.DataFrame, page: Page) -> Figure:
    """Left the sufficient scale, right the gain beyond it up to its bound, a line per category."""
    looks = style.looks(frame["arm"].unique())
    categories = style.category_order(frame["category"])
    line = LINE + NEXT * (len(looks) - 1)
    figure, body = page.open(line * len(categories) + 0.6, _legend(looks, frame, page.width))
    left, right = body.subplots(1, 2, sharey=True, width_ratios=(1.35, 1))
    shifts = dict(zip(looks, layout.offsets(len(looks), NEXT / line), strict=True))
    rows = frame.assign(y=frame["category"].map(categories.index) + frame["arm"].map(shifts))
    layout.category_axis(left, categories, page.width * 0.24)
    right.tick_params(axis="y", length=0, labelleft=False)
    right.grid(axis="y", visible=False)
    for arm, look in looks.items():
        part = rows[rows["arm"] == arm]
        _scales(left, part, look["color"], look["marker"])
        _gains(right, part, look["color"], look["marker"])
    _scale_axis(left, frame, page.width)
    _gain_axis(right, frame, page.width)
    for axes in (left, right):
        axes.spines["left"].set_visible(False)
    return figure


def _scales(axes: Axes, rows: pd.DataFrame, color: style.Color, marker: str) -> None:
    """A mark at the sufficient scale and a line from there to the largest; else words."""
    look = {"color": color, "marker": marker, "linestyle": "none", "zorder": 3}
    found = rows.dropna(subset=["scale"])
    axes.hlines(found["y"], found["scale"], found["largest"], color=color, linewidth=1.0, alpha=0.5)
    axes.plot(found["scale"], found["y"], markersize=4.5, **look, **style.MARKER_EDGE)
    for row in rows[rows["scale"].isna()].itertuples():
        words = "not tested" if np.isnan(row.gain_upper) else "none shown"
        axes.annotate(
            words,
            (row.largest, row.y),
            xytext=(-2, 0),
            textcoords="offset points",
            fontsize=5.8,
            color=style.GREY if len(rows["arm"].unique()) == 1 else color,
            ha="right",
            va="center",
        )


def _gains(axes: Axes, rows: pd.DataFrame, color: style.Color, marker: str) -> None:
    """The gain, and a line up to its one-sided bound; open where no scale is sufficient."""
    known = rows.dropna(subset=["gain_upper"])
    axes.hlines(known["y"], known["gain"], known["gain_upper"], color=color, linewidth=1.1)
    axes.plot(known["gain_upper"], known["y"], "|", color=color, markersize=4)
    for shown, look in ((True, style.MARKER_EDGE), (False, OPEN)):
        part = known[known["scale"].notna() == shown]
        mark = {"color": color, "marker": marker, "linestyle": "none", "markersize": 4}
        axes.plot(part["gain"], part["y"], zorder=3, **mark, **look)


def _scale_axis(axes: Axes, frame: pd.DataFrame, width: float) -> None:
    low, high = float(frame["smallest"].min()), float(frame["largest"].max())
    ticks = sorted({*frame["scale"].dropna(), low, high})
    axes.set_xscale("log")
    span = max(high / low, 4)
    axes.set_xlim(low / span**0.06, high * span**0.06)
    inches = np.log(ticks) / np.log(span**1.12) * width * 0.38
    names = style.scale_names([int(tick) for tick in ticks])
    axes.set_xticks(ticks, text.thin_labels(list(inches), names, layout.LABEL_SIZE))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("smallest sufficient scale (records)" if width > 5 else "sufficient scale")


def _gain_axis(axes: Axes, frame: pd.DataFrame, width: float) -> None:
    margin = float(frame["margin"].max())
    axes.axvspan(-margin, margin, zorder=0, **BAND)
    axes.axvline(0, color=style.INK, linewidth=0.7, zorder=1)
    known = np.append(frame[["gain", "gain_upper"]].to_numpy(float), [-margin / 2, 1.3 * margin])
    low, high = np.nanmin(known), np.nanmax(known)
    pad = 0.06 * (high - low)
    axes.set_xlim(low - pad, high + pad)
    axes.xaxis.set_major_locator(MaxNLocator(5 if width > 5 else 3, steps=layout.NICE_STEPS))
    axes.xaxis.set_major_formatter(layout.signed)
    axes.set_xlabel("gain of the largest beyond it" if width > 5 else "gain beyond")


def _legend(looks: style.Looks, frame: pd.DataFrame, width: float) -> list[Artist]:
    entries: list[Artist] = [*style.handles(looks, width * 0.4)]
    entries.append(Patch(label="within the margin", **BAND))
    entries.append(
        Line2D([], [], color=style.GREY, marker="|", linewidth=1.1, label="up to its bound")
    )
    if (frame["scale"].isna() & frame["gain_upper"].notna()).any():
        look = {"color": style.GREY, "marker": "o", "linestyle": "none", **OPEN}
        entries.append(Line2D([], [], label="none shown: gain over the last but one", **look))
    return entries


def caption(frame: pd.DataFrame) -> str:
    """What sufficient means, with margin, confidence, items and seeds."""
    margins = " or ".join(f"{m:g}" for m in sorted(frame["margin"].dropna().unique()))
    levels = frame["interval"].dropna().unique() if "interval" in frame.columns else []
    bound = f"one-sided {50 + 50 * levels[0]:.4g}% bounds" if len(levels) else "one-sided bounds"
    return text.sentence(
        f"Judge {frame['judge'].iloc[0]}",
        f"sufficient: the largest scale is shown to gain less than {margins} over it",
        f"{bound}, tested from the top, not corrected over categories",
        text.per_category(frame, "n_items", "item"),
        text.seeds_note(frame["n_seeds"]),
    )


SUFFICIENT = Kind(
    name="figure14_sufficient",
    title="How many records are enough",
    split=("judge",),
    prepare=prepare,
    caption=caption,
    draw=draw,
)
