"""The other tables of the analysis, each as it is, with the meaning of its columns."""

from __future__ import annotations

from pathlib import Path

from analysis.tables import SCHEMAS
from instruct_scaling.reporting.report.context import FurtherTable
from instruct_scaling.reporting.report.csv_tables import frame_table
from instruct_scaling.reporting.report.curves import read_table
from instruct_scaling.reporting.report.wording import words

TITLES = {
    "curves": "Curves with all columns (bootstrap intervals, bounds under missing scores)",
    "verdicts": "Verdicts with all columns (drops, whole ladder, p values)",
    "comparisons": "Differences between arms at equal scale",
    "efficiency": "How many times the data one arm needs",
    "changes": "Items won, tied and lost between scales",
    "variance": "Where the variance of a score comes from",
    "fits": "Fitted families of curves",
    "extrapolation": "Fit and extrapolation",
    "needs": "Data needed for a score",
    "joint": "Joint law in data and base size",
    "plan": "What a larger study would find",
    "judge_bins": "Calibration between judges",
}


def further_tables(folder: Path) -> list[FurtherTable]:
    """Those of TITLES that the folder has and that are not empty."""
    found = (further_table(folder, name, title) for name, title in TITLES.items())
    return [table for table in found if table is not None]


def further_table(folder: Path, name: str, title: str) -> FurtherTable | None:
    """One table of the folder with the meaning of its columns; None if absent or empty."""
    frame = read_table(folder / f"{name}.csv", ())
    if frame is None or frame.empty:
        return None
    kept = frame.dropna(axis="columns", how="all")
    meaning = SCHEMAS.get(name, {})
    columns = [(words(column), meaning[column]) for column in kept.columns if column in meaning]
    return FurtherTable(name, title, frame_table(kept), columns)
