"""The sheet a figure is drawn on, with its title, legend and caption, and the files it becomes."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure, SubFigure
from matplotlib.patheffects import Normal
from matplotlib.text import Text

from analysis.figures.style import GREY, INK
from analysis.figures.text import needs_outlines, printable, text_width, wrap


def canvas(
    width: float,
    height: float,
    title: str,
    caption: str,
    legend: Sequence[Artist] = (),
    **legend_look: Any,
) -> tuple[Figure, SubFigure]:
    """A figure and its body: the part of `width` x `height` inches between the texts.

    The title stands above the body, the legend and then the caption below it. Each is wrapped to
    the width and gets a band of its own, so that no text ever shrinks or covers a plot. Any of
    them may be empty.
    """
    side = 0.06
    title_size, caption_size = mpl.rcParams["figure.titlesize"], mpl.rcParams["font.size"] - 1
    # Bold letters are about a tenth wider than the regular ones that `wrap` measures.
    title = wrap(printable(title), (width - 2 * side) / 1.12, title_size)
    caption = wrap(printable(caption), width - 2 * side, caption_size)
    columns = legend_columns([str(handle.get_label()) for handle in legend], width)
    top, foot = _block_height(title, title_size), _block_height(caption, caption_size)
    middle = math.ceil(len(legend) / columns) * 0.155 + 0.05 if legend else 0.0
    total = top + height + middle + foot
    figure = Figure(figsize=(width, total))
    ratios = (max(top, 1e-6), height, max(middle + foot, 1e-6))
    body = figure.add_subfigure(
        figure.add_gridspec(3, 1, height_ratios=ratios, hspace=0, wspace=0)[1, 0]
    )
    if title:
        figure.text(
            *(side / width, 1 - 0.05 / total, title),
            va="top",
            fontweight="bold",
            fontsize=title_size,
            color=INK,
            gid="title",
        )
    if legend:
        look = {"loc": "lower left", "borderpad": 0, "borderaxespad": 0} | legend_look
        across = 0.5 if "center" in look["loc"] else side / width
        figure.legend(
            handles=list(legend),
            ncols=columns,
            bbox_to_anchor=(across, (foot + 0.04) / total),
            **look,
        )
    if caption:
        figure.text(
            *(side / width, 0.05 / total, caption),
            va="bottom",
            fontsize=caption_size,
            color=GREY,
            linespacing=1.25,
            gid="caption",
        )
    return figure, body


def _block_height(text: str, size: float) -> float:
    return (text.count("\n") + 1) * size * 1.32 / 72 + 0.07 if text else 0.0


def legend_columns(labels: Sequence[str], width: float) -> int:
    """The most legend columns that fit into `width` inches (a legend fills column by column)."""
    size = mpl.rcParams["legend.fontsize"]
    handle = (mpl.rcParams["legend.handlelength"] + mpl.rcParams["legend.handletextpad"]) * size
    gap = mpl.rcParams["legend.columnspacing"] * size
    widths = [text_width(label, size) + handle / 72 for label in labels]
    for columns in range(len(labels), 1, -1):
        groups = _column_groups(len(labels), columns)
        needed = sum(max(widths[start:stop]) for start, stop in groups) + gap / 72 * (columns - 1)
        if needed < width - 0.15:
            return columns
    return 1


def _column_groups(count: int, columns: int) -> list[tuple[int, int]]:
    """How a legend deals `count` entries to its columns: (start, stop) of each column."""
    rows, longer = divmod(count, columns)
    sizes = [rows + 1] * longer + [rows] * (columns - longer)
    stops = np.cumsum(sizes)
    return [(int(stop) - size, int(stop)) for stop, size in zip(stops, sizes, strict=True)]


def freeze(figure: Figure) -> None:
    """Lay the figure out once and fix every place to a thousandth of the figure.

    The layout solver's results differ in the eighth digit with the order of objects in memory,
    which would otherwise reach the bytes of the files.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for body in figure.subfigs:
        body.bbox_relative.set_points(body.bbox_relative.get_points().round(3))
        for axes in body.axes:
            axes.set_position(np.round(axes.get_position(original=True).bounds, 3).tolist())
        for text in (body._supxlabel, body._supylabel):
            if text is not None:
                text.set_position(np.round(text.get_position(), 3).tolist())
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
