"""extrapolation.csv and needs.csv: what the kept families say beyond the ladder, or why nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.inference.arm_curves import ArmCurves, join
from analysis.options import CurveOptions
from analysis.scaling_laws.families import Family
from analysis.scaling_laws.fits import CurveFit

HORIZON = 10.0
ASSUMPTION = "if nothing changes regime"
_POINTS_INSIDE = 17
_POINTS_PER_DOUBLING = 4


def extrapolation_rows(
    panel: ArmCurves, fits: dict[str, CurveFit], options: CurveOptions
) -> list[dict[str, Any]]:
    """The fit inside the ladder, the extrapolation beyond it, and a refusal where it ends."""
    rows = []
    for name, fit in fits.items():
        key = {"judge": panel.cube.judge, "arm": panel.cube.arm, "category": name}
        if fit.refusal:
            rows.append(key | {"status": "refused", "reason": fit.refusal})
            continue
        largest = float(panel.cube.scales[-1])
        inside = np.geomspace(panel.cube.scales[0] / largest, 1.0, _POINTS_INSIDE)
        rows += _envelope_rows(key, fit, inside, largest, "fit", "", options)
        refusal = why_no_extrapolation(fit)
        if not refusal:
            beyond = _beyond(options.extrapolate)
            rows += _envelope_rows(
                key, fit, beyond, largest, "extrapolated", _assumption(panel, name), options
            )
            refusal = f"beyond {options.extrapolate:g} times the largest scale"
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


def envelope(
    fit: CurveFit, x: np.ndarray, coverage: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middle, low and high (M,) over the kept families at multiples x of the largest scale."""
    middle = [each.family.predict(each.parameters[None], x)[0] for each in fit.kept]
    low, high = _spread([(each.family, each.draws) for each in fit.kept], x, coverage)
    return np.mean(middle, axis=0), low, high


def _spread(
    refits: list[tuple[Family, np.ndarray]], x: np.ndarray, coverage: float
) -> tuple[np.ndarray, np.ndarray]:
    tails = [(1 - coverage) / 2, (1 + coverage) / 2]
    quantiles = [
        np.quantile(family.predict(parameters, x), tails, axis=0) for family, parameters in refits
    ]
    return np.min([q[0] for q in quantiles], axis=0), np.max([q[1] for q in quantiles], axis=0)


def _beyond(factor: float) -> np.ndarray:
    count = max(1, round(np.log2(factor) * _POINTS_PER_DOUBLING))
    return np.geomspace(1.0, factor, count + 1)[1:] if factor > 1 else np.array([])


def _assumption(panel: ArmCurves, name: str) -> str:
    covariance = panel.curves[name].covariance
    measured = covariance is not None and covariance.within.runs > 0
    return join(ASSUMPTION, "" if measured else covariance.noise)


def _envelope_rows(
    key: dict[str, Any],
    fit: CurveFit,
    x: np.ndarray,
    largest: float,
    status: str,
    reason: str,
    options: CurveOptions,
) -> list[dict[str, Any]]:
    if not len(x):
        return []
    families = "; ".join(each.family.name for each in fit.kept)
    check = np.full((2, len(x)), np.nan)
    if all(each.resampled is not None for each in fit.kept):
        refits = [(each.family, each.resampled) for each in fit.kept]
        check = np.stack(_spread(refits, x, options.interval))
    return [
        key
        | {
            "scale": float(at * largest),
            "factor": float(at),
            "mean": float(mean),
            "low": float(low),
            "high": float(high),
            "boot_low": float(boot_low),
            "boot_high": float(boot_high),
            "families": families,
            "status": status,
            "reason": reason,
        }
        for at, mean, low, high, boot_low, boot_high in zip(
            x, *envelope(fit, x, options.interval), *check, strict=True
        )
    ]


def need_rows(
    panel: ArmCurves, fits: dict[str, CurveFit], options: CurveOptions
) -> list[dict[str, Any]]:
    """Records needed for each target, per category."""
    rows = []
    for name, fit in fits.items():
        curve = panel.curves[name]
        last = float(curve.sample.means[-1].mean())
        targets = options.targets or [round(last + gain, 4) for gain in (0.02, 0.05)]
        largest = float(panel.cube.scales[-1])
        for target in targets:
            if not np.isfinite(target) or target > 1:
                continue
            rows.append(
                {"judge": panel.cube.judge, "arm": panel.cube.arm, "category": name}
                | {"target": target, "horizon": HORIZON * largest}
                | _need(fit, target, largest, options, _assumption_or_empty(panel, name))
            )
    return rows


def _assumption_or_empty(panel: ArmCurves, name: str) -> str:
    return "" if panel.curves[name].covariance is None else _assumption(panel, name)


def _need(
    fit: CurveFit, target: float, largest: float, options: CurveOptions, assumption: str
) -> dict[str, Any]:
    refusal = why_no_extrapolation(fit)
    if refusal:
        return {"status": "refused", "reason": refusal}
    reached = [each.family.inverse(each.draws, target) for each in fit.kept]
    tails = [(1 - options.interval) / 2, (1 + options.interval) / 2]
    # Order statistics, not interpolation: a draw that never reaches the target is infinite.
    quantiles = [np.quantile(x, tails, method="nearest") for x in reached]
    median = float(np.quantile(np.concatenate(reached), 0.5, method="nearest"))
    within = float(min((x <= HORIZON).mean() for x in reached))
    row = {
        "low": _inside(min(q[0] for q in quantiles), largest),
        "high": _inside(max(q[1] for q in quantiles), largest),
        "scale": _inside(median, largest),
        "p_never": float(max(np.isinf(x).mean() for x in reached)),
        "p_within": within,
        "status": "reached" if median <= 1 else "extrapolated",
        "reason": assumption,
    }
    if median > HORIZON:
        row |= {
            "status": "refused",
            "reason": f"not within {HORIZON:g} times the largest scale in most refits",
        }
    return row


def _inside(x: float, largest: float) -> float:
    """Records, or NaN beyond the horizon."""
    return float(x * largest) if x <= HORIZON else np.nan
