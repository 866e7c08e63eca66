"""Text on figures: which glyphs exist, how wide it is, how it fits; phrases that captions share."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from functools import cache

import matplotlib as mpl
import pandas as pd
from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg

from analysis.tables import OVERALL

BOLD = 1.15  # bold letters are wider than the regular ones that are measured here
# In every installation: the first comes with matplotlib, the second with this package.
SHIPPED_FAMILIES = ("DejaVu Sans", "Noto Sans SC GB2312")


@cache
def _glyphs(families: tuple[str, ...]) -> frozenset[int]:
    paths = (font_manager.findfont(family, fallback_to_default=False) for family in families)
    return frozenset().union(*(font_manager.get_font(path).get_charmap() for path in paths))


def needs_outlines(text: str) -> bool:
    """Whether `text` takes a glyph from a font that is not shipped.

    Such a font may have PostScript outlines. Matplotlib would embed it in a PDF as if it were
    TrueType, which readers may refuse.
    """
    return not {ord(c) for c in text if c != "\n"} <= _glyphs(SHIPPED_FAMILIES)


def printable(text: str) -> str:
    """`text` with characters that no installed font can show written as their code point.

    A reader then sees <U+D55C> and not an empty box, and two such names stay different.
    """
    glyphs = _glyphs(tuple(mpl.rcParams["font.family"]))
    return "".join(c if ord(c) in glyphs or c == "\n" else f"<U+{ord(c):04X}>" for c in text)


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
    """`text`, printable, in lines of at most `width` inches; only wider words are broken."""
    text = printable(text)
    letters = max(1, int(1.2 * len(text) * width / max(text_width(text, size), width)))
    lines = textwrap.wrap(text, letters)
    while letters > 1 and text_width("\n".join(lines), size) > width:
        letters -= 1
        lines = textwrap.wrap(text, letters)
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


def shorten_all(names: Sequence[str], width: float, size: float) -> list[str]:
    """Each name shortened; those that would then look alike lose the beginning that they share."""
    names = [printable(name) for name in names]
    short = [shorten(name, width, size) for name in names]
    for look in {text for text in short if short.count(text) > 1}:
        alike = [index for index, text in enumerate(short) if text == look]
        shared = _shared_words([names[index] for index in alike])
        for index in alike:
            if shared:
                short[index] = shorten(f"…{names[index][shared:]}", width, size)
    return short


def _shared_words(names: Sequence[str]) -> int:
    """Length of the words that all names begin with, up to where the first word differs."""
    first, last = min(names), max(names)  # what these two share, all between them share
    letters = zip(first, last, strict=False)
    differ = next((i for i, (a, b) in enumerate(letters) if a != b), min(len(first), len(last)))
    return max(first.rfind(mark, 0, differ) + 1 for mark in " _-")


def thin_labels(positions: Sequence[float], names: Sequence[str], size: float) -> list[str]:
    """Blank those labels that would touch their neighbors; the first and last stay.

    Args:
        positions: where each label is centered, in inches, ascending.
        names: the labels.
        size: font size in points.
    """
    half = [text_width(name, size) / 2 + 0.02 for name in names]
    shown = {0, len(names) - 1} if names else set()
    edge = positions[0] + half[0] if names else 0.0
    for index in range(1, len(names) - 1):
        clear_of_last = positions[index] + half[index] < positions[-1] - half[-1]
        if positions[index] - half[index] > edge and clear_of_last:
            shown.add(index)
            edge = positions[index] + half[index]
    return [name if index in shown else "" for index, name in enumerate(names)]


def sentence(*parts: str) -> str:
    """The phrases that are not empty, as one sentence."""
    return "; ".join(part for part in parts if part) + "."


def counted(values: Iterable[float], noun: str) -> str:
    """Such as "40 items" or "142 to 200 items"; empty if there are no values."""
    known = sorted({int(value) for value in values if value == value})
    if not known:
        return ""
    low, high = known[0], known[-1]
    if low == high:
        return f"{low:,} {noun}{'' if low == 1 else 's'}"
    return f"{low:,} to {high:,} {noun}s"


def per_category(rows: pd.DataFrame, column: str, noun: str) -> str:
    """Such as "40 items per category", from a table with the columns category and `column`."""
    count = counted(rows.loc[rows["category"] != OVERALL, column], noun)
    return f"{count} per category" if count else ""


def seeds_note(n_seeds: Iterable[float]) -> str:
    """The number of seeds, with a warning where training noise cannot be seen."""
    note = counted(n_seeds, "seed")
    return f"{note} (items only; training noise unmeasured)" if note == "1 seed" else note


def interval_name(frame: pd.DataFrame) -> str:
    """Such as "90% intervals", from the column `interval` (coverage) of a figure's table."""
    levels = frame["interval"].dropna().unique() if "interval" in frame.columns else []
    return f"{100 * levels[0]:.4g}% intervals" if len(levels) else "intervals of the tables"


def margins_note(verdicts: pd.DataFrame) -> str:
    """The equivalence margins of a table with columns margin and range_margin, in words."""
    tail = " or ".join(f"{m:g}" for m in sorted(verdicts["margin"].dropna().unique()))
    whole = " or ".join(f"{m:g}" for m in sorted(verdicts["range_margin"].dropna().unique()))
    corrected = "claims with a direction corrected over the categories"
    if "corrected" in verdicts and set(verdicts["corrected"].dropna()) == {"all"}:
        corrected = "all claims corrected over the categories"
    return f"verdicts: {corrected}, margins {tail} per doubling for the tail, {whole} for the range"
