"""Which claims are primary and which exploratory, and the q values of the latter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import InputError
from analysis.inference.multiplicity import benjamini_hochberg
from analysis.options import CurveOptions
from analysis.tables import OVERALL

PRIMARY, EXPLORATORY = "primary", "exploratory"
Row = dict[str, Any]


def with_primary_judge(options: CurveOptions, scores: pd.DataFrame) -> CurveOptions:
    """The options with the first judge of the table as the primary one, where none is named.

    Raises:
        InputError: the primary family names a judge, arm or category that the table lacks.
    """
    primary = options.primary
    for key, known in (
        ("judges", list(scores["judge"].unique())),
        ("arms", list(scores["arm"].unique())),
        ("categories", [*scores["category"].unique(), OVERALL]),
    ):
        unknown = sorted(set(getattr(primary, key) or ()) - set(known))
        if unknown:
            raise InputError(
                f"the table has no {unknown[0]!r}",
                where=f"analysis.primary.{key}",
                fix=f"name some of {', '.join(map(str, known))}",
            )
    if primary.judges is not None:
        return options
    first = primary.model_copy(update={"judges": [str(scores["judge"].iloc[0])]})
    return options.model_copy(update={"primary": first})


def is_primary(options: CurveOptions, judge: str, arm: str, category: str) -> bool:
    """Whether the verdict on a curve is one of the study's primary claims."""
    primary = options.primary
    return all(
        names is None or name in names
        for names, name in (
            (primary.judges, judge),
            (primary.arms, arm),
            (primary.categories, category),
        )
    )


def label_verdict(row: Row, options: CurveOptions) -> Row:
    """A row of verdicts with its family; the adjusted p value of an exploratory one is a q value.

    `multiplicity.correct` has adjusted it accordingly.
    """
    if is_primary(options, row["judge"], row["arm"], row["category"]):
        return row | {"family": PRIMARY}
    return row | {
        "family": EXPLORATORY,
        "p_holm": np.nan,
        "q_value": row.get("p_holm", np.nan),
    }


def label_exploratory(rows: Sequence[Row]) -> list[Row]:
    """Rows with `p_value` as exploratory ones, with q values over all rows of a judge; those on
    overall, which holds the same scores again, are adjusted apart."""
    labeled = [row | {"family": EXPLORATORY} for row in rows]
    groups: dict[tuple[Any, bool], list[Row]] = {}
    for row in labeled:
        if np.isfinite(row.get("p_value", np.nan)):
            key = (row["judge"], row["category"] == OVERALL)
            groups.setdefault(key, []).append(row)
    for group in groups.values():
        _add_q_values(group)
    return labeled


def _add_q_values(rows: Iterable[Row]) -> None:
    rows = list(rows)
    adjusted = benjamini_hochberg([row["p_value"] for row in rows])
    for row, q in zip(rows, adjusted.tolist(), strict=True):
        row["q_value"] = q
