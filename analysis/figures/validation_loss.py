"""Figure 10: loss on validation records after training, against scale, a panel per category."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from analysis.figures import layout, style, text
from analysis.figures.kind import Kind, NothingToDraw, Sources
from analysis.figures.layout import Grid, Page

COLUMNS = ("arm", "scale", "seed", "fraction", "category", "loss", "records")
POINT_LOOK: dict[str, Any] = {"linestyle": "none", "markersize": 2.8, "alpha": 0.75}


def prepare(sources: Sources) -> pd.DataFrame:
    """Rows of two kinds: `tuned` (a run after its last step) and `base` (its mean, scale 0).

    Raises:
        NothingToDraw: the study measures no validation loss.
    """
    losses = sources.table("validation_loss", COLUMNS)
    tuned = losses[losses["fraction"] == 1].assign(kind="tuned")
    if tuned.empty:
        raise NothingToDraw("validation_loss.csv has no evaluation after a last step")
    # Every run of an arm starts from the same base: its values differ by rounding alone.
    before = losses[losses["fraction"] == 0].groupby(["arm", "category"], sort=False)
    base = before.agg(loss=("loss", "mean"), records=("records", "first")).reset_index()
    return pd.concat([tuned, base.assign(scale=0, kind="base")], ignore_index=True)


def draw(frame: pd.DataFrame, page: Page) -> Figure:
    """A line per arm through the means over seeds, a small point for every seed."""
    looks = style.looks(frame["arm"].unique())
    legend: list[Artist] = [*style.handles(looks, page.width * 0.4)]
    legend.append(Line2D([], [], color=style.GREY, marker="o", label="one run each", **POINT_LOOK))
    if (frame["kind"] == "base").any():
        look = {"color": style.GREY, "label": "base, before tuning", **style.BASE_LINE}
        legend.append(Line2D([], [], **look))
    losses = frame["loss"].to_numpy(float)
    y_label = f"validation loss (nats per token{', log scale' if losses.min() > 0 else ''})"
    labels = ("instruction records (log scale)", y_label)
    grid = Grid(page, style.category_order(frame["category"]), legend, labels)
    for category, axes in grid.panels.items():
        _panel(axes, frame[frame["category"] == category], looks)
    _loss_axis(next(iter(grid.panels.values())), losses)
    scales = sorted(int(scale) for scale in frame.loc[frame["kind"] == "tuned", "scale"].unique())
    grid.log_axis(scales, style.scale_names(scales))
    return grid.figure


def _panel(axes: Axes, part: pd.DataFrame, looks: style.Looks) -> None:
    base, tuned = part[part["kind"] == "base"], part[part["kind"] == "tuned"]
    shared = len(looks) == 1 or bool(np.ptp(base["loss"]) < 1e-3 * base["loss"].max())
    for row in (base.head(1) if shared else base).itertuples():
        color = style.GREY if shared else looks[row.arm]["color"]
        axes.axhline(row.loss, color=color, **style.BASE_LINE)
    for arm, look in looks.items():
        rows = tuned[tuned["arm"] == arm]
        axes.plot(rows["scale"], rows["loss"], zorder=3, markeredgewidth=0, **look, **POINT_LOOK)
        means = rows.groupby("scale")["loss"].mean()
        axes.plot(means.index, means, color=look["color"], linewidth=1.1)


def _loss_axis(axes: Axes, losses: np.ndarray) -> None:
    """One y axis for all panels.

    Logarithmic, for the base's loss is many times that of a tuned model, and the largest scales
    would lie on one another. Linear only where a loss is 0, which a logarithm cannot show.
    """
    low, high = losses.min(), losses.max()
    locator: Any = MaxNLocator(5, steps=layout.NICE_STEPS)
    if low > 0:
        pad = max(high / low, 1.1) ** 0.06
        axes.set_yscale("log")
        axes.set_ylim(low / pad, high * pad)
        locator = layout.log_ticks(high / low) if high / low > 6 else locator
    else:
        axes.set_ylim(0.0, 1.06 * high or 1.0)
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:.3g}")


def caption(frame: pd.DataFrame) -> str:
    """Records, seeds, what the lines are, and between which arms losses compare."""
    tuned = frame[frame["kind"] == "tuned"]
    seeds = text.counted(tuned.groupby(["arm", "scale"])["seed"].nunique(), "seed")
    return text.sentence(
        "Loss after the last step on records of the pool that no run was trained on",
        text.per_category(tuned, "records", "record"),
        f"{seeds}; lines join their means",
        "overall: plain mean of the categories; no judge is involved",
        "arms compare where pool and base are the same" if tuned["arm"].nunique() > 1 else "",
    )


VALIDATION_LOSS = Kind(
    name="figure10_validation_loss",
    title="Validation loss against instruction records",
    split=(),
    prepare=prepare,
    caption=caption,
    draw=draw,
)
