"""Figure 6: where the variance of a single score comes from, category by category."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis.figures import captions, style
from analysis.figures.canvas import canvas
from analysis.figures.sources import NothingToDraw, Sources
from analysis.figures.text import shorten_all
from analysis.figures.ticks import rule_off_overall
from analysis.options import FigureOptions

NAME = "figure6_variance"
TITLE = "Where the variance of a score comes from"
SPLIT = ("judge", "arm")

COLUMNS = ("judge", "arm", "category", "component", "variance", "share", "note")
LABELS = {
    "item": "item",
    "run": "run (seed)",
    "item_x_run": "item × run",
    "judge": "judge repeats",
}
_PALETTE = sns.color_palette("colorblind")
# Light enough for dark figures on them, and told apart in grey print by their hatches.
LOOKS = {
    "item": {"facecolor": _PALETTE[9]},
    "run": {"facecolor": _PALETTE[3], "hatch": "////", "hatchcolor": "white"},
    "item_x_run": {"facecolor": "#C9C9C9"},
    "judge": {"facecolor": "#F2CF8F", "hatch": "....", "hatchcolor": "white"},
}


def prepare(sources: Sources) -> pd.DataFrame:
    """variance.csv as it is: one row per judge, arm, category and component."""
    frame = sources.table("variance", COLUMNS)[list(COLUMNS)]
    if frame["share"].isna().all():
        raise NothingToDraw("no component of variance could be measured")
    return frame


def draw(frame: pd.DataFrame, options: FigureOptions = FigureOptions()) -> Figure:
    """Stacked bars of shares; at the right the standard deviation that they add up to."""
    width = style.figure_width(options)
    categories = style.category_order(frame["category"])
    measured = set(frame.loc[frame["variance"].notna(), "component"])
    figure, body = canvas(
        width,
        0.19 * len(categories) + 0.45,
        captions.heading(frame, TITLE),
        caption(frame) if options.captions else "",
        [Patch(label=LABELS[c], linewidth=0, **LOOKS[c]) for c in LABELS if c in measured],
    )
    axes = body.subplots()
    shares = frame.pivot(index="category", columns="component", values="share")
    _bars(axes, shares.reindex(index=categories, columns=list(LABELS)), width)
    rule_off_overall(axes, categories)
    total = frame.groupby("category")["variance"].sum(min_count=1).reindex(categories)
    _totals(axes, np.sqrt(total))
    names = shorten_all(style.category_names(categories), width * 0.3, 6.8)
    axes.set_yticks(range(len(categories)), names)
    axes.set(xlim=(0, 1), ylim=(len(categories) - 0.5, -0.5), xlabel="share of the variance")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    return figure


def _bars(axes: Axes, shares: pd.DataFrame, width: float) -> None:
    start = np.zeros(len(shares))
    for component in shares.columns:
        share = shares[component].fillna(0).to_numpy()
        places = np.arange(len(shares))
        axes.barh(places, share, left=start, height=0.72, linewidth=0, **LOOKS[component])
        # A number is written only where the piece of the bar is wide enough for it.
        for place in np.flatnonzero(share * width * 0.7 > 0.3):
            axes.text(
                *(start[place] + share[place] / 2, place, f"{share[place]:.0%}"),
                ha="center",
                va="center",
                fontsize=6,
                color=style.INK,
                bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "alpha": 0.75, "lw": 0},
            )
        start += share


def _totals(axes: Axes, deviations: pd.Series) -> None:
    for place, value in enumerate(deviations):
        axes.annotate(
            f"SD {value:.2f}" if value > 0 else "no variance" if value == 0 else "not measured",
            (1 if value > 0 else 0, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=6.3,
            color=style.GREY,
        )


def caption(frame: pd.DataFrame) -> str:
    """What the shares are of, and which component holds another one too."""
    first = frame.iloc[0]
    parts = [
        f"Judge {first['judge']}",
        f"arm {first['arm']}",
        "variance components of one score, pooled over scales (point estimates)",
        "SD: their sum as a standard deviation",
    ]
    notes = frame.loc[frame["category"] != style.OVERALL, "note"].dropna().unique()
    parts += [LABELLED.get(note, note) for note in sorted(notes) if note]
    return "; ".join(parts) + "."


LABELLED = {
    "no repeats: item_x_run holds the judge's noise too": (
        "no judge repeats: item × run holds the judge's noise too"
    )
}
