"""joint.csv: one law in (data, base size) over arms whose base sizes the options state."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from scipy import stats

from analysis.errors import InputError
from analysis.inference.contrasts import tail_weights
from analysis.inference.covariance import Covariance, Sample, average, stack
from analysis.inference.score_array import ScoreArray
from analysis.options import CurveOptions
from analysis.scaling_laws.families import Fitted, fit_logit
from analysis.scaling_laws.fits import DROPPED, KEPT, REFUSED, describe, shrunk
from analysis.tables import OVERALL

_EXPONENTS = np.geomspace(0.02, 2.0, 24)
LOGIT, POWER = "logit-linear in both", "sum of two power laws"
_NAMES = {
    LOGIT: ("intercept", "data_slope", "size_slope"),
    POWER: ("ceiling", "data_gap", "size_gap", "data_exponent", "size_exponent"),
}
_LEAST_SIZES = {LOGIT: 2, POWER: 3}


def joint_rows(arms: Sequence[ScoreArray], options: CurveOptions) -> list[dict[str, Any]]:
    """One row per judge, category and family; none when the options state no sizes.

    Raises:
        InputError: the options give a size to an arm that the table does not have.
    """
    unknown = sorted(set(options.sizes) - {array.arm for array in arms})
    if unknown:
        raise InputError(
            f"sizes are given for arms that the table does not have: {', '.join(unknown)}",
            where="options.sizes",
        )
    rows: list[dict[str, Any]] = []
    for judge, judged in itertools.groupby(arms, key=lambda array: array.judge):
        sized = [array for array in judged if array.arm in options.sizes]
        if sized:
            key = {"judge": judge, "arms": "; ".join(array.arm for array in sized)}
            rows += [key | row for row in _judge_rows(sized, options)]
    return rows


def _judge_rows(arms: list[ScoreArray], options: CurveOptions) -> list[dict[str, Any]]:
    seeds = reduce(np.intersect1d, [array.seeds for array in arms])
    data = np.concatenate([array.scales for array in arms]).astype(float)
    data = data / data.max()
    sizes = np.concatenate([np.full(len(a.scales), options.sizes[a.arm]) for a in arms])
    sizes = sizes / sizes.max()
    points = {"n_points": len(data)}
    if not len(seeds):
        refused = {"status": REFUSED, "reason": "the arms share no seed"}
        return [points | refused | {"category": OVERALL, "family": LOGIT}]
    slope = np.concatenate([_tail_weights(array.scales) for array in arms])
    rows = []
    for name, sample in _samples(arms, seeds).items():
        for family in (LOGIT, POWER):
            row = {"category": name, "family": family, "n_parameters": len(_NAMES[family])}
            rows.append(points | row | _fit(family, sample, data, sizes, slope, options))
    return rows


def _tail_weights(scales: np.ndarray) -> np.ndarray:
    return tail_weights(scales) if len(scales) > 1 else np.zeros(1)


def _samples(arms: list[ScoreArray], seeds: np.ndarray) -> dict[str, Sample]:
    samples = {}
    for name in arms[0].categories:
        parts = [
            Sample.from_scores(
                array.categories[name].values[:, np.searchsorted(array.seeds, seeds)],
                array.categories[name].clusters,
            )
            for array in arms
        ]
        samples[name] = stack(parts)
    usable = [sample for sample in samples.values() if sample.usable]
    if usable:
        samples[OVERALL] = average(usable)
    return samples


def _fit(
    family: str,
    sample: Sample,
    data: np.ndarray,
    sizes: np.ndarray,
    slope: np.ndarray,
    options: CurveOptions,
) -> dict[str, Any]:
    refusal = _refusal(family, sample, data, sizes)
    if refusal:
        return {"status": REFUSED, "reason": refusal}
    covariance = Covariance(sample, options.run_sd)
    if not covariance.total.any():
        return {"status": REFUSED, "reason": "all scores are equal"}
    whiten = np.linalg.inv(np.linalg.cholesky(shrunk(covariance)))
    means = covariance.means[None]
    if family == LOGIT:
        design = np.stack([np.ones_like(data), np.log2(data), np.log2(sizes)], axis=1)
        fitted = fit_logit(design, means, whiten)
    else:
        fitted = fit_power(data, sizes, means, whiten)
    free = len(data) - len(_NAMES[family])
    df = covariance.contrast(slope).df if slope.any() else np.inf
    p_misfit = float(stats.f.sf(fitted.chi2[0] / free, free, df))
    kept = p_misfit >= options.misfit_level
    return {
        "parameters": describe(_NAMES[family], fitted.parameters[0]),
        "chi2": float(fitted.chi2[0]),
        "p_misfit": p_misfit,
        "status": KEPT if kept else DROPPED,
        "reason": "" if kept else f"misfit: p {p_misfit:.3g} is below {options.misfit_level:g}",
    }


def _refusal(family: str, sample: Sample, data: np.ndarray, sizes: np.ndarray) -> str:
    if not sample.usable:
        return "the noise is not known"
    n_sizes, least = len(np.unique(sizes)), _LEAST_SIZES[family]
    if n_sizes < least:
        return f"{n_sizes} base sizes; {least} are needed"
    needed = len(_NAMES[family]) + 2
    if len(data) < needed:
        return f"{len(data)} points; {needed} are needed"
    return ""


def fit_power(data: np.ndarray, sizes: np.ndarray, means: np.ndarray, whiten: np.ndarray) -> Fitted:
    """mu = a - b n^-c - d m^-e with 0 <= a <= 1, linear in (a, b, d) on a grid of (c, e).

    The form is that of Hoffmann et al. (2022) for loss, turned upside down for a score.
    """
    y = whiten @ means[0]
    one = whiten @ np.ones_like(data)
    best, parameters = np.inf, np.zeros(5)
    for c, e in itertools.product(_EXPONENTS, _EXPONENTS):
        falling = -(whiten @ np.stack([data**-c, sizes**-e], axis=1))
        free = np.linalg.lstsq(np.column_stack([one, falling]), y, rcond=None)[0]
        ceiling = float(np.clip(free[0], 0.0, 1.0))
        gaps = np.linalg.lstsq(falling, y - ceiling * one, rcond=None)[0]
        chi2 = float(((y - ceiling * one - falling @ gaps) ** 2).sum())
        if chi2 < best:
            best, parameters = chi2, np.array([ceiling, *gaps, c, e])
    return Fitted(parameters[None], np.array([best]))
