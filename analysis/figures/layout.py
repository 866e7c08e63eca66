"""The page of a figure and the axes on it, placed by matplotlib's constrained layout."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.legend import Legend
from matplotlib.patheffects import Normal
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, MaxNLocator

from analysis.figures import style
from analysis.figures.text import BOLD, needs_outlines, shorten, shorten_all, thin_labels, wrap
from analysis.options import FigureOptions
from analysis.tables import OVERALL

SIDE = 0.06  # inches between the texts and the edge of the page
LABEL_SIZE = 6.8  # points, of tick labels
NOTE_SIZE = 6.3
PANEL_HEIGHT = 1.3  # inches, its heading included
NICE_STEPS = [1, 2, 2.5, 5, 10]


@dataclass(frozen=True)
class Page:
    """What stands around the plots of a figure.

    Attributes:
        width: of the figure, in inches.
        title: stands above the plots; may be empty.
        caption: stands below them; may be empty.
        options: what to show.
    """

    width: float
    title: str
    caption: str
    options: FigureOptions

    def open(
        self, height: float, legend: Sequence[Artist] = (), **legend_look: Any
    ) -> tuple[Figure, SubFigure]:
        """A figure, and the part of it whose plots and axis labels take `height` inches.

        Title, legend and caption are as wide as the page and add to its height, so that they
        never shrink the plots. Constrained layout keeps room for one text at each side of a
        (sub)figure: the outer one has title and caption, the next the legend, the inner one the
        names of the axes.
        """
        figure = Figure(figsize=(self.width, height))
        middle = figure.subfigures()
        across = {"x": SIDE / self.width, "ha": "left"}
        room, size = self.width - 2 * SIDE, mpl.rcParams["figure.titlesize"]
        texts: list[Text | Legend] = []
        if self.title:
            title = wrap(self.title, room / BOLD, size)
            texts.append(figure.suptitle(title, color=style.INK, gid="title", **across))
        if self.caption:
            size = mpl.rcParams["font.size"] - 1
            look = {"fontsize": size, "color": style.GREY, "linespacing": 1.25, **across}
            texts.append(figure.supxlabel(wrap(self.caption, room, size), gid="caption", **look))
        if legend:
            texts.append(_legend(middle, legend, room, legend_look))
        pad = 2 * mpl.rcParams["figure.constrained_layout.h_pad"]
        heights = [text.get_window_extent().height / figure.dpi + pad for text in texts]
        figure.set_size_inches(self.width, height + sum(heights))
        return figure, middle.subfigures()


def _legend(
    part: SubFigure, handles: Sequence[Artist], room: float, look: dict[str, Any]
) -> Legend:
    """A legend below the plots with as many columns as fit into `room` inches."""
    look = {"loc": "outside lower left", "borderpad": 0, "borderaxespad": 0.6} | look
    for columns in range(len(handles), 0, -1):
        legend = part.legend(handles=list(handles), ncols=columns, **look)
        if columns == 1 or legend.get_window_extent().width <= room * part.dpi:
            break
        legend.remove()
    return legend


class Grid:
    """A figure of small multiples: a panel per category, on shared axes.

    Attributes:
        figure: the whole figure, with title, legend and caption in place.
        panels: one axes per category, by name, in reading order.
        panel_width: about how wide the plotting area of a panel is, in inches.
    """

    def __init__(
        self,
        page: Page,
        categories: Sequence[str],
        legend: Sequence[Artist],
        labels: tuple[str, str],
        notes: bool = False,
    ) -> None:
        """Open the page and name the panels.

        Args:
            page: the texts around the panels.
            categories: the panels, in reading order.
            legend: entries of the legend.
            labels: names of the shared x and y axis.
            notes: keep room for a second line below the panels' names.
        """
        columns = _columns(len(categories), page.width)
        rows = math.ceil(len(categories) / columns)
        height = rows * PANEL_HEIGHT + 0.35
        self.figure, body = page.open(height, legend)
        body.supxlabel(labels[0], fontsize=7.5)
        body.supylabel(wrap(labels[1], 0.9 * height, 7.5), fontsize=7.5)
        axes = body.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        self.panels: dict[str, Axes] = dict(zip(categories, axes.flat, strict=False))
        self.panel_width = (page.width - 0.45) / columns - 0.12
        size = 8 if self.panel_width > 0.9 else 7
        names = shorten_all(
            [style.category_name(c) for c in categories], (self.panel_width + 0.05) / BOLD, size
        )
        for name, panel in zip(names, axes.flat, strict=False):
            panel.set_title(name, pad=13 if notes else 4, fontsize=size)
        for position, panel in enumerate(axes.flat):
            panel.tick_params(labelbottom=position + columns >= len(categories))
            panel.set_visible(position < len(categories))
            panel.autoscale(False)  # slow on shared axes; the limits are set for all panels

    def note(self, category: str, text: str, shift: float = 0, **look: Any) -> None:
        """Small text in the line below a panel's name, `shift` points from its left end."""
        note = self.panels[category].annotate(
            shorten(text, self.panel_width + 0.05, NOTE_SIZE),
            (0, 1),
            (shift, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            gid="note",
            **({"fontsize": NOTE_SIZE} | look),
        )
        note.set_in_layout(False)  # the title above it already holds its room

    def log_axis(
        self, ticks: Sequence[float], names: Sequence[str], reach: Sequence[float] = ()
    ) -> None:
        """A logarithmic x axis; labels that would touch are left out.

        Args:
            ticks: where it has ticks, ascending, above 0.
            names: their labels.
            reach: values that must be inside the axis beside the ticks.
        """
        first = next(iter(self.panels.values()))
        if not ticks:
            first.set_xticks([])
            return
        first.set_xscale("log")
        start, end = min([*ticks, *reach]), max([*ticks, *reach])
        span = max(end / start, 4)
        first.set_xlim(start / span**0.08, end * span**0.08)
        inches = np.log(ticks) / np.log(span**1.16) * self.panel_width
        first.set_xticks(list(ticks), thin_labels(list(inches), names, LABEL_SIZE))
        first.minorticks_off()

    def score_axis(self, values: np.ndarray) -> None:
        """One y axis for all panels, so that heights compare: tenths around all the values."""
        known = values[np.isfinite(values)]
        known = known if known.size else np.array([0.0, 1.0])
        low = max(0.0, np.floor(known.min() * 10 - 0.15) / 10)
        high = min(1.0, np.ceil(known.max() * 10 + 0.15) / 10)
        pad = 0.03 * (high - low)
        first = next(iter(self.panels.values()))
        first.set_ylim(low - pad, high + pad)
        first.yaxis.set_major_locator(MaxNLocator(5, steps=NICE_STEPS))
        first.yaxis.set_major_formatter("{x:.2g}")


def _columns(categories: int, width: float) -> int:
    """The number of columns that leaves the fewest cells empty; more columns if equal."""
    choices = (3, 4, 5)
    if width < 5:
        choices = (2,) if categories <= 8 else (3,)
    if categories <= choices[0]:
        return categories
    return min(choices, key=lambda columns: (-categories % columns, -columns))


def category_axis(axes: Axes, categories: Sequence[str], room: float) -> None:
    """A line per category from top to bottom, names cut to `room` inches, overall ruled off."""
    names = shorten_all([style.category_name(c) for c in categories], room, LABEL_SIZE)
    axes.set_yticks(range(len(categories)), names, fontsize=LABEL_SIZE)
    axes.set_ylim(len(categories) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    if categories[-1] == OVERALL and len(categories) > 1:
        axes.axhline(len(categories) - 1.5, color=style.GREY, linewidth=0.5)


def offsets(count: int, step: float) -> list[float]:
    """Offsets of `count` marks on one line, `step` apart and centered on 0."""
    return [(index - (count - 1) / 2) * step for index in range(count)]


def half_widths(rows: pd.DataFrame, middle: str = "mean") -> np.ndarray:
    """Lengths of the error bars below and above `middle` for columns low and high: shape (2, n)."""
    return np.stack([rows[middle] - rows["low"], rows["high"] - rows[middle]]).clip(0)


def log_ticks(ratio: float) -> LogLocator:
    """Ticks of a logarithmic axis at 1, 2 and 5 times the powers of ten; at these powers alone
    where the axis spans so much (`ratio` of its ends) that the labels would touch."""
    return LogLocator(subs=(1.0, 2.0, 5.0) if ratio < 300 else (1.0,), numticks=12)


def signed(value: float, _: int = 0) -> str:
    """A tick label with its sign, 0 without one."""
    return f"{value:+.3g}".replace("-", "−") if abs(value) > 1e-9 else "0"


def freeze(figure: Figure) -> None:
    """Lay the figure out once and round all positions to a thousandth of the figure.

    The layout solver's results differ in the eighth digit with the order of objects in memory,
    which would otherwise reach the bytes of the files.
    """
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")
    parts = figure.findobj(SubFigure)
    for part in parts:
        part.bbox_relative.set_points(part.bbox_relative.get_points().round(3))
    for text in (text for part in (figure, *parts) for text in part.texts):
        text.set_position(np.round(text.get_position(), 3))
    for axes in figure.findobj(Axes):
        axes.set_position(np.round(axes.get_position(original=True).bounds, 3).tolist())
    for text in figure.findobj(Text):
        if needs_outlines(text.get_text()):
            text.set_path_effects([Normal()])  # an effect has it drawn as a path, not as a font


def save(figure: Figure, path: Path, suffix: str, dpi: int) -> None:
    """Write a frozen figure without dates or versions: equal input gives equal bytes."""
    metadata = {
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
    }[suffix]
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=dpi, metadata=metadata)
    path.write_bytes(buffer.getvalue())
