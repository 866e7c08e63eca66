"""Verdicts of the tables folder, arranged for reading."""

from __future__ import annotations

from typing import Any

import pandas as pd

from instruct_scaling.reporting.report.curves import (
    OVERALL,
    as_float,
    as_int,
    as_text,
    sort_categories,
)
from instruct_scaling.reporting.report.results import (
    ArmDifference,
    Estimate,
    VerdictRow,
    VerdictTable,
)
from instruct_scaling.reporting.report.wording import listing, number, scale_name, short

VERDICT_COLUMNS = ("judge", "arm", "category", "verdict")
COMPARISON_COLUMNS = ("judge", "category", "scale", "arm_a", "arm_b", "difference", "low", "high")
VERDICT_ORDER = ("improving", "plateaued", "flat", "non-monotone", "undetermined")


def verdict_tables(frame: pd.DataFrame, order: list[str]) -> list[VerdictTable]:
    """One table for each (judge, arm), in order of appearance; categories in `order`.

    Args:
        frame: `verdicts.csv`; columns other than those of VERDICT_COLUMNS may be missing.
        order: categories of the study.
    """
    tables = []
    for (judge, arm), part in frame.groupby(["judge", "arm"], sort=False):
        rows = {row["category"]: _row(row) for row in part.to_dict("records")}
        ordered = [rows[category] for category in sort_categories(rows, order)]
        tables.append(
            VerdictTable(
                judge=str(judge),
                arm=str(arm),
                rows=ordered,
                margins=_margins(part),
                noise=_distinct(part, "noise"),
                notes=list(dict.fromkeys(row.note for row in ordered if row.note)),
            )
        )
    return tables


def _row(row: dict[str, Any]) -> VerdictRow:
    return VerdictRow(
        category=row["category"],
        verdict=as_text(row["verdict"]) or "undetermined",
        ladder=as_text(row.get("ladder")),
        tail=_estimate(row, "tail_slope", "tail_low", "tail_high"),
        rise=_estimate(row, "rise", "rise_low", "rise_high"),
        margin=as_float(row.get("margin")),
        detectable=as_float(row.get("detectable")),
        items_needed=as_int(row.get("items_needed")),
        seeds_needed=as_int(row.get("seeds_needed")),
        n_items=as_int(row.get("n_items")),
        n_seeds=as_int(row.get("n_seeds")),
        drop=_drop(row),
        note=as_text(row.get("note")),
    )


def _estimate(row: dict[str, Any], value: str, low: str = "low", high: str = "high") -> Estimate:
    return Estimate(*(as_float(row.get(name)) for name in (value, low, high)))


def _drop(row: dict[str, Any]) -> str:
    """The clearest drop, where its simultaneous bound shows that it is one."""
    bound, size = as_float(row.get("drop_bound")), as_float(row.get("drop"))
    start, end = as_int(row.get("drop_from")), as_int(row.get("drop_to"))
    if bound is None or bound <= 0 or size is None or start is None or end is None:
        return ""
    return (
        f"drops by {number(size, 3)} (at least {number(bound, 3)}) "
        f"from {scale_name(start)} to {scale_name(end)}"
    )


def _margins(part: pd.DataFrame) -> str:
    """Such as "tail slope ±0.02 per doubling, range 0.04"; several values are all named."""
    parts = []
    for column, before, after in (
        ("margin", "tail slope ±", " per doubling"),
        ("range_margin", "range of the means ", ""),
    ):
        values = part[column].dropna().unique() if column in part else []
        if len(values):
            texts = [short(float(value)) for value in sorted(values)]
            parts.append(f"{before}{listing(texts)}{after}")
    return ", ".join(parts)


def _distinct(part: pd.DataFrame, column: str) -> list[str]:
    if column not in part:
        return []
    return [str(value) for value in part[column].dropna().unique() if str(value)]


def arm_differences(frame: pd.DataFrame) -> list[ArmDifference]:
    """Differences over all categories, from `comparisons.csv`."""
    return [
        ArmDifference(
            judge=row["judge"],
            scale=int(row["scale"]),
            arm_a=row["arm_a"],
            arm_b=row["arm_b"],
            difference=_estimate(row, "difference"),
        )
        for row in frame[frame["category"] == OVERALL].to_dict("records")
    ]
