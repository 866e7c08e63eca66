"""curves_by_tag.csv: the curves of the items that share a value of a tag, such as a language.

Exploratory: each value's curve is estimated as if its items were the whole eval set, nothing is
corrected for the number of values, and no verdict is given.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.errors import InputError
from analysis.inference.curves import build_arm_curves, curve_rows, join
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from analysis.scores import TAG, tag_columns
from analysis.tables import OVERALL, SCHEMAS


def tag_curve_rows(scores: pd.DataFrame, options: CurveOptions) -> list[dict[str, Any]]:
    """Rows for every tag of `options.by_tag` and every value that an item has, sorted.

    Means, intervals and notes are those of curves.csv, restricted to the items of the value; items
    without the tag are in none. `overall` is the mean of the categories that have such items.

    Args:
        scores: a checked score table (`scores.check_scores`).
        options: `by_tag`, and what decides the intervals.

    Raises:
        InputError: the table has no such tag, or no item has a value of it.
    """
    rows: list[dict[str, Any]] = []
    for tag in options.by_tag:
        column = f"{TAG}{tag}"
        if column not in scores.columns:
            known = [name.removeprefix(TAG) for name in tag_columns(scores)]
            raise InputError(
                f"the score table has no column {column}",
                where="analysis.by_tag",
                fix=f"name one of its tags: {', '.join(known) or 'it has none'}",
            )
        values = sorted(set(scores[column]) - {""})
        if not values:
            raise InputError(f"no item has the tag {tag}", where="analysis.by_tag")
        for value in values:
            rows += _rows(scores, tag, value, options)
    order = {name: position for position, name in enumerate(options.by_tag)}
    # Python's sort keeps the order of scales within a curve, and `overall` last.
    return sorted(rows, key=lambda row: (row["judge"], row["arm"], order[row["tag"]]))


def _rows(
    scores: pd.DataFrame, tag: str, value: str, options: CurveOptions
) -> list[dict[str, Any]]:
    part = scores[scores[f"{TAG}{tag}"] == value]
    rows = []
    for array in build_score_arrays(part):
        own = scores[(scores["judge"] == array.judge) & (scores["arm"] == array.arm)]
        note = _categories_note(len(array.categories), own["category"].nunique())
        for row in curve_rows(build_arm_curves(array, options), options):
            found = {key: row[key] for key in SCHEMAS["curves_by_tag"] if key in row}
            found |= {"tag": tag, "value": value}
            if row["category"] == OVERALL:
                found["note"] = join(note, row["note"])
            rows.append(found)
    return rows


def _categories_note(present: int, known: int) -> str:
    return f"mean of the {present} of {known} categories with such items" if present < known else ""
