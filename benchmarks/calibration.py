"""Coverage and error rates of the analysis on simulated studies with a known truth.

`python -m benchmarks.calibration [--quick]` prints coverage of the tail slope, wrong claims, right
labels and coverage of the extrapolation, and writes benchmarks/results/calibration.json.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.inference.contrasts import Evidence, estimate_contrasts, tail_scales, tail_weights
from analysis.inference.covariance import Covariance, covariances
from analysis.inference.multiplicity import correct
from analysis.inference.sample import Sample
from analysis.inference.verdicts import decide
from analysis.options import CurveOptions
from analysis.scaling_laws.extrapolation import envelope, why_no_extrapolation
from analysis.scaling_laws.fits import fit_curve
from benchmarks.harness import run_benchmark
from benchmarks.simulated_study import Design, simulate, truth, truth_at

TRUTHS = (
    "flat",
    "plateau",
    "+.035",
    "+.02",
    "hump",
    "near-plateau",
    "saturating",
    "logit-linear",
)
LABELS = {"flat": "flat", "plateau": "plateaued", "+.035": "improving", "hump": "non-monotone"}
SMOOTH = ("flat", "saturating", "logit-linear")
CATEGORIES = 12
# Twelve categories: no directional claim true; truths well off the margins; a third of them on
# the margin or just outside it, which is the worst case for claims of equivalence.
FAMILIES = {
    "all flat": ["flat"] * CATEGORIES,
    "off the margins": ["flat", "plateau", "saturating", "+.035"] * 3,
    "on the margins": ["flat", "plateau", "+.02", "near-plateau", "hump", "+.035"] * 2,
}


# Truths exactly on a margin, where a test of level .05 errs most: the tail's and the range's.
BOUNDARIES = ("+.02", "range of .04")
BOUNDARY_DESIGNS = (
    Design("graded", 180, 3, 5),
    Design("graded", 180, 5, 5),
    Design("graded", 600, 3, 5),
    Design("graded", 180, 3, 8),
    Design("binary", 600, 3, 5),
)


@dataclass(frozen=True)
class Size:
    """How much is simulated."""

    studies: int
    boundary_studies: int
    fit_studies: int
    items: tuple[int, ...]
    seeds: tuple[int, ...]
    scales: tuple[int, ...]


FULL = Size(500, 4000, 1000, (60, 180, 600), (1, 2, 3, 5), (4, 5, 8))
QUICK = Size(60, 100, 20, (60, 180), (2, 3), (5,))


def wrong(verdict: str, means: np.ndarray, ladder: np.ndarray, options: CurveOptions) -> bool:
    """Whether a claim is false of the true means; a truth on a margin counts as outside it.

    flat: the range or the tail slope is not inside its margin. plateaued: the tail slope is not
    inside its margin, or nothing rose before. improving: the tail does not rise. non-monotone:
    no later mean is lower. Undetermined is never wrong.
    """
    tail = tail_scales(ladder)
    slope = float(tail_weights(ladder) @ means)
    inside = abs(slope) < options.tail_margin - 1e-9
    falls = (np.maximum.accumulate(means) - means).max() > 1e-9
    return {
        "flat": not (inside and np.ptp(means) < options.range_margin - 1e-9),
        "plateaued": not (inside and means[tail].mean() > means[0] + 1e-9),
        "improving": slope <= 1e-9,
        "non-monotone": not falls,
        "undetermined": False,
    }[verdict]


def _evidence(
    means: np.ndarray, design: Design, rng: np.random.Generator, options: CurveOptions
) -> Evidence:
    covariance = Covariance(_sample(means, design, rng), options.run_sd)
    return estimate_contrasts(covariance, design.ladder, options)


def _sample(
    means: np.ndarray, design: Design, rng: np.random.Generator, run: np.ndarray | None = None
) -> Sample:
    return Sample.from_scores(simulate(means, design, rng, run), np.arange(design.items))


def one_cell(name: str, design: Design, studies: int, seed: int) -> dict[str, Any]:
    """Coverage and verdicts of single-category studies of one design and truth."""
    rng, options = np.random.default_rng(seed), CurveOptions()
    means = truth(name, design.scales)
    slope = float(tail_weights(design.ladder) @ means)
    covered, verdicts = 0, Counter()
    for _ in range(studies):
        evidence = _evidence(means, design, rng, options)
        low, high = evidence.tail.interval(options.interval)
        covered += low <= slope <= high
        verdicts[decide(evidence, correct({"c": evidence}, options.corrected)["c"], options)] += 1
    false = sum(n for v, n in verdicts.items() if wrong(v, means, design.ladder, options))
    return asdict(design) | {
        "truth": name,
        "studies": studies,
        "coverage": covered / studies,
        "wrong": false / studies,
        "right": verdicts[LABELS[name]] / studies if name in LABELS else None,
        "verdicts": {v: n / studies for v, n in sorted(verdicts.items())},
    }


def one_family(family: str, design: Design, studies: int, seed: int) -> list[dict[str, Any]]:
    """Studies of twelve categories that share half of their run noise, by what is corrected."""
    rng, options = np.random.default_rng(seed), CurveOptions()
    means = {str(index): truth(name, design.scales) for index, name in enumerate(FAMILIES[family])}
    counts = {"directional": Counter(), "all": Counter()}
    for _ in range(studies):
        shared = rng.standard_normal((design.scales, design.seeds))
        samples = {}
        for name in means:
            run = (shared + rng.standard_normal(shared.shape)) / np.sqrt(2)
            samples[name] = _sample(means[name], design, rng, run)
        evidence = {
            name: estimate_contrasts(noise, design.ladder, options)
            for name, noise in covariances(samples).items()
        }
        for corrected, count in counts.items():
            p_values = correct(evidence, corrected)
            verdicts = {name: decide(evidence[name], p_values[name], options) for name in evidence}
            false = {n for n, v in verdicts.items() if wrong(v, means[n], design.ladder, options)}
            count["single"] += len(false)
            count["any"] += bool(false)
            count["direction"] += any(verdicts[n] in ("improving", "non-monotone") for n in false)
            count["claims"] += sum(v != "undetermined" for v in verdicts.values())
    return [
        asdict(design)
        | {
            "family": family,
            "corrected": corrected,
            "studies": studies,
            "wrong_per_category": count["single"] / studies / CATEGORIES,
            "claimed_per_category": count["claims"] / studies / CATEGORIES,
            "family_wise_directional": count["direction"] / studies,
            "family_wise_any": count["any"] / studies,
        }
        for corrected, count in counts.items()
    ]


def one_extrapolation(name: str, design: Design, studies: int, seed: int) -> dict[str, Any]:
    """Coverage of the envelope at twice and four times the largest scale."""
    rng = np.random.default_rng(seed)
    options = CurveOptions(fit_draws=200)
    means = truth(name, design.scales)
    ahead = np.array([1.0, 2.0])
    target = truth_at(name, design.scales, design.scales - 1 + ahead)
    inside, width, refused = np.zeros(2), np.zeros(2), 0
    for study in range(studies):
        sample = Sample.from_scores(simulate(means, design, rng), np.arange(design.items))
        covariance = Covariance(sample)
        evidence = estimate_contrasts(covariance, design.ladder, options)
        verdict = decide(evidence, correct({"c": evidence}, options.corrected)["c"], options)
        fit = fit_curve(covariance, design.ladder, verdict, options, f"{seed}/{study}")
        if why_no_extrapolation(fit):
            refused += 1
            continue
        _, low, high = envelope(fit, 2.0**ahead, options.interval)
        inside += (low <= target) & (target <= high)
        width += high - low
    given = max(1, studies - refused)
    return asdict(design) | {
        "truth": name,
        "studies": studies,
        "refused": refused / studies,
        "coverage_2x": inside[0] / given,
        "coverage_4x": inside[1] / given,
        "width_2x": width[0] / given,
        "width_4x": width[1] / given,
    }


def designs(size: Size) -> Iterable[Design]:
    """All designs of the table: every ladder at the middle N, every N at five scales."""
    for kind, seeds in itertools.product(("graded", "binary"), size.seeds):
        for scales, items in itertools.product(size.scales, size.items):
            if scales == 5 or items == 180:
                yield Design(kind, items, seeds, scales)


def run(quick: bool) -> dict[str, list[dict[str, Any]]]:
    """Every cell; deterministic, each with a seed of its own."""
    size = QUICK if quick else FULL
    seed = itertools.count(1)
    cells = [
        one_cell(name, design, size.studies, next(seed))
        for design in designs(size)
        for name in TRUTHS
    ]
    labels = [
        one_cell(name, design, size.studies, next(seed))
        for base in (Design("graded", 180, 5, 5), Design("graded", 600, 3, 5))
        for design in (replace(base, run_sd=sd) for sd in (0.005, 0.0075, 0.01))
        for name in LABELS
    ]
    families = [
        row
        for family in FAMILIES
        for kind in ("graded", "binary")
        for seeds in size.seeds
        if seeds >= 2
        for row in one_family(family, Design(kind, 180, seeds, 5), size.studies, next(seed))
    ]
    extrapolations = [
        one_extrapolation(
            name,
            Design("graded", items, seeds, scales),
            size.fit_studies if name in SMOOTH else size.fit_studies // 2,
            next(seed),
        )
        for scales in size.scales
        if scales >= 5
        for items, seeds in ((180, 3), (600, 5))
        for name in (*SMOOTH, "plateau", "regime change")
    ]
    boundaries = [
        one_cell(name, design, size.boundary_studies, next(seed))
        for design in BOUNDARY_DESIGNS
        for name in BOUNDARIES
    ]
    return {
        "cells": cells,
        "boundaries": boundaries,
        "labels": labels,
        "families": families,
        "extrapolation": extrapolations,
    }


def summary(results: dict[str, list[dict[str, Any]]]) -> dict[str, pd.DataFrame]:
    """The tables that are printed and kept in the docs."""
    cells = pd.DataFrame(results["cells"])
    coverage = (
        cells.groupby(["kind", "scales", "items", "seeds"])
        .agg(
            coverage=("coverage", "mean"),
            lowest=("coverage", "min"),
            highest=("coverage", "max"),
            wrong=("wrong", "mean"),
            most_wrong=("wrong", "max"),
        )
        .reset_index()
    )
    labels = pd.DataFrame(results["labels"])[["items", "seeds", "run_sd", "truth", "right"]]
    worst = cells[cells["seeds"] >= 3].sort_values("wrong", ascending=False).head(8)
    families = pd.DataFrame(results["families"])
    extrapolation = pd.DataFrame(results["extrapolation"])
    return {
        "coverage of the 90% interval of the tail slope, and wrong claims, over 8 truths": coverage,
        "wrong claims of truths exactly on a margin": _with_interval(
            pd.DataFrame(results["boundaries"])
        )[["kind", "items", "seeds", "scales", "truth", "wrong", "low", "high"]],
        "worst cells of wrong claims at S >= 3": worst[
            ["kind", "items", "seeds", "scales", "truth", "wrong"]
        ],
        "right labels, 5 scales, graded": labels.pivot_table(
            index=["items", "seeds", "run_sd"], columns="truth", values="right"
        ).reset_index(),
        "twelve categories, N = 180, 5 scales": families.drop(
            columns=["items", "scales", "run_sd", "studies"]
        ),
        "extrapolation envelope, graded": extrapolation.drop(columns=["kind", "run_sd", "studies"]),
    }


def _with_interval(cells: pd.DataFrame) -> pd.DataFrame:
    """With columns `low` and `high`: the 95% Wilson interval of `wrong`."""
    found = [
        stats.binomtest(round(wrong * n), n).proportion_ci(method="wilson")
        for wrong, n in zip(cells["wrong"], cells["studies"], strict=True)
    ]
    return cells.assign(low=[ci.low for ci in found], high=[ci.high for ci in found])


def table(results: dict[str, Any]) -> str:
    """The summary as text."""
    return "\n\n".join(
        f"{title}\n{frame.round(4).to_string(index=False)}"
        for title, frame in summary(results["results"]).items()
    )


if __name__ == "__main__":
    run_benchmark(
        "calibration", __doc__.split("\n")[0], {"results": run}, table, packages=("numpy", "scipy")
    )
