"""Figure 7: how far the judges can be trusted: repeats, differences, agreement, calibration."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures import layout, style, text
from analysis.figures.kind import Kind, NothingToDraw, Sources
from analysis.figures.layout import Page

JUDGES = (
    *("judge", "other", "category", "n", "missing_share", "repeats", "repeat_sd"),
    *("mean_difference", "low", "high", "agreement", "kappa", "spearman"),
)
BINS = ("judge", "other", "bin_low", "bin_high", "n", "mean_judge", "mean_other", "low", "high")
SQUARE = 1.7  # inches of the calibration panel with its labels
AGREEMENT_LOOK = {"color": style.GREY, "marker": "o", "linestyle": "none"}


def prepare(sources: Sources) -> pd.DataFrame:
    """Rows of three kinds: `own` (a judge's repeats), `pair` (two judges), `bin` (calibration).

    Raises:
        NothingToDraw: one judge without repeats, so that there is nothing to compare it with.
    """
    frame = sources.table("judges", JUDGES)
    own = frame["other"].fillna("") == ""
    frame = frame.assign(kind=own.map({True: "own", False: "pair"}))
    bins = sources.optional("judge_bins", BINS)
    if bins is not None:
        # Both directions are in the table; one says all that a plot of two axes can show.
        pairs = frame.loc[~own, ["judge", "other"]].drop_duplicates()
        bins = bins.merge(pairs, on=["judge", "other"]).assign(kind="bin")
        frame = pd.concat([frame, bins], ignore_index=True) if len(bins) else frame
    if not _shown(frame):
        raise NothingToDraw("one judge without repeats: neither noise nor agreement is measured")
    columns = [*JUDGES, "bin_low", "bin_high", "mean_judge", "mean_other", "kind"]
    return frame.reindex(columns=columns)


def _shown(frame: pd.DataFrame) -> list[str]:
    """The panels that have data."""
    own, pairs = frame[frame["kind"] == "own"], frame[frame["kind"] == "pair"]
    has = {
        "repeats": own["repeat_sd"].notna().any(),
        "difference": pairs["mean_difference"].notna().any(),
        "agreement": pairs["agreement"].notna().any(),
        "calibration": (frame["kind"] == "bin").any(),
    }
    return [name for name, present in has.items() if present]


def draw(frame: pd.DataFrame, page: Page) -> Figure:
    """Up to four panels; three of them share their lines, one per category."""
    shown = _shown(frame)
    categories = style.category_order(frame["category"].dropna())
    frame = frame.assign(series=frame["judge"].where(frame["kind"] == "own", _pair_name(frame)))
    own = frame["kind"] == "own"
    looks = style.looks(pd.concat([frame.loc[own, "series"], frame.loc[~own, "series"]]).unique())
    columns = min(len(shown), 4 if page.width > 5 else 2)
    rows = math.ceil(len(shown) / columns)
    heights = [max(0.17 * len(categories) + 0.6, SQUARE)] * rows
    if rows > 1 and len(shown) % columns == 1 and shown[-1] == "calibration":
        heights[-1] = SQUARE + 0.2  # alone in its row, it needs no room for the categories
    figure, body = page.open(sum(heights), _handles(frame, shown, looks, page.width))
    panels = list(body.subplots(rows, columns, squeeze=False, height_ratios=heights).flat)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for position, (name, axes) in enumerate(zip(shown, panels, strict=False)):
        PANELS[name](axes, frame, looks, categories)
        if name != "calibration":
            layout.category_axis(axes, categories, 0.95)
            axes.tick_params(labelleft=position % columns == 0)
            axes.xaxis.set_major_locator(MaxNLocator(3, steps=layout.NICE_STEPS))
    return figure


def _pair_name(rows: pd.DataFrame) -> pd.Series:
    return rows["judge"] + " against " + rows["other"].fillna("")


def _lines(
    rows: pd.DataFrame, looks: style.Looks, categories: list[str]
) -> Iterator[tuple[pd.DataFrame, dict[str, Any]]]:
    """The rows of each series with a column y, which is beside those of the other series."""
    series = rows["series"].unique()
    shifts = layout.offsets(len(series), 0.6 / max(len(series), 1))
    for name, shift in zip(series, shifts, strict=True):
        part = rows[rows["series"] == name]
        y = part["category"].map(categories.index) + shift
        yield part.assign(y=y), {"linestyle": "none", **looks[name]}


def _repeats(axes: Axes, frame: pd.DataFrame, looks: style.Looks, categories: list[str]) -> None:
    own = frame[(frame["kind"] == "own") & frame["repeat_sd"].notna()]
    for rows, look in _lines(own, looks, categories):
        axes.hlines(rows["y"], 0, rows["repeat_sd"], color=look["color"], linewidth=0.8)
        axes.plot(rows["repeat_sd"], rows["y"], **look)
    axes.set_xlim(0, max(float(own["repeat_sd"].max()) * 1.15, 0.01))
    axes.set(title="Repeat SD", xlabel="score")


def _difference(axes: Axes, frame: pd.DataFrame, looks: style.Looks, categories: list[str]) -> None:
    axes.axvline(0, color=style.INK, linewidth=0.7)
    for rows, look in _lines(frame[frame["kind"] == "pair"], looks, categories):
        axes.hlines(rows["y"], rows["low"], rows["high"], color=look["color"], linewidth=1)
        axes.plot(rows["mean_difference"], rows["y"], **look)
    axes.set(title="Difference", xlabel="first − second")
    axes.xaxis.set_major_formatter(layout.signed)


def _agreement(axes: Axes, frame: pd.DataFrame, looks: style.Looks, categories: list[str]) -> None:
    pairs = frame[frame["kind"] == "pair"]
    for rows, look in _lines(pairs, looks, categories):
        axes.plot(rows["agreement"], rows["y"], markersize=3.4, **look)
        axes.plot(rows["spearman"], rows["y"], markersize=3.4, markerfacecolor="white", **look)
    lowest = pairs["spearman"].min()
    axes.set_xlim(lowest - 0.05 if lowest < 0 else -0.02, 1.03)
    axes.set(title="Agreement", xlabel="share, correlation")


def _calibration(
    axes: Axes, frame: pd.DataFrame, looks: style.Looks, categories: list[str]
) -> None:
    bins = frame[frame["kind"] == "bin"]
    axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.7, linestyle=style.DASHED)
    for series, rows in bins.groupby("series", sort=False):
        x, y, look = rows["mean_judge"], rows["mean_other"], looks[series]
        sizes = 4 + 26 * rows["n"] / bins["n"].max()
        axes.plot(x, y, color=look["color"], linewidth=0.7)
        axes.vlines(x, rows["low"], rows["high"], color=look["color"], linewidth=0.6)
        axes.scatter(x, y, s=sizes, edgecolor="white", linewidth=0.4, zorder=3, **look)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal", anchor="N")
    axes.set(title="Calibration", xlabel="first judge", ylabel="second judge")
    axes.grid(axis="x", visible=True)


PANELS: dict[str, Callable[[Axes, pd.DataFrame, style.Looks, list[str]], None]] = {
    "repeats": _repeats,
    "difference": _difference,
    "agreement": _agreement,
    "calibration": _calibration,
}


def _handles(
    frame: pd.DataFrame, shown: list[str], looks: style.Looks, width: float
) -> list[Artist]:
    unrepeated = frame[frame["kind"] == "own"].groupby("series")["repeat_sd"].count() == 0
    named = zip(looks, style.handles(looks, width * 0.7), strict=True)
    entries: list[Artist] = [handle for name, handle in named if not unrepeated.get(name, False)]
    if "agreement" in shown:
        full, hollow = "same side of right and wrong", "rank correlation"
        entries.append(Line2D([], [], label=full, **AGREEMENT_LOOK))
        entries.append(Line2D([], [], label=hollow, markerfacecolor="white", **AGREEMENT_LOOK))
    return entries


def caption(frame: pd.DataFrame) -> str:
    """Counts, missing shares and what each panel shows."""
    overall = frame[frame["category"] == style.OVERALL]
    own, pairs = overall[overall["kind"] == "own"], overall[overall["kind"] == "pair"]
    bins = frame[frame["kind"] == "bin"]
    parts = [
        f"{row.judge}: {int(row.n):,} judgements, {int(row.repeats)} per response, "
        f"{row.missing_share:.1%} without a score"
        for row in own.itertuples()
    ]
    parts += [
        f"{row.judge} and {row.other}: {int(row.n):,} responses, kappa {row.kappa:.2f}"
        for row in pairs.dropna(subset="kappa").itertuples()
    ]
    if (frame["kind"] == "pair").any():
        level = text.interval_name(frame)
        parts.append(f"lines of difference and calibration: {level}, items as unit")
        parts.append("agreement and correlation are point estimates")
    if len(bins):
        parts.append("calibration in tenths of the first judge's score, larger with more responses")
    if bins["low"].isna().any():
        parts.append("a tenth with one item has no line")
    return text.sentence(*parts)


JUDGES_KIND = Kind(
    name="figure7_judges",
    title="Judges: noise of repeats and agreement",
    split=(),
    prepare=prepare,
    caption=caption,
    draw=draw,
    intervals="judges",
)
