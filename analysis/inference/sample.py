"""Run means of one category, and what each cluster of its items adds to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Sample:
    """Run means and the influence of each cluster of items on them.

    The mean of a run is a ratio of sums over clusters; to first order it moves by the influence
    of each cluster. Influences instead of one covariance matrix let unequal clusters, missing
    scores, paired differences and the mean over categories use the same formulas.

    Attributes:
        means: (K, S) mean of each run over items; NaN where there is no such run, or no score.
        influence: (K, S, G) what each cluster adds to each mean, over sqrt(1 - its share of the
            items), so that sums of squares are unbiased variances where clusters are alike (CR2,
            Bell and McCaffrey, Survey Methodology 28, 2002); 0 where there is no run.
        strata: (G,) stratum (category) of each cluster; clusters are drawn within strata.
        n_items: items that the means stand on.
        strata_df: degrees of freedom of the item variance of each stratum, in their order; by
            default those of equal clusters.
    """

    means: np.ndarray
    influence: np.ndarray
    strata: np.ndarray
    n_items: int
    strata_df: np.ndarray = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.strata_df is None:
            object.__setattr__(self, "strata_df", np.unique(self.strata, return_counts=True)[1] - 1)

    @classmethod
    def from_scores(cls, values: np.ndarray, clusters: np.ndarray) -> Sample:
        """The sample of one category.

        Args:
            values: (K, S, N) scores, NaN where missing.
            clusters: (N,) cluster of each item, 0..G-1.

        Returns:
            A sample with one stratum. Influences are NaN where all scores of a run are in one
            cluster, which says nothing of the noise between clusters.
        """
        present = np.isfinite(values)
        count = present.sum(-1)
        # Means of the distance from the lowest score: those of equal scores are exact, so that
        # .1, .1 and .1 bring no noise instead of 1e-17.
        lowest = np.where(present, values, np.inf).min(-1, initial=np.inf, keepdims=True)
        above = np.where(present, values - np.where(present, lowest, 0.0), 0.0)
        scored = np.maximum(count, 1)
        distance = above.sum(-1) / scored
        share = np.where(present, above - distance[..., None], 0.0) / scored[..., None]
        weight = present / scored[..., None]
        sizes = np.bincount(clusters)
        if len(sizes) == len(clusters):
            order = np.argsort(clusters)
            share, weight = share[..., order], weight[..., order]
        else:
            members = np.zeros((len(clusters), len(sizes)))
            members[np.arange(len(clusters)), clusters] = 1.0
            share, weight = share @ members, weight @ members
        alone = weight > 1 - 1e-9
        influence = np.where(alone, np.nan, share / np.sqrt(1 - np.where(alone, 0.0, weight)))
        return cls(
            np.where(count > 0, lowest[..., 0] + distance, np.nan),
            influence,
            np.zeros(len(sizes), int),
            values.shape[-1],
            np.array([cluster_df(np.bincount(clusters, present.any((0, 1)), len(sizes)))]),
        )

    @cached_property
    def runs(self) -> np.ndarray:
        """(K, S) which runs have a mean."""
        return np.isfinite(self.means)

    @cached_property
    def scale_means(self) -> np.ndarray:
        """(K,) mean over the runs of each scale; exact where they are equal."""
        lowest = np.where(self.runs, self.means, np.inf).min(1)
        above = np.where(self.runs, self.means - lowest[:, None], 0.0)
        with np.errstate(invalid="ignore"):
            return lowest + above.sum(1) / self.runs.sum(1)

    @cached_property
    def item_influence(self) -> np.ndarray:
        """(K, G) what each cluster adds to each scale's mean."""
        return self.influence.sum(1) / self.runs.sum(1)[:, None]

    @property
    def known(self) -> bool:
        """Every scale has a mean."""
        return bool(self.runs.any(1).all())

    @property
    def usable(self) -> bool:
        """Every scale has a mean, and every run at least two clusters."""
        return self.known and bool(np.isfinite(self.influence).all())


def cluster_df(sizes: np.ndarray) -> float:
    """Degrees of freedom of the variance of a mean over clusters of the given numbers of items.

    Bell and McCaffrey's Satterthwaite approximation, in closed form for a mean: the number of
    clusters less 1 where they are equal, fewer where few clusters hold most items.
    """
    n, total = np.asarray(sizes, float), float(np.sum(sizes))
    if (n > 0).sum() < 2:
        return 0.0
    rest = total - n
    divisor = (
        total**2 * (n**2 / rest**2).sum()
        - 2 * total * (n**3 / rest**2).sum()
        + (n**2 / rest).sum() ** 2
    )
    return float(total**2 / divisor)


def average(samples: Sequence[Sample]) -> Sample:
    """The plain mean of categories: the same runs, other items in each category.

    A run that lacks a mean in one category has none here.
    """
    weight = 1.0 / len(samples)
    means = sum(s.means for s in samples) * weight
    influence = np.concatenate([s.influence for s in samples], axis=-1) * weight
    return Sample(
        means=means,
        influence=np.where(np.isfinite(means)[..., None], influence, 0.0),
        strata=np.concatenate([np.full(s.influence.shape[-1], i) for i, s in enumerate(samples)]),
        n_items=sum(s.n_items for s in samples),
        strata_df=np.concatenate([s.strata_df for s in samples]),
    )


def difference(a: Sample, b: Sample) -> Sample:
    """a minus b, paired run by run and cluster by cluster (both must hold the same ones)."""
    return Sample(a.means - b.means, a.influence - b.influence, a.strata, a.n_items, a.strata_df)


def stack(samples: Sequence[Sample]) -> Sample:
    """Samples of the same items and seeds as further rows of one sample."""
    first = samples[0]
    return Sample(
        np.concatenate([s.means for s in samples]),
        np.concatenate([s.influence for s in samples]),
        first.strata,
        first.n_items,
        first.strata_df,
    )
