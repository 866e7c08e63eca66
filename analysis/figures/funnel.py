"""Figure 9: what happened to the instruction data between its sources and the pool."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.errors import InputError
from analysis.figures import layout, text
from analysis.figures.kind import Kind, NothingToDraw, Sources
from analysis.figures.layout import Page

LEFT_LOOK = {"color": "#0173B2", "label": "left"}
REMOVED_LOOK = {"color": "#DE8F05", "hatch": "////", "hatchcolor": "white", "label": "removed"}


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
    steps = audit["steps"]
    # The step `read` drops what is broken; where nothing is, it would repeat the first row.
    first = steps[0]
    if first["name"] == "read" and not any(one["count"] for one in first["reasons"].values()):
        steps = steps[1:]
    for step in steps:
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
        message = f"not valid JSON: {error.msg} (line {error.lineno})"
        raise InputError(message, where=path) from error
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


def draw(frame: pd.DataFrame, page: Page) -> Figure:
    """A panel per pool: a bar per step for what is left, and after it what the step removed."""
    pools = dict(list(frame.groupby("pool", sort=False)))
    steps = [len(rows) for rows in pools.values()]
    figure, body = page.open(0.3 + sum(0.17 * count + 0.38 for count in steps))
    panels = body.subplots(len(pools), 1, squeeze=False, height_ratios=steps)[:, 0]
    for axes, (pool, rows) in zip(panels, pools.items(), strict=True):
        _panel(axes, rows.sort_values("position"), page.width)
        axes.set_title(text.shorten(f"Pool {pool}", page.width * 0.7, 8))
    panels[-1].set_xlabel("records")
    handles, _ = panels[0].get_legend_handles_labels()
    look = {"loc": "lower right", "bbox_to_anchor": (1, 1.0), "ncols": 2, "borderpad": 0}
    shown = handles if frame["removed"].any() else handles[:1]
    panels[0].legend(handles=shown, handlelength=1, **look)
    return figure


def _panel(axes: Axes, steps: pd.DataFrame, width: float) -> None:
    lines = np.arange(len(steps))
    left, removed = steps["left"], steps["removed"]
    most = max(int(left.max()), 1)  # the first bar: what was read
    bar = {"height": 0.68, "linewidth": 0}
    axes.barh(lines, left, **LEFT_LOOK, **bar)
    ends = axes.barh(lines, removed, left=left, **REMOVED_LOOK, **bar)
    counts = [_count(*pair) for pair in zip(left, removed, strict=True)]
    axes.bar_label(ends, counts, padding=3, fontsize=layout.NOTE_SIZE)
    room, size = width * 0.3, layout.LABEL_SIZE
    names = [text.shorten(step.replace("_", " "), room, size) for step in steps["step"]]
    axes.set_yticks(lines, names, fontsize=size)
    axes.invert_yaxis()
    # Room at the right for the widest count, which stands beside the longest bar.
    axes.set_xlim(0, most * (1.3 if width > 5 else 1.75))
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=layout.NICE_STEPS))
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _count(left: int, removed: int) -> str:
    """Records left and, where a step removed any, how many and their share of its input."""
    if not removed:
        return f"{left:,}"
    percent = 100 * removed / (left + removed)
    share = "<0.1%" if percent < 0.1 else f"{percent:.1f}%"
    return f"{left:,}  −{removed:,} ({share})"


def caption(frame: pd.DataFrame) -> str:
    """What the bars and numbers are."""
    if not frame["removed"].any():
        return "A bar shows the records left after a step; the numbers are counts."
    return (
        "A bar shows the records left after a step and, hatched, those that the step removed; "
        "the numbers are counts, the shares are of the records that reached the step."
    )


FUNNEL = Kind("figure9_funnel", "From source rows to the pool", (), prepare, caption, draw)
