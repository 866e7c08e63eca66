"""changes.csv: what happens to single items between two scales."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.inference.covariance import Covariance, covariances
from analysis.inference.curves import ArmCurves
from analysis.inference.intervals import share_interval
from analysis.inference.sample import Sample, average
from analysis.inference.score_array import CategoryScores
from analysis.options import CurveOptions
from analysis.tables import OVERALL

KINDS = ("wins", "ties", "losses", "negative_flips")


def change_rows(arm: ArmCurves, options: CurveOptions) -> list[dict[str, Any]]:
    """One row per category and pair of scales: neighbors, then first to last of all.

    The pairs of one category are treated like scales of one curve, so that run noise is pooled
    over them.
    """
    with_base = len(arm.base) > 0
    scales = np.concatenate([[0] if with_base else [], arm.scales]).astype(int)
    steps = _steps(len(scales), with_base)
    if not steps:
        return []
    shares = {
        name: _shares(_with_base(scores, with_base), scores.clusters, steps, options.right_from)
        for name, scores in arm.scores.categories.items()
    }
    known = [samples for samples in shares.values() if samples["wins"].known]
    known = [samples for samples in known if samples["wins"].usable] or known
    if known:
        shares[OVERALL] = {kind: average([samples[kind] for samples in known]) for kind in KINDS}
    noise = _noise(shares)
    return [
        arm.key(name)
        | {
            "scale_from": int(scales[i]),
            "scale_to": int(scales[j]),
            "n_items": samples["wins"].n_items,
            "n_seeds": len(arm.scores.seeds),
        }
        | columns
        for name, samples in shares.items()
        for (i, j), columns in zip(
            steps, _intervals(samples, noise[name], options.interval), strict=True
        )
    ]


def _steps(n: int, with_base: bool) -> list[tuple[int, int]]:
    """Neighboring scales, first to last tuned scale, and base to last, each once."""
    first = 1 if with_base else 0
    steps = [(i, i + 1) for i in range(n - 1)] + [(first, n - 1), (0, n - 1)]
    return [step for step in dict.fromkeys(steps) if step[0] < step[1]]


def _with_base(scores: CategoryScores, with_base: bool) -> np.ndarray:
    """(K [+ 1], S, N) scores; the base model is the same in every seed, NaN if not scored."""
    if not with_base:
        return scores.values
    base = np.full(scores.values.shape[-1], np.nan) if scores.base is None else scores.base
    return np.concatenate([np.broadcast_to(base, (1, *scores.values.shape[1:])), scores.values])


def _shares(
    values: np.ndarray, clusters: np.ndarray, steps: list[tuple[int, int]], right_from: float
) -> dict[str, Sample]:
    """By kind of change, its share at each step: a sample with the steps as scales."""
    before = values[[i for i, _ in steps]]
    after = values[[j for _, j in steps]]
    known = np.isfinite(before) & np.isfinite(after)
    events = {
        "wins": after > before,
        "ties": after == before,
        "losses": after < before,
        "negative_flips": (before >= right_from) & (after < right_from),
    }
    return {
        kind: Sample.from_scores(np.where(known, event.astype(float), np.nan), clusters)
        for kind, event in events.items()
    }


def _noise(shares: dict[str, dict[str, Sample]]) -> dict[str, dict[str, Covariance]]:
    """By category and kind of change, the noise of its shares, where it is known."""
    noise: dict[str, dict[str, Covariance]] = {name: {} for name in shares}
    for kind in KINDS:
        for name, covariance in covariances({n: s[kind] for n, s in shares.items()}).items():
            noise[name][kind] = covariance
    return noise


def _intervals(
    samples: dict[str, Sample], noise: dict[str, Covariance], coverage: float
) -> list[dict[str, Any]]:
    """Columns of the shares and their intervals, one entry per step."""
    steps: list[dict[str, Any]] = [{} for _ in samples["wins"].means]
    for kind, sample in samples.items():
        covariance = noise.get(kind)
        for index, columns in enumerate(steps):
            columns[kind] = float(sample.scale_means[index])
            if covariance is None:
                columns["note"] = "no interval: one item, or a run without scores"
                continue
            estimate = covariance.scale_mean(index)
            low, high, _ = share_interval(estimate, len(sample.strata), coverage)
            columns |= {f"{kind}_low": low, f"{kind}_high": high, "noise": covariance.noise}
    return steps
