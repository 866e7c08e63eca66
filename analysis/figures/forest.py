"""Figures 3 and 5a: forest plots of the tail slopes, and of the differences between arms."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.figures import layout, style, text
from analysis.figures.kind import Kind, NothingToDraw, Sources
from analysis.figures.layout import NOTE_SIZE, Page

LINE = 0.19  # inches per category
NEXT = 0.105  # inches for every further estimate of the same category
BAND = {"facecolor": "#CFCFCF", "alpha": 0.45, "linewidth": 0}
SLOPE_COLUMNS = (
    *("judge", "arm", "category", "verdict", "tail_slope", "tail_low", "tail_high"),
    *("margin", "range_margin", "n_items", "n_seeds", "noise"),
)
ARM_COLUMNS = (
    *("judge", "category", "scale", "arm_a", "arm_b", "difference", "low", "high"),
    *("p_holm", "n_items", "n_seeds"),
)
MOST_PAIRS = 3


def prepare_slopes(sources: Sources) -> pd.DataFrame:
    """The tail slopes of verdicts.csv: one row per judge, arm and category."""
    return sources.table("verdicts", SLOPE_COLUMNS)


def draw_slopes(frame: pd.DataFrame, page: Page) -> Figure:
    """A line per category and arm: estimate, interval, verdict; the margin is a grey band."""
    looks = style.looks(frame["arm"].unique())
    signs, colors = zip(*map(style.verdict_look, frame["verdict"]), strict=True)
    if len(looks) == 1:
        words = map(style.verdict_name, frame["verdict"])
        notes = [f"{sign} {word}" for sign, word in zip(signs, words, strict=True)]
    else:
        notes, colors = signs, [looks[arm]["color"] for arm in frame["arm"]]
    rows = frame[["category"]].assign(
        series=frame["arm"],
        middle=frame["tail_slope"],
        low=frame["tail_low"],
        high=frame["tail_high"],
        note=notes,
        note_color=colors,
    )
    legend: list[Artist] = [*style.handles(looks, page.width * 0.4)]
    legend.append(Patch(label="within the margin: no change", **BAND))
    if len(looks) > 1:
        legend += style.verdict_handles(frame["verdict"])
    figure, axes = _forest(rows, looks, page, legend)
    margin = float(frame["margin"].max())
    axes.axvspan(-margin, margin, zorder=0, **BAND)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -1.3 * margin), max(high, 1.3 * margin))
    axes.set_xlabel("tail slope: score per doubling of the records")
    return figure


def caption_slopes(frame: pd.DataFrame) -> str:
    """Which scales the slope is over, with items, seeds, interval level and margins."""
    return text.sentence(
        f"Judge {frame['judge'].iloc[0]}",
        "slope over the scales from a quarter of the largest on",
        text.interval_name(frame),
        text.per_category(frame, "n_items", "item"),
        text.seeds_note(frame["n_seeds"]),
        text.margins_note(frame),
    )


def prepare_arms(sources: Sources) -> pd.DataFrame:
    """The rows of comparisons.csv at the largest scale that a pair of arms shares.

    With more than three pairs only those with the first arm are kept: all differences follow
    from them.

    Raises:
        NothingToDraw: there is one arm, or no pair of arms has a scale in common.
    """
    curves = sources.optional("curves", ("arm",))
    if curves is not None and curves["arm"].nunique() == 1:
        raise NothingToDraw("there is one arm, so there is no other to compare it with")
    frame = sources.table("comparisons", ARM_COLUMNS)
    largest = frame.groupby(["judge", "arm_a", "arm_b"])["scale"].transform("max")
    frame = frame[frame["scale"] == largest]
    if len(frame[["arm_a", "arm_b"]].drop_duplicates()) > MOST_PAIRS:
        first = frame["arm_a"].iloc[0]
        frame = frame[(frame["arm_a"] == first) | (frame["arm_b"] == first)]
    return frame


def draw_arms(frame: pd.DataFrame, page: Page) -> Figure:
    """A line per category and pair of arms, with its interval; 0 means no difference."""
    pairs = frame["arm_a"] + " minus " + frame["arm_b"]
    rows = frame[["category", "low", "high"]].assign(series=pairs, middle=frame["difference"])
    looks = style.looks(pairs.unique())
    figure, axes = _forest(rows, looks, page, style.handles(looks, page.width * 0.85))
    axes.set_xlabel("difference of the mean scores")
    return figure


def caption_arms(frame: pd.DataFrame) -> str:
    """Scale, pairing, items, seeds and interval level."""
    scales = style.scale_names(sorted(int(scale) for scale in frame["scale"].unique()))
    return text.sentence(
        f"Judge {frame['judge'].iloc[0]}",
        f"at {' and '.join(scales)} records",
        "paired by item and seed",
        f"{text.interval_name(frame)}, not corrected for the number of lines",
        text.per_category(frame, "n_items", "item"),
        text.seeds_note(frame["n_seeds"]),
    )


def _forest(
    rows: pd.DataFrame, looks: style.Looks, page: Page, legend: list[Artist]
) -> tuple[Figure, Axes]:
    """Estimates with intervals, a line per category, and a note at the right; 0 is marked.

    Args:
        rows: columns category, series, middle (may be missing), low, high and, where there are
            notes, note and note_color.
        looks: of the series, from the top of a category's line to its bottom.
        page: the texts around the plot.
        legend: its entries.
    """
    categories = style.category_order(rows["category"])
    line = LINE + NEXT * (len(looks) - 1)
    figure, body = page.open(line * len(categories) + 0.5, legend)
    axes = body.subplots()
    shifts = dict(zip(looks, layout.offsets(len(looks), NEXT / line), strict=True))
    rows = rows.assign(y=rows["category"].map(categories.index) + rows["series"].map(shifts))
    for series, look in looks.items():
        part = rows[(rows["series"] == series) & rows["middle"].notna()]
        axes.hlines(part["y"], part["low"], part["high"], color=look["color"], linewidth=1.2)
        mark = {"linestyle": "none", "markersize": 4, "zorder": 3, **style.MARKER_EDGE}
        axes.plot(part["middle"], part["y"], **look, **mark)
    beside = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
    for y in rows.loc[rows["middle"].isna(), "y"]:
        axes.annotate("not estimated", (0, y), fontsize=5.8, color=style.GREY, **beside)
    if "note" in rows.columns:
        at = {"xycoords": ("axes fraction", "data"), "fontsize": NOTE_SIZE, "gid": "note"}
        for row in rows.itertuples():
            axes.annotate(row.note, (1, row.y), color=row.note_color, **at, **beside)
    axes.axvline(0, color=style.INK, linewidth=0.7, zorder=1)
    layout.category_axis(axes, categories, page.width * 0.3)
    axes.spines["left"].set_visible(False)
    known = np.append(rows[["low", "middle", "high"]].to_numpy(float), 0)
    low, high = np.nanmin(known), np.nanmax(known)
    pad = max(0.04 * (high - low), 1e-3)
    axes.set_xlim(low - pad, high + pad)
    axes.xaxis.set_major_locator(MaxNLocator(7 if page.width > 5 else 4, steps=layout.NICE_STEPS))
    axes.xaxis.set_major_formatter(layout.signed)
    return figure, axes


SLOPES = Kind(
    name="figure3_slopes",
    title="Gain per doubling of the data at the upper end of the ladder",
    split=("judge",),
    prepare=prepare_slopes,
    caption=caption_slopes,
    draw=draw_slopes,
    intervals="verdicts",
)
ARMS = Kind(
    name="figure5a_arms",
    title="Difference of the arms at their largest common scale",
    split=("judge",),
    prepare=prepare_arms,
    caption=caption_arms,
    draw=draw_arms,
    intervals="comparisons",
)
