"""Curves and verdicts of the tables folder, arranged for reading."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import pandas as pd

from instruct_scaling.common.errors import InputError
from instruct_scaling.reporting.report.results import CurvePoint, CurveRow, CurveTable, Sparkline

OVERALL = "overall"
_NAMES = ("judge", "other", "arm", "arm_a", "arm_b", "category")
CURVE_COLUMNS = ("judge", "arm", "category", "scale", "mean", "low", "high")
_BOX_WIDTH, _BOX_HEIGHT = 110.0, 40.0


def read_table(path: Path, required: Iterable[str]) -> pd.DataFrame | None:
    """A CSV table, or None if the file does not exist.

    Raises:
        InputError: a required column is missing, or the file is not a CSV table.
    """
    if not path.exists():
        return None
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(_NAMES, str))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"not a CSV table: {error}", where=path) from error
    missing = [column for column in required if column not in frame.columns]
    if missing:
        raise InputError(
            f"columns are missing: {', '.join(missing)}",
            where=path,
            fix="make the table again with this version of the curves stage",
        )
    return frame


def curve_tables(frame: pd.DataFrame, order: list[str]) -> list[CurveTable]:
    """One table for each (judge, arm), in order of appearance; categories in `order`.

    Args:
        frame: `curves.csv`; columns n_items, n_seeds, n_missing and note are optional.
        order: categories of the study; `overall` follows them.
    """
    tables = []
    for (judge, arm), part in frame.groupby(["judge", "arm"], sort=False):
        points = [_point(row) for row in part.to_dict("records")]
        scales = sorted({point.scale for point in points})
        by_place = {(point.category, point.scale): point for point in points}
        rows = []
        for category in sort_categories({point.category for point in points}, order):
            line = [by_place.get((category, scale)) for scale in scales]
            rows.append(CurveRow(category, line, sparkline(line)))
        marked = [point for row in rows for point in row.points if point is not None]
        notes = list(dict.fromkeys(point.note for point in marked if point.note))
        tables.append(CurveTable(str(judge), str(arm), scales, rows, notes))
    return tables


def sort_categories(present: Iterable[str], order: list[str]) -> list[str]:
    """Categories in the study's order, others by name after them, `overall` last."""
    places = {name: place for place, name in enumerate(order)}
    return sorted(
        present, key=lambda name: (name == OVERALL, places.get(name, len(places)), str(name))
    )


def score_decimals(tables: list[CurveTable]) -> int:
    """Decimals that the intervals justify: two, or three where they are narrow."""
    widths = half_widths(tables)
    return 3 if widths and median(widths) < 0.02 else 2


def half_widths(tables: list[CurveTable]) -> list[float]:
    """Half the width of every interval of a single category, in score units."""
    return [
        (point.high - point.low) / 2
        for table in tables
        for row in table.rows
        if row.category != OVERALL
        for point in row.points
        if point is not None and point.low is not None and point.high is not None
    ]


def sparkline(points: list[CurvePoint | None]) -> Sparkline | None:
    """Score in [0, 1] against the logarithm of the scale; None with fewer than two points.

    Scale 0 has no logarithm: it stands one step to the left of the first scale.
    """
    known = [point for point in points if point is not None and point.mean is not None]
    if len(known) < 2:
        return None
    tuned = [math.log(point.scale) for point in known if point.scale > 0]
    step = (tuned[-1] - tuned[0]) / max(len(tuned) - 1, 1) or 1.0
    places = [math.log(point.scale) if point.scale else tuned[0] - step for point in known]
    span = places[-1] - places[0]
    xs = [round(4 + (_BOX_WIDTH - 8) * (place - places[0]) / span, 1) for place in places]

    def height(score: float) -> float:
        return round(2 + (_BOX_HEIGHT - 4) * (1 - score), 1)

    dots = [(x, height(point.mean)) for x, point in zip(xs, known, strict=True)]
    banded = [(x, p) for x, p in zip(xs, known, strict=True) if p.low is not None]
    upper = [f"{x},{height(point.high)}" for x, point in banded]
    lower = [f"{x},{height(point.low)}" for x, point in reversed(banded)]
    return Sparkline(dots, " ".join(f"{x},{y}" for x, y in dots), " ".join(upper + lower))


def _point(row: dict) -> CurvePoint:
    low, high = as_float(row["low"]), as_float(row["high"])
    if low is None or high is None:
        low = high = None
    return CurvePoint(
        judge=str(row["judge"]),
        arm=str(row["arm"]),
        category=str(row["category"]),
        scale=int(row["scale"]),
        mean=as_float(row["mean"]),
        low=low,
        high=high,
        n_items=as_int(row.get("n_items")),
        n_seeds=as_int(row.get("n_seeds")),
        n_missing=as_int(row.get("n_missing")),
        note=as_text(row.get("note")),
    )


def as_float(value: object) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def as_int(value: object) -> int | None:
    """The whole number in a cell, or None where it is empty."""
    return None if value is None or pd.isna(value) else int(value)


def as_text(value: object) -> str:
    """The text in a cell; empty where there is none."""
    return "" if value is None or pd.isna(value) else str(value)
