"""axes.csv: the means of curves.csv against records seen, tokens, optimizer steps and FLOPs.

What a run of each arm and scale took comes from a table of costs (mean over seeds), which is
optional: without it the only axis is the number of distinct records, the scale itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import InputError

RECORDS = "records"
AXES: dict[str, str] = {
    RECORDS: "distinct records",
    "examples": "records seen, repeats counted",
    "tokens": "tokens seen",
    "supervised_tokens": "supervised tokens seen",
    "steps": "optimizer steps",
    "training_flops": "training FLOPs",
}
"""What can stand on the x axis, with its name on a figure; a column of the costs table each."""
Costs = Mapping[tuple[str, int], dict[str, float]]


def read_costs(path: Path) -> pd.DataFrame:
    """A table of costs: `arm`, `scale`, and the columns of AXES that it has.

    Raises:
        InputError: the file cannot be read, or lacks arm, scale or every axis; a scale is not a
            whole number, a cost not a number, or an arm has a scale twice.
    """
    if not path.is_file():
        raise InputError("no such file", where=path, fix="give a table of costs (CSV)")
    try:
        table = pd.read_csv(path, dtype={"arm": str})
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read as a table ({error})", where=path) from error
    axes = [name for name in AXES if name in table.columns]
    if not {"arm", "scale"} <= set(table.columns) or not axes:
        raise InputError(
            "not a table of costs",
            where=path,
            fix=f"it has the columns arm, scale and some of {', '.join(AXES)}",
        )
    for name in ("scale", *axes):
        table[name] = _numbers(table[name], path)
    whole = table["scale"].notna() & (table["scale"] % 1 == 0) & (table["scale"] >= 0)
    if not whole.all():
        line = _line(~whole)
        raise InputError("scale is not a whole number from 0 on", where=path, line=line)
    twice = table.duplicated(["arm", "scale"])
    if twice.any():
        raise InputError(
            "the arm has this scale in another line too",
            where=path,
            line=_line(twice),
            fix="give one line for each arm and scale, the mean over seeds",
        )
    return table.astype({"scale": int})[["arm", "scale", *axes]]


def _numbers(column: pd.Series, path: Path) -> pd.Series:
    """The column as numbers; empty ones stay empty."""
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        what = f"{column.name} {column[wrong].iloc[0]!r} is not a number"
        raise InputError(what, where=path, line=_line(wrong))
    return numbers


def _line(at: pd.Series) -> int:
    """Line of the first such row; the header is line 1."""
    return int(np.argmax(at)) + 2


def costs_by_run(table: pd.DataFrame | None) -> Costs:
    """By arm and scale, the value on each axis of a run."""
    if table is None:
        return {}
    names = [name for name in table.columns if name not in ("arm", "scale")]
    return {
        (str(row["arm"]), int(row["scale"])): {name: float(row[name]) for name in names}
        for row in table.to_dict("records")
    }


def position(costs: Costs, arm: str, scale: int, axis: str) -> float:
    """Where a run of an arm at a scale stands on an axis; NaN where it is not known."""
    if scale == 0 or axis == RECORDS:
        return float(scale)
    return costs.get((arm, int(scale)), {}).get(axis, np.nan)


def axis_rows(curves: Iterable[Mapping[str, Any]], costs: Costs) -> list[dict[str, Any]]:
    """The rows of curves.csv once for each axis on which their x is known.

    Args:
        curves: as `curves.curve_rows` makes them.
        costs: see `costs_by_run`.
    """
    curves = list(curves)
    arms = {row["arm"] for row in curves}
    rows = []
    for axis in AXES:
        known = {arm for arm, _ in costs if any(axis in each for each in costs.values())} & arms
        for row in curves:
            if axis != RECORDS and row["arm"] not in known:
                continue
            x = position(costs, row["arm"], row["scale"], axis)
            if np.isfinite(x):
                rows.append(_row(row, axis, x, costs))
    rows.sort(key=lambda row: (row["judge"], row["arm"]))
    return rows


def _row(curve: Mapping[str, Any], axis: str, x: float, costs: Costs) -> dict[str, Any]:
    kept = ("judge", "arm", "category", "scale", "mean", "low", "high", "n_items", "n_seeds")
    row = {key: curve[key] for key in kept if key in curve}
    scale = curve["scale"]
    passes = position(costs, curve["arm"], scale, "examples") / scale if scale else np.nan
    return row | {"axis": axis, "x": x, "epochs": passes, "note": curve.get("note", "")}
