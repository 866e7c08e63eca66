"""Why nothing can be claimed of a curve, in words; empty text where a claim is possible."""

from __future__ import annotations

import numpy as np

from analysis.inference.covariance import UNMEASURED
from analysis.inference.curves import Curve
from analysis.options import CurveOptions

_LEAST_DF = 3  # between items or clusters; with fewer, coverage depends on their distribution


def why_no_estimate(curve: Curve, scales: np.ndarray, options: CurveOptions) -> str:
    """Why no contrast of the curve can be estimated."""
    if curve.covariance is None:
        return "the noise is not known"
    if len(scales) < 2:
        return "one scale only"
    if not curve.noisy:
        return "all scores are equal, so there is no noise to measure"
    if too_many_missing(curve, options):
        return (
            f"up to {curve.missing.max():.0%} of the scores are missing at a scale "
            f"(limit {options.missing_limit:.0%})"
        )
    return ""


def too_many_missing(curve: Curve, options: CurveOptions) -> bool:
    """Whether a scale lacks more scores than the options allow."""
    return bool(curve.missing.max() > options.missing_limit)


def why_no_claim(curve: Curve, weights: np.ndarray) -> str:
    """Why the noise, though measured in part, bears no claim on a contrast.

    Args:
        weights: (K,) of the contrast.
    """
    if curve.covariance.noise == UNMEASURED:
        return "training noise is unmeasured (one seed), so the numbers speak of these models alone"
    df = curve.covariance.item_df(weights)
    if 0 < df < _LEAST_DF - 1e-9:
        return (
            f"the items, or clusters of unequal size, are worth {df:.2g} degrees of freedom; "
            f"{_LEAST_DF} are needed"
        )
    return ""
