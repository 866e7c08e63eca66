"""curves_by_tag.csv and claims_by_tag.csv: the curves of the items that share a value of a tag,
such as a language, and what the end of each shows.

Exploratory: each value's curve is estimated as if its items were the whole eval set. Its claim has
a q value over all values, and is no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import InputError
from analysis.inference.contrasts import constant_score_bounds, drop_weights, tail_weights
from analysis.inference.curves import ArmCurves, Curve, build_arm_curves, curve_rows, join
from analysis.inference.estimate import Estimate
from analysis.inference.looks import Look, looks_at, options_at
from analysis.inference.score_array import build_score_arrays
from analysis.inference.verdicts import no_claim_reason
from analysis.options import CurveOptions
from analysis.scores import TAG, tag_columns
from analysis.tables import OVERALL, SCHEMAS


@dataclass(frozen=True)
class TagCurves:
    """The curves of one arm on the items of one value of a tag.

    Attributes:
        options: of this arm at this look.
        note: on overall, where the value has items in some categories only.
    """

    tag: str
    value: str
    arm: ArmCurves
    options: CurveOptions
    note: str

    def key(self, category: str) -> dict[str, Any]:
        """The columns that name a curve."""
        return self.arm.key(category) | {"tag": self.tag, "value": self.value}


def tag_curves(
    scores: pd.DataFrame, options: CurveOptions, looks: list[Look] | None = None
) -> list[TagCurves]:
    """The curves of every tag of `options.by_tag` and every value that an item has, sorted.

    Args:
        scores: a checked score table (`scores.check_scores`).
        options: `by_tag`, and what decides the intervals.
        looks: all looks known (`looks.read_looks`).

    Raises:
        InputError: the table has no such tag, or no item has a value of it.
    """
    found = [part for tag in options.by_tag for part in _of_tag(scores, tag, options, looks or [])]
    order = {name: position for position, name in enumerate(options.by_tag)}
    return sorted(found, key=lambda one: (one.arm.scores.judge, one.arm.scores.arm, order[one.tag]))


def _of_tag(
    scores: pd.DataFrame, tag: str, options: CurveOptions, looks: list[Look]
) -> Iterator[TagCurves]:
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
        for array in build_score_arrays(scores[scores[column] == value]):
            own = scores[(scores["judge"] == array.judge) & (scores["arm"] == array.arm)]
            present, known_categories = len(array.categories), own["category"].nunique()
            chosen = options_at(looks_at([array])[0], looks, options)
            yield TagCurves(
                tag,
                value,
                build_arm_curves(array, chosen),
                chosen,
                _categories_note(present, known_categories),
            )


def _categories_note(present: int, known: int) -> str:
    return f"mean of the {present} of {known} categories with such items" if present < known else ""


def tag_curve_rows(parts: list[TagCurves]) -> list[dict[str, Any]]:
    """Rows of curves_by_tag.csv.

    Means, intervals and notes are those of curves.csv, restricted to the items of the value; items
    without the tag are in none. `overall` is the mean of the categories that have such items.
    """
    rows = []
    for part in parts:
        for row in curve_rows(part.arm, part.options):
            found = {key: row[key] for key in SCHEMAS["curves_by_tag"] if key in row}
            found |= part.key(row["category"])
            if row["category"] == OVERALL:
                found["note"] = join(part.note, row["note"])
            rows.append(found)
    return rows


def tag_claim_rows(parts: list[TagCurves]) -> list[dict[str, Any]]:
    """Rows of claims_by_tag.csv, without q values: the tail slope and the last step's gain of each
    curve, and the two-sided p value of no tail slope where the noise bears a claim."""
    return [_claim(part, name, curve) for part in parts for name, curve in part.arm.curves.items()]


def _claim(part: TagCurves, name: str, curve: Curve) -> dict[str, Any]:
    scales = part.arm.scales
    reason = no_claim_reason(curve, scales, part.options)
    note = join(part.note if name == OVERALL else "", curve.note, reason)
    row = part.key(name) | {
        "n_items": curve.sample.n_items,
        "n_seeds": curve.sample.means.shape[1],
        "note": note,
    }
    if reason:
        return row
    bounds = constant_score_bounds(curve.covariance, part.options.interval)

    def contrast(weights: np.ndarray) -> Estimate:
        return curve.covariance.contrast(weights).widened(float(np.abs(weights) @ bounds))

    tail = contrast(tail_weights(scales))
    gain = contrast(-drop_weights(len(scales), len(scales) - 2, len(scales) - 1))
    for label, estimate in (("tail", tail), ("gain", gain)):
        row[f"{label}_low"], row[f"{label}_high"] = estimate.interval(part.options.interval)
    return row | {
        "tail_slope": tail.value,
        "gain": gain.value,
        "gain_from": int(scales[-2]),
        "p_value": min(1.0, 2 * min(tail.p_above(0.0), tail.p_below(0.0))),
        "noise": curve.covariance.noise,
    }
