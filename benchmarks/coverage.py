"""Coverage of the intervals under noise that the method does not assume.

`python -m benchmarks.coverage [--quick]` simulates studies of twelve categories that share half of
their run noise, with runs whose noise is equal over scales, larger at the last scale, falling or
correlated; few unequal clusters; right-or-wrong scores near 0 and 1; and scores that go missing
where the answer is wrong. Writes benchmarks/results/coverage.json. The nominal coverage is .90.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from analysis.inference.contrasts import estimate_contrasts, tail_weights
from analysis.inference.covariance import Covariance, covariances
from analysis.inference.intervals import share_interval
from analysis.inference.multiplicity import CLAIMS
from analysis.inference.sample import Sample, average
from analysis.inference.verdicts import decide
from analysis.options import CurveOptions
from analysis.tables import OVERALL
from benchmarks.harness import run_benchmark
from benchmarks.simulated_study import Design, simulate, truth

TRUTHS = ("flat", "plateau", "+.035", "+.02", "hump", "near-plateau", "saturating", "logit-linear")
SCALES = 1000 * 2.0 ** np.arange(5)
WEIGHTS = tail_weights(SCALES)
RUN_SD = {
    "equal": np.full(5, 0.01),
    "last scale noisier": np.array([0.005] * 4 + [0.02]),
    "falling": np.geomspace(0.03, 0.005, 5),
    "AR(1) of .8": np.full(5, 0.01),
}
CLUSTERS = ((20, 8, 5, 3, 2, 2), (30, 4, 2, 2, 1, 1))
SHARES = (0.01, 0.03, 0.05, 0.5, 0.97)


def _covered(samples: dict[str, Sample], slopes: dict[str, float]) -> dict[str, tuple[bool, float]]:
    """Whether each tail slope's interval holds its truth, and the half-width."""
    found = {}
    for name, noise in covariances(samples | {OVERALL: average(list(samples.values()))}).items():
        low, high = noise.contrast(WEIGHTS).interval(0.9)
        true = slopes.get(name, float(np.mean(list(slopes.values()))))
        found[name] = (low <= true <= high, (high - low) / 2)
    return found


def _row(cell: dict[str, Any], studies: list[dict[str, tuple[bool, float]]]) -> dict[str, Any]:
    single = [each[name] for each in studies for name in each if name != OVERALL]
    overall = [each[OVERALL][0] for each in studies]
    return cell | {
        "studies": len(studies),
        "coverage": float(np.mean([inside for inside, _ in single])),
        "overall": float(np.mean(overall)),
        "half_width": float(np.mean([width for _, width in single])),
    }


def scores_cell(design: Design, studies: int, seed: int) -> dict[str, Any]:
    """Graded or right-or-wrong scores on curves of eight shapes, equal run noise."""
    rng, found = np.random.default_rng(seed), []
    names = {f"c{number}": TRUTHS[number % len(TRUTHS)] for number in range(12)}
    slopes = {name: float(WEIGHTS @ truth(shape, 5)) for name, shape in names.items()}
    for _ in range(studies):
        shared = rng.standard_normal((5, design.seeds))
        samples = {}
        for name, shape in names.items():
            run = (shared + rng.standard_normal(shared.shape)) / np.sqrt(2)
            scores = simulate(truth(shape, 5), design, rng, run)
            samples[name] = Sample.from_scores(scores, np.arange(design.items))
        found.append(_covered(samples, slopes))
    cell = {"scores": design.kind, "items": design.items, "seeds": design.seeds}
    return _row(cell, found)


def noise_cell(kind: str, seeds: int, studies: int, seed: int) -> dict[str, Any]:
    """Flat curves under run noise of the given shape over scales."""
    rng, found = np.random.default_rng(seed), []

    def runs() -> np.ndarray:
        noise = rng.standard_normal((5, seeds))
        if kind.startswith("AR"):
            for k in range(1, 5):
                noise[k] = 0.8 * noise[k - 1] + 0.6 * noise[k]
        return RUN_SD[kind][:, None] * noise

    for _ in range(studies):
        shared, samples = runs(), {}
        for number in range(12):
            y = 0.5 + rng.normal(0, 0.2, 60) + rng.normal(0, 0.03, (5, 1, 60))
            y = (
                y
                + ((shared + runs()) / np.sqrt(2))[..., None]
                + rng.normal(0, 0.05, (5, seeds, 60))
            )
            samples[f"c{number}"] = Sample.from_scores(y, np.arange(60))
        found.append(_covered(samples, dict.fromkeys(samples, 0.0)))
    return _row({"run noise": kind, "seeds": seeds}, found)


