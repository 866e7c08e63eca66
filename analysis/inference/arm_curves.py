"""One arm by one judge, ready for inference: a sample per category and one for the mean of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.inference.covariance import Covariance
from analysis.inference.sample import Sample, average, from_scores
from analysis.inference.score_array import ScoreArray
from analysis.options import CurveOptions
from analysis.tables import OVERALL


@dataclass(frozen=True)
class Curve:
    """One category (or overall) of one arm.

    Attributes:
        sample: run means and influences over the tuned scales.
        covariance: None when the noise cannot be known; `note` says why.
        missing: (K,) share of (item, seed) pairs without a score at each tuned scale.
        note: what to know about the whole curve.
    """

    sample: Sample
    covariance: Covariance | None
    missing: np.ndarray
    note: str


@dataclass(frozen=True)
class ArmCurves:
    """The curves of one cube.

    Attributes:
        curves: by category, sorted; `overall` last.
        base: the base model's curve of one point by category, where it was scored.
    """

    cube: ScoreArray
    curves: dict[str, Curve]
    base: dict[str, Curve]


def build_panel(cube: ScoreArray, options: CurveOptions) -> ArmCurves:
    """Samples and covariances of all categories and of overall."""
    samples = {
        name: from_scores(scores.values, scores.clusters)
        for name, scores in cube.categories.items()
    }
    missing = {name: missing_share(scores.values) for name, scores in cube.categories.items()}
    base_samples = {
        name: from_scores(scores.base[None, None, :], scores.clusters)
        for name, scores in cube.categories.items()
        if scores.base is not None
    }
    base_missing = {
        name: missing_share(cube.categories[name].base[None, None, :]) for name in base_samples
    }
    left_out = ""
    if cube.left_out:
        seeds = ", ".join(map(str, cube.left_out))
        left_out = f"seeds left out, not at every scale: {seeds}"
    return ArmCurves(
        cube,
        _curves(samples, missing, options.run_sd, left_out),
        _curves(base_samples, base_missing, None, ""),
    )


def missing_share(values: np.ndarray) -> np.ndarray:
    """(K,) share of missing scores of a (K, S, N) array."""
    return 1.0 - np.isfinite(values).mean((1, 2))


def _curves(
    samples: dict[str, Sample], missing: dict[str, np.ndarray], run_sd: float | None, note: str
) -> dict[str, Curve]:
    if not samples:
        return {}
    curves = {name: _curve(sample, missing[name], run_sd, note) for name, sample in samples.items()}
    known = [name for name, sample in samples.items() if np.isfinite(sample.means).all()]
    unknown = sorted(set(samples) - set(known))
    overall_note = note
    if unknown:
        overall_note = join(note, f"mean of the others; no scores in {', '.join(unknown)}")
    still = [name for name in known if _no_noise(curves[name])]
    if still:
        overall_note = join(
            overall_note, f"counted as without noise, all scores equal: {', '.join(still)}"
        )
    if known:
        sample = average([samples[name] for name in known])
        shares = np.mean([missing[name] for name in known], axis=0)
        curves[OVERALL] = _curve(sample, shares, run_sd, overall_note)
    else:
        curves[OVERALL] = _curve(
            next(iter(samples.values())), np.ones_like(missing[unknown[0]]), run_sd, note
        )
    return curves


def _no_noise(curve: Curve) -> bool:
    return curve.covariance is not None and not curve.covariance.total.any()


def _curve(sample: Sample, missing: np.ndarray, run_sd: float | None, note: str) -> Curve:
    if not np.isfinite(sample.means).all():
        return Curve(sample, None, missing, join(note, "no score in at least one run"))
    if not sample.usable:
        return Curve(
            sample, None, missing, join(note, "one item or cluster only: item noise unknown")
        )
    return Curve(sample, Covariance(sample, run_sd), missing, note)


def join(*notes: str) -> str:
    """Notes as one text."""
    return "; ".join(note for note in notes if note)
