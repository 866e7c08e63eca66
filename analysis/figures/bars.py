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

from analysis.figures import captions, style
from analysis.figures.canvas import canvas
from analysis.figures.sources import Sources, paper_points
from analysis.figures.text import shorten_all, text_width
from analysis.options import FigureOptions

NAME = "figure1_bars"
TITLE = "Score of every category at every scale"
SPLIT = ("judge", "arm")

BOX_ASPECT = 598 / 1464
GRID = "#D9D9D9"
TICK_TEXT = "#595959"
# The paper's four colors come first; the rest continue the same office palette.
SERIES = ("#4472C4", "#ED7D31", "#A5A5A5", "#FFC000", "#5B9BD5", "#70AD47", "#264478", "#9E480E")
LEGEND_LOOK = {
    "loc": "lower center",
    "handlelength": 0.8,
    "handleheight": 0.8,
    "labelcolor": TICK_TEXT,
}
PAPER_LIMITS = (0.2, 1.0)
COLUMNS = ("judge", "arm", "category", "scale", "mean", "low", "high", "n_items", "n_seeds")


def prepare(sources: Sources) -> pd.DataFrame:
    """The curves as they are: one row per judge, arm, category and scale."""
    frame = sources.table("curves", COLUMNS)
    return frame[list(COLUMNS)].assign(origin="study")


def prepare_paper() -> pd.DataFrame:
    """The paper's own Figure 1 in the same columns; it has no intervals and one run per scale."""
    points = paper_points().rename(columns={"score": "mean"})
    return points.assign(
        judge="gpt-3.5-turbo",
        arm="bloomz-7b1-mt",
        low=np.nan,
        high=np.nan,
        n_items=np.nan,
        n_seeds=1,
        origin="paper",
    )[[*COLUMNS, "origin"]]


def draw(frame: pd.DataFrame, options: FigureOptions = FigureOptions()) -> Figure:
    """Bars of one judge and arm; missing means leave a gap that is marked."""
    width = style.figure_width(options)
    categories = style.category_order(frame["category"])
    scales = sorted(int(scale) for scale in frame["scale"].unique())
    labels, turn = _category_labels(categories, width)
    height = (width - 0.35) * BOX_ASPECT + turn.pop("height") + 0.12
    from_paper = _from_paper(frame)
    figure, body = canvas(
        width,
        height,
        "" if from_paper else captions.heading(frame, TITLE),
        caption(frame) if options.captions else "",
        _handles(scales),
        **LEGEND_LOOK,
    )
    axes = body.subplots()
    _bars(axes, frame, categories, scales, options.whiskers)
    _dress(axes, categories, PAPER_LIMITS if from_paper else _limits(frame, options.whiskers))
    axes.set_xticks(range(len(categories)), labels, **turn)
    return figure


def _bars(
    axes: Axes, frame: pd.DataFrame, categories: list[str], scales: list[int], whiskers: bool
) -> None:
    # An office chart's bars stand .27 of a bar apart within a group and 2.19 between groups.
    bar = 1 / (len(scales) * 1.27 + 1.92)
    for index, scale in enumerate(scales):
        rows = frame[frame["scale"] == scale].set_index("category").reindex(categories)
        x = np.arange(len(categories)) + (index - (len(scales) - 1) / 2) * bar * 1.27
        axes.bar(x, rows["mean"], width=bar, zorder=2, **_bar_look(scale, scales))
        if whiskers:
            half = np.stack([rows["mean"] - rows["low"], rows["high"] - rows["mean"]]).clip(0)
            axes.errorbar(
                x,
                rows["mean"],
                yerr=half,
                fmt="none",
                ecolor="#404040",
                elinewidth=min(0.7, bar * 5),
                capsize=min(1.5, bar * 8),
                capthick=0.5,
                zorder=3,
            )
        absent = rows["mean"].isna().to_numpy()
        axes.plot(
            x[absent],
            np.full(absent.sum(), 0.015),
            "x",
            color="#404040",
            markersize=2.5,
            transform=axes.get_xaxis_transform(),
            zorder=3,
        )


def _bar_look(scale: int, scales: list[int]) -> dict[str, Any]:
    """The base is an empty bar; the scales after it take the palette, then take it hatched."""
    if scale == 0:
        return {"facecolor": "white", "edgecolor": "#7F7F7F", "linewidth": 0.5}
    place = [s for s in scales if s > 0].index(scale)
    look: dict[str, Any] = {"facecolor": SERIES[place % len(SERIES)], "linewidth": 0}
    return look | ({"hatch": "////", "hatchcolor": "white"} if place >= len(SERIES) else {})


def _handles(scales: list[int]) -> list[Patch]:
    names = style.scale_names(scales)
    return [
        Patch(label=name, **_bar_look(scale, scales))
        for scale, name in zip(scales, names, strict=True)
    ]


def _limits(frame: pd.DataFrame, whiskers: bool) -> tuple[float, float]:
    """From 0, because a bar's length is read as its value, to the next tenth above the data."""
    highest = np.nanmax([0.1, frame["mean"].max(), frame["high"].max() if whiskers else 0])
    return 0.0, float(min(1.0, np.ceil(round(highest * 10, 6)) / 10))


def _dress(axes: Axes, categories: list[str], limits: tuple[float, float]) -> None:
    axes.set_box_aspect(BOX_ASPECT)
    axes.set(xlim=(-0.5, len(categories) - 0.5), ylim=limits)
    axes.yaxis.set_major_locator(MultipleLocator(0.1))
    axes.yaxis.set_major_formatter("{x:.1f}")
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.tick_params(length=0, labelcolor=TICK_TEXT)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", color=GRID)


def _category_labels(categories: list[str], width: float) -> tuple[list[str], dict[str, Any]]:
    """Labels that do not touch, horizontal if they fit, else slanted, else upright.

    The second value holds the text properties and, under `height`, the inches they need.
    """
    room = width * 0.93 / len(categories)
    most = 1.1 if width > 5 and len(categories) <= 14 else 0.8
    names = shorten_all(style.category_names(categories), most, 6.8)
    longest = max(text_width(name, 6.8) for name in names)
    if longest <= room * 0.95:
        return names, {"fontsize": 6.8, "height": 0.17}
    size = min(6.8, max(4.8, room * 72 * 0.85))
    longest *= size / 6.8
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
    first = frame.iloc[0]
    tuned = frame[(frame["scale"] > 0) & (frame["category"] != style.OVERALL)]
    parts = [
        f"Judge {first['judge']}",
        f"arm {first['arm']}",
        captions.counted(tuned["n_items"], "item") + " per category",
        captions.seeds_note(tuned["n_seeds"]),
        f"whiskers: {captions.interval_name(frame)}",
    ]
    if (frame["scale"] == 0).any():
        parts.append("base: the model before tuning")
    if frame["mean"].isna().any():
        parts.append("×: no score")
    return "; ".join(parts) + "."


def _from_paper(frame: pd.DataFrame) -> bool:
    return bool((frame["origin"] == "paper").all())
