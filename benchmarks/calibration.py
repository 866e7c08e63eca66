"""Coverage and error rates of the analysis on simulated studies with a known truth.

`python -m benchmarks.calibration [--quick] [--only PART ...]` makes every number of the section
"Measured calibration" of docs/analysis.md, prints its tables as Markdown, and writes
benchmarks/results/calibration.json:

coverage       intervals of slopes, ours beside those of other methods (benchmarks/coverage.py)
means          intervals of means: few unequal clusters, shares near 0 and 1
families       false claims in studies of twelve categories
labels         right labels, and false ones on and off the margins
boundaries     claims of twelve categories whose truth lies exactly on a margin
power          how often a slope of "power .8" is called improving
df             Satterthwaite's degrees of freedom at the levels of corrected claims
extrapolation  the envelope at two and four times the largest scale

The whole of it takes about half an hour of one core. Every cell states how many studies it holds.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from analysis.inference.contrasts import Evidence, estimate_contrasts, tail_scales, tail_weights
from analysis.inference.covariance import Covariance, covariances
from analysis.inference.multiplicity import correct, number_of_claims
from analysis.inference.sample import Sample
from analysis.inference.verdicts import decide
from analysis.options import CurveOptions
from analysis.power.design import Components, components_of
from analysis.power.simulate import simulate_power
from analysis.scaling_laws.extrapolation import envelope, why_no_extrapolation
from analysis.scaling_laws.fits import fit_curve
from benchmarks.calibration_tables import table
from benchmarks.coverage import coverage, means
from benchmarks.degrees_of_freedom import rules
from benchmarks.harness import run_benchmark
from benchmarks.simulated_study import CATEGORIES, Design, shared_runs, simulate, truth, truth_at

RIGHT = {"flat": "flat", "plateau": "plateaued", "+.035": "improving", "hump": "non-monotone"}
SMOOTH = ("flat", "saturating", "logit-linear")
# Twelve categories: no directional claim true; truths well off the margins; a third of them on
# the margin or just outside it, which is the worst case for claims of equivalence. The truths of
# `labels` have one right label each; the hump's tail slope lies exactly on the margin. The last
# two lie exactly on a margin, the tail's and the range's.
FAMILIES = {
    "all flat": ["flat"] * CATEGORIES,
    "off the margins": ["flat", "plateau", "saturating", "+.035"] * 3,
    "on the margins": ["flat", "plateau", "+.02", "near-plateau", "hump", "+.035"] * 2,
    "labels": [*RIGHT] * 3,
    "tail of .02": ["+.02"] * CATEGORIES,
    "range of .04": ["range of .04"] * CATEGORIES,
}
BOUNDARIES = ("tail of .02", "range of .04")
BOUNDARY_DESIGNS = (
    Design("graded", 180, 3, 5),
    Design("graded", 180, 5, 5),
    Design("graded", 600, 3, 5),
    Design("graded", 180, 3, 8),
    Design("binary", 600, 3, 5),
)
LABEL_DESIGNS = tuple(
    Design("graded", items, seeds, 5, run_sd)
    for items, seeds in ((180, 3), (180, 5), (600, 3))
    for run_sd in (0.005, 0.0075, 0.01)
)
POWER_DESIGNS = (
    Design("graded", 180, 3, 5),
    Design("graded", 180, 5, 5, 0.0075),
    Design("graded", 600, 3, 5),
    Design("binary", 600, 5, 5),
)


@dataclass(frozen=True)
class Size:
    """How many studies of each cell are simulated; `null` is for flat curves of graded scores."""

    null: int
    families: int
    labels: int
    boundaries: int
    power: int
    fits: int


FULL, QUICK = Size(2000, 500, 250, 150, 500, 150), Size(8, 4, 4, 4, 8, 4)


def false_claim(
    verdict: str, means: np.ndarray, ladder: np.ndarray, options: CurveOptions
) -> str | None:
    """Why a claim is false of the true means: `off the margin`, or `on the margin` for a claim of
    equivalence of a truth that lies exactly on a margin; None where it is true.

    A truth on a margin counts as outside it, and there a test of level .05 may err in .05. flat:
    the range and the tail slope are inside their margins. plateaued: the tail slope is inside its
    margin and something rose before. improving: the tail rises. non-monotone: some later mean is
    lower. Undetermined is never false.
    """
    if _true(verdict, means, ladder, options, -1e-9):
        return None
    return "on the margin" if _true(verdict, means, ladder, options, 1e-9) else "off the margin"


def _true(
    verdict: str, means: np.ndarray, ladder: np.ndarray, options: CurveOptions, slack: float
) -> bool:
    """Whether a claim holds of the true means with margins wider by `slack`."""
    tail = tail_scales(ladder)
    slope = float(tail_weights(ladder) @ means)
    inside = abs(slope) < options.tail_margin + slack
    return {
        "flat": inside and bool(np.ptp(means) < options.range_margin + slack),
        "plateaued": inside and bool(means[tail].mean() > means[0] + 1e-9),
        "improving": slope > 1e-9,
        "non-monotone": bool((np.maximum.accumulate(means) - means).max() > 1e-9),
        "undetermined": True,
    }[verdict]


def study_evidence(
    means: np.ndarray, design: Design, rng: np.random.Generator, options: CurveOptions
) -> dict[str, Evidence]:
    """Evidence of one study of twelve categories with true means (C, K) that share runs."""
    return {
        name: estimate_contrasts(noise, design.ladder, options)
        for name, noise in simulated_noise(means, design, rng).items()
    }


def simulated_noise(
    means: np.ndarray, design: Design, rng: np.random.Generator
) -> dict[str, Covariance]:
    """Noise of the categories of one study with true means (C, K); they share half of a run's."""
    items = np.arange(design.items)
    runs = shared_runs(rng, design.scales, design.seeds)
    return covariances(
        {
            str(c): Sample.from_scores(simulate(mean, design, rng, run), items)
            for c, (mean, run) in enumerate(zip(means, runs, strict=True))
        }
    )


