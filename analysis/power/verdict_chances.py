"""How likely each verdict is: curves with known truth, whose means and mean squares are simulated.

Every rule of the verdicts is applied to each draw, the range test and the test of drops too. Mean
squares of items and of seeds are drawn from Wishart distributions over the scales, so that all
contrasts of a draw rest on the same ones, as in a study.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from analysis.inference.contrasts import (
    drop_weights,
    pair_p_values,
    pairs,
    rise_weights,
    tail_scales,
    tail_weights,
)
from analysis.inference.covariance import Covariance
from analysis.inference.estimate import FEW_RUNS, half_width
from analysis.options import CurveOptions
from analysis.power.design import Components, items_per_df, seeds_of

VERDICTS = ("flat", "non_monotone", "plateaued", "improving", "undetermined")
_DRAWS = 200
_RANGE_DRAWS = 32  # of the other means in the range test; the verdicts take more


@dataclass(frozen=True)
class CurveComponents:
    """Covariance of the scale means: item / N + (run + item_run / N) / S, (K, K) each.

    Estimates of single studies may have negative eigenvalues, so that means of them are unbiased.
    The other attributes are those of `design.Components`.
    """

    item: np.ndarray
    run: np.ndarray
    item_run: np.ndarray
    run_known: bool = False
    shared: float = 1.0
    cluster: float = 1.0

    @classmethod
    def independent(cls, unit: Components, scales: int) -> CurveComponents:
        """Noise independent between scales, of a contrast's components per squared weight."""
        one = np.eye(scales)
        return cls(
            unit.item * one,
            unit.run * one,
            unit.item_run * one,
            unit.run_known,
            unit.shared,
            unit.cluster,
        )


def curve_components(covariance: Covariance) -> CurveComponents:
    """Components of one category, measured on a study; items are counted per category."""
    items, seeds = covariance.sample.n_items / covariance.n_strata, seeds_of(covariance)
    rest = covariance.rest_matrix
    measured = covariance.run_measured
    run_df = np.mean([covariance.run_df(each) for each in np.eye(covariance.n_scales)])
    return CurveComponents(
        item=(covariance.items - rest) * items,
        run=(covariance.seed_matrix - rest if measured else covariance.runs) * seeds,
        item_run=rest * items * seeds,
        run_known=not measured,
        shared=float(run_df) / (seeds - 1 if seeds > 1 else 1.0),
        cluster=items_per_df(covariance),
    )


def mean_components(parts: list[CurveComponents]) -> CurveComponents:
    """Of a category with the mean variances of these."""
    return CurveComponents(
        item=np.mean([each.item for each in parts], axis=0),
        run=np.mean([each.run for each in parts], axis=0),
        item_run=np.mean([each.item_run for each in parts], axis=0),
        run_known=parts[0].run_known,
        shared=float(np.mean([each.shared for each in parts])),
        cluster=float(np.mean([each.cluster for each in parts])),
    )


def true_curves(ladder: np.ndarray, options: CurveOptions) -> dict[str, np.ndarray]:
    """(K,) true means of the curves whose verdicts are asked for; 0 at the first scale."""
    doublings = np.log2(ladder / ladder[0])
    curves = {"level": np.zeros(len(ladder))}
    if rise_weights(ladder) is not None:
        curves["level after a rise"] = 2.0 * options.range_margin * tail_scales(ladder)
    curves["slope of the margin"] = options.tail_margin * doublings
    curves["slope of twice the margin"] = 2 * options.tail_margin * doublings
    return curves


def verdict_chances(
    parts: CurveComponents,
    ladder: np.ndarray,
    items: int,
    seeds: int,
    claims: int,
    options: CurveOptions,
) -> dict[str, dict[str, float]]:
    """Chance of each of VERDICTS for a category with each of `true_curves`.

    Args:
        ladder: (K,) scales.
        claims: that are corrected together. A claim counts as made only if its p value is below
            level / claims, so the chance holds whatever the other categories show.
    """
    curves = true_curves(ladder, options)
    if seeds < 2 and not parts.run_known:  # training noise unmeasured: no verdict
        nothing = {name: float(name == "undetermined") for name in VERDICTS}
        return dict.fromkeys(curves, nothing)
    study = _simulate(parts, items, seeds)
    return {name: _chances(study, ladder, means, claims, options) for name, means in curves.items()}


def _chances(
    study: _Study, ladder: np.ndarray, means: np.ndarray, claims: int, options: CurveOptions
) -> dict[str, float]:
    values = study.error + means
    strict = options.level / claims
    equivalence = strict if options.corrected == "all" else options.level

    def p_above(weights: np.ndarray, threshold: float) -> np.ndarray:
        se, df = study.precision(weights)
        return stdtr(df, (threshold - values @ weights) / se)

    def above(weights: np.ndarray, level: float) -> np.ndarray:
        return values @ weights > study.half_width(weights, level)

    tail, rise, margin = tail_weights(ladder), rise_weights(ladder), options.tail_margin
    level = np.maximum(p_above(tail, -margin), p_above(-tail, -margin)) < equivalence
    weights_of_drops = [drop_weights(len(ladder), *pair) for pair in pairs(len(ladder))]
    drops = [above(weights, strict / len(weights_of_drops)) for weights in weights_of_drops]
    rises = np.zeros(len(values), bool) if rise is None else above(rise, strict)
    holds = {
        "flat": study.range_below(values, level, equivalence, options.range_margin),
        "non_monotone": np.any(drops, axis=0),
        "plateaued": level & rises,
        "improving": above(tail, strict),
        "undetermined": np.ones(len(values), bool),
    }
    first = np.argmax([holds[name] for name in VERDICTS], axis=0)  # the first rule that holds
    return {name: float((first == at).mean()) for at, name in enumerate(VERDICTS)}


