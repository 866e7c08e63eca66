"""The look that figures share: fonts, colors, markers, names of categories, scales, verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
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
from analysis.names import category_name as category_name
from analysis.tables import OVERALL

STYLE_FILE = Path(__file__).with_name("style.mplstyle")
SHIPPED_FONT = Path(__file__).parent / "fonts" / "NotoSansSC-GB2312.ttf"
WIDTH_INCHES = {"page": 7.0, "column": 3.3}
PAPER_ORDER = (
    *("math", "code", "cot", "classification", "extraction", "rewrite", "open_qa", "closed_qa"),
    *("generation", "brainstorming", "translation", "summarization"),
)
Color = tuple[float, float, float]
Looks = dict[str, dict[str, Any]]  # of each arm, judge or pair: arguments of `plot`
GREY = "#6B6B6B"
INK = "#222222"
DASHED = (0, (4, 2))
DOTTED = (0, (1, 1))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
MARKER_EDGE: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.4}
BASE_LINE: dict[str, Any] = {"linestyle": DASHED, "linewidth": 0.9}
VERDICT_LOOK = {
    "improving": ("▲", "#0173B2"),
    "plateaued": ("●", "#029E73"),
    "flat": ("■", "#6B6B6B"),
    "non-monotone": ("◆", "#D55E00"),
    "at floor": ("▁", "#7F5A2A"),
    "at ceiling": ("▔", "#3F6684"),
    "undetermined": ("?", "#8A5A8F"),
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
    fonts = font_manager.fontManager
    fonts.addfont(SHIPPED_FONT)
    fonts.ttflist.append(replace(fonts.ttflist[-1], weight=700))  # it stands for its bold, too
    known = {font.name for font in fonts.ttflist}
    return [family for family in families if family in known]


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


def looks(names: Iterable[str]) -> Looks:
    """Color (color-blind safe) and marker of each name.

    Colors start again after ten; names of the same color have different markers.
    """
    palette = sns.color_palette("colorblind")
    count, shapes = len(palette), len(MARKERS)
    return {
        name: {"color": palette[i % count], "marker": MARKERS[(i + i // count) % shapes]}
        for i, name in enumerate(names)
    }


def darker(color: Color) -> Color:
    """A shade of the same color that shows on top of it."""
    red, green, blue = color
    return 0.55 * red, 0.55 * green, 0.55 * blue


def handles(names: Iterable[str], room: float) -> list[Line2D]:
    """Legend entries of arms, judges or pairs, names cut to `room` inches."""
    size = mpl.rcParams["legend.fontsize"]
    return [
        Line2D([], [], **look, **MARKER_EDGE, label=shorten(name, room, size))
        for name, look in looks(names).items()
    ]


def verdict_look(verdict: Any) -> tuple[str, str]:
    """Sign and color of a verdict; an empty one has a dash."""
    return VERDICT_LOOK.get(verdict, ("–", GREY))


def verdict_name(verdict: Any) -> str:
    """The verdict as shown, also where none was given."""
    return verdict if verdict in VERDICT_LOOK else "no verdict"


def verdict_handles(verdicts: Iterable[str]) -> list[Line2D]:
    """Legend entries for the signs of those verdicts that occur, in a fixed order."""
    present = set(verdicts)
    return [_verdict_handle(verdict) for verdict in VERDICT_LOOK if verdict in present]


def _verdict_handle(verdict: str) -> Line2D:
    shape = TextPath((0, 0), VERDICT_LOOK[verdict][0], size=10)
    extents = shape.get_extents()
    middle = (-(extents.x0 + extents.x1) / 2, -(extents.y0 + extents.y1) / 2)
    marker = shape.transformed(Affine2D().translate(*middle))
    return Line2D([], [], color=GREY, marker=marker, markersize=6, linestyle="none", label=verdict)
