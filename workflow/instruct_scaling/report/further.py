"""The other tables of the analysis, each as it is, with the meaning of its columns."""

from __future__ import annotations

from pathlib import Path

from analysis.tables import SCHEMAS
from instruct_scaling.report.context import FurtherTable
from instruct_scaling.report.csv_tables import frame_table
from instruct_scaling.report.curves import read_table
from instruct_scaling.report.wording import words

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
    found = []
    for name, title in TITLES.items():
        frame = read_table(folder / f"{name}.csv", ())
        if frame is None or frame.empty:
            continue
        kept = frame.dropna(axis="columns", how="all")
        columns = [
            (words(column), SCHEMAS[name][column])
            for column in kept.columns
            if column in SCHEMAS.get(name, {})
        ]
        found.append(FurtherTable(name, title, frame_table(kept), columns))
    return found
