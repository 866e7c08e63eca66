"""Draws of the means of a curve around the measured ones, with or without the untuned base."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from analysis.inference.covariance import Covariance
from analysis.inference.curves import ArmCurves
from analysis.options import CurveOptions


@dataclass(frozen=True)
class BasePoint:
    """The untuned base as a point of a curve.

    Attributes:
        mean: its mean.
        variance: of its mean, that of sampling items; it was tuned by no run.
        shared: (K,) covariance with the tuned means, which are of the same items.
    """

    mean: float
    variance: float
    shared: np.ndarray


def base_point(arm: ArmCurves, name: str) -> BasePoint | None:
    """The base of a curve; None where it was not scored, or not on the same items."""
    curve, base = arm.curves[name], arm.base.get(name)
    if base is None or base.covariance is None or curve.covariance is None or base.missing.any():
        return None
    own, tuned = base.sample.item_influence, curve.sample.item_influence
    if own.shape[1:] != tuned.shape[1:]:
        return None
    return BasePoint(float(base.sample.scale_means[0]), float(own[0] @ own[0]), tuned @ own[0])


def draw_means(
    means: np.ndarray, matrix: np.ndarray, df: float, options: CurveOptions, seed_text: str
) -> np.ndarray:
    """(B, K) draws around the means, multivariate t with the covariance's degrees of freedom.

    Args:
        matrix: (K, K) covariance, of any rank.
        seed_text: names the curve, so that its draws do not depend on what else is in the table.
    """
    return means + _standard(len(means), df, options, seed_text)[:, :-1] @ _root(matrix).T


def draw_curve(
    covariance: Covariance, base: BasePoint | None, df: float, options: CurveOptions, seed_text: str
) -> np.ndarray:
    """(B + 1, K + 1) the base's mean (NaN without one) and the tuned means, measured, then drawn.

    The tuned means are drawn as without a base, so that the base changes no other family's fit.
    """
    means, root = covariance.means, _root(covariance.total)
    standard = _standard(len(means), df, options, seed_text)
    tuned = np.vstack([means, means + standard[:, :-1] @ root.T])
    if base is None:
        return np.column_stack([np.full(len(tuned), np.nan), tuned])
    shared = np.linalg.pinv(root) @ base.shared
    rest = np.sqrt(max(0.0, base.variance - float(shared @ shared)))
    drawn = base.mean + standard[:, :-1] @ shared + rest * standard[:, -1]
    return np.column_stack([np.append(base.mean, drawn), tuned])


def _standard(n: int, df: float, options: CurveOptions, seed_text: str) -> np.ndarray:
    """(B, n + 1) uncorrelated draws of t; the last column is drawn after all others."""
    digest = hashlib.blake2b(f"{options.draw_seed}/{seed_text}".encode(), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    normal = rng.standard_normal((options.fit_draws, n))
    scale = np.ones((options.fit_draws, 1))
    if np.isfinite(df):
        scale = np.sqrt(rng.chisquare(df, size=scale.shape) / df)
    return np.hstack([normal, rng.standard_normal(scale.shape)]) / scale


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0.0))
