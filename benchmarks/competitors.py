"""Intervals of a slope as other programs and papers make them, on the scores of a simulated study.

Every function takes scores (C, K, S, N), NaN where there is none: categories, scales, seeds and
items; the cluster of each item, (N,); the scales that the slope is fitted over, (K,), at equal
steps of log2 n; and the coverage. Each is what a careful user of that method would do with a
study of several seeds. statsmodels and pyfixest are optional: `missing` says which are not there.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy import stats

from analysis.inference.contrasts import slope_weights

RESAMPLES = 999


@dataclass(frozen=True)
class Slopes:
    """Intervals of the slope in each category, (C,) each, NaN where a method gives none.

    Attributes:
        p_above: one-sided p value of a slope of 0 or less.
    """

    low: np.ndarray
    high: np.ndarray
    p_above: np.ndarray


Method = Callable[[np.ndarray, np.ndarray, np.ndarray, float], Slopes]


def _from_errors(value: np.ndarray, se: np.ndarray, df: np.ndarray, coverage: float) -> Slopes:
    """t intervals; an infinite df is the normal distribution."""
    half = stats.t.ppf(0.5 + coverage / 2, df) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        return Slopes(value - half, value + half, stats.t.sf(value / se, df))


def weights_of(use: np.ndarray) -> np.ndarray:
    """(K,) weights of the least squares slope over the scales in `use`, one doubling apart."""
    return slope_weights(2.0 ** np.arange(len(use)), use)


def t_tests(y: np.ndarray, clusters: np.ndarray, use: np.ndarray, coverage: float) -> Slopes:
    """Welch's t of the seeds' means at each scale; nothing is paired, items are not a factor."""
    weights = weights_of(use)[use]
    runs = _mean(y[:, use], 3)  # (C, K', S)
    number = np.isfinite(runs).sum(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one seed: no variance, no interval
        parts = weights**2 * np.nanvar(runs, axis=2, ddof=1) / number
        df = parts.sum(1) ** 2 / (parts**2 / (number - 1)).sum(1)
    return _from_errors(_mean(runs, 2) @ weights, np.sqrt(parts.sum(1)), df, coverage)


def clustered_errors(
    y: np.ndarray, clusters: np.ndarray, use: np.ndarray, coverage: float
) -> Slopes:
    """The clustered standard error of inspect_ai's `stderr(cluster=...)` at each scale.

    Its published formula (Miller, arXiv 2411.00640, appendix A, times C / (C - 1)): the scores of
    a cluster of items over all seeds of one scale are one cluster. Scales are taken as independent
    and the quantile is that of the normal distribution.
    """
    weights = weights_of(use)[use]
    y = y[:, use]
    present = np.isfinite(y)
    count = present.sum((2, 3))
    mean = np.where(present, y, 0.0).sum((2, 3)) / count
    off = np.where(present, y - mean[..., None, None], 0.0).sum(2) @ _members(clusters)
    groups = clusters.max() + 1
    variance = np.square(off).sum(2) * groups / (groups - 1) / count**2
    se = np.sqrt((weights**2 * variance).sum(1))
    return _from_errors(mean @ weights, se, np.full(len(se), np.inf), coverage)


def paired_differences(
    y: np.ndarray, clusters: np.ndarray, use: np.ndarray, coverage: float
) -> Slopes:
    """Miller's paired analysis (arXiv 2411.00640): the slope of each item, its answers of all seeds
    averaged, with the standard error over items (over clusters where there are any)."""
    weights = weights_of(use)[use]
    own = np.einsum("k,ckn->cn", weights, _mean(y[:, use], 2))
    complete = np.isfinite(own)
    count = complete.sum(1)
    value = np.where(complete, own, 0.0).sum(1) / count
    off = np.where(complete, own - value[:, None], 0.0) @ _members(clusters)
    groups = clusters.max() + 1
    se = np.sqrt(np.square(off).sum(1) * groups / (groups - 1)) / count
    return _from_errors(value, se, np.full(len(se), np.inf), coverage)


def bootstrap(y: np.ndarray, clusters: np.ndarray, use: np.ndarray, coverage: float) -> Slopes:
    """Percentile interval of 999 resamples of items, whole curves at a time."""
    weights = weights_of(use)[use]
    items = _mean(y[:, use], 2)  # (C, K', N)
    present = np.isfinite(items)
    times = _resamples(y.shape[-1])
    if present.all():
        means = items @ times.T / items.shape[-1]
    else:
        means = np.where(present, items, 0.0) @ times.T / (present.astype(float) @ times.T)
    slopes = np.einsum("k,ckb->cb", weights, means)
    low, high = np.quantile(slopes, [0.5 - coverage / 2, 0.5 + coverage / 2], axis=1)
    return Slopes(low, high, (1 + (slopes <= 0).sum(1)) / (1 + RESAMPLES))


def mixed_model(y: np.ndarray, clusters: np.ndarray, use: np.ndarray, coverage: float) -> Slopes:
    """statsmodels' MixedLM: a fixed slope, crossed random items (or clusters) and runs; REML, and
    the normal quantile that it prints."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    parts = {"item": "0 + C(item)", "run": "0 + C(run)"}
    found = []
    for frame in _frames(y, clusters, use):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a component of 0 lies on the boundary
            try:
                fit = MixedLM.from_formula(
                    "y ~ x", frame.assign(all=1), groups="all", re_formula="0", vc_formula=parts
                ).fit()
                found.append((fit.params["x"], fit.bse["x"]))
            except (np.linalg.LinAlgError, ValueError):
                found.append((np.nan, np.nan))
    value, se = np.array(found).T
    return _from_errors(value, se, np.full(len(se), np.inf), coverage)


