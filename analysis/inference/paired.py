"""Paired differences of means over the same items: samples, intervals, p values, correction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from analysis.inference.covariance import UNMEASURED, covariances
from analysis.inference.curves import join
from analysis.inference.estimate import Estimate
from analysis.inference.intervals import paired_interval, paired_p_value
from analysis.inference.multiplicity import holm
from analysis.inference.sample import Sample, average, difference, missing_share
from analysis.options import CurveOptions
from analysis.tables import OVERALL

Scores = tuple[np.ndarray, np.ndarray, np.ndarray]
Samples = dict[str, tuple[Sample, Sample]]
ONE_SEED = "one seed: training noise is unmeasured, so no p value"


def paired_samples(scores: Mapping[str, Scores], runs: np.ndarray) -> tuple[Samples, np.ndarray]:
    """Samples of two sets of scores by category, with overall; a pair that lacks one is left out.

    Args:
        scores: by category the first and the second (K, S, N) scores and the (N,) clusters.
        runs: (K, S) which runs both have.

    Returns:
        (first, second) by category, and (K,) the largest share of pairs left out.
    """
    samples: Samples = {}
    missing = np.zeros(len(runs))
    for name, (first, second, clusters) in scores.items():
        gone = np.isnan(first) | np.isnan(second)
        missing = np.maximum(missing, missing_share(np.where(gone, np.nan, 0.0), runs))
        samples[name] = (
            Sample.from_scores(np.where(gone, np.nan, first), clusters, runs),
            Sample.from_scores(np.where(gone, np.nan, second), clusters, runs),
        )
    known = [pair for pair in samples.values() if pair[0].known]  # then both are
    known = [pair for pair in known if pair[0].usable] or known
    if known:
        samples[OVERALL] = (average([p[0] for p in known]), average([p[1] for p in known]))
    return samples, missing


def paired_rows(
    samples: Samples,
    missing: np.ndarray,
    run_sd: tuple[float | None, float | None],
    options: CurveOptions,
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Category, position of the scale, and the columns of first minus second there.

    With one seed, and no stated run SD, there is an interval of these models and no p value.

    Args:
        missing: (K,) share of pairs left out.
        run_sd: of the first and of the second, used where no scale has two runs.
    """
    known = [sd for sd in run_sd if sd is not None]
    together = float(np.sqrt(np.square(known).sum())) if known else None
    differences = {name: difference(*pair) for name, pair in samples.items()}
    noise = covariances(differences, together)
    parts = [
        covariances({name: pair[side] for name, pair in samples.items()}, run_sd[side])
        for side in (0, 1)
    ]
    for name, sample in differences.items():
        for k in range(len(missing)):
            columns = {
                "difference": float(sample.scale_means[k]),
                "n_items": sample.n_items,
                "n_seeds": int(sample.runs[k].sum()),
            }
            if name not in noise:
                columns["note"] = "noise unknown: too few items, or no scores in a run"
            else:
                estimates = [each[name].scale_mean(k) for each in (*parts, noise)]
                columns |= {"noise": noise[name].noise}
                columns |= _test(
                    estimates,
                    len(sample.strata),
                    float(missing[k]),
                    noise[name].noise != UNMEASURED,
                    options,
                )
            yield name, k, columns


def _test(
    estimates: list[Estimate], clusters: int, missing: float, measured: bool, options: CurveOptions
) -> dict[str, Any]:
    """Interval and p value at one scale, from the estimates of both and their difference."""
    low, high = paired_interval(*estimates, clusters, options.interval)
    if np.isnan(low):
        return {
            "note": join(
                "all scores of one are equal: no noise to measure", _lacking(missing, options)
            )
        }
    columns: dict[str, Any] = {"low": low, "high": high}
    if measured:
        columns["p_value"] = paired_p_value(*estimates, clusters)
    return columns | {"note": join("" if measured else ONE_SEED, _lacking(missing, options))}


def _lacking(missing: float, options: CurveOptions) -> str:
    return (
        f"up to {missing:.0%} of the pairs lack a score" if missing > options.missing_limit else ""
    )


def correct_family(rows: list[dict[str, Any]], most: int = 0) -> None:
    """Add `p_holm`, the categories as one family and overall as another.

    A row without a p value counts as a claim that is not made.

    Args:
        most: claims of one category that could have been tested, where a row was chosen from more
            of them than are in `rows`; those not tested count as claims that are not made.
    """
    for of_overall in (False, True):
        family = [row for row in rows if (row["category"] == OVERALL) == of_overall]
        p_values = [row.get("p_value", 1.0) for row in family]
        categories = len({row["category"] for row in family})
        unmade = max(0, most * categories - len(family))
        for row, p in zip(family, holm([*p_values, *[1.0] * unmade]), strict=False):
            if "p_value" in row:
                row["p_holm"] = float(p)
