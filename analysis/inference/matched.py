"""matched.csv: two arms at equal tokens, steps, FLOPs or records seen, where comparisons.csv has
them at equal numbers of distinct records.

A point of one arm that lies between two of the other is compared with the line between these, in
the logarithm of x. Nothing is compared outside of the range that both arms were measured in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.inference.axes import AXES, RECORDS, Costs, position
from analysis.inference.comparisons import ArmPair
from analysis.inference.covariance import Covariance, covariances
from analysis.inference.curves import join
from analysis.inference.estimate import Estimate
from analysis.inference.intervals import paired_interval, paired_p_value
from analysis.inference.sample import Sample, average, stack
from analysis.inference.score_array import ScoreArray
from analysis.options import CurveOptions
from analysis.tables import OVERALL

_LEAST_RISE = 1.2  # an axis that hardly rises over the ladder cannot order its scales
_SAME = 1.01  # points as near as this are one


@dataclass(frozen=True)
class Ladder:
    """One arm on an axis: its scales, where they lie on it, and how often each record was seen."""

    arm: str
    scales: np.ndarray
    x: np.ndarray
    epochs: np.ndarray

    @property
    def problem(self) -> str:
        """Why nothing can be interpolated on it; empty if it can."""
        if np.isnan(self.x).any():
            return f"not known for every scale of arm {self.arm}"
        if len(self.x) < 2 or (np.diff(self.x) <= 0).any() or self.x[-1] < _LEAST_RISE * self.x[0]:
            return f"it does not rise over the scales of arm {self.arm}"
        return ""

    def weights(self, x: float) -> np.ndarray:
        """(K,) weights of the scales at x, linear in log x between two neighbors."""
        at = float(np.interp(np.log(x), np.log(self.x), np.arange(len(self.x))))
        below = min(int(at), len(self.x) - 2)
        weights = np.zeros(len(self.x))
        weights[below], weights[below + 1] = 1 - (at - below), at - below
        return weights

    def at(self, x: float) -> tuple[float, float]:
        """Records and epochs at x, interpolated as the scores are (records in their logarithm)."""
        weights = self.weights(x)
        return float(np.exp(weights @ np.log(self.scales))), float(weights @ self.epochs)


def matched_rows(pair: ArmPair, costs: Costs, options: CurveOptions) -> list[dict[str, Any]]:
    """Differences of two arms at matched x, for each axis of the costs; the reason where none."""
    key = {"judge": pair.first.judge, "arm_a": pair.first.arm, "arm_b": pair.second.arm}
    axes = [name for name in AXES if name != RECORDS and any(name in c for c in costs.values())]
    if not axes:
        return []
    if not len(pair.seeds):
        return [key | {"note": "the two arms share no seed, so runs cannot be paired"}]
    samples = _samples(pair)
    noise = covariances(samples, options.run_sd)
    rows = []
    for axis in axes:
        ladders = [_ladder(arm, pair.seeds, costs, axis) for arm in (pair.first, pair.second)]
        points, reason = _points(*ladders)
        if reason:
            rows.append(key | {"axis": axis, "note": f"not compared: {reason}"})
        for name in samples if points else ():
            for x in points:
                found = _compare(noise.get(name), ladders, x, options)
                rows.append(key | {"category": name, "axis": axis, "x": x} | found)
    return rows


def _samples(pair: ArmPair) -> dict[str, Sample]:
    """Of each category the scales of the first arm, then those of the second; overall last."""
    samples: dict[str, Sample] = {}
    arrays = [_of_seeds(arm, pair.seeds) for arm in (pair.first, pair.second)]
    for name, scores in pair.first.categories.items():
        samples[name] = stack(
            [Sample.from_scores(each[name], scores.clusters, runs) for each, runs in arrays]
        )
    known = [each for each in samples.values() if each.known]
    known = [each for each in known if each.usable] or known
    return samples | ({OVERALL: average(known)} if known else {})


def _kept(arm: ScoreArray, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the seeds, and of the scales that some of them have."""
    columns = np.searchsorted(arm.seeds, seeds)
    return columns, np.flatnonzero(arm.runs[:, columns].any(1))


def _of_seeds(arm: ScoreArray, seeds: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    columns, rows = _kept(arm, seeds)
    at = np.ix_(rows, columns)
    return {name: each.values[at] for name, each in arm.categories.items()}, arm.runs[at]


def _ladder(arm: ScoreArray, seeds: np.ndarray, costs: Costs, axis: str) -> Ladder:
    scales = arm.scales[_kept(arm, seeds)[1]]
    x, seen = (
        np.array([position(costs, arm.arm, scale, name) for scale in scales])
        for name in (axis, "examples")
    )
    return Ladder(arm.arm, scales, x, seen / scales)


def _points(a: Ladder, b: Ladder) -> tuple[list[float], str]:
    """The measured x of both arms inside the range that both have, or why there are none."""
    reason = a.problem or b.problem
    if reason:
        return [], reason
    low, high = max(a.x[0], b.x[0]), min(a.x[-1], b.x[-1])
    points: list[float] = []
    for x in sorted([*a.x, *b.x]):
        if low <= x <= high and (not points or x > _SAME * points[-1]):
            points.append(float(x))
    return points, "" if points else "the two arms share no range of it"


def _compare(
    covariance: Covariance | None, ladders: list[Ladder], x: float, options: CurveOptions
) -> dict[str, Any]:
    a, b = (ladder.weights(x) for ladder in ladders)
    row: dict[str, Any] = {}
    for side, ladder in zip("ab", ladders, strict=True):
        row[f"records_{side}"], row[f"epochs_{side}"] = ladder.at(x)
    between = [ladder.arm for ladder, w in zip(ladders, (a, b), strict=True) if w.max() < 1 - 1e-9]
    note = f"on the line between two scales: {', '.join(between)}" if between else ""
    if covariance is None:
        return row | {"note": join("noise unknown: too few items, or no scores in a run", note)}
    sample = covariance.sample
    nothing = np.zeros
    estimates = (
        covariance.contrast(np.concatenate([a, nothing(len(b))])),
        covariance.contrast(np.concatenate([nothing(len(a)), b])),
        covariance.contrast(np.concatenate([a, -b])),
    )
    row |= {
        "difference": estimates[2].value,
        "n_items": sample.n_items,
        "n_seeds": sample.means.shape[1],
        "noise": covariance.noise,
    }
    return row | _interval(estimates, len(sample.strata), note, options)


def _interval(
    estimates: tuple[Estimate, Estimate, Estimate], clusters: int, note: str, options: CurveOptions
) -> dict[str, Any]:
    low, high = paired_interval(*estimates, clusters, options.interval)
    if np.isnan(low):
        return {"note": join("all scores of an arm are equal: no noise to measure", note)}
    p_value = paired_p_value(*estimates, clusters)
    return {"low": low, "high": high, "p_value": p_value, "note": note}
