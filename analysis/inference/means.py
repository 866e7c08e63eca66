"""curves.csv: the mean at each scale with its interval, the bootstrap beside it as a check."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.inference.arm_curves import ArmCurves, Curve, join
from analysis.inference.bootstrap import bootstrap_categories, percentile_interval
from analysis.inference.covariance import Covariance
from analysis.inference.intervals import overall_interval, share_interval
from analysis.options import CurveOptions
from analysis.tables import OVERALL

_BASE_NOISE = "items only; the base model was not tuned"


def curve_rows(
    panel: ArmCurves, replicates: dict[str, np.ndarray], options: CurveOptions
) -> list[dict[str, Any]]:
    """One row per category and scale, the base model (scale 0) first.

    Args:
        replicates: what `replicate_means` gives.
    """
    rows = []
    for name in panel.curves:
        offset = 0
        if name in panel.base:
            offset = 1
            column = replicates[name][:, 0] if name in replicates else None
            rows.append(_row(panel, name, panel.base[name], 0, 0, column, options))
        for k, scale in enumerate(panel.cube.scales):
            column = replicates[name][:, k + offset] if name in replicates else None
            rows.append(_row(panel, name, panel.curves[name], k, int(scale), column, options))
    return rows


def replicate_means(panel: ArmCurves, options: CurveOptions) -> dict[str, np.ndarray]:
    """(B, K) bootstrap replicates of the scale means by category and of overall.

    The base model's, where there is one, stand before the K tuned scales as a further column.
    Overall is the mean of the categories whose means are all known.
    """
    replicates = bootstrap_categories(
        panel.cube.categories, options.bootstrap_replicates, options.bootstrap_seed
    )
    known = [
        name for name in panel.cube.categories if np.isfinite(panel.curves[name].sample.means).all()
    ]
    if known and len({replicates[name].shape[1] for name in known}) == 1:
        replicates[OVERALL] = np.mean([replicates[name] for name in known], axis=0)
    return replicates


def _row(
    panel: ArmCurves,
    name: str,
    curve: Curve,
    k: int,
    scale: int,
    replicates: np.ndarray | None,
    options: CurveOptions,
) -> dict[str, Any]:
    mean = float(curve.sample.means[k].mean())
    n_seeds = 1 if scale == 0 else curve.sample.means.shape[1]
    row: dict[str, Any] = {
        "judge": panel.cube.judge,
        "arm": panel.cube.arm,
        "category": name,
        "scale": scale,
        "mean": mean,
        "n_items": curve.sample.n_items,
        "n_seeds": n_seeds,
        "n_missing": _missing_count(panel, name, k, scale),
    }
    note = curve.note
    if curve.missing[k] > options.missing_limit:
        row["bound_low"], row["bound_high"] = _bounds(panel, name, k, scale)
        note = join(note, f"{curve.missing[k]:.0%} of the scores are missing")
    if curve.covariance is not None:
        if name == OVERALL:
            parts = panel.base if scale == 0 else panel.curves
            low, high, remark = _overall_interval(parts, curve.covariance, k, options.interval)
        else:
            estimate = curve.covariance.scale_mean(k)
            low, high, remark = share_interval(estimate, len(curve.sample.strata), options.interval)
        row |= {"low": low, "high": high}
        row["noise"] = _BASE_NOISE if scale == 0 else curve.covariance.noise
        note = join(note, remark)
        if replicates is not None:
            row["boot_low"], row["boot_high"] = percentile_interval(replicates, options.interval)
    row["note"] = note
    return row


def _overall_interval(
    curves: dict[str, Curve], covariance: Covariance, k: int, coverage: float
) -> tuple[float, float, str]:
    parts = [
        curve.sample
        for name, curve in curves.items()
        if name != OVERALL and np.isfinite(curve.sample.means).all()
    ]
    zeros, ones = (
        [len(part.strata) for part in parts if part.means[k].mean() == edge] for edge in (0, 1)
    )
    return overall_interval(covariance.scale_mean(k), zeros, ones, len(parts), coverage)


def _cells(panel: ArmCurves, name: str, k: int, scale: int) -> list[np.ndarray]:
    """Scores at one scale, (S, N) per category that the row stands on."""
    names = panel.cube.categories if name == OVERALL else [name]
    cells = []
    for each in names:
        scores = panel.cube.categories[each]
        if scale == 0 and scores.base is None:
            continue
        cells.append(scores.base[None, :] if scale == 0 else scores.values[k])
    return cells


def _missing_count(panel: ArmCurves, name: str, k: int, scale: int) -> int:
    return int(sum((~np.isfinite(cell)).sum() for cell in _cells(panel, name, k, scale)))


def _bounds(panel: ArmCurves, name: str, k: int, scale: int) -> tuple[float, float]:
    """Mean if every missing score were 0, and if it were 1 (missing categories included)."""
    cells = _cells(panel, name, k, scale)
    low = float(np.mean([np.where(np.isfinite(c), c, 0.0).mean() for c in cells]))
    high = float(np.mean([np.where(np.isfinite(c), c, 1.0).mean() for c in cells]))
    return low, high
