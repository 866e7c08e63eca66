"""Means of runs with the noise that items bring: the form that all inference works on.

The mean of a run is a ratio of sums over clusters of items; to first order it moves by the
influence of each cluster. Keeping the influences instead of one covariance matrix lets unequal
clusters, missing scores, paired differences and the mean over categories go one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sample:
    """Run means and the influence of each cluster on them.

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

    @property
    def usable(self) -> bool:
        """Every mean is known and every stratum has at least two clusters."""
        return bool(np.isfinite(self.means).all() and np.isfinite(self.influence).all())


def from_scores(values: np.ndarray, clusters: np.ndarray) -> Sample:
    """The sample of one category.

    Args:
        values: (K, S, N) scores, NaN where missing.
        clusters: (N,) cluster of each item, 0..G-1.

    Returns:
        A sample with one stratum. Means are NaN for runs without any score, influences NaN when
        there is one cluster only: one cluster says nothing of the noise between clusters.
    """
    present = np.isfinite(values)
    count = present.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(present, values, 0.0).sum(-1) / np.where(count, count, np.nan)
        share = np.where(present, values - means[..., None], 0.0) / count[..., None]
    g = int(clusters.max()) + 1
    if g == len(clusters):
        influence = np.zeros_like(share)
        influence[..., clusters] = share
    else:
        members = np.zeros((len(clusters), g))
        members[np.arange(len(clusters)), clusters] = 1.0
        influence = share @ members
    factor = np.sqrt(g / (g - 1)) if g > 1 else np.nan
    return Sample(means, influence * factor, np.zeros(g, int), values.shape[-1])


def average(samples: Sequence[Sample]) -> Sample:
    """The plain mean of categories: runs shared, items drawn anew in each category."""
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
