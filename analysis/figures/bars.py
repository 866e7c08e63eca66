"""Figure 1: grouped bars of the score of every category at every scale, as in the paper.

Geometry and colors are those of Figure 1 of arXiv 2303.14742: categories in its order and
Overall last, an axes box of 1464 x 598, pale horizontal grid, legend below.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MultipleLocator

from analysis.figures import layout, style, text
from analysis.figures.kind import Kind, Sources, paper_points
from analysis.figures.layout import LABEL_SIZE, Page

BOX_ASPECT = 598 / 1464
GRID = "#D9D9D9"
TICK_TEXT = "#595959"
# The paper's four colors come first; the rest continue the same office palette.
SERIES = ("#4472C4", "#ED7D31", "#A5A5A5", "#FFC000", "#5B9BD5", "#70AD47", "#264478", "#9E480E")
LEGEND_LOOK = {
    "loc": "outside lower center",
    "handlelength": 0.8,
    "handleheight": 0.8,
    "labelcolor": TICK_TEXT,
}
PAPER_LIMITS = (0.2, 1.0)
COLUMNS = ("judge", "arm", "category", "scale", "mean", "low", "high", "n_items", "n_seeds")


def prepare(sources: Sources) -> pd.DataFrame:
    """The curves as they are: one row per judge, arm, category and scale."""
    return sources.table("curves", COLUMNS).assign(origin="study")


def paper_rows() -> pd.DataFrame:
    """The paper's own Figure 1 in the same columns; it has no intervals and one run per scale."""
    points = paper_points().rename(columns={"score": "mean"})
    unknown = {"low": np.nan, "high": np.nan, "n_items": np.nan, "n_seeds": 1}
    rows = points.assign(judge="gpt-3.5-turbo", arm="bloomz-7b1-mt", **unknown)
    return rows[list(COLUMNS)].assign(origin="paper")


def draw(frame: pd.DataFrame, page: Page) -> Figure:
    """Bars of one judge and arm; missing means leave a gap that is marked."""
    categories = style.category_order(frame["category"])
    scales = sorted(int(scale) for scale in frame["scale"].unique())
    labels, turn = _category_labels(categories, page.width)
    height = (page.width - 0.35) * BOX_ASPECT + turn.pop("height") + 0.12
    figure, body = page.open(height, _handles(scales), **LEGEND_LOOK)
    axes = body.subplots()
    whiskers = page.options.whiskers
    _bars(axes, frame, categories, scales, whiskers)
    limits = PAPER_LIMITS if _from_paper(frame) else _limits(frame, whiskers)
    axes.set_box_aspect(BOX_ASPECT)
    axes.set_anchor("N")  # spare height goes below, where the labels are
    axes.set(xlim=(-0.5, len(categories) - 0.5), ylim=limits)
    axes.set_xticks(range(len(categories)), labels, **turn)
    axes.yaxis.set_major_locator(MultipleLocator(0.1))
    axes.yaxis.set_major_formatter("{x:.1f}")
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.tick_params(length=0, labelcolor=TICK_TEXT)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", color=GRID)
    return figure


def _bars(
    axes: Axes, frame: pd.DataFrame, categories: list[str], scales: list[int], whiskers: bool
) -> None:
    # An office chart's bars stand .27 of a bar apart within a group and 2.19 between groups.
    bar = 1 / (len(scales) * 1.27 + 1.92)
    caps = {"elinewidth": min(0.7, bar * 5), "capsize": min(1.5, bar * 8), "capthick": 0.5}
    for scale, offset in zip(scales, layout.offsets(len(scales), bar * 1.27), strict=True):
        rows = frame[frame["scale"] == scale].set_index("category").reindex(categories)
        x = np.arange(len(categories)) + offset
        axes.bar(x, rows["mean"], width=bar, zorder=2, **_bar_look(scale, scales))
        if whiskers:
            half = layout.half_widths(rows)
            look = {"fmt": "none", "ecolor": "#404040", "zorder": 3, **caps}
            axes.errorbar(x, rows["mean"], yerr=half, **look)
        absent = x[rows["mean"].isna()]
        look = {"color": "#404040", "markersize": 2.5, "zorder": 3}
        above = axes.get_xaxis_transform()
        axes.plot(absent, np.full(len(absent), 0.015), "x", transform=above, **look)


def _bar_look(scale: int, scales: list[int]) -> dict[str, Any]:
    """The base is an empty bar; the scales after it take the palette, then take it hatched."""
    if scale == 0:
        return {"facecolor": "white", "edgecolor": "#7F7F7F", "linewidth": 0.5}
    index = [s for s in scales if s > 0].index(scale)
    look: dict[str, Any] = {"facecolor": SERIES[index % len(SERIES)], "linewidth": 0}
    return look | ({"hatch": "////", "hatchcolor": "white"} if index >= len(SERIES) else {})


def _handles(scales: list[int]) -> list[Patch]:
    names = zip(scales, style.scale_names(scales), strict=True)
    return [Patch(label=name, **_bar_look(scale, scales)) for scale, name in names]


def _limits(frame: pd.DataFrame, whiskers: bool) -> tuple[float, float]:
    """From 0, because a bar's length is read as its value, to the next tenth above the data."""
    highest = np.nanmax([0.1, frame["mean"].max(), frame["high"].max() if whiskers else 0])
    return 0.0, float(min(1.0, np.ceil(round(highest * 10, 6)) / 10))


def _category_labels(categories: list[str], width: float) -> tuple[list[str], dict[str, Any]]:
    """Labels that do not touch, horizontal if they fit, else slanted, else upright.

    The second value holds the text properties and, under `height`, the inches they need.
    """
    room = width * 0.93 / len(categories)
    most = 1.1 if width > 5 and len(categories) <= 14 else 0.8
    names = text.shorten_all([style.category_name(c) for c in categories], most, LABEL_SIZE)
    longest = max(text.text_width(name, LABEL_SIZE) for name in names)
    if longest <= room * 0.95:
        return names, {"fontsize": LABEL_SIZE, "height": 0.17}
    size = min(LABEL_SIZE, max(4.8, room * 72 * 0.85))
    longest *= size / LABEL_SIZE
    if room * math.sin(math.radians(35)) * 72 > size * 1.05:
        turn = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
        return names, {"fontsize": size, "height": 0.15 + longest * 0.58, **turn}
    return names, {"fontsize": size, "height": 0.1 + longest, "rotation": 90}


def caption(frame: pd.DataFrame) -> str:
    """What the bars, whiskers and marks stand for, with items, seeds and interval level."""
    if _from_paper(frame):
        return (
            "Redrawn from the numbers of Figure 1 of arXiv 2303.14742: one run per scale, "
            "no intervals published. The y axis starts at 0.2, as in the paper, so the length "
            "of a bar is not in proportion to its score."
        )
    tuned = frame[frame["scale"] > 0]
    return text.sentence(
        f"Judge {frame['judge'].iloc[0]}",
        f"arm {frame['arm'].iloc[0]}",
        text.per_category(tuned, "n_items", "item"),
        text.seeds_note(tuned["n_seeds"]),
        f"whiskers: {text.interval_name(frame)}",
        "base: the model before tuning" if (frame["scale"] == 0).any() else "",
        "×: no score" if frame["mean"].isna().any() else "",
    )


def _from_paper(frame: pd.DataFrame) -> bool:
    return bool((frame["origin"] == "paper").all())


BARS = Kind(
    name="figure1_bars",
    title="Score of every category at every scale",
    split=("judge", "arm"),
    prepare=prepare,
    caption=caption,
    draw=draw,
    intervals="curves",
)
