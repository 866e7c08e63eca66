"""Noise between training runs: mean squares of contrasts over seeds, shrunk over categories.

A contrast is formed in every seed first, D_s = sum_k w_k y_ks, and its variance is read off the
D_s. So nothing is assumed of how noise is spread or correlated over scales (two crossed random
factors: Judd, Westfall and Kenny, J. Personality & Social Psychology 103, 2012). A few seeds tell
a variance badly; those of all categories are drawn towards each other by empirical Bayes (Smyth,
Stat. Appl. Genetics & Molecular Biology 3, 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy.special import digamma, polygamma

from analysis.inference.sample import Sample


class RunNoise:
    """Run noise of categories that share their runs.

    Args:
        samples: of the same K scales and S seeds; usable.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._deviations = [seed_deviations(sample) for sample in samples]
        self._counts = np.stack([sample.runs.sum(1) for sample in samples])  # (C, K)
        self._squares: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    @property
    def number(self) -> int:
        """How many categories there are."""
        return len(self._deviations)

    def mean_squares(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each category's own variance over seeds of a contrast, and its degrees of freedom.

        Args:
            weights: (K,).

        Returns:
            (C,) variances of the contrast's mean over seeds, item-by-run noise in them, and (C,)
            degrees of freedom: of the scale with the fewest runs, where they differ.
        """
        found = np.array([_square(d, n, weights) for d, n in self._pairs()])
        used = weights != 0
        df = [_fewest(n[used & (n > 1)], n) for n in self._counts]
        return found, np.array(df, float)

    def shrunk(self, category: int, weights: np.ndarray) -> tuple[float, float]:
        """The variance of a contrast in one category after shrinkage, and its df."""
        key = weights.tobytes()
        if key not in self._squares:
            squares, df = self.mean_squares(weights)
            self._squares[key] = squeeze(squares, df, self.effective_categories)
        squares, df = self._squares[key]
        return float(squares[category]), float(df[category])

    def matrix(self, category: int) -> np.ndarray:
        """(K, K) covariance of the scale means over seeds, shrunk towards that of all categories.

        The weight of the others is that of the traces' shrinkage.
        """
        own = self._matrices[category]
        traces = np.array([np.trace(each) for each in self._matrices])
        prior_df, _ = prior(traces, self._trace_df)
        if not prior_df or not own.any():
            return own
        weight = 1.0 if np.isinf(prior_df) else prior_df / (prior_df + self._trace_df[category])
        return weight * self.mean_matrix + (1 - weight) * own

    @cached_property
    def effective_categories(self) -> float:
        """How many independent categories these are worth, since they share runs.

        C / (1 + (C - 1) r^2), r^2 the mean squared correlation between run means of two
        categories: the mean of C mean squares varies as that of so many independent ones. With few
        runs chance makes r^2 larger and the number smaller, which is on the safe side.
        """
        moving = [d.reshape(-1) for d in self._deviations if d.any()]
        if len(moving) < 2:
            return 1.0
        c = len(moving)
        return max(1.0, c**2 / float(np.square(_correlation(np.stack(moving))).sum()))

    @cached_property
    def _matrices(self) -> list[np.ndarray]:
        return [d @ d.T + np.diag(_lone(d, n)) for d, n in self._pairs()]

    @cached_property
    def mean_matrix(self) -> np.ndarray:
        """(K, K) mean over the categories of the covariance of scale means over seeds."""
        return np.mean(self._matrices, axis=0)

    @cached_property
    def _trace_df(self) -> np.ndarray:
        return np.maximum(self._counts - 1, 0).sum(1).astype(float)

    def _pairs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return list(zip(self._deviations, self._counts, strict=True))


class OverallRunNoise:
    """Run noise of the plain mean of categories, from that of the categories.

    Its own mean square has as few degrees of freedom as there are seeds. How far the categories'
    noise averages out is taken as the same at all scales, so that the ratio of overall's mean
    square to theirs can be pooled over scales; their size need not be the same at all scales.

    Args:
        overall: the mean of the categories.
        categories: their run noise.
    """

    def __init__(self, overall: Sample, categories: RunNoise) -> None:
        self._own, self._categories = RunNoise([overall]), categories
        by_scale = np.diag(categories.mean_matrix)
        total = float(by_scale.sum())
        self._ratio = float(np.trace(self._own.matrix(0))) / total if total > 0 else 0.0
        self._scales = total**2 / float(np.square(by_scale).sum()) if total > 0 else 0.0

    def mean_squares(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See RunNoise."""
        return self._own.mean_squares(weights)

    def shrunk(self, category: int, weights: np.ndarray) -> tuple[float, float]:
        """See RunNoise; its own mean square where that has the more degrees of freedom."""
        (own,), (df,) = self._own.mean_squares(weights)
        if self._scales <= 0:
            return float(own), float(df)
        theirs = [self._categories.shrunk(c, weights)[0] for c in range(self._categories.number)]
        of_ratio, of_theirs = df * self._scales, df * self._categories.effective_categories
        pooled_df = 1 / (1 / of_ratio + 1 / of_theirs)
        if pooled_df <= df:
            return float(own), float(df)
        return self._ratio * float(np.mean(theirs)), float(pooled_df)

    def matrix(self, category: int) -> np.ndarray:
        """See RunNoise."""
        return self._ratio * self._categories.mean_matrix


def seed_deviations(sample: Sample) -> np.ndarray:
    """(K, S) run means less their scale's, scaled so that sums of squares are variances of means.

    0 where there is no run, and at a scale of one run.
    """
    off = np.where(sample.runs, sample.means - sample.scale_means[:, None], 0.0)
    return off * deviation_factor(sample)[:, None]


def deviation_factor(sample: Sample) -> np.ndarray:
    """(K,) sqrt(n / (n - 1)) / n with n runs at a scale; 0 at a scale of one run."""
    n = sample.runs.sum(1)
    return np.where(n > 1, np.sqrt(n / np.maximum(n - 1, 1)) / np.maximum(n, 1), 0.0)


def _correlation(rows: np.ndarray) -> np.ndarray:
    """(C, C) of rows whose mean is 0."""
    scaled = rows / np.sqrt(np.square(rows).sum(1, keepdims=True))
    return scaled @ scaled.T


def _square(deviations: np.ndarray, counts: np.ndarray, weights: np.ndarray) -> float:
    own = float(np.square(weights @ deviations).sum())
    return own + float(np.square(weights) @ _lone(deviations, counts))


def _lone(deviations: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(K,) at a scale of one run the mean variance of one run at the other scales, else 0."""
    many = counts > 1
    if not many.any() or many.all():
        return np.zeros(len(counts))
    variance = (np.square(deviations).sum(1) * counts)[many].mean()
    return np.where(many, 0.0, variance)


def _fewest(used: np.ndarray, counts: np.ndarray) -> float:
    """Degrees of freedom of a contrast over scales with these runs (1 where none has two)."""
    return float(max(1, (used if len(used) else counts).min() - 1))


def squeeze(squares: np.ndarray, df: np.ndarray, effective: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean squares drawn towards a common one, as limma's squeezeVar does.

    Args:
        squares: (C,) mean squares. One of 0 stays 0: it belongs to scores that are all equal, of
            which those that are not tell nothing.
        df: (C,) their degrees of freedom.
        effective: how many independent mean squares these are worth; caps the total df.

    Returns:
        (C,) posterior mean squares and (C,) their degrees of freedom.
    """
    prior_df, common = prior(squares, df)
    if not prior_df:
        return squares, df
    total = np.minimum(df + prior_df, df * max(1.0, effective))
    if np.isinf(prior_df):
        drawn = np.full(len(squares), common)
    else:
        drawn = (prior_df * common + df * squares) / (prior_df + df)
    return np.where(squares > 0, drawn, 0.0), total


def prior(squares: np.ndarray, df: np.ndarray) -> tuple[float, float]:
    """Degrees of freedom and value of the common mean square, by moments of the logarithms.

    Where the mean squares differ by no more than chance, the degrees of freedom are infinite and
    the value is their mean. 0 degrees of freedom where fewer than three are above 0.
    """
    squares, df = squares[squares > 0], df[squares > 0]
    if len(squares) < 3:
        return 0.0, 0.0
    # A mean square of almost 0 would have a logarithm that rules all the others.
    raised = np.maximum(squares, 1e-5 * np.median(squares))
    logs = np.log(raised) - digamma(df / 2) + np.log(df / 2)
    spread = logs.var(ddof=1) - polygamma(1, df / 2).mean()
    if spread <= 0:
        return np.inf, float(np.average(squares, weights=df))
    prior_df = 2 * inverse_trigamma(float(spread))
    value = np.exp(logs.mean() + digamma(prior_df / 2) - np.log(prior_df / 2))
    return prior_df, float(value)


def inverse_trigamma(value: float) -> float:
    """x with trigamma(x) = value > 0, by Newton's method on 1 / trigamma (Smyth 2004)."""
    if value > 1e7:
        return float(value**-0.5)
    if value < 1e-6:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        first = polygamma(1, x)
        step = first * (1 - first / value) / polygamma(2, x)
        x += step
        if abs(step) < 1e-10 * x:
            break
    return float(x)
