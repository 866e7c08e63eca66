"""Figure 9: what happened to the instruction data between its sources and the pool."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.errors import InputError
from analysis.figures import captions, style
from analysis.figures.canvas import canvas
from analysis.figures.sources import NothingToDraw, Sources
from analysis.figures.text import shorten
from analysis.figures.ticks import nice_ticks
from analysis.options import FigureOptions

NAME = "figure9_funnel"
TITLE = "From source rows to the pool"
SPLIT = ()

KEPT, REMOVED = "#0173B2", "#DE8F05"


def prepare(sources: Sources) -> pd.DataFrame:
    """One row per pool and step: columns pool, position, step, removed, left (records).

    `left` is what remains after the step. The first row is what was read. A step that removed
    records for several reasons has a row for each of them.

    Raises:
        NothingToDraw: no audit was given.
        InputError: an audit is not that of a pool.
    """
    if not sources.audits:
        raise NothingToDraw("no pool audit was given (--audit)")
    return pd.concat([_steps(path) for path in sources.audits], ignore_index=True)


def _steps(path: Path) -> pd.DataFrame:
    audit = _read(path)
    left = int(audit["read"])
    rows = [("rows read", 0, left)]
    for step in audit["steps"]:
        for reason, removed in _removals(step):
            left -= removed
            rows.append((reason, removed, left))
    frame = pd.DataFrame(rows, columns=["step", "removed", "left"])
    # A pool's audit lies in the folder that bears the pool's name.
    return frame.assign(pool=path.resolve().parent.name, position=range(len(rows)))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        audit = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError("no such file", where=path) from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"not valid JSON: {error.msg} (line {error.lineno})", where=path
        ) from error
    if not isinstance(audit, Mapping) or not audit.get("steps") or "read" not in audit:
        raise InputError(
            "is not the audit of a pool", where=path, fix="give the audit.json beside its records"
        )
    return audit


def _removals(step: Mapping[str, Any]) -> list[tuple[str, int]]:
    """(label, records removed) of a step: one for each reason that removed any, at least one."""
    removals = {reason: int(entry["count"]) for reason, entry in step["reasons"].items()}
    hit = {reason: count for reason, count in removals.items() if count}
    if not hit:
        return [(f"{step['name']}: nothing removed", 0)]
    return [(f"{step['name']}: {reason}", count) for reason, count in hit.items()]


def caption(frame: pd.DataFrame) -> str:
    """What the bars and numbers are."""
    if not frame["removed"].any():
        return "A bar shows the records left after a step; the numbers are counts."
    return (
        "A bar shows the records left after a step and, hatched, those that the step removed; "
        "the numbers are counts, the shares are of the records that reached the step."
    )


def draw(frame: pd.DataFrame, options: FigureOptions = FigureOptions()) -> Figure:
    """A panel per pool: a bar per step for what is left, and after it what the step removed."""
    width = style.figure_width(options)
    pools = list(frame["pool"].drop_duplicates())
    rows = [int((frame["pool"] == pool).sum()) for pool in pools]
    height = 0.3 + sum(0.17 * count + 0.38 for count in rows)
    text = caption(frame) if options.captions else ""
    figure, body = canvas(width, height, captions.heading(frame, TITLE), text)
    panels = body.subplots(len(pools), 1, squeeze=False, height_ratios=rows)[:, 0]
    for axes, pool in zip(panels, pools, strict=True):
        _panel(axes, frame[frame["pool"] == pool].sort_values("position"), width)
        axes.set_title(shorten(f"Pool {pool}", width * 0.7, 8))
    panels[-1].set_xlabel("records")
    handles, _ = panels[0].get_legend_handles_labels()
    panels[0].legend(
        handles=handles if frame["removed"].any() else handles[:1],
        loc="lower right",
        bbox_to_anchor=(1, 1.0),
        ncols=2,
        borderpad=0,
        handlelength=1,
    )
    return figure


def _panel(axes: Axes, steps: pd.DataFrame, width: float) -> None:
    places = range(len(steps))
    most = max(int((steps["left"] + steps["removed"]).max()), 1)
    axes.barh(places, steps["left"], color=KEPT, height=0.68, label="left")
    axes.barh(
        places,
        steps["removed"],
        left=steps["left"],
        color=REMOVED,
        height=0.68,
        hatch="////",
        hatchcolor="white",
        linewidth=0,
        label="removed",
    )
    for place, left, removed in zip(places, steps["left"], steps["removed"], strict=True):
        change = f"  −{removed:,} ({_share(removed, left + removed)})" if removed else ""
        axes.annotate(
            f"{left:,}{change}",
            (left + removed, place),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=6.3,
        )
    size = 6.8
    names = [shorten(str(s).replace("_", " "), width * 0.3, size) for s in steps["step"]]
    axes.set_yticks(list(places), names, fontsize=size)
    axes.invert_yaxis()
    # Room at the right for the widest count, which stands beside the longest bar.
    axes.set_xlim(0, most * (1.3 if width > 5 else 1.75))
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(nice_ticks(most, 4))
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _share(part: int, whole: int) -> str:
    percent = 100 * part / whole
    return "<0.1%" if percent < 0.1 else f"{percent:.1f}%"
