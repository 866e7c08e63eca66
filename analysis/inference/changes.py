"""changes.csv: what happens to single items between two scales."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.inference.arm_curves import ArmCurves
from analysis.inference.covariance import Covariance
from analysis.inference.intervals import share_interval
from analysis.inference.sample import Sample, average, from_scores
from analysis.inference.score_array import CategoryScores
from analysis.options import CurveOptions
from analysis.tables import OVERALL

KINDS = ("wins", "ties", "losses", "negative_flips")


def change_rows(panel: ArmCurves, options: CurveOptions) -> list[dict[str, Any]]:
    """One row per category and pair of scales: neighbors, then first to last of all.

    The pairs of one category are treated like scales of one curve, so that run noise is pooled
    over them.
    """
    with_base = len(panel.base) > 0
    scales = np.concatenate([[0] if with_base else [], panel.cube.scales]).astype(int)
    steps = _steps(len(scales), with_base)
    if not steps:
        return []
    shares = {
        name: _shares(_with_base(scores, with_base), scores.clusters, steps, options.right_from)
        for name, scores in panel.cube.categories.items()
    }
    known = [s for s in shares.values() if np.isfinite(s["wins"].means).all()]
    if known:
        shares[OVERALL] = {kind: average([s[kind] for s in known]) for kind in KINDS}
    rows = []
    for name, samples in shares.items():
        measured = {
            kind: Covariance(sample, None) if sample.usable else None
            for kind, sample in samples.items()
        }
        for index, (i, j) in enumerate(steps):
            row = {
                "judge": panel.cube.judge,
                "arm": panel.cube.arm,
                "category": name,
                "scale_from": int(scales[i]),
                "scale_to": int(scales[j]),
                "n_items": samples["wins"].n_items,
                "n_seeds": len(panel.cube.seeds),
            }
            rows.append(row | _interval_columns(samples, measured, index, options))
    return rows


def _steps(n: int, with_base: bool) -> list[tuple[int, int]]:
    """Neighbouring scales, first to last tuned scale, and base to last, each once."""
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
        kind: from_scores(np.where(known, event.astype(float), np.nan), clusters)
        for kind, event in events.items()
    }


def _interval_columns(
    samples: dict[str, Sample],
    measured: dict[str, Covariance | None],
    index: int,
    options: CurveOptions,
) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for kind, sample in samples.items():
        columns[kind] = float(sample.means[index].mean())
        covariance = measured[kind]
        if covariance is None:
            columns["note"] = "no interval: one item, or a run without scores"
            continue
        low, high, _ = share_interval(
            covariance.scale_mean(index), len(sample.strata), options.interval
        )
        columns[f"{kind}_low"], columns[f"{kind}_high"] = low, high
        columns["noise"] = covariance.noise
    return columns
