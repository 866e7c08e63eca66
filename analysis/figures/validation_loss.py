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

from analysis.figures import captions, style
from analysis.figures.panels import Grid
from analysis.figures.sources import NothingToDraw, Sources
from analysis.figures.ticks import log_ticks
from analysis.options import FigureOptions

NAME = "figure10_validation"
TITLE = "Validation loss against instruction records"
SPLIT = ()

COLUMNS = ("arm", "scale", "seed", "fraction", "category", "loss", "records")
BASE_LOOK: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 0.9}
POINT_LOOK: dict[str, Any] = {"linestyle": "none", "markersize": 2.8, "alpha": 0.75}


def prepare(sources: Sources) -> pd.DataFrame:
    """Rows of two kinds: `tuned` (a run after its last step) and `base` (its mean, scale 0).

    Raises:
        NothingToDraw: the study holds no records out.
    """
    losses = sources.table("validation_loss", COLUMNS)
    tuned = losses.loc[losses["fraction"] == 1, list(COLUMNS)].assign(kind="tuned")
    if tuned.empty:
        raise NothingToDraw("validation_loss.csv has no evaluation after a last step")
    # Every run of an arm starts from the same base: its values differ by rounding alone.
    before = losses[losses["fraction"] == 0].groupby(["arm", "category"], sort=False)
    base = before.agg(loss=("loss", "mean"), records=("records", "first")).reset_index()
    return pd.concat([tuned, base.assign(scale=0, kind="base")], ignore_index=True)


def draw(frame: pd.DataFrame, options: FigureOptions = FigureOptions()) -> Figure:
    """A line per arm through the means over seeds, a small point for every seed."""
    width = style.figure_width(options)
    arms = list(frame["arm"].drop_duplicates())
    grid = Grid(
        style.category_order(frame["category"]),
        width,
        captions.heading(frame, TITLE),
        caption(frame) if options.captions else "",
        _handles(frame, arms, width),
    )
    for category, axes in grid.panels.items():
        _panel(axes, frame[frame["category"] == category], arms)
        grid.heading(category, second_line=False)
    label = _loss_axis(next(iter(grid.panels.values())), frame["loss"].to_numpy(float))
    scales = sorted(int(scale) for scale in frame.loc[frame["kind"] == "tuned", "scale"].unique())
    grid.log_axis(scales, style.scale_names(scales))
    grid.label("instruction records (log scale)", label)
    return grid.figure


def _panel(axes: Axes, part: pd.DataFrame, arms: list[str]) -> None:
    colors = style.arm_colours(arms)
    base = part[part["kind"] == "base"]
    shared = len(arms) == 1 or bool(np.ptp(base["loss"]) < 1e-3 * base["loss"].max())
    for row in (base.head(1) if shared else base).itertuples():
        axes.axhline(row.loss, color=style.GREY if shared else colors[row.arm], **BASE_LOOK)
    tuned = part[part["kind"] == "tuned"]
    for index, arm in enumerate(arms):
        rows = tuned[tuned["arm"] == arm]
        look = {"color": colors[arm], "marker": style.marker(index)}
        axes.plot(rows["scale"], rows["loss"], zorder=3, markeredgewidth=0, **look, **POINT_LOOK)
        means = rows.groupby("scale")["loss"].mean()
        axes.plot(means.index, means, color=colors[arm], linewidth=1.1)


def _loss_axis(axes: Axes, values: np.ndarray) -> str:
    """One y axis for all panels, and its label.

    Logarithmic, for the base's loss is many times that of a tuned model, and the largest scales
    would lie on one another. Linear only where a loss is 0, which a logarithm cannot show.
    """
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low <= 0:
        axes.set_ylim(0.0, 1.06 * high or 1.0)
        scale = ""
    else:
        pad = max(high / low, 1.1) ** 0.06
        axes.set_yscale("log")
        axes.set_ylim(low / pad, high * pad)
        scale = ", log scale"
    wide = low > 0 and high / low > 6
    axes.yaxis.set_major_locator(log_ticks() if wide else MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:.3g}")
    return f"validation loss (nats per token{scale})"


def _handles(frame: pd.DataFrame, arms: list[str], width: float) -> list[Artist]:
    handles: list[Artist] = [*style.arm_handles(arms, width)]
    handles.append(Line2D([], [], color=style.GREY, marker="o", label="one run each", **POINT_LOOK))
    if (frame["kind"] == "base").any():
        handles.append(Line2D([], [], color=style.GREY, label="base, before tuning", **BASE_LOOK))
    return handles


def caption(frame: pd.DataFrame) -> str:
    """Records, seeds, what the lines are, and between which arms losses compare."""
    tuned = frame[frame["kind"] == "tuned"]
    single = tuned[tuned["category"] != style.OVERALL]
    seeds = captions.counted(tuned.groupby(["arm", "scale"])["seed"].nunique(), "seed")
    parts = [
        "Loss after the last step on records of the pool that no run was trained on",
        captions.counted(single["records"], "record") + " per category",
        f"{seeds}; lines join their means",
        "overall: plain mean of the categories; no judge is involved",
    ]
    if tuned["arm"].nunique() > 1:
        parts.append("arms compare where pool and base are the same")
    return "; ".join(parts) + "."
