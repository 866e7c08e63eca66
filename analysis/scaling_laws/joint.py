"""joint.csv: one law in (data, base size) over arms whose base sizes the options state."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from scipy.special import expit

from analysis.errors import InputError
from analysis.inference.contrasts import tail_weights
from analysis.inference.covariance import Covariance
from analysis.inference.sample import Sample, average, stack
from analysis.inference.score_array import ScoreArray
from analysis.options import CurveOptions
from analysis.scaling_laws.draws import draw_means
from analysis.scaling_laws.families import Fitted, fit_logit
from analysis.scaling_laws.fits import (
    DROPPED,
    KEPT,
    REFUSED,
    describe,
    misfit_p_value,
)
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
            rows.append(points | row | _fit(family, sample, data, sizes, slope, name, options))
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
    key: str,
    options: CurveOptions,
) -> dict[str, Any]:
    refusal = _refusal(family, sample, data, sizes)
    if refusal:
        return {"status": REFUSED, "reason": refusal}
    covariance = Covariance(sample, options.run_sd)
    if not covariance.total.any():
        return {"status": REFUSED, "reason": "all scores are equal"}
    design = np.stack([np.ones_like(data), np.log2(data), np.log2(sizes)], axis=1)

    def fit(means: np.ndarray) -> Fitted:
        return fit_logit(design, means) if family == LOGIT else fit_power(data, sizes, means)

    means = covariance.means
    parameters = fit(means[None]).parameters[0]
    if family == POWER:
        parameters = _off_the_grid(parameters, means, design)
    on_curve = predict(family, parameters, design)
    squares = float(np.square(means - on_curve).sum())
    df = covariance.contrast(slope).df if slope.any() else np.inf
    noise = draw_means(means, covariance.total, df, options, f"joint/{family}/{key}") - means
    p_misfit = misfit_p_value(fit, on_curve, squares, noise)
    kept = p_misfit >= options.misfit_level
    return {
        "parameters": describe(_NAMES[family], parameters),
        "rms": float(np.sqrt(squares / len(data))),
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


def fit_power(data: np.ndarray, sizes: np.ndarray, means: np.ndarray) -> Fitted:
    """mu = a - b n^-c - d m^-e with 0 <= a <= 1, linear in (a, b, d) on a grid of (c, e).

    The form is that of Hoffmann et al. (2022) for loss, turned upside down for a score.

    Args:
        data, sizes: (P,) multiples of the largest.
        means: (B, P).
    """
    best, parameters = np.full(len(means), np.inf), np.zeros((len(means), 5))
    for c, e in itertools.product(_EXPONENTS, _EXPONENTS):
        falling = -np.stack([data**-c, sizes**-e], axis=1)
        solve = np.linalg.pinv(np.column_stack([np.ones_like(data), falling]))
        ceiling = np.clip(means @ solve[0], 0.0, 1.0)
        rest = means - ceiling[:, None]
        gaps = rest @ np.linalg.pinv(falling).T
        squares = np.square(rest - gaps @ falling.T).sum(1)
        better = squares < best
        best = np.where(better, squares, best)
        found = np.column_stack([ceiling, gaps, np.full(len(means), c), np.full(len(means), e)])
        parameters[better] = found[better]
    return Fitted(parameters, best)


def _off_the_grid(start: np.ndarray, means: np.ndarray, design: np.ndarray) -> np.ndarray:
    """The power laws' parameters near the best grid point; with little noise the grid is coarse.

    The draws of the misfit stay on the grid, which can only keep a law that fits.
    """
    free = [np.inf] * 2
    limits = ([0, -np.inf, -np.inf, 0.01, 0.01], [1, *free, 3, 3])
    return least_squares(
        lambda p: means - predict(POWER, p, design), np.clip(start, *limits), bounds=limits
    ).x


def predict(family: str, parameters: np.ndarray, design: np.ndarray) -> np.ndarray:
    """(P,) surface at the rows (1, log2 data, log2 size) of the design."""
    if family == LOGIT:
        return expit(design @ parameters)
    ceiling, data_gap, size_gap, c, e = parameters
    return ceiling - data_gap * np.exp2(-c * design[:, 1]) - size_gap * np.exp2(-e * design[:, 2])