def cluster_cell(sizes: tuple[int, ...], between: float, studies: int, seed: int) -> dict[str, Any]:
    """The mean of one run over clusters of these sizes; within a cluster the SD is .1."""
    rng, labels = np.random.default_rng(seed), np.repeat(np.arange(len(sizes)), sizes)
    inside = 0
    for _ in range(studies):
        y = 0.5 + rng.normal(0, between, len(sizes))[labels] + rng.normal(0, 0.1, len(labels))
        sample = Sample.from_scores(y[None, None], labels)
        low, high = Covariance(sample).scale_mean(0).interval(0.9)
        inside += low <= 0.5 <= high
    sizes_text = ", ".join(map(str, sizes))
    return {"clusters": sizes_text, "sd_between": between, "coverage": inside / studies}


def share_cell(p: float, studies: int, seed: int) -> dict[str, Any]:
    """The share of right answers to 40 items in three runs whose answers agree in .8."""
    rng, inside = np.random.default_rng(seed), 0
    for _ in range(studies):
        same, answer = rng.random((3, 40)) < 0.8, rng.random(40) < p
        y = np.where(same, answer, rng.random((3, 40)) < p).astype(float)[None]
        estimate = Covariance(Sample.from_scores(y, np.arange(40))).scale_mean(0)
        low, high, _ = share_interval(estimate, 40, 0.9)
        inside += low <= p <= high
    return {"share": p, "coverage": inside / studies}


def missing_cell(studies: int, seed: int) -> dict[str, Any]:
    """A flat curve at .94: .8 of the wrong answers at the last scale have no score."""
    rng, options, improving = np.random.default_rng(seed), CurveOptions(), 0
    for _ in range(studies):
        p = 0.94 + rng.normal(0, 0.005, (5, 3, 1))
        y = (rng.random((5, 3, 180)) < p).astype(float)
        y[-1][(y[-1] == 0) & (rng.random((3, 180)) < 0.8)] = np.nan
        noise = Covariance(Sample.from_scores(y, np.arange(180)))
        found = estimate_contrasts(noise, SCALES, options)
        claims = {claim: found.p_value(claim) for claim in CLAIMS}
        improving += decide(found, claims, options) == "improving"
    return {"missing": "wrong answers at the last scale", "improving": improving / studies}


def run(quick: bool) -> dict[str, list[dict[str, Any]]]:
    """Every cell; deterministic, each with a seed of its own."""
    few, many, seed = (10, 50, itertools.count(1)) if quick else (500, 2000, itertools.count(1))
    designs = [
        Design(kind, items, seeds, 5)
        for kind, items in (("graded", 180), ("graded", 600), ("binary", 180))
        for seeds in (2, 3, 5)
    ]
    return {
        "scores": [scores_cell(design, few, next(seed)) for design in designs],
        "run noise": [
            noise_cell(kind, seeds, few, next(seed)) for kind in RUN_SD for seeds in (2, 3, 5)
        ],
        "clusters": [
            cluster_cell(sizes, between, many, next(seed))
            for sizes in CLUSTERS
            for between in (0.05, 0.1, 0.2)
        ],
        "shares": [share_cell(p, many, next(seed)) for p in SHARES],
        "missing": [missing_cell(few, next(seed))],
    }


def table(results: dict[str, Any]) -> str:
    """Every cell as text."""
    return "\n\n".join(
        f"{name}\n{pd.DataFrame(rows).round(4).to_string(index=False)}"
        for name, rows in results["results"].items()
    )


if __name__ == "__main__":
    run_benchmark(
        "coverage", __doc__.split("\n")[0], {"results": run}, table, packages=("numpy", "scipy")
    )
