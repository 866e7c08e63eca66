"""A forest plot: estimates with intervals, a line per category, and a note at the right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures import style
from analysis.figures.canvas import canvas
from analysis.figures.text import shorten_all
from analysis.figures.ticks import rule_off_overall, signed

_LINE = 0.19  # inches per category
_NEXT = 0.105  # inches for every further estimate of the same category
_LABEL_SIZE = 6.8
_NOTE_SIZE = 6.3


@dataclass(frozen=True)
class Row:
    """One estimate; `place` counts the estimates of a category from its top, NaN is shown so."""

    category: str
    place: int
    middle: float
    low: float
    high: float
    color: style.Color
    marker: str
    note: str = ""
    note_colour: style.Color | str = style.INK


def draw_forest(
    rows: Sequence[Row],
    places: int,
    width: float,
    title: str,
    caption: str,
    legend: Sequence[Artist],
    note_width: float = 0.0,
) -> tuple[Figure, Axes]:
    """The figure and its axes; 0 is marked.

    Args:
        rows: the estimates.
        places: how many estimates a category may have.
        width: of the figure, in inches.
        title: above the plot.
        caption: below it.
        legend: entries of the legend.
        note_width: room for the rows' notes, in inches.
    """
    categories = style.category_order(row.category for row in rows)
    line = _LINE + _NEXT * (places - 1)
    figure, body = canvas(width, line * len(categories) + 0.5, title, caption, legend)
    axes = body.subplots()
    for row in rows:
        offset = (row.place - (places - 1) / 2) * _NEXT / line
        _draw_row(axes, row, categories.index(row.category) + offset)
    axes.axvline(0, color=style.INK, linewidth=0.7, zorder=1)
    rule_off_overall(axes, categories)
    names = shorten_all(style.category_names(categories), width * 0.3, _LABEL_SIZE)
    axes.set_yticks(range(len(categories)), names, fontsize=_LABEL_SIZE)
    axes.set_ylim(len(categories) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.set_xlim(*_limits(rows))
    axes.xaxis.set_major_locator(MaxNLocator(7 if width > 5 else 4, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(signed)
    if note_width:
        _reserve(axes, note_width)
    return figure, axes


def _draw_row(axes: Axes, row: Row, height: float) -> None:
    if math.isnan(row.middle):
        axes.annotate(
            "not estimated",
            (0, height),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=5.8,
            color=style.GREY,
        )
    else:
        axes.plot([row.low, row.high], [height] * 2, color=row.color, linewidth=1.2, zorder=2)
        axes.plot(
            row.middle,
            height,
            marker=row.marker,
            color=row.color,
            markersize=4,
            markeredgecolor="white",
            markeredgewidth=0.4,
            zorder=3,
        )
    if row.note:
        axes.annotate(
            row.note,
            (1, height),
            (4, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize=_NOTE_SIZE,
            color=row.note_colour,
            gid="note",
        ).set_in_layout(False)


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    ends = np.array([(row.low, row.middle, row.high) for row in rows], float)
    known = np.append(ends[np.isfinite(ends)], 0.0)
    pad = max(0.04 * (known.max() - known.min()), 1e-3)
    return float(known.min() - pad), float(known.max() + pad)


def _reserve(axes: Axes, inches: float) -> None:
    """An empty text right of the axes, which keeps the layout from giving its room away."""
    axes.annotate(
        "\u2003" * math.ceil(inches * 72 / _NOTE_SIZE),
        (1, 0.5),
        (4, 0),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=_NOTE_SIZE,
    )
