"""fits.csv: curves through the means by least squares, dropped when they misfit.

Every scale has the same weight. Estimated weights win nothing with few scales (Altonji and Segal,
J. Business & Economic Statistics 14, 1996), and with noise that scales share they can draw a fit
below all of its points (Peelle's puzzle). The covariance of the means is kept for draws: of the
interval, and of the misfit that noise alone would make.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analysis.inference.contrasts import tail_weights
from analysis.inference.covariance import Covariance
from analysis.inference.curves import ArmCurves
from analysis.inference.intervals import central_levels
from analysis.inference.verdicts import NON_MONOTONE
from analysis.options import CurveOptions
from analysis.scaling_laws.backtest import Backtest, backtest, envelope_of
from analysis.scaling_laws.draws import BasePoint, base_point, draw_curve
from analysis.scaling_laws.families import FAMILIES, Family, Fitted

KEPT, DROPPED, REFUSED = "kept", "dropped", "refused"
NO_BACKTEST = Backtest(reason="no fit")
_BACKTEST_DRAWS = 200


@dataclass(frozen=True)
class FamilyFit:
    """One family on one curve.

    Attributes:
        parameters: (p,) at the measured means; None when refused.
        draws: (B, p) at draws of the means; None when refused.
        n_points: points fitted, the base among them where the family takes it.
    """

    family: Family
    status: str
    reason: str
    parameters: np.ndarray | None = None
    draws: np.ndarray | None = None
    rms: float = np.nan
    p_misfit: float = np.nan
    backtest: Backtest = NO_BACKTEST
    n_points: int = 0


@dataclass(frozen=True)
class CurveFit:
    """All families on one curve; `refusal` says why nothing may be fitted (else empty)."""

    fits: list[FamilyFit]
    refusal: str

    @property
    def kept(self) -> list[FamilyFit]:
        """The families that survived."""
        return [fit for fit in self.fits if fit.status == KEPT]

    @property
    def backtest(self) -> Backtest:
        """That of the curve, over the families that had enough scales."""
        return envelope_of([fit.backtest for fit in self.fits if fit.status != REFUSED])

    @property
    def tried(self) -> int:
        """How many families had enough scales to be tried."""
        return sum(fit.status != REFUSED for fit in self.fits)


def fit_arm_curves(
    arm: ArmCurves, verdicts: list[dict[str, Any]], options: CurveOptions
) -> dict[str, CurveFit]:
    """Fits of every curve of an arm, given its verdict's row.

    A curve that lacks too many scores is treated as one whose noise is unknown.
    """
    fits = {}
    for row in verdicts:
        name = row["category"]
        curve = arm.curves[name]
        known = curve.missing.max() <= options.missing_limit
        fits[name] = fit_curve(
            curve.covariance if known else None,
            arm.scales,
            row["verdict"],
            options,
            f"{arm.scores.judge}/{arm.scores.arm}/{name}",
            base_point(arm, name) if known else None,
        )
    return fits


def fit_rows(
    arm: ArmCurves, fits: dict[str, CurveFit], options: CurveOptions
) -> list[dict[str, Any]]:
    """One row per category and family."""
    return [
        arm.key(name)
        | {
            "family": fit.family.name,
            "parameters": describe(fit.family.names, fit.parameters),
            "parameter_intervals": describe_intervals(fit, options.interval),
            "asymptote": asymptote(fit, curve_fit, options.interval),
            "n_scales": fit.n_points or len(arm.scales),
            "n_parameters": len(fit.family.names),
            "rms": fit.rms,
            "p_misfit": fit.p_misfit,
            "backtest_error": fit.backtest.error,
            "backtest_low": fit.backtest.low,
            "backtest_high": fit.backtest.high,
            "backtest": fit.backtest.result,
            "status": fit.status,
            "reason": fit.reason,
        }
        for name, curve_fit in fits.items()
        for fit in curve_fit.fits
    ]


def fit_curve(
    covariance: Covariance | None,
    scales: np.ndarray,
    verdict: str,
    options: CurveOptions,
    seed_text: str,
    base: BasePoint | None = None,
) -> CurveFit:
    """Fit the families that the options name.

    Args:
        verdict: the curve's verdict; a non-monotone curve is not fitted.
        seed_text: names the curve, so that its draws do not depend on what else is in the table.
        base: the untuned base, a point of the families that are finite without data.
    """
    refusal = _refusal(covariance, scales, verdict)
    if refusal:
        refused = [FamilyFit(FAMILIES[name], REFUSED, refusal) for name in options.families]
        return CurveFit(refused, refusal)
    df = covariance.contrast(tail_weights(scales)).df
    stacked = draw_curve(covariance, base, df, options, seed_text)
    x = np.append(0.0, scales / scales[-1])
    fits = [_fit_and_test(FAMILIES[name], x, stacked, options) for name in options.families]
    if all(fit.status != KEPT for fit in fits):
        tried = any(fit.status == DROPPED for fit in fits)
        refusal = "no family fits" if tried else "too few scales for any family"
    return CurveFit(fits, refusal)


def _refusal(covariance: Covariance | None, scales: np.ndarray, verdict: str) -> str:
    if len(scales) < 2:
        return "one scale only"
    if covariance is None or not covariance.total.any():
        return "the noise is not known"
    if verdict == NON_MONOTONE:
        return "the curve is not monotone"
    return ""


def misfit_p_value(
    fit: Callable[[np.ndarray], Fitted], on_curve: np.ndarray, squares: float, noise: np.ndarray
) -> float:
    """p value of a misfit: how often noise around the fitted curve, refitted, leaves as much.

    Args:
        on_curve: (K,) the fitted curve at the scales.
        squares: sum of squared distances of the means from it.
        noise: (B, K) draws of the means less the means.
    """
    worse = fit(on_curve + noise).squares >= squares * (1 - 1e-9)
    return float((1 + worse.sum()) / (1 + len(noise)))


def _fit_and_test(
    family: Family, x: np.ndarray, stacked: np.ndarray, options: CurveOptions
) -> FamilyFit:
    """One family on all scales, with its backtest.

    Args:
        x: (K + 1,) 0 for the base, then multiples of the largest scale.
        stacked: (B + 1, K + 1) means, then their draws; NaN for a base that was not scored.
    """
    first = 0 if family.from_base and np.isfinite(stacked[0, 0]) else 1
    x, stacked = x[first:], stacked[:, first:]
    fit = _fit_family(family, x, stacked, options, family.least_scales)
    if fit.status == REFUSED:
        return fit
    return replace(fit, backtest=_backtest(family, x, stacked[: 1 + _BACKTEST_DRAWS], options))


def _backtest(
    family: Family, x: np.ndarray, stacked: np.ndarray, options: CurveOptions
) -> Backtest:
    """The same procedure without the last scale; a misfit there ends it."""
    fit = _fit_family(family, x[:-1] / x[-2], stacked[:, :-1], options, family.least_scales - 1)
    if fit.status != KEPT:
        return Backtest(reason="no fit without the last scale")
    ahead = np.array([x[-1] / x[-2]])
    predicted = family.predict(np.vstack([fit.parameters, fit.draws]), ahead)[:, 0]
    return backtest(predicted, stacked[:, -1], options.interval)


def _fit_family(
    family: Family,
    x: np.ndarray,
    stacked: np.ndarray,
    options: CurveOptions,
    least: int,
) -> FamilyFit:
    """One family at the means (row 0) and at their draws; refused with fewer points than least."""
    if len(x) < least:
        what = "points" if family.from_base else "scales"
        reason = f"{len(x)} {what}; {family.name} needs {least}"
        return FamilyFit(family, REFUSED, reason, n_points=len(x))
    fitted = family.fit(x, stacked)
    squares = float(fitted.squares[0])
    p_misfit = misfit_p_value(
        lambda means: family.fit(x, means),
        family.predict(fitted.parameters[:1], x)[0],
        squares,
        stacked[1:] - stacked[0],
    )
    reason = ""
    if p_misfit < options.misfit_level:
        reason = f"misfit: p {p_misfit:.3g} is below {options.misfit_level:g}"
    elif jumps(family, fitted.parameters[0], x[x > 0]):
        reason = "jumps from below .1 to above .9 between two scales: nothing was seen on its way"
    return FamilyFit(
        family,
        DROPPED if reason else KEPT,
        reason,
        fitted.parameters[0],
        fitted.parameters[1:],
        float(np.sqrt(squares / len(x))),
        p_misfit,
        n_points=len(x),
    )


def jumps(family: Family, parameters: np.ndarray, x: np.ndarray) -> bool:
    """Whether a curve rises from .1 to .9 within less than one step of the ladder x.

    Two points on either side of a jump fix its height alone; few degrees of freedom may keep such
    a curve from being rejected, but its path and what follows are made up.
    """
    low, high = (float(family.inverse(parameters[None], score)[0]) for score in (0.1, 0.9))
    # A steep law may reach .1 at a scale too small for a float: that is no jump.
    return bool(np.isfinite(high) and high < low * (x[1:] / x[:-1]).min())


def describe(names: tuple[str, ...], parameters: np.ndarray | None) -> str:
    """Parameters as `name=value; ...`; records count in multiples of the largest scale."""
    if parameters is None:
        return ""
    return "; ".join(
        f"{name}={value:.6g}" for name, value in zip(names, parameters.tolist(), strict=True)
    )


def describe_intervals(fit: FamilyFit, coverage: float) -> str:
    """Intervals of the parameters as `name=[low, high]; ...`; an end without a bound is open."""
    if fit.draws is None:
        return ""
    ends = np.quantile(fit.draws, central_levels(coverage), axis=0).T.tolist()
    named = zip(fit.family.names, ends, strict=True)
    words = [f"{name}=[{low:.6g}, {high:.6g}]" for name, (low, high) in named]
    shown = asymptote_interval(fit, coverage)
    if shown is not None:
        words[0] = f"{fit.family.names[0]}={_bracket(shown)}"
    return "; ".join(words)


def asymptote(fit: FamilyFit, curve: CurveFit, coverage: float) -> str:
    """What the scales show of the score that the curve nears; empty for a family without one.

    Nothing where the draws leave an end open, or where a family without an asymptote fits too.
    """
    shown = asymptote_interval(fit, coverage)
    if shown is None or fit.status != KEPT:
        return ""
    if not np.isfinite(shown).all():
        return "not shown: its interval is open"
    if any(each.family.asymptote(each.draws) is None for each in curve.kept):
        return "not shown: a law without one fits these scales too"
    return f"{_bracket(shown)}, if the law holds beyond the scales"


def asymptote_interval(fit: FamilyFit, coverage: float) -> tuple[float, float] | None:
    """Interval of the asymptote over the draws, infinite at an end that they leave open.

    A draw without an asymptote inside (0, 1) counts as one beyond all others.
    """
    found = None if fit.draws is None else fit.family.asymptote(fit.draws)
    if found is None:
        return None
    beyond = np.inf if fit.parameters[1] >= 0 else -np.inf  # a curve may fall to a floor
    low, high = np.quantile(
        np.where(np.isnan(found), beyond, found), central_levels(coverage), method="nearest"
    )
    return float(low), float(high)


def _bracket(ends: tuple[float, float]) -> str:
    low, high = (f"{end:.3g}" if np.isfinite(end) else "open" for end in ends)
    return f"[{low}, {high}]"
