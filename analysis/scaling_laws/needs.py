"""needs.csv: records needed for a target score, or why no number is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.inference.curves import ArmCurves
from analysis.inference.intervals import central_levels
from analysis.options import CurveOptions
from analysis.scaling_laws.extrapolation import HORIZON, assumption, why_no_extrapolation
from analysis.scaling_laws.fits import CurveFit

_GAINS = (0.02, 0.05)


def need_rows(
    arm: ArmCurves, fits: dict[str, CurveFit], options: CurveOptions
) -> list[dict[str, Any]]:
    """One row per category and target; by default two gains above the last scale."""
    largest = float(arm.scales[-1])
    rows = []
    for name, fit in fits.items():
        last = float(arm.curves[name].sample.scale_means[-1])
        for target in options.targets or [round(last + gain, 4) for gain in _GAINS]:
            if not np.isfinite(target) or target > 1:
                continue
            row = arm.key(name) | {"target": target, "horizon": HORIZON * largest}
            refusal = why_no_extrapolation(fit)
            if refusal:
                rows.append(row | {"status": "refused", "reason": refusal})
            else:
                rows.append(row | _need(fit, target, largest, options, assumption(arm, name)))
    return rows


def _need(
    fit: CurveFit, target: float, largest: float, options: CurveOptions, reason: str
) -> dict[str, Any]:
    reached = [each.family.inverse(each.draws, target) for each in fit.kept]
    # Order statistics, not interpolation: a draw that never reaches the target is infinite.
    levels = central_levels(options.interval)
    quantiles = [np.quantile(x, levels, method="nearest") for x in reached]
    median = float(np.quantile(np.concatenate(reached), 0.5, method="nearest"))
    status = "reached" if median <= 1 else "extrapolated"
    if median > HORIZON:
        status = "refused"
        reason = f"not within {HORIZON:g} times the largest scale in most refits"
    return {
        "low": _records(min(q[0] for q in quantiles), largest),
        "high": _records(max(q[1] for q in quantiles), largest),
        "scale": _records(median, largest),
        "p_never": float(max(np.isinf(x).mean() for x in reached)),
        "p_within": float(min((x <= HORIZON).mean() for x in reached)),
        "status": status,
        "reason": reason,
    }


def _records(x: float, largest: float) -> float:
    """A multiple of the largest scale as records; NaN beyond the horizon."""
    return float(x * largest) if x <= HORIZON else np.nan