def crv1(y: np.ndarray, clusters: np.ndarray, use: np.ndarray, coverage: float) -> Slopes:
    """pyfixest's CRV1: least squares, standard errors clustered by run (scale and seed)."""
    return _fixest(y, clusters, use, coverage, "CRV1")


def crv3(y: np.ndarray, clusters: np.ndarray, use: np.ndarray, coverage: float) -> Slopes:
    """pyfixest's CRV3, the cluster jackknife, by run, with its default small-sample factors."""
    return _fixest(y, clusters, use, coverage, "CRV3")


def _fixest(
    y: np.ndarray, clusters: np.ndarray, use: np.ndarray, coverage: float, kind: str
) -> Slopes:
    import pyfixest

    found = []
    for frame in _frames(y, clusters, use):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = pyfixest.feols("y ~ x", frame, vcov={kind: "run"})
        found.append((fit.coef()["x"], fit.se()["x"], frame["run"].nunique() - 1))
    return _from_errors(*np.array(found).T, coverage)


# Those that a study's twelve categories take together, and those that take milliseconds each.
FAST: dict[str, Method] = {
    "t tests": t_tests,
    "inspect_ai": clustered_errors,
    "paired": paired_differences,
    "bootstrap": bootstrap,
}
SLOW: dict[str, Method] = {"MixedLM": mixed_model, "CRV1": crv1, "CRV3": crv3}
_PACKAGES = {"MixedLM": "statsmodels", "CRV1": "pyfixest", "CRV3": "pyfixest"}


def missing() -> dict[str, str]:
    """Why a method cannot run here, for those that cannot."""
    return {
        name: f"{package} is not installed (pip install 'instruct-scaling[benchmarks]')"
        for name, package in _PACKAGES.items()
        if importlib.util.find_spec(package) is None
    }


def _mean(y: np.ndarray, axis: int) -> np.ndarray:
    """Mean of those that there are; NaN where there is none."""
    present = np.isfinite(y)
    with np.errstate(invalid="ignore"):
        return np.where(present, y, 0.0).sum(axis) / present.sum(axis)


def _members(clusters: np.ndarray) -> np.ndarray:
    """(N, G) of 0 and 1."""
    return np.eye(clusters.max() + 1)[clusters]


@cache
def _resamples(items: int) -> np.ndarray:
    """(RESAMPLES, N) how often each item is drawn; the same draws for every study."""
    rng = np.random.default_rng(0)
    return rng.multinomial(items, np.full(items, 1 / items), RESAMPLES).astype(float)


def _frames(y: np.ndarray, clusters: np.ndarray, use: np.ndarray) -> list[pd.DataFrame]:
    """A long table of each category: score, log2 n, run and item (or cluster)."""
    scales, seeds, items = np.indices(y.shape[1:])[:, use].reshape(3, -1)
    table = pd.DataFrame(
        {"x": scales.astype(float), "run": scales * y.shape[2] + seeds, "item": clusters[items]}
    )
    return [table.assign(y=each[use].reshape(-1)).dropna() for each in y]
