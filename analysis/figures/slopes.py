"""Figure 3: forest plot of the tail slopes against the margin within which nothing changes."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.figures import captions, style
from analysis.figures.forest import Row, draw_forest
from analysis.figures.sources import Sources
from analysis.options import FigureOptions

NAME = "figure3_slopes"
TITLE = "Gain per doubling of the data at the upper end of the ladder"
SPLIT = ("judge",)

COLUMNS = (
    *("judge", "arm", "category", "verdict", "tail_slope", "tail_low", "tail_high"),
    *("margin", "range_margin", "n_items", "n_seeds", "noise"),
)


def prepare(sources: Sources) -> pd.DataFrame:
    """The tail slopes of verdicts.csv: one row per judge, arm and category."""
    return sources.table("verdicts", COLUMNS)[list(COLUMNS)]


def draw(frame: pd.DataFrame, options: FigureOptions = FigureOptions()) -> Figure:
    """A line per category and arm: estimate, interval, verdict; the margin is a grey band."""
    width = style.figure_width(options)
    arms = list(frame["arm"].drop_duplicates())
    colors = style.arm_colours(arms)
    rows = [
        Row(
            category=row.category,
            place=arms.index(row.arm),
            middle=row.tail_slope,
            low=row.tail_low,
            high=row.tail_high,
            color=colors[row.arm],
            marker=style.marker(arms.index(row.arm)),
            note=_note(row.verdict, len(arms)),
            note_colour=style.verdict_look(row.verdict)[1] if len(arms) == 1 else colors[row.arm],
        )
        for row in frame.itertuples()
    ]
    figure, axes = draw_forest(
        rows,
        places=len(arms),
        width=width,
        title=captions.heading(frame, TITLE),
        caption=caption(frame) if options.captions else "",
        legend=_handles(frame, arms, width),
        note_width=0.95 if len(arms) == 1 else 0.2,
    )
    _margin_band(axes, float(frame["margin"].max()))
    axes.set_xlabel("tail slope: score per doubling of the records")
    return figure


def _note(verdict: str, arms: int) -> str:
    sign = style.verdict_look(verdict)[0]
    return f"{sign} {style.verdict_name(verdict)}" if arms == 1 else sign


def _margin_band(axes: Axes, margin: float) -> None:
    axes.axvspan(-margin, margin, color="#CFCFCF", alpha=0.45, linewidth=0, zorder=0)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -1.3 * margin), max(high, 1.3 * margin))


def _handles(frame: pd.DataFrame, arms: list[str], width: float) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = style.arm_handles(arms, width)
    handles.append(Patch(facecolor="#CFCFCF", alpha=0.45, label="within the margin: no change"))
    if len(arms) > 1:
        used = set(frame["verdict"])
        handles += [style.verdict_handle(v) for v in style.VERDICT_LOOK if v in used]
    return handles


def caption(frame: pd.DataFrame) -> str:
    """Which scales the slope is over, with items, seeds, interval level and margins."""
    single = frame[frame["category"] != style.OVERALL]
    parts = [
        f"Judge {frame['judge'].iloc[0]}",
        "slope over the scales from a quarter of the largest on",
        captions.interval_name(frame),
        captions.counted(single["n_items"], "item") + " per category",
        captions.seeds_note(frame["n_seeds"]),
        captions.margins_note(frame),
    ]
    return "; ".join(parts) + "."
