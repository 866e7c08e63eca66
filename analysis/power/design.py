"""Precision of the tail slope as a function of items and seeds, and what a design can show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from analysis.inference.contrasts import tail_weights
from analysis.inference.covariance import Covariance

_SEEDS = np.arange(1, 41)
ITEM_GRID = np.unique(np.round(np.geomspace(10, 100_000, 300)).astype(int))


@dataclass(frozen=True)
class Components:
    """Variance of the tail slope: item / N + (run + item_run / N) / S.

    Attributes:
        item: variance between items of their own tail slope.
        run: variance that the runs of one seed bring.
        item_run: variance that item-by-run noise (sampling, judge) brings per item and seed.
        run_measured: False when run noise was neither measured nor stated.
        run_known: True when run noise is stated rather than estimated (no loss of df).
        shared: degrees of freedom of the run variance per further seed: how many independent
            categories the study's are worth, since their mean squares are shrunk together.
        cluster: items per degree of freedom of the item variance; 1 unless items are clustered.
    """

    item: float
    run: float
    item_run: float
    run_measured: bool = True
    run_known: bool = False
    shared: float = 1.0
    cluster: float = 1.0


def seeds_of(covariance: Covariance) -> float:
    """Seeds of a study; where scales have different numbers of runs, their harmonic mean."""
    return round(covariance.n_scales / float((1 / covariance.n_runs).sum()), 9)


def items_per_df(covariance: Covariance) -> float:
    """Items per degree of freedom (and one more) of a category's item variance."""
    sample = covariance.sample
    return sample.n_items / max(1.0, float((sample.strata_df + 1).sum()))


def shared_degrees(categories: int) -> float:
    """`Components.shared` of a study that is not yet run: the run noise of any two categories is
    taken to be correlated by .5."""
    return categories / (1 + 0.25 * (categories - 1))


@dataclass(frozen=True)
class AnswerNoise:
    """What of an item's noise within a run more answers and judgements average out.

    Attributes:
        answer: variance between answers of one run to one item, without the judge's noise.
        judge: variance between judgements of one answer.
        repeats: judgements of each answer that the measured variances hold.
    """

    answer: float = 0.0
    judge: float = 0.0
    repeats: float = 1.0

    def planned(self, item_run: float, across: float, answers: int, repeats: float) -> float:
        """`Components.item_run` with other numbers of answers and judgements.

        Args:
            item_run: as measured, with one answer; never less is taken than both noises bring.
            across: sum of the contrast's squared weights.
        """
        rest = max(0.0, item_run - across * (self.answer + self.judge / self.repeats))
        return rest + across * (self.answer + self.judge / repeats) / answers


@dataclass(frozen=True)
class Precision:
    """Standard error and degrees of freedom of the tail slope, arrays of one shape."""

    se: np.ndarray
    df: np.ndarray


def components_of(covariance: Covariance, scales: np.ndarray) -> Components:
    """Components of the tail slope, measured on a pilot; items are counted per category."""
    weights = tail_weights(scales)
    items = covariance.sample.n_items / covariance.n_strata
    seeds = seeds_of(covariance)
    total = float(weights @ covariance.items @ weights) * items
    rest = covariance.rest(weights) * seeds
    run = max(0.0, covariance.seeds(weights) * seeds - rest)
    return Components(
        item=max(0.0, total - rest * items / seeds),
        run=run,
        item_run=rest * items,
        run_measured=covariance.run_measured or run > 0,
        run_known=not covariance.run_measured,
        shared=covariance.run_df(weights) / (seeds - 1 if seeds > 1 else 1.0),
        cluster=items_per_df(covariance),
    )


def precision(components: Components, items: np.ndarray, seeds: np.ndarray) -> Precision:
    """Precision at the given numbers of items and seeds (arrays that broadcast)."""
    items, seeds = np.asarray(items, float), np.asarray(seeds, float)
    of_items = components.item / items
    of_runs = (components.run + components.item_run / items) / seeds
    variance = of_items + of_runs
    run_df = np.maximum(1.0, (seeds - 1) * components.shared)
    divisor = of_items**2 / np.maximum(1.0, items / components.cluster - 1)
    if not components.run_known:
        # With one seed the run part cannot be estimated, and none is counted in the df.
        divisor = divisor + np.where(seeds > 1, of_runs**2 / run_df, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(divisor > 0, variance**2 / divisor, np.inf)
    return Precision(np.sqrt(variance), np.maximum(1.0, df))


def power_within(measured: Precision, margin: float, level: float) -> np.ndarray:
    """Power to show that a slope of 0 lies within the margin (two one-sided tests)."""
    with np.errstate(divide="ignore"):  # scores without noise: any slope shows itself
        room = margin / measured.se - stdtrit(measured.df, 1 - level)
    return np.maximum(0.0, 2 * stdtr(measured.df, room) - 1)


def required_sample_size(
    components: Components, margin: float, level: float, power: float
) -> tuple[int, int] | None:
    """Items per category and seeds that would show a slope of 0 to lie within the margin.

    Runs are expensive and items cheap: of all designs, the one with the fewest seeds whose items
    are at most twice what any number of seeds could bring them down to. At that precision a slope
    of twice the margin is found as well. None when training noise is unmeasured, or when no
    design of up to 100,000 items and 40 seeds is enough.
    """
    if not components.run_measured:
        return None
    seeds = _SEEDS if components.run_known else _SEEDS[1:]
    grid = precision(components, ITEM_GRID[:, None], seeds[None, :])
    enough = power_within(grid, margin, level) >= power
    items = np.where(enough.any(0), ITEM_GRID[np.argmax(enough, axis=0)], np.inf)
    if not np.isfinite(items).any():
        return None
    chosen = int(np.argmax(items <= 2 * items.min()))
    return int(items[chosen]), int(seeds[chosen])
