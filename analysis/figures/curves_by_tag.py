"""Figure 12: score against scale, apart for the items of each value of a tag."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.figures import style, text
from analysis.figures.kind import Kind, Sources
from analysis.figures.layout import Grid, Page

COLUMNS = (
    *("judge", "arm", "category", "tag", "value", "scale", "mean", "low", "high"),
    *("n_items", "n_seeds"),
)
AXES = ("instruction records (log scale)", "mean score")
MOST_VALUES = 6  # more curves in one panel cannot be told apart
MOST_LISTED = 3
BAND = {"linewidth": 0, "zorder": 1}


def prepare(sources: Sources) -> pd.DataFrame:
    """Rows of curves_by_tag.csv of the values with most items; `left_out` counts the others.

    Values stand in the order of their numbers, if all are numbers, else by name.
    """
    curves = sources.table("curves_by_tag", COLUMNS)
    parts = []
    for _, part in curves.groupby(["judge", "arm", "tag"], sort=False):
        items = part[part["category"] == style.OVERALL].groupby("value")["n_items"].max()
        most = items.sort_index().sort_values(ascending=False, kind="stable").index[:MOST_VALUES]
        chosen = part[part["value"].isin(most)]
        order = {value: place for place, value in enumerate(_in_order(most))}
        chosen = chosen.sort_values(
            "value", key=lambda column, o=order: column.map(o), kind="stable"
        )
        parts.append(chosen.assign(left_out=len(items) - len(most)))
    return pd.concat(parts, ignore_index=True)


def _in_order(values: Any) -> list[str]:
    try:
        return sorted(values, key=float)
    except ValueError:
        return sorted(values)


def draw(frame: pd.DataFrame, page: Page) -> Figure:
    """Small multiples of one arm; values are colors and markers, their base is a dashed line."""
    looks = style.looks(frame["value"].unique())
    categories = style.category_order(frame["category"])
    grid = Grid(page, categories, _handles(frame, looks, page.width), AXES, notes=True)
    for category, axes in grid.panels.items():
        part = frame[frame["category"] == category]
        for value, look in looks.items():
            _value(axes, part[part["value"] == value], look, alpha=0.22 if len(looks) <= 3 else 0.1)
        grid.note(category, _items_note(part, list(looks)), color=style.GREY)
    grid.score_axis(frame[["mean", "low", "high"]].to_numpy(float))
    scales = sorted(int(scale) for scale in frame["scale"].unique() if scale > 0)
    grid.log_axis(scales, style.scale_names(scales))
    return grid.figure


def _value(axes: Axes, rows: pd.DataFrame, look: dict[str, Any], alpha: float) -> None:
    color = look["color"]
    for mean in rows.loc[rows["scale"] == 0, "mean"].dropna():
        axes.axhline(mean, color=color, zorder=2, **style.BASE_LINE)
    tuned = rows[rows["scale"] > 0].sort_values("scale")
    axes.fill_between(tuned["scale"], tuned["low"], tuned["high"], color=color, alpha=alpha, **BAND)
    axes.plot(tuned["scale"], tuned["mean"], zorder=3, **look, **style.MARKER_EDGE)


def _items_note(part: pd.DataFrame, values: list[str]) -> str:
    """Items of each value, such as "20 + 20 items" in the order of the legend, or a range."""
    counts = part.groupby("value")["n_items"].max().reindex(values, fill_value=0)
    if len(values) > MOST_LISTED:
        return f"{text.counted(counts, 'item')} each"
    return f"{' + '.join(f'{int(count)}' for count in counts)} items"


def _handles(frame: pd.DataFrame, looks: style.Looks, width: float) -> list[Artist]:
    tag = frame["tag"].iloc[0]
    names = text.shorten_all([f"{tag} {value}" for value in looks], width * 0.3, 7)
    entries: list[Artist] = [
        Line2D([], [], **look, **style.MARKER_EDGE, label=name)
        for name, look in zip(names, looks.values(), strict=True)
    ]
    entries.append(Patch(facecolor=style.GREY, alpha=0.25, label="interval"))
    if (frame["scale"] == 0).any():
        look = {"color": style.GREY, "label": "base, before tuning", **style.BASE_LINE}
        entries.append(Line2D([], [], **look))
    return entries


def caption(frame: pd.DataFrame) -> str:
    """Judge, arm, tag, seeds, intervals, and what the curves are no basis for."""
    tuned = frame[frame["scale"] > 0]
    left_out = int(frame["left_out"].max())
    return text.sentence(
        f"Judge {frame['judge'].iloc[0]}",
        f"arm {frame['arm'].iloc[0]}",
        f"items apart by the tag {frame['tag'].iloc[0]}",
        f"{text.counted([left_out], 'value')} with fewest items not shown" if left_out else "",
        text.seeds_note(tuned["n_seeds"]),
        f"bands: {text.interval_name(frame)}, each from the items of its value alone",
        "overall is the mean of the categories that have such items",
        "exploratory: the values were not drawn to be compared; tail slopes with q values over "
        "all of them are in claims_by_tag.csv",
    )


CURVES_BY_TAG = Kind(
    name="figure12_curves_by_tag",
    title="Score against instruction records, apart by tag",
    split=("judge", "arm", "tag"),
    prepare=prepare,
    caption=caption,
    draw=draw,
    intervals="curves_by_tag",
)
