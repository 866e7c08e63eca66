"""Small multiples: a grid with a panel per category, on shared axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from analysis.figures import style
from analysis.figures.canvas import canvas
from analysis.figures.text import shorten, shorten_all, thin_labels, wrap

PANEL_HEIGHT = 1.3  # inches, its heading included
SECOND_LINE = 13  # points that the title stands above the panel when a line goes below it


class Grid:
    """A figure of small multiples.

    Attributes:
        figure: the whole figure, with title, legend and caption in place.
        body: the part that holds the panels.
        height: of the body, in inches.
        panels: one axes per category, by name, in reading order.
        panel_width: about how wide the plotting area of a panel is, in inches.
    """

    def __init__(
        self,
        categories: Sequence[str],
        width: float,
        title: str,
        caption: str,
        legend: Sequence[Artist],
    ) -> None:
        columns = _columns(len(categories), width)
        rows = math.ceil(len(categories) / columns)
        self.height = rows * PANEL_HEIGHT + 0.35
        self.figure: Figure
        self.body: SubFigure
        self.figure, self.body = canvas(width, self.height, title, caption, legend)
        axes = self.body.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        self.panels: dict[str, Axes] = dict(zip(categories, axes.flat, strict=False))
        self.panel_width = (width - 0.45) / columns - 0.12
        self._size = 8 if self.panel_width > 0.9 else 7
        # Bold letters are about a tenth wider than the regular ones that are measured.
        room = (self.panel_width + 0.05) / 1.12
        names = shorten_all(style.category_names(categories), room, self._size)
        self._names = dict(zip(categories, names, strict=True))
        for position, panel in enumerate(axes.flat):
            panel.tick_params(labelbottom=position + columns >= len(categories))
            panel.set_visible(position < len(categories))

    def label(self, x: str, y: str) -> None:
        """Name the two shared axes."""
        self.body.supxlabel(x, fontsize=7.5)
        self.body.supylabel(wrap(y, 0.9 * self.height, 7.5), fontsize=7.5)

    def heading(self, category: str, second_line: bool) -> None:
        """The category's name above its panel, with room for a line below it if asked for."""
        pad = SECOND_LINE if second_line else 4
        self.panels[category].set_title(self._names[category], pad=pad, fontsize=self._size)

    def note(self, category: str, text: str, shift: float = 0, **look: Any) -> None:
        """Small text in the line below a panel's heading, `shift` points from its left end."""
        text = shorten(text, self.panel_width + 0.05, 6.3)
        note = self.panels[category].annotate(
            text,
            (0, 1),
            (shift, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            gid="note",
            **({"fontsize": 6.3} | look),
        )
        note.set_in_layout(False)  # the title above it already holds its room

    def log_axis(
        self, places: Sequence[float], names: Sequence[str], reach: Sequence[float] = ()
    ) -> None:
        """A logarithmic x axis with these ticks; labels that would touch are left out.

        Args:
            places: the ticks, ascending, above 0.
            names: their labels.
            reach: values that must be inside the axis beside the ticks.
        """
        first = next(iter(self.panels.values()))
        first.set_xscale("log")
        if not places:
            return
        start, end = min([*places, *reach]), max([*places, *reach])
        span = max(end / start, 4)
        first.set_xlim(start / span**0.08, end * span**0.08)
        inches = np.log(places) / np.log(span**1.16) * self.panel_width
        shown = thin_labels(list(inches), names, 6.8)
        for panel in self.panels.values():
            panel.set_xticks(list(places), shown)
            panel.minorticks_off()

    def score_axis(self, values: np.ndarray) -> None:
        """One y axis for all panels, so that heights compare: tenths around all the values."""
        known = values[np.isfinite(values)]
        known = known if known.size else np.array([0.0, 1.0])
        low = max(0.0, np.floor(known.min() * 10 - 0.15) / 10)
        high = min(1.0, np.ceil(known.max() * 10 + 0.15) / 10)
        pad = 0.03 * (high - low)
        first = next(iter(self.panels.values()))
        first.set_ylim(low - pad, high + pad)
        first.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        first.yaxis.set_major_formatter("{x:.2g}")

    def empty(self, category: str, text: str) -> None:
        """Say in the middle of a panel why it holds no data."""
        self.panels[category].text(
            *(0.5, 0.5, text),
            transform=self.panels[category].transAxes,
            ha="center",
            va="center",
            color=style.GREY,
            fontsize=7,
        )


def _columns(categories: int, width: float) -> int:
    """The number of columns that leaves the fewest cells empty; more columns if equal."""
    choices = (3, 4, 5)
    if width < 5:
        choices = (2,) if categories <= 8 else (3,)
    if categories <= choices[0]:
        return categories
    return min(choices, key=lambda columns: (-categories % columns, -columns))
