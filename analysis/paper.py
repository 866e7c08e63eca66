"""The published curve (arXiv 2303.14742, Figure 1) judged by this analysis.

No per-item scores are public. The noise of items is therefore assumed: p(1 - p) where the judge
gives 0 or 1, a stated standard deviation elsewhere, and one correlation of an item's
scores between scales. There was one training run per scale, so run noise is unmeasured; a stated
value shows what it would do.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.inference.contrasts import Evidence, estimate_contrasts
from analysis.inference.covariance import Covariance
from analysis.inference.multiplicity import correct
from analysis.inference.sample import Sample, average
from analysis.inference.verdicts import UNDETERMINED, decide, ladder_direction
from analysis.options import CurveOptions
from analysis.power.design import components_of, required_sample_size, shared_degrees
from analysis.tables import OVERALL

FIGURE = Path(__file__).with_name("paper_figure1.csv")
ITEMS = {
    "math": 200,
    "code": 174,
    "cot": 197,
    "classification": 200,
    "extraction": 194,
    "open_qa": 190,
    "closed_qa": 189,
    "generation": 187,
    "brainstorming": 190,
    "rewrite": 200,
    "translation": 147,
    "summarization": 142,
}
BINARY = ("math", "code", "cot")
CLAIMS = {
    "math": "no gain beyond 1M",
    "code": "no gain beyond 1M",
    "cot": "no gain beyond 1M",
    "classification": "still rising at 2M",
    "extraction": "still rising at 2M",
    "open_qa": "still rising at 2M",
    "closed_qa": "still rising at 2M",
    "summarization": "still rising at 2M",
    "generation": "rises to 1M, then level",
    "brainstorming": "good early, little change",
    "rewrite": "good early, little change",
    "translation": "good early, little change",
    OVERALL: "keeps rising",
}


@dataclass(frozen=True)
class Assumptions:
    """What is assumed of the noise.

    Attributes:
        graded_sd: standard deviation over items of a graded score.
        correlation: of one item's scores at two scales.
        run_sd: of a category's mean over training runs; None leaves it out.
    """

    graded_sd: float = 0.25
    correlation: float = 0.5
    run_sd: float | None = None


def paper_verdicts(assumptions: Assumptions, options: CurveOptions | None = None) -> pd.DataFrame:
    """Verdicts on the published means.

    Returns:
        One row per category and overall: verdict, ladder (improved, declined, not shown),
        tail_slope, tail_low, tail_high, items_needed and seeds_needed (with a stated run SD).
    """
    options = options or CurveOptions()
    options = options.model_copy(update={"run_sd": assumptions.run_sd})
    means = pd.read_csv(FIGURE).pivot(index="category", columns="scale", values="score")
    scales = means.columns.to_numpy(int)
    samples = {
        name: _sample(means.loc[name].to_numpy(float), n, name in BINARY, assumptions)
        for name, n in ITEMS.items()
    }
    samples[OVERALL] = average(list(samples.values()))
    noise = {name: Covariance(sample, assumptions.run_sd) for name, sample in samples.items()}
    evidence = {name: estimate_contrasts(each, scales, options) for name, each in noise.items()}
    p_values = correct(evidence, options.corrected)
    return pd.DataFrame(
        [
            _row(name, evidence[name], p_values[name], noise[name], scales, options)
            for name in samples
        ]
    )


def _sample(means: np.ndarray, n: int, binary: bool, assumptions: Assumptions) -> Sample:
    """n items whose scale means have exactly the assumed covariance (cosine columns)."""
    k = len(means)
    sd = np.sqrt(means * (1 - means)) if binary else np.full(k, assumptions.graded_sd)
    correlation = np.full((k, k), assumptions.correlation)
    np.fill_diagonal(correlation, 1.0)
    root = np.linalg.cholesky(np.outer(sd, sd) * correlation / n)
    angle = np.pi * (2 * np.arange(n) + 1) / (2 * n)
    columns = np.sqrt(2 / n) * np.cos(np.outer(np.arange(1, k + 1), angle))
    return Sample(means[:, None], (root @ columns)[:, None, :], np.zeros(n, int), n)


def _row(
    name: str,
    evidence: Evidence,
    p_values: dict[str, float],
    noise: Covariance,
    scales: np.ndarray,
    options: CurveOptions,
) -> dict[str, object]:
    low, high = evidence.tail.interval(options.interval)
    verdict = decide(evidence, p_values, options)
    row: dict[str, object] = {
        "category": name,
        "verdict": verdict,
        "ladder": ladder_direction(p_values, options),
        "tail_slope": evidence.tail.value,
        "tail_low": low,
        "tail_high": high,
        "paper": CLAIMS[name],
    }
    if verdict == UNDETERMINED and options.run_sd is not None:
        # A new study would measure its run noise, not borrow it.
        shared = shared_degrees(len(ITEMS))
        parts = replace(components_of(noise, scales), run_known=False, shared=shared)
        needed = required_sample_size(parts, options.tail_margin, options.level, options.power)
        row["items_needed"], row["seeds_needed"] = needed or (np.nan, np.nan)
    return row


def undetermined(verdicts: pd.DataFrame) -> int:
    """How many of the twelve categories are undetermined."""
    return int((verdicts["verdict"][verdicts["category"] != OVERALL] == UNDETERMINED).sum())


def _span(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low} to {high}" if low < high else f"{low} in each"


def _needs(verdicts: pd.DataFrame) -> str:
    """Required items per category and seeds of the undetermined categories, in words."""
    rows = verdicts[verdicts["category"] != OVERALL].dropna(subset="items_needed")
    return "; ".join(
        f"{items:,.0f} items and {seeds:.0f} seeds ({', '.join(part['category'])})"
        for (items, seeds), part in rows.groupby(["items_needed", "seeds_needed"])
    )


def paper_text(run_sd: float = 0.01) -> str:
    """The verdicts beside the paper's own conclusions, without and with run noise, as text."""
    plain, noisy = Assumptions(), Assumptions(run_sd=run_sd)
    first, second = paper_verdicts(plain), paper_verdicts(noisy)
    table = pd.DataFrame(
        {
            "category": first["category"],
            "tail slope": first["tail_slope"].map("{:+.3f}".format),
            "90% interval": [
                f"{low:+.3f} to {high:+.3f}"
                for low, high in zip(first["tail_low"], first["tail_high"], strict=True)
            ],
            "items only": first["verdict"],
            "whole ladder": first["ladder"],
            f"run SD {run_sd:g}": second["verdict"],
            "paper": first["paper"],
        }
    )
    settings = [
        Assumptions(sd, r) for sd, r in itertools.product((0.2, 0.25, 0.3), (0.3, 0.5, 0.7))
    ]
    counts = [undetermined(paper_verdicts(each)) for each in settings]
    with_runs = [undetermined(paper_verdicts(replace(each, run_sd=run_sd))) for each in settings]
    return "\n".join(
        [
            "Published means of Figure 1, arXiv 2303.14742; one run per scale.",
            f"Assumed: item variance p(1 - p) for {', '.join(BINARY)}, SD {plain.graded_sd:g} for "
            f"the others, correlation {plain.correlation:g} of an item's scores between scales.",
            "Margins: .02 per doubling for the tail (600k to 2M), .04 for the range.",
            "",
            table.to_string(index=False),
            "",
            f"{undetermined(first)} of the 12 categories are undetermined with item noise alone; "
            f"{_span(counts)} over SDs of .2 to .3 and correlations of .3 to .7; "
            f"{_span(with_runs)} with a run SD of {run_sd:g}.",
            "Training noise is unmeasured in the source and can only widen the intervals.",
            f"Required sample size to decide the tail in a study that measures a run SD of "
            f"{run_sd:g}: {_needs(second)}.",
        ]
    )
