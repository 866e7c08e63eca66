"""Text on figures: what the fonts can show, how wide it is, how it is made to fit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import matplotlib as mpl
from fontTools.ttLib import TTFont
from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg


@cache
def _glyphs(families: tuple[str, ...]) -> frozenset[int]:
    paths = (font_manager.findfont(family, fallback_to_default=False) for family in families)
    return frozenset().union(*(font_manager.get_font(path).get_charmap() for path in paths))


@cache
def _is_true_type(family: str) -> bool:
    path = font_manager.findfont(family, fallback_to_default=False)
    with TTFont(path, fontNumber=0, lazy=True) as font:
        return "glyf" in font


def needs_outlines(text: str) -> bool:
    """Whether `text` takes a glyph from a font with PostScript outlines.

    Matplotlib would embed such a font in a PDF as if it were TrueType, which readers may refuse.
    """
    families = tuple(family for family in mpl.rcParams["font.family"] if _is_true_type(family))
    return not {ord(c) for c in text if c != "\n"} <= _glyphs(families)


def printable(text: str) -> str:
    """`text` with characters that no installed font can show written as their code point.

    A reader then sees <U+6570> and not an empty box, and two such names stay different.
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


def shorten_all(names: Sequence[str], width: float, size: float) -> list[str]:
    """Each name shortened; those that would then look alike lose the beginning that they share."""
    names = [printable(name) for name in names]
    short = [shorten(name, width, size) for name in names]
    for look in {text for text in short if short.count(text) > 1}:
        alike = [index for index, text in enumerate(short) if text == look]
        shared = _shared_words([names[index] for index in alike])
        for index in alike:
            if shared:
                short[index] = _cut_end(f"…{names[index][shared:]}", width, size)
    return short


def _shared_words(names: Sequence[str]) -> int:
    """Length of the words that all names begin with, up to where the first word differs."""
    first, last = min(names), max(names)  # what these two share, all between them share
    letters = zip(first, last, strict=False)
    differ = next((i for i, (a, b) in enumerate(letters) if a != b), min(len(first), len(last)))
    return max(first.rfind(mark, 0, differ) + 1 for mark in " _-")


def _cut_end(text: str, width: float, size: float) -> str:
    if text_width(text, size) <= width:
        return text
    while len(text) > 2 and text_width(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text}…"


def thin_labels(places: Sequence[float], names: Sequence[str], size: float) -> list[str]:
    """Blank those labels that would touch their neighbors; the first and last stay.

    Args:
        places: where each label is centerd, in inches, ascending.
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
