"""The test of a range of true means: its level where the truth is on the margin, and its power."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.inference.contrasts import drop_weights, pairs
from analysis.inference.covariance import Covariance
from analysis.inference.flatness import range_p_value
from analysis.inference.sample import Sample, from_scores

MARGIN, LEVEL = 0.04, 0.05


def p_values(covariance: Covariance) -> tuple[float, float]:
    """Of the range, and of the plain intersection of all pairs."""
    n = covariance.n_scales
    differences = [covariance.contrast(drop_weights(n, *pair)) for pair in pairs(n)]
    plain = max(difference.p_within(MARGIN) for difference in differences)
    return range_p_value(covariance, differences, MARGIN), plain


def study(
    means: list[float], rng: np.random.Generator, walk: float = 0.0, noise: float = 0.06
) -> Covariance:
    """Normal scores of 80 items; `walk` makes an item's scores drift apart over the scales."""
    shape = (len(means), 3, 80)
    drift = np.cumsum(rng.normal(0, walk, (len(means), 1, 80)), axis=0)
    runs = rng.normal(0, 0.006, (*shape[:2], 1))
    scores = np.array(means)[:, None, None] + drift + runs + rng.normal(0, noise, shape)
    return Covariance(from_scores(scores, np.arange(80)))


@pytest.mark.parametrize("walk", [0.0, 0.04])
@pytest.mark.parametrize("means", [[0.48, 0.5, 0.5, 0.5, 0.52], [0.48, 0.52, 0.5, 0.5, 0.5]])
def test_a_range_on_the_margin_is_called_smaller_at_most_at_the_level(means, walk):
    rng = np.random.default_rng(5)
    claimed = np.mean([p_values(study(means, rng, walk))[0] < LEVEL for _ in range(600)])
    assert claimed < LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / 600)


def test_it_finds_level_curves_more_often_than_all_pairs_one_by_one():
    rng = np.random.default_rng(6)
    found = np.array([p_values(study([0.5] * 5, rng, noise=0.12)) for _ in range(200)]) < LEVEL
    assert found[:, 0].mean() > found[:, 1].mean() + 0.03
    assert 0.2 < found[:, 1].mean() < 0.9


def test_two_scales_are_tested_as_their_difference():
    covariance = study([0.5, 0.51], np.random.default_rng(1), 0.02)
    sharp, plain = p_values(covariance)
    assert 0 < sharp == pytest.approx(plain)


def test_a_range_at_the_margin_or_above_is_never_below_it():
    assert p_values(study([0.4, 0.5, 0.6], np.random.default_rng(2), 0.0))[0] == 1.0


def test_means_without_noise_are_taken_at_their_word():
    means = np.array([[0.5, 0.5], [0.51, 0.51], [0.5, 0.5]])
    certain = Covariance(Sample(means, np.zeros((3, 2, 4)), np.zeros(4, int), 4))
    assert p_values(certain) == (0.0, 0.0)
