"""Figure 13: overall score against records, tokens, optimizer steps or FLOPs, a panel each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from analysis.figures import layout, style, text
from analysis.figures.kind import Kind, NothingToDraw, Sources
from analysis.figures.layout import Page
from analysis.inference.axes import AXES, RECORDS

COLUMNS = (
    *("judge", "arm", "category", "axis", "scale", "x", "epochs", "mean", "low", "high"),
    *("n_items", "n_seeds"),
)
BAND = {"linewidth": 0, "zorder": 1}
_HEIGHT = 1.75  # inches of a panel with its axis
_LEAST_SPAN = 1.05


def prepare(sources: Sources) -> pd.DataFrame:
    """Overall means on the axes that the options name, in their order, where they are known.

    Raises:
        NothingToDraw: no costs are known, so that there are records alone, as in figure 2.
    """
    table = sources.table("axes", COLUMNS)
    wanted = list(dict.fromkeys(sources.options.axes))
    found = table[(table["category"] == style.OVERALL) & table["axis"].isin(wanted)]
    if set(found["axis"]) <= {RECORDS}:
        raise NothingToDraw("what the runs took is not known on any axis but records")
    order = {name: place for place, name in enumerate(wanted)}
    return found.sort_values("axis", key=lambda column: column.map(order), kind="stable")


def draw(frame: pd.DataFrame, page: Page) -> Figure:
    """A panel per axis with a line per arm; the base is a dashed line."""
    looks = style.looks(frame["arm"].unique())
    axes = list(frame["axis"].unique())
    columns = min(len(axes), 3 if page.width > 5 else 1)
    rows = math.ceil(len(axes) / columns)
    figure, body = page.open(rows * _HEIGHT, _handles(frame, looks, page.width))
    body.supylabel("mean score, overall", fontsize=7.5)
    panels = body.subplots(rows, columns, sharey=True, squeeze=False)
    for panel, name in zip(panels.flat, axes, strict=False):
        _panel(panel, frame[frame["axis"] == name], name, looks)
    for panel in panels.flat[len(axes) :]:
        panel.set_visible(False)
    return figure


def _panel(panel: Axes, rows: pd.DataFrame, name: str, looks: style.Looks) -> None:
    tuned = rows[rows["scale"] > 0]
    for arm, look in looks.items():
        own = tuned[tuned["arm"] == arm].sort_values("x")
        panel.fill_between(
            own["x"], own["low"], own["high"], color=look["color"], alpha=0.2, **BAND
        )
        panel.plot(own["x"], own["mean"], zorder=3, **look, **style.MARKER_EDGE)
        for mean in rows.loc[(rows["scale"] == 0) & (rows["arm"] == arm), "mean"].dropna():
            panel.axhline(mean, color=look["color"], zorder=2, **style.BASE_LINE)
    panel.set_xscale("log")
    panel.margins(x=0.06, y=0.1)
    if name == RECORDS:
        scales = sorted(int(scale) for scale in tuned["scale"].unique())
        inches = list(np.linspace(0, 1.6, len(scales)))
        labels = text.thin_labels(inches, style.scale_names(scales), layout.LABEL_SIZE)
        panel.set_xticks(scales, labels)
    else:
        span = tuned["x"].max() / tuned["x"].min()
        panel.xaxis.set_major_locator(layout.log_ticks(10 * span))
        panel.xaxis.set_major_formatter(lambda value, _: _short(value))
        if span < _LEAST_SPAN:  # equal at every scale: nothing to read off
            panel.xaxis.set_major_locator(NullLocator())
    panel.minorticks_off()
    panel.set_xlabel(f"{AXES[name]} (log scale)", fontsize=7)
    panel.yaxis.set_major_formatter("{x:.2g}")


def _short(value: float) -> str:
    """A tick label: 500, 20k, 5M, 2G, 1T, and powers of ten beyond."""
    if value >= 1e15:
        return f"{value:.0e}".replace("e+", "e")
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def _handles(frame: pd.DataFrame, looks: style.Looks, width: float) -> list[Artist]:
    entries: list[Artist] = [*style.handles(looks, width * 0.4)]
    entries.append(Patch(facecolor=style.GREY, alpha=0.25, label="interval"))
    if (frame["scale"] == 0).any():
        look: dict[str, Any] = {"color": style.GREY, "label": "base, before tuning"}
        entries.append(Line2D([], [], **look, **style.BASE_LINE))
    return entries


def caption(frame: pd.DataFrame) -> str:
    """Judge, seeds, intervals, passes over the records, and what equal x means."""
    tuned = frame[frame["scale"] > 0]
    passes = sorted({float(f"{value:.3g}") for value in tuned["epochs"].dropna()})
    ends = dict.fromkeys(f"{value:g}" for value in passes[:1] + passes[-1:])
    return text.sentence(
        f"Judge {frame['judge'].iloc[0]}",
        "the same points against each axis",
        f"each record seen {' to '.join(ends)} times" if passes else "",
        text.counted(tuned["n_items"], "item"),
        text.seeds_note(tuned["n_seeds"]),
        f"bands: {text.interval_name(frame)} of the mean; x is a mean over seeds",
        "arms at equal x are compared in matched.csv",
    )


AXES_KIND = Kind(
    name="figure13_axes",
    title="Overall score against data and compute",
    split=("judge",),
    prepare=prepare,
    caption=caption,
    draw=draw,
    intervals="axes",
)