@dataclass(frozen=True)
class _Study:
    """Draws of one design: errors (D, K), mean squares of items and seeds (D, K, K)."""

    error: np.ndarray
    items: np.ndarray
    seeds: np.ndarray
    rest: np.ndarray
    item_df: float
    seed_df: float  # infinite where the run noise is known
    few: bool  # seeds, so that corrected claims take the parts apart

    def precision(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(D,) standard errors and degrees of freedom of a contrast, as in `Covariance`."""
        of_items, of_seeds, variance = self._variances(weights)
        divisor = of_items**2 / self.item_df + of_seeds**2 / self.seed_df
        with np.errstate(divide="ignore", invalid="ignore"):
            df = np.where(divisor > 0, variance**2 / divisor, np.inf)
        return np.sqrt(np.maximum(variance, 1e-30)), np.clip(df, 1.0, 1e9)

    def half_width(self, weights: np.ndarray, level: float) -> np.ndarray:
        """(D,) how far a corrected claim's bound lies from the estimate of a contrast."""
        if not self.few:
            se, df = self.precision(weights)
            return stdtrit(df, 1 - level) * se
        _, of_seeds, variance = self._variances(weights)
        of_rest = np.maximum(variance - of_seeds, 0.0)
        parts = (of_rest, self.item_df), (of_seeds, self.seed_df)
        return half_width(parts, level)

    def _variances(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(D,) mean squares of items and of seeds, and the variance of a contrast."""
        # Below 0 only by rounding, where nothing varies.
        of_items, of_seeds = (
            np.maximum((each @ weights) @ weights, 0.0) for each in (self.items, self.seeds)
        )
        rest = weights @ self.rest @ weights
        variance = np.maximum(np.maximum(0.0, of_items - rest) + of_seeds, of_items / 2)
        return of_items, of_seeds, variance

    def range_below(
        self, values: np.ndarray, asked: np.ndarray, level: float, margin: float
    ) -> np.ndarray:
        """(D,) whether the range test shows the range of the means to be below the margin, of the
        draws that are asked for."""
        left = asked & (np.ptp(values, axis=1) < margin)
        total = self.items + self.seeds - self.rest
        for pair in pairs(values.shape[1]):
            at = np.flatnonzero(left)  # those that no pair has failed yet
            weights = drop_weights(values.shape[1], *pair)
            se, df = (each[at] for each in self.precision(weights))
            observed = np.ptp(values[at], axis=1)
            left[at] = (
                pair_p_values(total[at], weights, se, df, observed, margin, _RANGE_DRAWS) < level
            )
        return left


def _simulate(parts: CurveComponents, items: int, seeds: int) -> _Study:
    rng, scales = np.random.default_rng(0), len(parts.item)
    item_df = max(1.0, items / parts.cluster - 1)
    seed_df = max(1.0, (seeds - 1) * parts.shared)
    rest = parts.item_run / items / seeds
    of_items, of_seeds = parts.item / items + rest, parts.run / seeds + rest
    error = rng.standard_normal((_DRAWS, scales)) @ _root(parts.item / items + of_seeds).T
    known = parts.run_known
    return _Study(
        error=error,
        items=_wishart(rng, of_items, item_df),
        seeds=np.broadcast_to(parts.run / seeds, (_DRAWS, scales, scales))
        if known
        else _wishart(rng, of_seeds, seed_df),
        rest=np.zeros_like(rest) if known else rest,
        item_df=item_df,
        seed_df=np.inf if known else seed_df,
        few=seeds <= FEW_RUNS,
    )


def _wishart(rng: np.random.Generator, mean: np.ndarray, df: float) -> np.ndarray:
    """(D, K, K) mean squares with this mean and degrees of freedom, whole or not.

    Weighted sums of squares: all weights equal but the last, which is as much smaller as makes the
    degrees of freedom of the sum, (sum of weights)^2 / sum of squared weights, the wanted ones.
    """
    k = len(mean)
    number = int(np.ceil(df))
    if number > 200:  # as good as the matrix of so many, and quicker
        noise = rng.standard_normal((_DRAWS, k, k))
        root, bend = _root(mean), (noise + noise.swapaxes(1, 2)) / np.sqrt(2 * df)
        return _positive(root @ (np.eye(k) + bend) @ root.T)
    weights = np.ones(number)
    if number > df:
        # The last weight a from (m + a)^2 = df (m + a^2), m the number of the others.
        m = number - 1
        weights[-1] = (m - np.sqrt(m**2 - (df - 1) * m * (df - m))) / (df - 1)
    drawn = rng.standard_normal((_DRAWS, number, k)) @ _root(mean).T
    return (drawn * (weights / weights.sum())[:, None]).swapaxes(1, 2) @ drawn


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]


def _positive(matrix: np.ndarray) -> np.ndarray:
    root = _root(matrix)
    return root @ root.swapaxes(-1, -2)
