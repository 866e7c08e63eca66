"""The hierarchical bootstrap against what it should converge to."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.inference.bootstrap import Bootstrap, percentile_interval

B = 4000


def replicates(values: np.ndarray, clusters: np.ndarray | None = None) -> np.ndarray:
    clusters = np.arange(values.shape[-1]) if clusters is None else clusters
    return Bootstrap(values.shape[1], B, np.random.default_rng(0)).scale_means(values, clusters)


def test_one_seed_draws_items_only():
    y = np.random.default_rng(1).uniform(0, 1, (1, 1, 50))
    found = replicates(y)
    assert found.mean() == pytest.approx(y.mean(), abs=0.005)
    assert found.std() == pytest.approx(y.std() / np.sqrt(50), rel=0.05)


@pytest.mark.parametrize("seeds", [2, 3, 6])
def test_the_variance_between_runs_is_not_understated(seeds):
    runs = np.random.default_rng(2).normal(0.5, 0.05, (1, seeds))
    found = replicates(np.repeat(runs[..., None], 3, axis=2))
    assert found.std() == pytest.approx(runs.std(ddof=1) / np.sqrt(seeds), rel=0.05)


def test_scales_are_drawn_jointly():
    easiness = np.random.default_rng(3).uniform(0, 1, 40)
    y = np.stack([easiness, easiness - 0.1])[:, None]
    found = replicates(y)
    assert (found[:, 0] - found[:, 1]).std() < 1e-12
    assert found[:, 0].std() > 0.03


def test_clusters_are_drawn_whole():
    y = np.random.default_rng(4).uniform(0, 1, (1, 1, 30))
    single = replicates(y).std()
    copies = replicates(np.repeat(y, 3, axis=2), np.repeat(np.arange(30), 3)).std()
    assert copies == pytest.approx(single, rel=0.05)


def test_missing_scores_are_left_out():
    y = np.array([[[0.2, 0.4, np.nan, 0.6, 0.5, 0.3]]])
    found = replicates(y)
    assert np.nanmean(found) == pytest.approx(np.nanmean(y), abs=0.01)


def test_percentiles_stay_inside_zero_and_one():
    assert percentile_interval(np.linspace(-0.5, 1.5, 101), 0.9) == (0.0, 1.0)
    assert all(np.isnan(percentile_interval(np.array([0.1, np.nan]), 0.9)))
