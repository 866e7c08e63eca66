"""base_comparison.csv: the untuned base, without and with examples in its prompt, against tuning.

Paired by item. The base was tuned by no run, so its answers hold the noise of items only; that of
training is the tuned runs' own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.inference.curves import ArmCurves
from analysis.inference.paired import Samples, correct_family, paired_rows, paired_samples
from analysis.options import CurveOptions

_NOT_TUNED = "items only; neither was tuned"


def base_comparison_rows(
    arm: ArmCurves, sufficient: list[dict[str, Any]], options: CurveOptions
) -> list[dict[str, Any]]:
    """Rows of each base (0 examples, then more) against tuned scales, and of few-shot against 0.

    The tuned scales are the smallest, the sufficient and the largest one of each category. The
    sufficient one is chosen from the same scores, so the correction counts every scale that it
    could have been.

    Args:
        sufficient: rows of sufficient.csv of the same arm.
    """
    bases = _bases(arm)
    chosen = {row["category"]: _scales(arm.scales, row.get("scale", np.nan)) for row in sufficient}
    rows: list[dict[str, Any]] = []
    for shots in sorted(bases):
        rows += _against_tuned(arm, bases[shots], shots, chosen, options)
        if shots and 0 in bases:
            rows += _against_zero_shot(arm, bases[shots], bases[0], shots, options)
    return rows


def _bases(arm: ArmCurves) -> dict[int, dict[str, np.ndarray]]:
    """(N,) scores of the untuned base by number of examples and category."""
    found: dict[int, dict[str, np.ndarray]] = {}
    for name, scores in arm.scores.categories.items():
        zero = {} if scores.base is None else {0: scores.base}
        for shots, answers in (zero | scores.few_shot).items():
            found.setdefault(shots, {})[name] = answers
    return found


def _scales(scales: np.ndarray, sufficient: float) -> dict[int, str]:
    """Positions of the compared scales, and why they are."""
    roles = {0: ["smallest"], len(scales) - 1: ["largest"]}
    if len(scales) == 1:
        roles = {0: ["smallest", "largest"]}
    if np.isfinite(sufficient):
        position = int(np.searchsorted(scales, sufficient))
        roles.setdefault(position, []).append("sufficient")
    return {k: ", ".join(roles[k]) for k in sorted(roles)}


def _against_tuned(
    arm: ArmCurves,
    base: Mapping[str, np.ndarray],
    shots: int,
    chosen: Mapping[str, Mapping[int, str]],
    options: CurveOptions,
) -> list[dict[str, Any]]:
    runs = arm.scores.runs
    samples, missing = paired_samples(
        {
            name: (
                arm.scores.categories[name].values,
                np.where(
                    runs[..., None], np.broadcast_to(answers, (*runs.shape, len(answers))), np.nan
                ),
                arm.scores.categories[name].clusters,
            )
            for name, answers in base.items()
        },
        runs,
    )
    rows = []
    for name, k, columns in paired_rows(samples, missing, (options.run_sd, None), options):
        if k in chosen[name]:
            place = {"shots": shots, "scale": int(arm.scales[k]), "other_shots": 0}
            place |= {"which": chosen[name][k]}
            rows.append(arm.key(name) | place | _means(samples, name, k) | columns)
    correct_family(rows, most=len(arm.scales))
    return rows


def _against_zero_shot(
    arm: ArmCurves,
    base: Mapping[str, np.ndarray],
    zero: Mapping[str, np.ndarray],
    shots: int,
    options: CurveOptions,
) -> list[dict[str, Any]]:
    """Few-shot less zero-shot; no run was tuned, so the noise of items is all there is."""
    samples, missing = paired_samples(
        {
            name: (
                answers[None, None],
                zero[name][None, None],
                arm.scores.categories[name].clusters,
            )
            for name, answers in base.items()
            if name in zero
        },
        np.ones((1, 1), bool),
    )
    rows = []
    for name, k, columns in paired_rows(samples, missing, (0.0, 0.0), options):
        place = {"shots": 0, "scale": 0, "other_shots": shots, "which": "few-shot base"}
        row = arm.key(name) | place | _means(samples, name, k) | columns
        rows.append(row | ({"noise": _NOT_TUNED} if "noise" in columns else {}))
    correct_family(rows)
    return rows


def _means(samples: Samples, name: str, k: int) -> dict[str, float]:
    other, base = samples[name]
    return {"mean": float(other.scale_means[k]), "base_mean": float(base.scale_means[k])}
