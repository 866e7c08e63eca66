"""curves.csv: one arm's curves, each scale's mean with its interval."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.inference.covariance import Covariance, covariances
from analysis.inference.intervals import overall_interval, share_interval
from analysis.inference.sample import Sample, average
from analysis.inference.score_array import ScoreArray
from analysis.names import category_name
from analysis.options import CurveOptions
from analysis.tables import OVERALL

_BASE_NOISE = "items only; the base model was not tuned"


@dataclass(frozen=True)
class Curve:
    """One category (or overall) of one arm.

    Attributes:
        sample: run means and influences over the tuned scales.
        covariance: None when the noise cannot be known; `note` says why.
        note: what to know about the whole curve.
    """

    sample: Sample
    covariance: Covariance | None
    note: str

    @property
    def missing(self) -> np.ndarray:
        """(K,) share of (item, seed) pairs without a score at each scale."""
        return self.sample.down + self.sample.up

    @property
    def noisy(self) -> bool:
        """The noise is known and not 0 at every scale."""
        return self.covariance is not None and bool(self.covariance.total.any())


@dataclass(frozen=True)
class ArmCurves:
    """The curves of one arm by one judge.

    Attributes:
        curves: by category, sorted; `overall` last.
        base: the base model's curve of one point by category, where it was scored.
    """

    scores: ScoreArray
    curves: dict[str, Curve]
    base: dict[str, Curve]

    @property
    def scales(self) -> np.ndarray:
        """(K,) tuned scales."""
        return self.scores.scales

    def key(self, category: str) -> dict[str, Any]:
        """The columns that name a curve in every table."""
        return {"judge": self.scores.judge, "arm": self.scores.arm, "category": category}


def build_arm_curves(scores: ScoreArray, options: CurveOptions) -> ArmCurves:
    """Samples and covariances of all categories and of overall."""
    tuned = {name: (each.values, each.clusters) for name, each in scores.categories.items()}
    base = {
        name: (each.base[None, None, :], each.clusters)
        for name, each in scores.categories.items()
        if each.base is not None
    }
    one = np.ones((1, 1), bool)
    return ArmCurves(
        scores,
        _curves(tuned, scores.runs, options.run_sd, _runs_note(scores)),
        _curves(base, one, None, ""),
    )


def _runs_note(scores: ScoreArray) -> str:
    """Names the scales that have fewer runs than the others."""
    counts = scores.runs.sum(1)
    few = [
        f"{n} at {scale}"
        for n, scale in zip(counts, scores.scales, strict=True)
        if n < counts.max()
    ]
    return f"runs at a scale: {counts.max()}, but {', '.join(few)}" if few else ""


def _curves(
    scores: dict[str, tuple[np.ndarray, np.ndarray]],
    runs: np.ndarray,
    run_sd: float | None,
    note: str,
) -> dict[str, Curve]:
    """Curves from (K, S, N) scores and (N,) clusters by category, with overall."""
    if not scores:
        return {}
    samples = {name: Sample.from_scores(*each, runs) for name, each in scores.items()}
    chosen, remark = _parts_of_overall(samples)
    samples[OVERALL] = average([samples[name] for name in chosen])
    noise = covariances(samples, run_sd)
    curves = {name: _curve(samples[name], noise.get(name), note) for name in scores}
    equal = _named(name for name in chosen if name in noise and not curves[name].noisy)
    remark = join(remark, f"counted as without noise, all scores equal: {equal}" if equal else "")
    overall = _curve(samples[OVERALL], noise.get(OVERALL), join(note, remark))
    return curves | {OVERALL: overall}


def _parts_of_overall(samples: dict[str, Sample]) -> tuple[list[str], str]:
    """The categories whose plain mean overall is, and a note on those left out.

    They are those whose means are all known, and their noise too: a category of one item would
    take the noise of overall with it. Where no category has noise, overall is the mean of the
    known ones, without an interval.
    """
    known = [name for name, sample in samples.items() if sample.known]
    if not known:
        return list(samples), ""
    chosen = [name for name in known if samples[name].usable] or known
    unknown = _named(sorted(set(samples) - set(known)))
    single = _named(sorted(set(known) - set(chosen)))
    return chosen, join(
        f"mean of the others; no scores in {unknown}" if unknown else "",
        f"mean of the others; one item or cluster only: {single}" if single else "",
    )


def _named(categories: Iterable[str]) -> str:
    return ", ".join(category_name(category) for category in categories)


def _curve(sample: Sample, covariance: Covariance | None, note: str) -> Curve:
    reason = ""
    if not sample.known:
        reason = "a scale without any score"
    elif covariance is None:
        reason = "one item or cluster only: item noise unknown"
    return Curve(sample, covariance, join(note, reason))


def join(*notes: str) -> str:
    """Notes as one text."""
    return "; ".join(note for note in notes if note)


def curve_rows(arm: ArmCurves, options: CurveOptions) -> list[dict[str, Any]]:
    """One row per category and scale, the base model (scale 0) first."""
    rows = []
    for name in arm.curves:
        points = [(0, 0)] if name in arm.base else []
        points += [(k, int(scale)) for k, scale in enumerate(arm.scales)]
        rows += [_row(arm, name, k, scale, options) for k, scale in points]
    return rows


def _row(arm: ArmCurves, name: str, k: int, scale: int, options: CurveOptions) -> dict[str, Any]:
    """The point at position k of the tuned scales, or the base model's where the scale is 0."""
    curves = arm.base if scale == 0 else arm.curves
    curve = curves[name]
    scores = _scores_at(arm.scores, name, k, scale)
    row = arm.key(name) | {
        "scale": scale,
        "mean": float(curve.sample.scale_means[k]),
        "n_items": curve.sample.n_items,
        "n_seeds": int(_runs_at(arm, k, scale)),
        "n_missing": int(sum(np.isnan(part).sum() for part in scores)),
    }
    note = curve.note
    if curve.missing[k] > options.missing_limit:
        row["bound_low"], row["bound_high"] = (
            float(np.mean([np.nan_to_num(part, nan=worst).mean() for part in scores]))
            for worst in (0.0, 1.0)
        )
        note = join(note, f"{curve.missing[k]:.0%} of the scores are missing")
    if curve.covariance is not None:
        row["low"], row["high"], remark = mean_interval(curves, name, k, options.interval)
        row["noise"] = _BASE_NOISE if scale == 0 else curve.covariance.noise
        note = join(note, remark)
    return row | {"note": note}


def _runs_at(arm: ArmCurves, k: int, scale: int) -> int:
    return 1 if scale == 0 else int(arm.scores.runs[k].sum())


def _scores_at(scores: ScoreArray, name: str, k: int, scale: int) -> list[np.ndarray]:
    """Scores at one scale, one array for each category that the row rests on."""
    parts = list(scores.categories.values()) if name == OVERALL else [scores.categories[name]]
    if scale > 0:
        return [part.values[k][scores.runs[k]] for part in parts]
    return [part.base for part in parts if part.base is not None]


def mean_interval(
    curves: dict[str, Curve], name: str, k: int, coverage: float
) -> tuple[float, float, str]:
    """Interval of the k-th mean with a note; that of overall rests on the known categories."""
    estimate = curves[name].covariance.scale_mean(k)
    if name != OVERALL:
        return share_interval(estimate, len(curves[name].sample.strata), coverage)
    parts = [
        curve.sample
        for each, curve in curves.items()
        if each != OVERALL and curve.covariance is not None
    ]
    zeros, ones = (
        [len(sample.strata) for sample in parts if sample.scale_means[k] == edge] for edge in (0, 1)
    )
    return overall_interval(estimate, zeros, ones, len(parts), coverage)
