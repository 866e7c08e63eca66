"""decisions.csv: how often a small scale puts two arms in the order of the largest scale.

The decision accuracy of Magnusson et al. (arXiv 2504.11393): someone who runs each arm once at a
small scale and takes the better one, is right how often? The interval treats categories and
seeds as crossed random factors, as those of the means do with items and seeds. So it holds for
other categories and other seeds, and for these arms; pairs that share an arm, and the runs that
categories share, count together. The order at the largest scale is taken as measured: arms that
are equal there are put in order by chance, which draws the accuracy towards one half.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np

from analysis.inference.covariance import Covariance
from analysis.inference.intervals import share_interval
from analysis.inference.sample import Sample
from analysis.inference.score_array import ScoreArray
from analysis.options import CurveOptions
from analysis.tables import OVERALL


def decision_rows(arms: Sequence[ScoreArray], options: CurveOptions) -> list[dict[str, Any]]:
    """Rows of every judge with two arms or more: each category, then overall, by scale."""
    rows: list[dict[str, Any]] = []
    for judge, judged in itertools.groupby(arms, key=lambda array: array.judge):
        several = list(judged)
        if len(several) > 1:
            rows += [{"judge": judge} | row for row in _judge_rows(several, options)]
    return rows


def _judge_rows(arms: Sequence[ScoreArray], options: CurveOptions) -> Iterator[dict[str, Any]]:
    scales = reduce(np.intersect1d, [array.scales for array in arms])
    seeds = reduce(np.intersect1d, [array.seeds for array in arms])
    if len(scales) < 2 or not len(seeds):
        what = "two scales" if len(scales) < 2 else "a seed"
        yield {"category": OVERALL, "note": f"the arms do not have {what} in common"}
        return
    means, names = _run_means(arms, scales, seeds)
    right = agreement(means)  # (K - 1, S, C)
    common = {"largest": int(scales[-1]), "n_seeds": len(seeds)}
    common["n_pairs"] = len(arms) * (len(arms) - 1) // 2
    averages = _over_seeds(means)  # (A, K, C)
    for c, name in enumerate(names):
        for k, scale in enumerate(scales[:-1]):
            yield common | {
                "category": name,
                "scale": int(scale),
                "accuracy": _mean(right[k, :, c]),
                "n_categories": 1,
                **_best(arms, averages[:, :, c], k),
            }
    sample = Sample.from_scores(right, np.arange(len(names)))
    covariance = Covariance(sample) if sample.usable else None
    for k, scale in enumerate(scales[:-1]):
        yield common | {
            "category": OVERALL,
            "scale": int(scale),
            "accuracy": float(sample.scale_means[k]),
            "n_categories": len(names),
            **_best(arms, averages.mean(2), k),
            **_interval(covariance, k, len(names), options.interval),
        }


def _run_means(
    arms: Sequence[ScoreArray], scales: np.ndarray, seeds: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """(A, K, S, C) mean of each run over the items that have a score, NaN without any."""
    found = []
    names = list(arms[0].categories)
    for array in arms:
        at = np.ix_(np.searchsorted(array.scales, scales), np.searchsorted(array.seeds, seeds))
        parts = []
        for name in names:
            values = array.categories[name].values[at]
            known = np.isfinite(values)
            total, number = np.where(known, values, 0.0).sum(-1), known.sum(-1)
            parts.append(np.where(number > 0, total / np.maximum(number, 1), np.nan))
        found.append(np.stack(parts, -1))
    return np.stack(found), names


def _over_seeds(means: np.ndarray) -> np.ndarray:
    known = np.isfinite(means)
    total, number = np.where(known, means, 0.0).sum(2), known.sum(2)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def agreement(means: np.ndarray) -> np.ndarray:
    """Share of pairs of arms that one run of each orders as the means at the largest scale do.

    Args:
        means: (A, K, S, C) run means, the largest scale last.

    Returns:
        (K - 1, S, C), a tie counted as one half; NaN where a run has no mean.
    """
    reference = _over_seeds(means)[:, -1]  # (A, C)
    shares = []
    for a, b in itertools.combinations(range(len(means)), 2):
        order = np.sign(means[a, :-1] - means[b, :-1])
        shares.append(0.5 + 0.5 * order * np.sign(reference[a] - reference[b]))
    return np.mean(shares, axis=0)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _best(arms: Sequence[ScoreArray], averages: np.ndarray, k: int) -> dict[str, str]:
    """The arms with the highest mean at the k-th and at the largest scale: (A, K) averages."""
    if not np.isfinite(averages[:, [k, -1]]).all():
        return {}
    return {
        "best": arms[int(averages[:, k].argmax())].arm,
        "best_at_largest": arms[int(averages[:, -1].argmax())].arm,
    }


def _interval(
    covariance: Covariance | None, k: int, categories: int, coverage: float
) -> dict[str, Any]:
    if covariance is None:
        return {"note": "no interval: one category, or a run without scores"}
    estimate = covariance.scale_mean(k)
    low, high, note = share_interval(estimate, categories, coverage)
    if estimate.value in (0, 1):
        which = "right" if estimate.value else "wrong"
        note = f"every order is {which}: exact bound from {categories} categories"
    noise = "categories and seeds" if covariance.run_measured else "categories; one seed"
    return {"low": low, "high": high, "noise": noise, "note": note}
