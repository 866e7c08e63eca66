"""fits.csv: curves through the means by least squares, dropped when they misfit.

Every scale has the same weight. Estimated weights win nothing with few scales (Altonji and Segal,
J. Business & Economic Statistics 14, 1996), and with noise that scales share they can draw a fit
below all of its points (Peelle's puzzle). The covariance of the means is kept for draws: of the
interval, and of the misfit that noise alone would make.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.inference.contrasts import tail_weights
from analysis.inference.covariance import Covariance
from analysis.inference.curves import ArmCurves
from analysis.inference.verdicts import NON_MONOTONE
from analysis.options import CurveOptions
from analysis.scaling_laws.families import FAMILIES, Family, Fitted

KEPT, DROPPED, REFUSED = "kept", "dropped", "refused"


@dataclass(frozen=True)
class FamilyFit:
    """One family on one curve.

    Attributes:
        parameters: (p,) at the measured means; None when refused.
        draws: (B, p) at draws of the means; None when refused.
    """

    family: Family
    status: str
    reason: str
    parameters: np.ndarray | None = None
    draws: np.ndarray | None = None
    rms: float = np.nan
    p_misfit: float = np.nan


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
        )
    return fits


def fit_rows(arm: ArmCurves, fits: dict[str, CurveFit]) -> list[dict[str, Any]]:
    """One row per category and family."""
    return [
        arm.key(name)
        | {
            "family": fit.family.name,
            "parameters": describe(fit.family.names, fit.parameters),
            "n_scales": len(arm.scales),
            "n_parameters": len(fit.family.names),
            "rms": fit.rms,
            "p_misfit": fit.p_misfit,
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
) -> CurveFit:
    """Fit the families that the options name.

    Args:
        verdict: the curve's verdict; a non-monotone curve is not fitted.
        seed_text: names the curve, so that its draws do not depend on what else is in the table.
    """
    refusal = _refusal(covariance, scales, verdict)
    if refusal:
        refused = [FamilyFit(FAMILIES[name], REFUSED, refusal) for name in options.families]
        return CurveFit(refused, refusal)
    df = covariance.contrast(tail_weights(scales)).df
    draws = draw_means(covariance.means, covariance.total, df, options, seed_text)
    x = scales / scales[-1]
    stacked = np.vstack([covariance.means, draws])
    fits = [_fit_family(FAMILIES[name], x, stacked, options) for name in options.families]
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


def draw_means(
    means: np.ndarray, matrix: np.ndarray, df: float, options: CurveOptions, seed_text: str
) -> np.ndarray:
    """(B, K) draws around the means, multivariate t with the covariance's degrees of freedom.

    Args:
        matrix: (K, K) covariance, of any rank.
    """
    digest = hashlib.blake2b(f"{options.draw_seed}/{seed_text}".encode(), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    normal = rng.standard_normal((options.fit_draws, len(means)))
    if np.isfinite(df):
        normal /= np.sqrt(rng.chisquare(df, size=(options.fit_draws, 1)) / df)
    values, vectors = np.linalg.eigh(matrix)
    return means + normal @ (vectors * np.sqrt(np.maximum(values, 0.0))).T


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


def _fit_family(
    family: Family,
    x: np.ndarray,
    stacked: np.ndarray,
    options: CurveOptions,
) -> FamilyFit:
    """One family at the means (row 0) and at their draws."""
    if len(x) < family.least_scales:
        reason = f"{len(x)} scales; {family.name} needs {family.least_scales}"
        return FamilyFit(family, REFUSED, reason)
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
    elif jumps(family, fitted.parameters[0], x):
        reason = "jumps from below .1 to above .9 between two scales: nothing was seen on its way"
    return FamilyFit(
        family,
        DROPPED if reason else KEPT,
        reason,
        fitted.parameters[0],
        fitted.parameters[1:],
        float(np.sqrt(squares / len(x))),
        p_misfit,
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
