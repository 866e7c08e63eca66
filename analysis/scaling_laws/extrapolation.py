"""extrapolation.csv: what the kept families say inside and beyond the ladder, or why nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.inference.curves import ArmCurves, join
from analysis.inference.intervals import central_levels
from analysis.options import CurveOptions
from analysis.scaling_laws.backtest import MISSED
from analysis.scaling_laws.fits import CurveFit

HORIZON = 10.0  # multiple of the largest scale beyond which nothing is said
_ASSUMPTION = "if nothing changes regime"
_POINTS_INSIDE = 17
_POINTS_PER_DOUBLING = 4


def extrapolation_rows(
    arm: ArmCurves, fits: dict[str, CurveFit], options: CurveOptions
) -> list[dict[str, Any]]:
    """The fit inside the ladder, the extrapolation beyond it, and a refusal where it ends."""
    largest = float(arm.scales[-1])
    inside = np.geomspace(arm.scales[0] / largest, 1.0, _POINTS_INSIDE)
    rows = []
    for name, fit in fits.items():
        key = arm.key(name)
        tested = fit.backtest
        key |= {"backtest": tested.result}
        if fit.refusal:
            rows.append(key | {"status": "refused", "reason": fit.refusal})
            continue
        points = [(inside, "fit", "")]
        refusal = why_no_extrapolation(fit)
        if not refusal:
            beyond = _beyond(options.extrapolate)
            missed = "" if tested.result != MISSED else f"backtest missed by {tested.error:+.3f}"
            points.append((beyond, "extrapolated", join(assumption(arm, name), missed)))
            refusal = f"beyond {options.extrapolate:g} times the largest scale"
        for x, status, reason in points:
            rows += [
                key | {"scale": row["factor"] * largest, "status": status, "reason": reason} | row
                for row in _envelope_rows(fit, x, options.interval)
            ]
        rows.append(
            key
            | {"scale": HORIZON * largest, "factor": HORIZON}
            | {"status": "refused", "reason": refusal}
        )
    return rows


def why_no_extrapolation(fit: CurveFit) -> str:
    """Why a fitted curve may not be drawn beyond its ladder; empty if it may."""
    if fit.refusal:
        return fit.refusal
    if fit.tried < 2:
        reasons = "; ".join(f.reason for f in fit.fits if f.draws is None)
        return f"one family alone gives no envelope ({reasons})"
    return ""


def assumption(arm: ArmCurves, name: str) -> str:
    """What an extrapolated curve, whose noise is known, rests on."""
    covariance = arm.curves[name].covariance
    return join(_ASSUMPTION, "" if covariance.run_measured else covariance.noise)


def envelope(
    fit: CurveFit, x: np.ndarray, coverage: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middle, low and high (M,) over the kept families at multiples x of the largest scale."""
    middle = [each.family.predict(each.parameters[None], x)[0] for each in fit.kept]
    quantiles = [
        np.quantile(each.family.predict(each.draws, x), central_levels(coverage), axis=0)
        for each in fit.kept
    ]
    low, high = np.min([q[0] for q in quantiles], axis=0), np.max([q[1] for q in quantiles], axis=0)
    return np.mean(middle, axis=0), low, high


def _beyond(factor: float) -> np.ndarray:
    count = max(1, round(np.log2(factor) * _POINTS_PER_DOUBLING))
    return np.geomspace(1.0, factor, count + 1)[1:] if factor > 1 else np.array([])


def _envelope_rows(fit: CurveFit, x: np.ndarray, coverage: float) -> list[dict[str, Any]]:
    """The envelope at multiples x of the largest scale."""
    if not len(x):
        return []
    families = {"families": "; ".join(each.family.name for each in fit.kept)}
    return [
        dict(zip(("factor", "mean", "low", "high"), map(float, point), strict=True)) | families
        for point in zip(x, *envelope(fit, x, coverage), strict=True)
    ]
