"""Figure 6: where the variance of a single score comes from, category by category."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis.figures import layout, style, text
from analysis.figures.kind import Kind, NothingToDraw, Sources
from analysis.figures.layout import Page

COLUMNS = ("judge", "arm", "category", "component", "variance", "share", "note")
LABELS = {
    "item": "item",
    "run": "run (seed)",
    "item_x_run": "item × run",
    "judge": "judge repeats",
}
_PALETTE = sns.color_palette("colorblind")
# Light enough for dark figures on them, and distinct in grey print by their hatches.
LOOKS = {
    "item": {"facecolor": _PALETTE[9]},
    "run": {"facecolor": _PALETTE[3], "hatch": "////", "hatchcolor": "white"},
    "item_x_run": {"facecolor": "#C9C9C9"},
    "judge": {"facecolor": "#F2CF8F", "hatch": "....", "hatchcolor": "white"},
}
NUMBER_BOX = {"boxstyle": "round,pad=0.12", "facecolor": "white", "alpha": 0.75, "lw": 0}
NOTES = {
    "no repeats: item_x_run holds the judge's noise too": (
        "no judge repeats: item × run holds the judge's noise too"
    )
}


def prepare(sources: Sources) -> pd.DataFrame:
    """variance.csv as it is: one row per judge, arm, category and component."""
    frame = sources.table("variance", COLUMNS)
    if frame["share"].isna().all():
        raise NothingToDraw("no component of variance could be measured")
    return frame


def draw(frame: pd.DataFrame, page: Page) -> Figure:
    """Stacked bars of shares; at the right the standard deviation that they add up to."""
    categories = style.category_order(frame["category"])
    measured = set(frame.loc[frame["variance"].notna(), "component"])
    legend = [Patch(label=LABELS[c], linewidth=0, **LOOKS[c]) for c in LABELS if c in measured]
    figure, body = page.open(0.19 * len(categories) + 0.45, legend)
    axes = body.subplots()
    shares = frame.pivot(index="category", columns="component", values="share")
    _bars(axes, shares.reindex(index=categories, columns=list(LABELS)), page.width)
    layout.category_axis(axes, categories, page.width * 0.3)
    total = frame.groupby("category")["variance"].sum(min_count=1).reindex(categories)
    _totals(axes, np.sqrt(total))
    axes.set(xlim=(0, 1), xlabel="share of the variance")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    return figure


def _bars(axes: Axes, shares: pd.DataFrame, width: float) -> None:
    shares = shares.fillna(0)
    starts = shares.cumsum(axis=1) - shares
    lines = np.arange(len(shares))
    for component in shares.columns:
        share = shares[component]
        look = {"left": starts[component], "height": 0.72, "linewidth": 0, **LOOKS[component]}
        bars = axes.barh(lines, share, **look)
        # A number is written only where the piece of the bar is wide enough for it.
        numbers = [f"{part:.0%}" if part * width * 0.7 > 0.3 else "" for part in share]
        for number in axes.bar_label(bars, numbers, label_type="center", fontsize=6):
            number.set(bbox=NUMBER_BOX, visible=bool(number.get_text()), color=style.INK)


def _totals(axes: Axes, deviations: pd.Series) -> None:
    beside = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
    look = {"fontsize": layout.NOTE_SIZE, "color": style.GREY}
    for line, value in enumerate(deviations):
        words = f"SD {value:.2f}" if value > 0 else "no variance" if value == 0 else "not measured"
        axes.annotate(words, (1 if value > 0 else 0, line), **beside, **look)


def caption(frame: pd.DataFrame) -> str:
    """What the shares are of, and which component holds another one too."""
    notes = frame.loc[frame["category"] != style.OVERALL, "note"].dropna().unique()
    return text.sentence(
        f"Judge {frame['judge'].iloc[0]}",
        f"arm {frame['arm'].iloc[0]}",
        "variance components of one score, pooled over scales (point estimates)",
        "SD: their sum as a standard deviation",
        *(NOTES.get(note, note) for note in sorted(notes)),
    )


VARIANCE = Kind(
    name="figure6_variance",
    title="Where the variance of a score comes from",
    split=("judge", "arm"),
    prepare=prepare,
    caption=caption,
    draw=draw,
)