def one_family(family: str, design: Design, studies: int, seed: int) -> list[dict[str, Any]]:
    """Verdicts of studies of twelve categories, one row by what is corrected."""
    rng, options = np.random.default_rng(seed), CurveOptions()
    names = FAMILIES[family]
    means = np.array([truth(name, design.scales) for name in names])
    counts: dict[str, Counter[str]] = {"directional": Counter(), "all": Counter()}
    for _ in range(studies):
        evidence = study_evidence(means, design, rng, options)
        for corrected, count in counts.items():
            p_values = correct(evidence, corrected)
            verdicts = [decide(evidence[key], p_values[key], options) for key in evidence]
            count.update(_judged(verdicts, names, means, design.ladder, options))
    return [
        asdict(design)
        | {
            "family": family,
            "corrected": corrected,
            "studies": studies,
            "claimed": count["claims"] / studies / CATEGORIES,
            "false_off_margin": count["off the margin"] / studies / CATEGORIES,
            "false_on_margin": count["on the margin"] / studies / CATEGORIES,
            "family_directional": count["some directional"] / studies,
            "family_off_margin": count["some off the margin"] / studies,
            "family_any": count["some"] / studies,
            "right": {
                name: count[f"right: {name}"] / studies / names.count(name)
                for name in RIGHT
                if name in names
            },
        }
        for corrected, count in counts.items()
    ]


def _judged(
    verdicts: Sequence[str],
    names: Sequence[str],
    means: np.ndarray,
    ladder: np.ndarray,
    options: CurveOptions,
) -> Counter[str]:
    """One study's claims counted, false ones by kind, and which studies have some."""
    count: Counter[str] = Counter()
    some = set()
    for verdict, name, mean in zip(verdicts, names, means, strict=True):
        count["claims"] += verdict != "undetermined"
        count[f"right: {name}"] += verdict == RIGHT.get(name)
        why = false_claim(verdict, mean, ladder, options)
        if why:
            count[why] += 1
            some |= {"some", f"some {why}"}
            some |= {"some directional"} if verdict in ("improving", "non-monotone") else set()
    count.update(some)
    return count


