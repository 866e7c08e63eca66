"""Figure 5, first part: differences of arms at equal scale, paired by item and seed."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import captions, style
from analysis.figures.forest import Row, draw_forest
from analysis.figures.sources import NothingToDraw, Sources
from analysis.figures.text import shorten
from analysis.options import FigureOptions

NAME = "figure5a_arms"
TITLE = "Difference of the arms at their largest common scale"
SPLIT = ("judge",)

COLUMNS = (
    *("judge", "category", "scale", "arm_a", "arm_b", "difference", "low", "high"),
    *("p_holm", "n_items", "n_seeds"),
)
MOST_PAIRS = 3


def prepare(sources: Sources) -> pd.DataFrame:
    """The rows of comparisons.csv at the largest scale that a pair of arms shares.

    With more than three pairs only those with the first arm are kept: all differences follow
    from them.

    Raises:
        NothingToDraw: there is one arm, or no pair of arms has a scale in common.
    """
    curves = sources.optional("curves", ("arm",))
    if curves is not None and curves["arm"].nunique() == 1:
        raise NothingToDraw("there is one arm, so there is no other to compare it with")
    frame = sources.table("comparisons", COLUMNS)[list(COLUMNS)]
    largest = frame.groupby(["judge", "arm_a", "arm_b"])["scale"].transform("max")
    frame = frame[frame["scale"] == largest]
    if len(frame[["arm_a", "arm_b"]].drop_duplicates()) > MOST_PAIRS:
        first = frame["arm_a"].iloc[0]
        frame = frame[(frame["arm_a"] == first) | (frame["arm_b"] == first)]
    return frame


def draw(frame: pd.DataFrame, options: FigureOptions = FigureOptions()) -> Figure:
    """A line per category and pair of arms, with its interval; 0 means no difference."""
    width = style.figure_width(options)
    pairs = list(dict.fromkeys(zip(frame["arm_a"], frame["arm_b"], strict=True)))
    names = [f"{a} minus {b}" for a, b in pairs]
    colors = list(style.arm_colours(names).values())
    rows = []
    for row in frame.itertuples():
        index = pairs.index((row.arm_a, row.arm_b))
        rows.append(
            Row(
                category=row.category,
                place=index,
                middle=row.difference,
                low=row.low,
                high=row.high,
                color=colors[index],
                marker=style.marker(index),
            )
        )
    figure, axes = draw_forest(
        rows,
        places=len(pairs),
        width=width,
        title=captions.heading(frame, TITLE),
        caption=caption(frame) if options.captions else "",
        legend=_handles(names, width),
    )
    axes.set_xlabel("difference of the mean scores")
    return figure


def _handles(names: list[str], width: float) -> list[Line2D]:
    handles = style.arm_handles(names, width)
    for handle, name in zip(handles, names, strict=True):
        handle.set_label(shorten(name, width * 0.85, 6.8))
    return handles


def caption(frame: pd.DataFrame) -> str:
    """Scale, pairing, items, seeds and interval level."""
    scales = style.scale_names(sorted(int(scale) for scale in frame["scale"].unique()))
    single = frame[frame["category"] != style.OVERALL]
    parts = [
        f"Judge {frame['judge'].iloc[0]}",
        f"at {' and '.join(scales)} records",
        "paired by item and seed",
        f"{captions.interval_name(frame)}, not corrected for the number of lines",
        captions.counted(single["n_items"], "item") + " per category",
        captions.seeds_note(frame["n_seeds"]),
    ]
    return "; ".join(parts) + "."
