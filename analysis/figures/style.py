"""Shared look of the figures: sizes, colours, labels, and files with the same bytes every time."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator
from matplotlib.transforms import Affine2D

from analysis.options import FigureOptions

STYLE_FILE = Path(__file__).with_name("style.mplstyle")
WIDTH_INCHES = {"page": 7.0, "column": 3.3}
PAPER_ORDER = (
    "math",
    "code",
    "cot",
    "classification",
    "extraction",
    "rewrite",
    "open_qa",
    "closed_qa",
    "generation",
    "brainstorming",
    "translation",
    "summarization",
)
OVERALL = "overall"
Colour = tuple[float, float, float]
GREY = "#6B6B6B"
LIGHT = "#E4E4E4"
INK = "#222222"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
VERDICT_LOOK = {
    "improving": ("▲", "#0173B2"),
    "plateaued": ("●", "#029E73"),
    "flat": ("■", "#6B6B6B"),
    "non-monotone": ("◆", "#D55E00"),
    "undetermined": ("?", "#8A5A8F"),
}
_SPECIAL_NAMES = {
    "cot": "CoT",
    "open_qa": "Open QA",
    "closed_qa": "Closed QA",
    "overall": "Overall",
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw inside this context: the style file, with the font list cut to fonts that exist."""
    with plt.style.context(STYLE_FILE):
        # Matplotlib looks for a missing glyph in the further members of font.family only, never
        # in the further members of a generic family.
        mpl.rcParams["font.family"] = _installed(tuple(mpl.rcParams["font.family"]))
        yield
        plt.close("all")


@cache
def _installed(families: tuple[str, ...]) -> list[str]:
    known = {font.name for font in font_manager.fontManager.ttflist}
    return [family for family in families if family in known]


@cache
def _glyphs(families: tuple[str, ...]) -> frozenset[int]:
    paths = (font_manager.findfont(family, fallback_to_default=False) for family in families)
    return frozenset().union(*(font_manager.get_font(path).get_charmap() for path in paths))


def printable(text: str) -> str:
    """`text` with characters that no installed font can show written as their code point.

    A reader then sees <U+6570> and not an empty box, and two such names stay different.
    """
    glyphs = _glyphs(tuple(mpl.rcParams["font.family"]))
    return "".join(c if ord(c) in glyphs or c == "\n" else f"<U+{ord(c):04X}>" for c in text)


def category_name(category: str) -> str:
    """The label of a category: `open_qa` is shown as "Open QA"."""
    plain = category.replace("_", " ")
    return _SPECIAL_NAMES.get(category, plain[:1].upper() + plain[1:])


def category_order(categories: Iterable[str]) -> list[str]:
    """The paper's categories in its order, then others as they come, then `overall`."""
    present = list(dict.fromkeys(categories))
    paper = [category for category in PAPER_ORDER if category in present]
    others = [c for c in present if c not in PAPER_ORDER and c != OVERALL]
    return paper + others + [OVERALL] * (OVERALL in present)


def scale_names(scales: Sequence[int]) -> list[str]:
    """Short labels of record counts: 250, 1k, 16k, 2M; all in M from 0.1M up, as in the paper."""
    tuned = [scale for scale in scales if scale > 0]
    in_millions = bool(tuned) and min(tuned) >= 100_000
    return [_scale_name(int(scale), in_millions) for scale in scales]


def _scale_name(scale: int, in_millions: bool) -> str:
    if scale == 0:
        return "base"
    if in_millions or scale >= 1_000_000:
        return f"{scale / 1e6:.4g}M"
    return f"{scale / 1e3:.4g}k" if scale >= 1000 else str(scale)


def arm_colours(arms: Sequence[str]) -> dict[str, Colour]:
    """A colour-blind safe colour for each arm, in order; after ten they start again."""
    palette = sns.color_palette("colorblind")
    return {arm: palette[index % len(palette)] for index, arm in enumerate(arms)}


def darker(colour: Colour) -> Colour:
    """A shade of the same colour that shows on top of it."""
    red, green, blue = colour
    return 0.55 * red, 0.55 * green, 0.55 * blue