def known_components(design: Design, studies: int, seed: int) -> Components:
    """Components of the tail slope of a flat curve at .6, the mean over simulated studies.

    Variances are those of twelve seeds: with few, a run variance below 0 counts as 0, which raises
    the mean. How far categories share runs is that of the design's own number of seeds.
    """
    rng = np.random.default_rng(seed)
    flat = np.full((CATEGORIES, design.scales), 0.6)

    def mean(seeds: int, *parts: str) -> dict[str, float]:
        found = [
            components_of(noise, design.ladder)
            for _ in range(studies)
            for noise in simulated_noise(flat, replace(design, seeds=seeds), rng).values()
        ]
        return {part: float(np.mean([getattr(each, part) for each in found])) for part in parts}

    return Components(**mean(12, "item", "run", "item_run"), **mean(design.seeds, "shared"))


def one_power(design: Design, studies: int, seed: int) -> dict[str, Any]:
    """How often a category that rises by the slope of "power .8" is called improving, the eleven
    others being flat."""
    options = CurveOptions()
    parts = known_components(design, 20, seed)
    claims = number_of_claims(CATEGORIES, options.corrected)
    found = simulate_power(
        parts,
        np.array(design.items),
        np.array(design.seeds),
        options.tail_margin,
        options.level,
        claims,
        options.power,
    )
    slope = float(found.detectable)
    means = np.full((CATEGORIES, design.scales), 0.6)
    means[0] += slope * (np.arange(design.scales) - design.scales + 2)
    rng, improving = np.random.default_rng(seed), 0
    for _ in range(studies):
        evidence = study_evidence(means, design, rng, options)
        p_values = correct(evidence, options.corrected)["0"]
        improving += decide(evidence["0"], p_values, options) == "improving"
    return asdict(design) | {
        "detectable": slope,
        "studies": studies,
        "improving": improving / studies,
    }


def one_extrapolation(name: str, design: Design, studies: int, seed: int) -> dict[str, Any]:
    """Coverage of the envelope at twice and four times the largest scale, one category a study."""
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


def _size(quick: bool) -> Size:
    return QUICK if quick else FULL


def families(quick: bool) -> list[dict[str, Any]]:
    """False claims by family, kind of scores and seeds; most studies where nothing is true."""
    size, seed = _size(quick), itertools.count(1000)
    return _rows(
        one_family(
            family,
            Design(kind, 180, seeds, 5),
            size.null if (family, kind) == ("all flat", "graded") else size.families,
            next(seed),
        )
        for family in ("all flat", "off the margins", "on the margins")
        for kind in ("graded", "binary")
        for seeds in (2, 3, 5)
    )


def labels(quick: bool) -> list[dict[str, Any]]:
    """Right labels by run SD."""
    size, seed = _size(quick), itertools.count(2000)
    return _rows(one_family("labels", each, size.labels, next(seed)) for each in LABEL_DESIGNS)


def boundaries(quick: bool) -> list[dict[str, Any]]:
    """Claims of truths exactly on a margin, where a test of level .05 errs most."""
    size, seed = _size(quick), itertools.count(3000)
    return _rows(
        one_family(family, design, size.boundaries, next(seed))
        for design in BOUNDARY_DESIGNS
        for family in BOUNDARIES
    )


def power(quick: bool) -> list[dict[str, Any]]:
    """Promised and simulated power."""
    size = _size(quick)
    return [one_power(each, size.power, 4000 + i) for i, each in enumerate(POWER_DESIGNS)]


def extrapolation(quick: bool) -> list[dict[str, Any]]:
    """Coverage of the envelope of smooth truths, and of two with a change of regime."""
    size, seed = _size(quick), itertools.count(5000)
    return [
        one_extrapolation(name, replace(design, scales=scales), size.fits, next(seed))
        for scales in (5, 8)
        for design in (Design("graded", 180, 3, 5), Design("graded", 600, 5, 5))
        for name in (*SMOOTH, "plateau", "regime change")
    ]


def _rows(found: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [row for rows in found for row in rows]


PARTS: Mapping[str, Any] = {
    "coverage": coverage,
    "means": means,
    "families": families,
    "labels": labels,
    "boundaries": boundaries,
    "power": power,
    "df": rules,
    "extrapolation": extrapolation,
}

if __name__ == "__main__":
    run_benchmark(
        "calibration",
        __doc__.split("\n")[0],
        PARTS,
        table,
        packages=("numpy", "scipy", "statsmodels", "pyfixest"),
    )
