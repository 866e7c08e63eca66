"""Noise of the scale means of a curve: of items, of training runs, and of contrasts.

`covariances` is how every table comes by the noise of its curves; `Covariance.contrast` and
`Covariance.scale_mean` are its estimates. The variance of a contrast is that of its item part,
plus that of its seed part, less the item-by-run noise that both hold; degrees of freedom follow
Satterthwaite (Biometrics Bulletin 2, 1946). With two seeds the parts are kept apart for corrected
claims.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import cached_property

import numpy as np

from analysis.inference.estimate import FEW_RUNS, Estimate
from analysis.inference.run_noise import OverallRunNoise, RunNoise, deviation_factor
from analysis.inference.sample import Sample
from analysis.tables import OVERALL

UNMEASURED = "items only; training noise unmeasured"


def covariances(
    samples: Mapping[str, Sample], run_sd: float | None = None
) -> dict[str, Covariance]:
    """The noise of each category of one arm, whose runs they share; the usable ones only.

    Args:
        samples: by category; `overall`, where it is among them, is the mean of the usable others.
        run_sd: run standard deviation known from elsewhere.
    """
    usable = {name: each for name, each in samples.items() if each.usable and name != OVERALL}
    if not usable:
        return {}
    noise = RunNoise(list(usable.values()))
    found = {
        name: Covariance(sample, run_sd, noise, position)
        for position, (name, sample) in enumerate(usable.items())
    }
    overall = samples.get(OVERALL)
    if overall is not None and overall.usable:
        found[OVERALL] = Covariance(overall, run_sd, OverallRunNoise(overall, noise))
    return found


class Covariance:
    """Item and run variance of the scale means of one sample.

    Args:
        sample: run means and influences, (K, S) and (K, S, G); must be usable.
        run_sd: run standard deviation known from elsewhere, used where no scale has two runs.
        noise: run noise of all categories, or of overall; of this sample alone by default.
        position: of the sample in `noise`.
    """

    def __init__(
        self,
        sample: Sample,
        run_sd: float | None = None,
        noise: RunNoise | OverallRunNoise | None = None,
        position: int = 0,
    ) -> None:
        self.sample = sample
        self.means = sample.scale_means
        self.missing_weight = 1.0
        self.n_scales = len(self.means)
        self._run_noise = RunNoise([sample]) if noise is None else noise
        self._position = position if noise is not None else 0
        self._strata = np.unique(sample.strata, return_inverse=True)[1]
        self.n_strata = int(self._strata.max()) + 1
        self._strata_df = np.maximum(sample.strata_df, 1e-3)
        self.n_runs = sample.runs.sum(1)
        self.run_measured = bool((self.n_runs > 1).any())
        self._run_sd = None if self.run_measured else run_sd
        if not self.run_measured:
            stated = f"items, and a stated run SD of {run_sd or 0:g}"
            self.noise = UNMEASURED if run_sd is None else stated
        elif (self.n_runs > 1).all():
            self.noise = "items and seeds"
        else:
            self.noise = "items and seeds; scales of one run have the run noise of the others"

    @cached_property
    def items(self) -> np.ndarray:
        """(K, K) covariance of the scale means that sampling items makes (item-by-run in it)."""
        return self.sample.item_influence @ self.sample.item_influence.T

    @cached_property
    def runs(self) -> np.ndarray:
        """(K, K) covariance of the scale means that training runs make."""
        if not self.run_measured:
            return np.diag((self._run_sd or 0.0) ** 2 / self.n_runs)
        values, vectors = np.linalg.eigh(self.seed_matrix - self.rest_matrix)
        return (vectors * np.maximum(values, 0.0)) @ vectors.T

    @cached_property
    def total(self) -> np.ndarray:
        """(K, K) covariance of the scale means."""
        return self.items + self.runs

    @cached_property
    def _rest(self) -> np.ndarray:
        """(K, S * G) item-by-run residuals, scaled as the seeds' deviations are."""
        sample = self.sample
        off = sample.influence - sample.item_influence[:, None]
        off = np.where(sample.runs[..., None], off, 0.0)
        return (off * deviation_factor(sample)[:, None, None]).reshape(self.n_scales, -1)

    @property
    def seed_matrix(self) -> np.ndarray:
        """(K, K) covariance of the scale means over seeds, item-by-run noise in it."""
        return self._run_noise.matrix(self._position)

    @property
    def rest_matrix(self) -> np.ndarray:
        """(K, K) covariance of the scale means that item-by-run noise makes."""
        return self._rest @ self._rest.T

    def with_missing(self, weight: float) -> Covariance:
        """The same, if only this share of the missing scores went against an estimate."""
        other = copy(self)
        other.missing_weight = weight
        return other

    def item_df(self, weights: np.ndarray) -> float:
        """Degrees of freedom of the item part of a contrast; 0 where it has none."""
        parts = np.bincount(self._strata, (weights @ self.sample.item_influence) ** 2)
        divisor = (parts**2 / self._strata_df).sum()
        return float(parts.sum() ** 2 / divisor) if divisor > 0 else 0.0

    def rest(self, weights: np.ndarray) -> float:
        """Variance that item-by-run noise brings into the mean of a contrast."""
        return float(np.square(weights @ self._rest).sum())

    def seeds(self, weights: np.ndarray) -> float:
        """The category's own variance over seeds of the mean of a contrast, rest and all."""
        if not self.run_measured:
            return float(np.square(weights) @ np.diag(self.runs))
        return float(self._run_noise.mean_squares(weights)[0][self._position])

    def run_df(self, weights: np.ndarray) -> float:
        """Degrees of freedom of the seed part of a contrast; 1 where it is not measured."""
        return self._run_noise.shrunk(self._position, weights)[1] if self.run_measured else 1.0

    def contrast(self, weights: np.ndarray) -> Estimate:
        """The contrast sum_k weights_k m_k."""
        weights = np.asarray(weights, float)
        parts = np.bincount(self._strata, (weights @ self.sample.item_influence) ** 2)
        items, rest = float(parts.sum()), self.rest(weights)
        divisor = float((parts**2 / self._strata_df).sum())
        if self.run_measured:
            seeds, seeds_df = self._run_noise.shrunk(self._position, weights)
            rest_df = max(1.0, float(self.n_runs.max() - 1) * float(self._strata_df.sum()))
            divisor += seeds**2 / seeds_df + rest**2 / rest_df
        else:
            seeds, seeds_df = self.seeds(weights), np.inf
        # Run means that happen to agree must not pass for certainty: half the item part stays.
        variance = max(max(0.0, items - rest) + seeds, items / 2)
        df = variance**2 / divisor if divisor > 0 else np.inf
        variance += self.missing_weight * float(np.square(weights) @ self.sample.unknown)
        of_parts = (variance - seeds, self.item_df(weights) or np.inf), (seeds, seeds_df)
        rising, falling = np.maximum(weights, 0.0), np.maximum(-weights, 0.0)
        down, up = self.missing_weight * self.sample.down, self.missing_weight * self.sample.up
        return Estimate(
            float(weights @ self.means),
            float(np.sqrt(variance)),
            max(1.0, df),
            float(rising @ down + falling @ up),
            float(rising @ up + falling @ down),
            tuple(part for part in of_parts if self._few_runs(weights) and part[0] > 0),
        )

    def _few_runs(self, weights: np.ndarray) -> bool:
        """Two seeds, or one; a scale of one run has the noise of the others."""
        used = self.n_runs[weights != 0]
        return bool((used[used > 1] <= FEW_RUNS).any()) or not (used > 1).any()

    @property
    def one_run_sd(self) -> float:
        """SD of one run's mean on these items, over training runs, pooled over scales (item-by-run
        noise in it); the stated one where none is measured, NaN where neither is known."""
        if not self.run_measured:
            return np.nan if self._run_sd is None else self._run_sd
        scales = np.flatnonzero(self.n_runs > 1)
        of_means = [
            self._run_noise.shrunk(self._position, np.eye(self.n_scales)[k])[0] for k in scales
        ]
        return float(np.sqrt(np.mean(of_means * self.n_runs[scales])))

    def scale_mean(self, k: int) -> Estimate:
        """The mean at the k-th scale."""
        return self.contrast(np.eye(self.n_scales)[k])
