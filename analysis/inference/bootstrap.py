"""Hierarchical bootstrap of scale means: clusters of items and seeds, jointly over all scales."""

from __future__ import annotations

import numpy as np

from analysis.inference.score_array import CategoryScores


class Bootstrap:
    """Resampling shared by all categories of one cube: seeds once, items in each category.

    Seeds are drawn once per replicate for all categories and scales, so nesting, pairing and
    the run noise that categories share survive. With few seeds a bootstrap variance is (S - 1)/S
    of what it should be; seed weights are spread by sqrt(S / (S - 1)) around 1 to mend that
    (Rao and Wu, JASA 83, 1988).

    Args:
        n_seeds: seeds; with one, only items are drawn.
        replicates: number of replicates B.
        rng: source of the draws.
    """

    def __init__(self, n_seeds: int, replicates: int, rng: np.random.Generator) -> None:
        self.replicates = replicates
        self._rng = rng
        counts = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=replicates)
        spread = np.sqrt(n_seeds / (n_seeds - 1)) if n_seeds > 1 else 0.0
        self._seed_weights = (1 + spread * (counts - 1)) / n_seeds

    def scale_means(self, values: np.ndarray, clusters: np.ndarray) -> np.ndarray:
        """(B, K) replicates of the scale means of one category.

        Args:
            values: (K, S, N) scores, NaN where missing.
            clusters: (N,) cluster of each item.
        """
        k, s, n = values.shape
        g = int(clusters.max()) + 1
        present = np.isfinite(values)
        flat = np.where(present, values, 0.0).reshape(k * s, n)
        sums, counts = np.zeros((g, k * s)), np.zeros((g, k * s))
        np.add.at(sums, clusters, flat.T)
        np.add.at(counts, clusters, present.reshape(k * s, n).T.astype(float))
        weights = self._rng.multinomial(g, np.full(g, 1 / g), size=self.replicates).astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            runs = ((weights @ sums) / (weights @ counts)).reshape(self.replicates, k, s)
        return np.einsum("bks,bs->bk", runs, self._seed_weights)


def bootstrap_categories(
    categories: dict[str, CategoryScores], replicates: int, seed: int
) -> dict[str, np.ndarray]:
    """(B, K) replicates of the scale means by category, in the order of the names.

    The base model's mean stands before the scales, as column 0, where there is a base model.
    """
    rng = np.random.default_rng(seed)
    n_seeds = next(iter(categories.values())).values.shape[1]
    bootstrap = Bootstrap(n_seeds, replicates, rng)
    replicated = {}
    for name, scores in categories.items():
        values = scores.values
        if scores.base is not None:
            base = np.broadcast_to(scores.base, (1, n_seeds, len(scores.base)))
            values = np.concatenate([base, values])
        replicated[name] = bootstrap.scale_means(values, scores.clusters)
    return replicated


def percentile_bounds(replicates: np.ndarray, coverage: float) -> tuple[float, float]:
    """Percentile interval of (B,) replicates; NaN when a replicate is."""
    if not np.isfinite(replicates).all():
        return np.nan, np.nan
    low, high = np.quantile(replicates, [(1 - coverage) / 2, (1 + coverage) / 2])
    return float(low), float(high)


def percentile_interval(replicates: np.ndarray, coverage: float) -> tuple[float, float]:
    """The same, cut to [0, 1]."""
    low, high = np.clip(percentile_bounds(replicates, coverage), 0.0, 1.0)
    return float(low), float(high)
