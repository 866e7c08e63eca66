"""Run means with the noise of items and runs, and estimates of contrasts of the scale means.

Model of the mean over items at scale k and seed s: m_k + item noise (any covariance over scales)
+ seed effect u_s (nested subsets share it over scales) + run effect v_ks + item-by-run noise.
Squares of the run means and of the influences, split like a two-way layout of scale and seed,
give the variances; degrees of freedom follow Satterthwaite (Biometrics Bulletin 2, 1946).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import stdtr, stdtrit

UNMEASURED = "items only; training noise unmeasured"


@dataclass(frozen=True)
class Sample:
    """Run means and the influence of each cluster of items on them.

    The mean of a run is a ratio of sums over clusters; to first order it moves by the influence
    of each cluster. Influences instead of one covariance matrix let unequal clusters, missing
    scores, paired differences and the mean over categories use the same formulas.

    Attributes:
        means: (K, S) mean of each run over items.
        influence: (K, S, G) what each cluster adds to each mean, times sqrt(g / (g - 1)) with g
            the number of clusters of its stratum, so that sums of squares are unbiased variances.
        strata: (G,) stratum (category) of each cluster; clusters are drawn within strata.
        n_items: items that the means stand on.
    """

    means: np.ndarray
    influence: np.ndarray
    strata: np.ndarray
    n_items: int

    @classmethod
    def from_scores(cls, values: np.ndarray, clusters: np.ndarray) -> Sample:
        """The sample of one category.

        Args:
            values: (K, S, N) scores, NaN where missing.
            clusters: (N,) cluster of each item, 0..G-1.

        Returns:
            A sample with one stratum. Means are NaN for runs without any score, influences NaN
            when there is one cluster only: one cluster says nothing of the noise between clusters.
        """
        present = np.isfinite(values)
        count = present.sum(-1)
        # Means of the distance from the lowest score: those of equal scores are exact, so that
        # .1, .1 and .1 bring no noise instead of 1e-17.
        lowest = np.where(present, values, np.inf).min(-1, initial=np.inf, keepdims=True)
        above = np.where(present, values - np.where(present, lowest, 0.0), 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = above.sum(-1) / np.where(count, count, np.nan)
            share = np.where(present, above - distance[..., None], 0.0) / count[..., None]
        means = np.where(count > 0, lowest[..., 0] + distance, np.nan)
        g = int(clusters.max()) + 1
        if g == len(clusters):
            influence = np.zeros_like(share)
            influence[..., clusters] = share
        else:
            members = np.zeros((len(clusters), g))
            members[np.arange(len(clusters)), clusters] = 1.0
            influence = share @ members
        factor = np.sqrt(g / (g - 1)) if g > 1 else np.nan
        return cls(means, influence * factor, np.zeros(g, int), values.shape[-1])

    @property
    def known(self) -> bool:
        """Every mean is known."""
        return bool(np.isfinite(self.means).all())

    @property
    def usable(self) -> bool:
        """Every mean is known and every stratum has at least two clusters."""
        return self.known and bool(np.isfinite(self.influence).all())


def average(samples: Sequence[Sample]) -> Sample:
    """The plain mean of categories: the same runs, other items in each category."""
    weight = 1.0 / len(samples)
    return Sample(
        means=sum(s.means for s in samples) * weight,
        influence=np.concatenate([s.influence for s in samples], axis=-1) * weight,
        strata=np.concatenate([np.full(s.influence.shape[-1], i) for i, s in enumerate(samples)]),
        n_items=sum(s.n_items for s in samples),
    )


def difference(a: Sample, b: Sample) -> Sample:
    """a minus b, paired run by run and cluster by cluster (both must hold the same ones)."""
    return Sample(a.means - b.means, a.influence - b.influence, a.strata, a.n_items)


def stack(samples: Sequence[Sample]) -> Sample:
    """Samples of the same items and seeds as further rows of one sample."""
    return Sample(
        np.concatenate([s.means for s in samples]),
        np.concatenate([s.influence for s in samples]),
        samples[0].strata,
        samples[0].n_items,
    )


@dataclass(frozen=True)
class MeanSquare:
    """A variance of the run effect: the mean square of run means less that of item noise.

    Attributes:
        runs: mean square of the run means, with `runs_df` degrees of freedom.
        noise: what item-by-run noise alone would make of it, with `noise_df`.
    """

    runs: float
    runs_df: float
    noise: float
    noise_df: float

    @property
    def variance(self) -> float:
        """The run variance, never below 0."""
        return max(0.0, self.runs - self.noise)

    def square_over_df(self) -> float:
        """Sum of squared mean squares over their degrees of freedom (Satterthwaite's divisor)."""
        total = self.runs**2 / self.runs_df if self.runs_df else 0.0
        return total + (self.noise**2 / self.noise_df if self.noise_df else 0.0)


@dataclass(frozen=True)
class Estimate:
    """A contrast of scale means with its standard error and degrees of freedom."""

    value: float
    se: float
    df: float

    def interval(self, coverage: float) -> tuple[float, float]:
        """Two-sided t interval."""
        half = float(stdtrit(self.df, 0.5 + coverage / 2)) * self.se
        return self.value - half, self.value + half

    def p_above(self, threshold: float = 0.0) -> float:
        """One-sided p value of the null that the truth is at or below the threshold."""
        if self.se == 0:
            return 0.0 if self.value > threshold else 1.0
        return float(stdtr(self.df, (threshold - self.value) / self.se))

    def p_below(self, threshold: float = 0.0) -> float:
        """One-sided p value of the null that the truth is at or above the threshold."""
        return Estimate(-self.value, self.se, self.df).p_above(-threshold)

    def p_different(self) -> float:
        """Two-sided p value of the null that the truth is 0."""
        if self.se == 0:
            return 0.0 if self.value else 1.0
        return float(2 * stdtr(self.df, -abs(self.value) / self.se))

    def p_within(self, margin: float) -> float:
        """p value of the null that the truth is not inside plus or minus the margin.

        The larger of two one-sided tests (Schuirmann, J. Pharmacokin. Biopharm. 15, 1987): below
        (1 - coverage) / 2 exactly when the interval of that coverage lies inside the margin.
        """
        return max(self.p_above(-margin), self.p_below(margin))


class Covariance:
    """Item and run variance of the scale means of one sample.

    Args:
        sample: run means and influences, (K, S) and (K, S, G); must be usable.
        run_sd: run standard deviation known from elsewhere, used when S is 1.
    """

    def __init__(self, sample: Sample, run_sd: float | None = None) -> None:
        self.sample = sample
        self.n_scales, self.n_seeds = sample.means.shape
        lowest = sample.means.min(1)  # so that equal means have exactly their mean
        self.means = lowest + (sample.means - lowest[:, None]).mean(1)
        self._strata = np.unique(sample.strata, return_inverse=True)[1]
        self.n_strata = int(self._strata.max()) + 1
        self._strata_df = np.maximum(np.bincount(self._strata) - 1, 1)
        self._item_influence = sample.influence.mean(1)
        self.within, self.between = self._run_variances(run_sd)
        if self.n_seeds > 1:
            self.noise = "items and seeds"
        elif run_sd is not None:
            self.noise = f"items, and a stated run SD of {run_sd:g}"
        else:
            self.noise = UNMEASURED

    def _run_variances(self, run_sd: float | None) -> tuple[MeanSquare, MeanSquare]:
        """Variance of v_ks, and of sqrt(K) times the mean over scales of u_s + v_ks."""
        k, s = self.n_scales, self.n_seeds
        if s == 1:
            known = MeanSquare(0.0 if run_sd is None else run_sd**2, np.inf, 0.0, 0.0)
            return known, known
        means, influence = self.sample.means, self.sample.influence
        clusters_df = float(self._strata_df.sum())
        seed_means = means - self.means[:, None]
        seed_influence = influence - influence.mean(1, keepdims=True)
        shared, shared_influence = seed_means.mean(0), seed_influence.mean(0)
        between = MeanSquare(
            k * float((shared**2).sum()) / (s - 1),
            s - 1,
            k * float((shared_influence**2).sum()) / (s - 1),
            (s - 1) * clusters_df,
        )
        if k == 1:
            return MeanSquare(0.0, 0, 0.0, 0), between
        df = (k - 1) * (s - 1)
        within = MeanSquare(
            float(((seed_means - shared) ** 2).sum()) / df,
            df,
            float(((seed_influence - shared_influence) ** 2).sum()) / df,
            df * clusters_df,
        )
        return within, between

    @cached_property
    def items(self) -> np.ndarray:
        """(K, K) covariance of the scale means that sampling items makes (item-by-run in it)."""
        return self._item_influence @ self._item_influence.T

    @cached_property
    def runs(self) -> np.ndarray:
        """(K, K) covariance of the scale means that training runs make."""
        k = self.n_scales
        shared = np.full((k, k), 1.0 / k)
        within, between = self.within.variance, self.between.variance
        return (within * (np.eye(k) - shared) + between * shared) / self.n_seeds

    @cached_property
    def total(self) -> np.ndarray:
        """(K, K) covariance of the scale means."""
        return self.items + self.runs

    def contrast(self, weights: np.ndarray) -> Estimate:
        """The contrast sum_k weights_k m_k."""
        weights = np.asarray(weights, float)
        item_parts = np.bincount(self._strata, (weights @ self._item_influence) ** 2)
        # Parts of the weights along the mean over scales (where u_s counts) and across it.
        along = weights.sum() ** 2 / self.n_scales
        across = float(weights @ weights) - along
        seeds = self.n_seeds
        runs = (across * self.within.runs + along * self.between.runs) / seeds
        # The item part holds the mean item-by-run noise, and so do the run means: count it once.
        noise = (across * self.within.noise + along * self.between.noise) / seeds
        items = float(item_parts.sum())
        # Run means that happen to agree must not pass for certainty: half the item part stays.
        variance = max(max(0.0, items - noise) + runs, items / 2)
        divisor = (
            (item_parts**2 / self._strata_df).sum()
            + (across / seeds) ** 2 * self.within.square_over_df()
            + (along / seeds) ** 2 * self.between.square_over_df()
        )
        df = variance**2 / divisor if divisor > 0 else np.inf
        return Estimate(float(weights @ self.means), float(np.sqrt(variance)), max(1.0, df))

    def scale_mean(self, k: int) -> Estimate:
        """The mean at the k-th scale."""
        return self.contrast(np.eye(self.n_scales)[k])
