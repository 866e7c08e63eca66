"""Shared look of the figures: sizes, colors, markers, names of categories, scales, verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.style
import seaborn as sns
from matplotlib import font_manager
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from analysis.figures.text import shorten
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
Color = tuple[float, float, float]
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
    with mpl.style.context(STYLE_FILE):
        # Matplotlib looks for a missing glyph in the further members of font.family only, never
        # in the further members of a generic family.
        mpl.rcParams["font.family"] = _installed(tuple(mpl.rcParams["font.family"]))
        yield


@cache
def _installed(families: tuple[str, ...]) -> list[str]:
    known = {font.name for font in font_manager.fontManager.ttflist}
    return [family for family in families if family in known]


def category_name(category: str) -> str:
    """The label of a category: `open_qa` is shown as "Open QA"."""
    plain = category.replace("_", " ")
    return _SPECIAL_NAMES.get(category, plain[:1].upper() + plain[1:])


def category_names(categories: Iterable[str]) -> list[str]:
    """The labels of several categories."""
    return [category_name(category) for category in categories]


def category_order(categories: Iterable[str]) -> list[str]:
    """The paper's categories in its order, then others as they come, then `overall`."""
    present = list(dict.fromkeys(categories))
    paper = [category for category in PAPER_ORDER if category in present]
    others = [c for c in present if c not in PAPER_ORDER and c != OVERALL]
    return paper + others + [OVERALL] * (OVERALL in present)


def scale_names(scales: Sequence[int]) -> list[str]:
    """Short labels of record counts: 250, 1k, 16k, 2M; a ladder from 0.1M to 1M or more all in M,
    as in the paper."""
    tuned = [scale for scale in scales if scale > 0]
    in_millions = bool(tuned) and min(tuned) >= 100_000 and max(tuned) >= 1_000_000
    return [_scale_name(int(scale), in_millions) for scale in scales]


def _scale_name(scale: int, in_millions: bool) -> str:
    if scale == 0:
        return "base"
    if in_millions or scale >= 1_000_000:
        return f"{scale / 1e6:.4g}M"
    return f"{scale / 1e3:.4g}k" if scale >= 1000 else str(scale)


def arm_colours(arms: Sequence[str]) -> dict[str, Color]:
    """A color-blind safe color for each arm, in order; after ten they start again."""
    palette = sns.color_palette("colorblind")
    return {arm: palette[index % len(palette)] for index, arm in enumerate(arms)}


def darker(color: Color) -> Color:
    """A shade of the same color that shows on top of it."""
    red, green, blue = color
    return 0.55 * red, 0.55 * green, 0.55 * blue


def marker(index: int) -> str:
    """The marker of the arm at this place; arms of the same color have different markers."""
    return MARKERS[(index + index // len(MARKERS)) % len(MARKERS)]


def verdict_look(verdict: Any) -> tuple[str, str]:
    """Sign and color of a verdict; an empty one has a dash."""
    return VERDICT_LOOK.get(verdict, ("–", GREY))


def verdict_name(verdict: Any) -> str:
    """The verdict as shown, also where none was given."""
    return verdict if verdict in VERDICT_LOOK else "no verdict"


def figure_width(options: FigureOptions) -> float:
    """Width in inches."""
    return WIDTH_INCHES[options.width]


def arm_handles(arms: Sequence[str], width: float) -> list[Line2D]:
    """Legend entries of the arms, names cut to a part of the figure's width in inches."""
    return [
        Line2D(
            [],
            [],
            color=color,
            marker=marker(index),
            markeredgecolor="white",
            markeredgewidth=0.4,
            label=shorten(arm, width * 0.4, mpl.rcParams["legend.fontsize"]),
        )
        for index, (arm, color) in enumerate(arm_colours(arms).items())
    ]


def verdict_handle(verdict: str) -> Line2D:
    """A legend entry for a verdict's sign."""
    shape = TextPath((0, 0), VERDICT_LOOK[verdict][0], size=10)
    extents = shape.get_extents()
    middle = (-(extents.x0 + extents.x1) / 2, -(extents.y0 + extents.y1) / 2)
    marker = shape.transformed(Affine2D().translate(*middle))
    return Line2D([], [], color=GREY, marker=marker, markersize=6, linestyle="none", label=verdict)
