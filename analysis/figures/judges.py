"""Figure 7: how far the judges can be trusted: repeats, differences, agreement, calibration."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures import captions, style
from analysis.figures.canvas import canvas
from analysis.figures.sources import NothingToDraw, Sources
from analysis.figures.text import shorten, shorten_all
from analysis.figures.ticks import rule_off_overall, signed
from analysis.options import FigureOptions

NAME = "figure7_judges"
TITLE = "Judges: noise of repeats and agreement"
SPLIT = ()

JUDGES = (
    *("judge", "other", "category", "n", "missing_share", "repeats", "repeat_sd"),
    *("mean_difference", "low", "high", "agreement", "kappa", "spearman"),
)
BINS = ("judge", "other", "bin_low", "bin_high", "n", "mean_judge", "mean_other", "low", "high")
_SQUARE = 1.7  # inches of the calibration panel with its labels
REPEATS, DIFFERENCE, AGREEMENT, CALIBRATION = "repeats", "difference", "agreement", "calibration"


def prepare(sources: Sources) -> pd.DataFrame:
    """Rows of three kinds: `own` (a judge's repeats), `pair` (two judges), `bin` (calibration).

    Raises:
        NothingToDraw: one judge without repeats, so that there is nothing to compare it with.
    """
    frame = sources.table("judges", JUDGES)[list(JUDGES)]
    own = frame["other"].fillna("") == ""
    parts = [frame.assign(kind=own.map({True: "own", False: "pair"}))]
    bins = sources.optional("judge_bins", BINS)
    if bins is not None:
        # Both directions are in the table; one says all that a plot of two axes can show.
        one_way = bins[bins["judge"] < bins["other"]]
        parts.append(one_way[list(BINS)].assign(kind="bin"))
    frame = pd.concat([part for part in parts if len(part)], ignore_index=True)
    if not _shown(frame):
        raise NothingToDraw("one judge without repeats: neither noise nor agreement is measured")
    return frame.reindex(
        columns=[*JUDGES, "bin_low", "bin_high", "mean_judge", "mean_other", "kind"]
    )


def _shown(frame: pd.DataFrame) -> list[str]:
    """The panels that have data."""
    own, pairs = frame[frame["kind"] == "own"], frame[frame["kind"] == "pair"]
    has = {
        REPEATS: own["repeat_sd"].notna().any(),
        DIFFERENCE: pairs["mean_difference"].notna().any(),
        AGREEMENT: pairs["agreement"].notna().any(),
        CALIBRATION: (frame["kind"] == "bin").any(),
    }
    return [name for name, present in has.items() if present]


def draw(frame: pd.DataFrame, options: FigureOptions = FigureOptions()) -> Figure:
    """Up to four panels; three of them share their lines, one per category."""
    width = style.figure_width(options)
    shown = _shown(frame)
    categories = style.category_order(frame["category"].dropna())
    columns = min(len(shown), 4 if width > 5 else 2)
    rows = math.ceil(len(shown) / columns)
    heights = [max(0.17 * len(categories) + 0.6, _SQUARE)] * rows
    if rows > 1 and len(shown) % columns == 1 and shown[-1] == CALIBRATION:
        heights[-1] = _SQUARE + 0.2  # alone in its row, it needs no room for the categories
    figure, body = canvas(
        width,
        sum(heights),
        captions.heading(frame, TITLE),
        caption(frame) if options.captions else "",
        _handles(frame, shown, width),
    )
    panels = list(body.subplots(rows, columns, squeeze=False, height_ratios=heights).flat)
    for name, axes in zip(shown, panels, strict=False):
        PANELS[name](axes, frame, categories)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for position, (name, axes) in enumerate(zip(shown, panels, strict=False)):
        if name != CALIBRATION:
            _category_axis(axes, categories, labeled=position % columns == 0)
    return figure


def _repeats(axes: Axes, frame: pd.DataFrame, categories: list[str]) -> None:
    own = frame[frame["kind"] == "own"]
    judges = _judges(frame)
    for index, (judge, color) in enumerate(style.arm_colours(judges).items()):
        rows = own[(own["judge"] == judge) & own["repeat_sd"].notna()]
        places = [categories.index(category) for category in rows["category"]]
        axes.hlines(places, 0, rows["repeat_sd"], color=color, linewidth=0.8)
        axes.plot(rows["repeat_sd"], places, style.marker(index), color=color)
    axes.set_xlim(0, max(float(own["repeat_sd"].max()) * 1.15, 0.01))
    axes.set_title("Repeat SD")
    axes.set_xlabel("score")


def _difference(axes: Axes, frame: pd.DataFrame, categories: list[str]) -> None:
    axes.axvline(0, color=style.INK, linewidth=0.7)
    for index, (rows, color, shift) in enumerate(_pairs(frame)):
        places = [categories.index(category) + shift for category in rows["category"]]
        axes.hlines(places, rows["low"], rows["high"], color=color, linewidth=1)
        axes.plot(rows["mean_difference"], places, style.marker(index), color=color)
    axes.set_title("Difference")
    axes.set_xlabel("first − second")
    axes.xaxis.set_major_formatter(signed)


def _agreement(axes: Axes, frame: pd.DataFrame, categories: list[str]) -> None:
    lowest = 0.0
    for index, (rows, color, shift) in enumerate(_pairs(frame)):
        places = [categories.index(category) + shift for category in rows["category"]]
        look = {"color": color, "markeredgecolor": color, "markersize": 3.4}
        axes.plot(rows["agreement"], places, style.marker(index), **look)
        axes.plot(rows["spearman"], places, style.marker(index), **look, markerfacecolor="white")
        lowest = min(lowest, float(rows["spearman"].min()))
    axes.set_xlim(min(-0.02, lowest - 0.05), 1.03)
    axes.set_title("Agreement")
    axes.set_xlabel("share, correlation")


def _calibration(axes: Axes, frame: pd.DataFrame, categories: list[str]) -> None:
    bins = frame[frame["kind"] == "bin"]
    axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.7, linestyle=(0, (4, 2)))
    most = float(bins["n"].max())
    for index, (pair, color) in enumerate(_pair_colours(frame).items()):
        rows = bins[(bins["judge"] == pair[0]) & (bins["other"] == pair[1])]
        axes.plot(rows["mean_judge"], rows["mean_other"], color=color, linewidth=0.7)
        axes.vlines(rows["mean_judge"], rows["low"], rows["high"], color=color, linewidth=0.6)
        axes.scatter(
            rows["mean_judge"],
            rows["mean_other"],
            s=4 + 26 * rows["n"] / most,
            color=color,
            marker=style.marker(index),
            edgecolor="white",
            linewidth=0.4,
            zorder=3,
        )
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal", anchor="N")
    axes.set_title("Calibration")
    axes.set_xlabel("first judge")
    axes.set_ylabel("second judge")
    axes.grid(axis="x", visible=True)


PANELS: dict[str, Callable[[Axes, pd.DataFrame, list[str]], None]] = {
    REPEATS: _repeats,
    DIFFERENCE: _difference,
    AGREEMENT: _agreement,
    CALIBRATION: _calibration,
}


def _judges(frame: pd.DataFrame) -> list[str]:
    own = frame[frame["kind"] == "own"]
    return list(own["judge"].drop_duplicates())


def _pair_colours(frame: pd.DataFrame) -> dict[tuple[str, str], style.Color]:
    """Colors of the pairs; they follow those of the judges, which are other things."""
    pairs = frame[frame["kind"] == "pair"]
    names = list(dict.fromkeys(zip(pairs["judge"], pairs["other"], strict=True)))
    judges = _judges(frame)
    colors = list(style.arm_colours([*judges, *map(str, names)]).values())
    return dict(zip(names, colors[len(judges) :], strict=True))


def _pairs(frame: pd.DataFrame) -> list[tuple[pd.DataFrame, style.Color, float]]:
    """Rows of every pair of judges, its color, and how far it stands off its line."""
    pairs = frame[frame["kind"] == "pair"]
    colors = _pair_colours(frame)
    step = 0.6 / len(colors) if colors else 0.0
    return [
        (
            pairs[(pairs["judge"] == judge) & (pairs["other"] == other)],
            color,
            (index - (len(colors) - 1) / 2) * step,
        )
        for index, ((judge, other), color) in enumerate(colors.items())
    ]


def _category_axis(axes: Axes, categories: list[str], labeled: bool) -> None:
    names = shorten_all(style.category_names(categories), 0.95, 6.8)
    axes.set_yticks(range(len(categories)), names if labeled else [])
    axes.set_ylim(len(categories) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis="x", visible=True)
    rule_off_overall(axes, categories)


def _handles(frame: pd.DataFrame, shown: list[str], width: float) -> list[Artist]:
    handles: list[Artist] = []
    if REPEATS in shown:
        repeated = set(frame.loc[frame["repeat_sd"].notna(), "judge"])
        named = zip(_judges(frame), style.arm_handles(_judges(frame), width), strict=True)
        handles += [handle for judge, handle in named if judge in repeated]
    pairs = _pair_colours(frame)
    for index, ((judge, other), color) in enumerate(pairs.items()):
        label = shorten(f"{judge} against {other}", width * 0.7, 6.8)
        handles.append(Line2D([], [], color=color, marker=style.marker(index), label=label))
    if AGREEMENT in shown:
        look = {"color": style.GREY, "marker": "o", "linestyle": "none"}
        handles.append(Line2D([], [], label="same side of right and wrong", **look))
        handles.append(Line2D([], [], label="rank correlation", markerfacecolor="white", **look))
    return handles


def caption(frame: pd.DataFrame) -> str:
    """Counts, missing shares and what each panel shows."""
    own = frame[(frame["kind"] == "own") & (frame["category"] == style.OVERALL)]
    parts = [
        f"{row.judge}: {int(row.n):,} judgements, {int(row.repeats)} per response, "
        f"{row.missing_share:.1%} without a score"
        for row in own.itertuples()
    ]
    pairs = frame[(frame["kind"] == "pair") & (frame["category"] == style.OVERALL)]
    parts += [
        f"{row.judge} and {row.other}: {int(row.n):,} responses, kappa {row.kappa:.2f}"
        for row in pairs.dropna(subset="kappa").itertuples()
    ]
    if (frame["kind"] == "pair").any():
        parts.append(
            f"lines of difference and calibration: {captions.interval_name(frame)}, items as unit"
        )
        parts.append("agreement and correlation are point estimates")
    if (frame["kind"] == "bin").any():
        parts.append("calibration in tenths of the first judge's score, larger with more responses")
    if frame.loc[frame["kind"] == "bin", "low"].isna().any():
        parts.append("a tenth with one item has no line")
    return "; ".join(parts) + "."