def marker(index: int) -> str:
    """The marker of the arm at this place; arms of the same colour have different markers."""
    return MARKERS[(index + index // len(MARKERS)) % len(MARKERS)]


def verdict_look(verdict: Any) -> tuple[str, str]:
    """Sign and colour of a verdict; an empty one has a dash."""
    return VERDICT_LOOK.get(verdict, ("–", GREY))


def verdict_name(verdict: Any) -> str:
    """The verdict as shown, also where none was given."""
    return verdict if verdict in VERDICT_LOOK else "no verdict"


def figure_width(options: FigureOptions) -> float:
    """Width in inches."""
    return WIDTH_INCHES[options.width]


def heading(frame: pd.DataFrame, title: str) -> str:
    """The figure's title, after the study's name where the table has one."""
    study = str(frame["study"].iloc[0]) if "study" in frame.columns else ""
    return f"{study}: {title[:1].lower()}{title[1:]}" if study else title


def seeds_note(n_seeds: Iterable[float]) -> str:
    """The number of seeds, with a warning where training noise cannot be seen."""
    note = counted(n_seeds, "seed")
    return f"{note} (items only; training noise unmeasured)" if note == "1 seed" else note


def margins_note(verdicts: pd.DataFrame) -> str:
    """The equivalence margins of a table with columns margin and range_margin, in words."""
    tail = " or ".join(f"{m:g}" for m in sorted(verdicts["margin"].dropna().unique()))
    whole = " or ".join(f"{m:g}" for m in sorted(verdicts["range_margin"].dropna().unique()))
    return f"verdict margins: {tail} per doubling for the tail, {whole} for the range"


def arm_handles(arms: Sequence[str], width: float) -> list[Line2D]:
    """Legend entries of the arms, names cut to a part of the figure's width in inches."""
    return [
        Line2D(
            [],
            [],
            color=colour,
            marker=marker(index),
            markeredgecolor="white",
            markeredgewidth=0.4,
            label=shorten(arm, width * 0.4, mpl.rcParams["legend.fontsize"]),
        )
        for index, (arm, colour) in enumerate(arm_colours(arms).items())
    ]


def verdict_handle(verdict: str) -> Line2D:
    """A legend entry for a verdict's sign."""
    shape = TextPath((0, 0), VERDICT_LOOK[verdict][0], size=10)
    extents = shape.get_extents()
    middle = (-(extents.x0 + extents.x1) / 2, -(extents.y0 + extents.y1) / 2)
    marker = shape.transformed(Affine2D().translate(*middle))
    return Line2D([], [], color=GREY, marker=marker, markersize=6, linestyle="none", label=verdict)


def log_ticks() -> LogLocator:
    """Ticks of a logarithmic axis at 1, 2 and 5 times the powers of ten."""
    return LogLocator(subs=(1.0, 2.0, 5.0), numticks=12)


def nice_ticks(most: float, count: int) -> FixedLocator:
    """About `count` round ticks from 0 that do not pass `most`."""
    ticks = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(0, most)
    return FixedLocator([tick for tick in ticks if tick <= most * 1.001])


def counted(values: Iterable[float], noun: str) -> str:
    """Such as "40 items" or "142 to 200 items"; empty if there are no values."""
    known = sorted({int(value) for value in values if value == value})
    if not known:
        return ""
    low, high = known[0], known[-1]
    if low == high:
        return f"{low:,} {noun}{'' if low == 1 else 's'}"
    return f"{low:,} to {high:,} {noun}s"


def interval_name(frame: pd.DataFrame) -> str:
    """Such as "90% intervals", from the column `interval` (coverage) of a figure's table."""
    levels = frame["interval"].dropna().unique() if "interval" in frame.columns else []
    return f"{100 * levels[0]:.4g}% intervals" if len(levels) else "intervals of the tables"


@cache
def _renderer() -> RendererAgg:
    return RendererAgg(1, 1, 288)


def text_width(text: str, size: float) -> float:
    """Width of the widest line of `text` in inches, at a font size in points."""
    font = font_manager.FontProperties(size=size)
    lines = [line for line in text.split("\n") if line.strip()]
    renderer = _renderer()
    widths = (renderer.get_text_width_height_descent(line, font, False)[0] for line in lines)
    return max(widths, default=0) / renderer.dpi


def wrap(text: str, width: float, size: float) -> str:
    """Break `text` at blanks so that no line is wider than `width` inches (words stay whole)."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}".strip()
            if line and text_width(longer, size) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return "\n".join(lines)


def shorten(text: str, width: float, size: float) -> str:
    """`text`, printable, cut with an ellipsis in its middle if wider than `width` inches."""
    text = printable(text)
    if text_width(text, size) <= width:
        return text
    for keep in range(len(text) - 1, 1, -1):
        tail = keep // 3
        short = f"{text[: keep - tail]}…{text[len(text) - tail :]}"
        if text_width(short, size) <= width:
            return short
    return text[:1] + "…"


def thin_labels(places: Sequence[float], names: Sequence[str], size: float) -> list[str]:
    """Blank those labels that would touch their neighbours; the first and last stay.

    Args:
        places: where each label is centred, in inches, ascending.
        names: the labels.
        size: font size in points.
    """
    half = [text_width(name, size) / 2 + 0.02 for name in names]
    shown = {0, len(names) - 1} if names else set()
    edge = places[0] + half[0] if names else 0.0
    for index in range(1, len(names) - 1):
        clear_of_last = places[index] + half[index] < places[-1] - half[-1]
        if places[index] - half[index] > edge and clear_of_last:
            shown.add(index)
            edge = places[index] + half[index]
    return [name if index in shown else "" for index, name in enumerate(names)]


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
    figure = plt.figure(figsize=(width, total))
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


def save(figure: Figure, path: Path, suffix: str, dpi: int) -> None:
    """Write the figure without dates or versions, so that equal input gives equal bytes."""
    metadata = {
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
    }[suffix]
    freeze(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=dpi, metadata=metadata)
    path.write_bytes(buffer.getvalue())
