"""Any data frame as a table of the page."""

from __future__ import annotations

import pandas as pd
from pandas.api.types import is_bool_dtype, is_float_dtype, is_integer_dtype, is_numeric_dtype

from instruct_scaling.reporting.report.context import Cell, Table
from instruct_scaling.reporting.report.wording import category_name, number, words

MOST_ROWS = 400
_REMARKS = ("noise", "note", "reason")
_UNGROUPED = ("seed", "replicate", "repeat")


def frame_table(frame: pd.DataFrame, caption: str = "") -> Table:
    """The first rows of a frame as text; empty columns are left out.

    Whole numbers get no decimals, scores and other numbers get as many as tell them apart.
    A remark that is the same in all of several rows is told once.
    """
    frame = frame.dropna(axis="columns", how="all")
    constant = [
        name
        for name in _REMARKS
        if name in frame and len(frame) > 1 and frame[name].nunique(dropna=False) == 1
    ]
    remark = "; ".join(f"{name}: {frame[name].iloc[0]}" for name in constant)
    frame = frame.drop(columns=constant)
    shown = frame.head(MOST_ROWS)
    texts = {column: _texts(column, frame[column], shown[column]) for column in frame.columns}
    rows: list[list[Cell]] = [list(row) for row in zip(*texts.values(), strict=True)]
    return Table(
        columns=[words(str(column)) for column in frame.columns],
        rows=rows,
        caption=caption,
        numeric=frozenset(
            words(str(column))
            for column in frame.columns
            if is_numeric_dtype(frame[column]) and not is_bool_dtype(frame[column])
        ),
        total_rows=len(frame) if len(frame) > MOST_ROWS else None,
        remark=f"In every row, {remark}." if remark else "",
    )


def _texts(name: str, column: pd.Series, shown: pd.Series) -> list[str]:
    if name == "category":
        return [category_name(str(value)) for value in shown]
    if is_bool_dtype(column):
        return ["yes" if value else "no" for value in shown]
    if is_integer_dtype(column) or (is_float_dtype(column) and _whole(column)):
        decimals = 0
    elif is_float_dtype(column):
        size = column.abs().max()
        decimals = 4 if size < 1 else 3 if size < 100 else 1
    else:
        return ["" if pd.isna(value) else str(value) for value in shown]
    if name in _UNGROUPED:
        return ["" if pd.isna(value) else str(int(value)) for value in shown]
    return ["" if pd.isna(value) else number(float(value), decimals) for value in shown]


def _whole(column: pd.Series) -> bool:
    known = column.dropna()
    return bool((known % 1 == 0).all())
