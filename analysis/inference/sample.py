"""Run means of one category, and what each cluster of its items adds to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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
        down, up: (K,) how much lower and higher the mean of each scale could be if the missing
            scores were known: share missing times the distance of the mean from 0 and from 1.
        unknown: (K,) variance that the chance of being missing brings to these bounds, at most:
            each item's chance is its own, the same in all runs.
    """

    means: np.ndarray
    influence: np.ndarray
    strata: np.ndarray
    n_items: int
    strata_df: np.ndarray = field(default=None)  # type: ignore[assignment]
    down: np.ndarray = field(default=None)  # type: ignore[assignment]
    up: np.ndarray = field(default=None)  # type: ignore[assignment]
    unknown: np.ndarray = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        nothing = np.zeros(len(self.means))
        defaults = {
            "strata_df": np.unique(self.strata, return_counts=True)[1] - 1,
            "down": nothing,
            "up": nothing,
            "unknown": nothing,
        }
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    @classmethod
    def from_scores(
        cls,
        values: np.ndarray,
        clusters: np.ndarray,
        runs: np.ndarray | None = None,
        lowest_score: float = 0.0,
    ) -> Sample:
        """The sample of one category.

        Args:
            values: (K, S, N) scores, NaN where missing.
            clusters: (N,) cluster of each item, 0..G-1.
            runs: (K, S) which runs there are; by default those with a score.
            lowest_score: what a missing score is at least (at most it is 1).

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
        sample = cls(
            np.where(count > 0, lowest[..., 0] + distance, np.nan),
            influence,
            np.zeros(len(sizes), int),
            values.shape[-1],
            np.array([cluster_df(np.bincount(clusters, present.any((0, 1)), len(sizes)))]),
        )
        missing = missing_share(values, sample.runs if runs is None else runs)
        # Where nothing is scored, the mean could be anything.
        center = np.where(sample.runs.any(1), sample.scale_means, lowest_score)
        down, up = center - lowest_score, 1 - center
        return replace(
            sample,
            down=missing * down,
            up=missing * up,
            unknown=_of_chance(missing, np.maximum(down, up), len(sizes)),
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
        number = self.runs.sum(1)
        mean = np.where(number > 0, lowest, 0.0) + above.sum(1) / np.maximum(number, 1)
        return np.where(number > 0, mean, np.nan)

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


def _of_chance(missing: np.ndarray, distance: np.ndarray, clusters: int) -> np.ndarray:
    """Variance of the share missing times a distance."""
    return missing * (1 - missing) * distance**2 / max(1, clusters)


def missing_share(values: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """(K,) share of missing scores of a (K, S, N) array among the (K, S) runs that there are."""
    lost = np.isnan(values).mean(-1)
    return np.where(runs, lost, 0.0).sum(1) / np.maximum(runs.sum(1), 1)


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
        down=np.mean([s.down for s in samples], axis=0),
        up=np.mean([s.up for s in samples], axis=0),
        unknown=np.sum([s.unknown for s in samples], axis=0) * weight**2,
    )


def difference(a: Sample, b: Sample) -> Sample:
    """a minus b, paired run by run and cluster by cluster (both must hold the same ones).

    A pair that lacks a score must be missing in both; it could differ by anything from -1 to 1.
    """
    missing = a.down + a.up
    gap = np.where(np.isfinite(a.scale_means), a.scale_means - b.scale_means, 0.0)
    return Sample(
        a.means - b.means,
        a.influence - b.influence,
        a.strata,
        a.n_items,
        a.strata_df,
        down=missing * (1 + gap),
        up=missing * (1 - gap),
        unknown=_of_chance(missing, 1 + np.abs(gap), len(a.strata)),
    )


def stack(samples: Sequence[Sample]) -> Sample:
    """Samples of the same items and seeds as further rows of one sample."""
    first = samples[0]
    return Sample(
        np.concatenate([s.means for s in samples]),
        np.concatenate([s.influence for s in samples]),
        first.strata,
        first.n_items,
        first.strata_df,
        np.concatenate([s.down for s in samples]),
        np.concatenate([s.up for s in samples]),
        np.concatenate([s.unknown for s in samples]),
    )
