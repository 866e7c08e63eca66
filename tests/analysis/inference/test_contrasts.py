"""Contrasts of one curve by hand, and the test of a range: its level on the margin, its power."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.inference.contrasts import (
    Evidence,
    constant_score_bounds,
    drop_weights,
    estimate_contrasts,
    pairs,
    range_p_value,
    rise_weights,
    slope_weights,
    tail_scales,
    tail_weights,
)
from analysis.inference.covariance import Covariance
from analysis.inference.estimate import Estimate
from analysis.inference.sample import Sample, average
from analysis.options import CurveOptions

MARGIN, LEVEL = 0.04, 0.05
LADDER = np.array([250, 500, 1000, 2000, 4000])


def test_the_tail_is_a_quarter_of_the_largest_scale_and_at_least_two_scales():
    assert tail_scales(np.array([250, 500, 1000, 2000])).tolist() == [False, True, True, True]
    assert tail_scales(np.array([1, 10, 100])).tolist() == [False, True, True]
    assert tail_scales(np.array([220, 300, 500, 1000])).tolist() == [False, True, True, True]
    paper = np.array([200_000, 600_000, 1_000_000, 2_000_000])
    assert tail_scales(paper).tolist() == [False, True, True, True]
    rounded = np.array([333, 667, 1335])  # a quarter of 1335 is 333.75
    assert tail_scales(rounded).all()


def test_slopes_are_per_doubling():
    means = 0.3 + 0.035 * np.log2(LADDER)
    assert tail_weights(LADDER) @ means == pytest.approx(0.035)
    assert rise_weights(LADDER) @ means == pytest.approx(0.035 * 3)
    assert rise_weights(LADDER[2:]) is None


def test_slopes_are_those_of_least_squares():
    means = np.array([0.31, 0.4, 0.38, 0.52, 0.5])
    x = np.log2(LADDER)
    assert slope_weights(LADDER, np.ones(5, bool)) @ means == pytest.approx(
        stats.linregress(x, means).slope
    )
    assert tail_weights(LADDER) @ means == pytest.approx(stats.linregress(x[2:], means[2:]).slope)


def curve(means: list[float], sd: float, items: int = 50) -> Covariance:
    """One seed, exact means, items whose scores vary independently with the given SD."""
    k = len(means)
    columns = np.linalg.qr(np.random.default_rng(0).normal(size=(items, k + 1)))[0]
    columns = columns[:, 1:] - columns[:, 1:].mean(0)
    columns = np.linalg.qr(columns)[0]  # orthogonal, mean 0
    scores = np.array(means)[:, None] + sd * np.sqrt(items - 1) * columns.T
    return Covariance(Sample.from_scores(scores[:, None], np.arange(items)))


def test_every_contrast_of_a_curve_by_hand():
    covariance = curve([0.5, 0.45, 0.47, 0.46], 0.1)
    found = estimate_contrasts(covariance, LADDER[:4], CurveOptions())
    se = 0.1 * np.sqrt(2 / 50)
    drops = {(0, 1): 0.05, (0, 2): 0.03, (0, 3): 0.04, (1, 2): -0.02, (1, 3): -0.01, (2, 3): 0.01}
    assert (found.drop.earlier, found.drop.later) == max(drops, key=drops.get) == (0, 1)
    assert found.drop.estimate.value == pytest.approx(0.05)
    assert found.drop.p_value == pytest.approx(6 * stats.t.sf(0.05 / se, 49))
    assert found.drop.bound == pytest.approx(0.05 - stats.t.ppf(1 - 0.05 / 6, 49) * se)
    assert found.tail.value == pytest.approx((0.46 - 0.45) / 2)
    assert found.rise.value == pytest.approx(0.46 - 0.5)
    assert found.ladder.value == pytest.approx((3 * (0.46 - 0.5) + (0.47 - 0.45)) / 10)
    assert found.p_level == found.tail.p_within(0.02)
    assert found.constant_bound == 0


def test_a_drop_is_never_less_certain_than_impossible():
    rising = estimate_contrasts(curve([0.3, 0.4, 0.5], 0.1), LADDER[:3], CurveOptions())
    assert rising.drop.p_value == 1
    assert rising.drop.bound < rising.drop.estimate.value < 0


def test_of_drops_that_are_all_certain_the_largest_is_taken():
    means = np.array([[0.5], [0.45], [0.3], [0.35]])
    certain = Covariance(Sample(means, np.zeros((4, 1, 500)), np.zeros(500, int), 500))
    drop = estimate_contrasts(certain, LADDER[:4], CurveOptions()).drop
    assert (drop.earlier, drop.later, drop.p_value) == (0, 2, 0)


def test_p_values_of_claims_come_from_the_contrasts():
    found = estimate_contrasts(curve([0.4, 0.45, 0.47, 0.49], 0.1), LADDER[:4], CurveOptions())
    assert found.p_value("tail") == found.tail.p_above(0)
    assert found.p_value("plateau") == max(found.p_level, found.rise.p_above(0))
    assert found.p_value("improved") == found.ladder.p_above(0)
    assert found.p_value("declined") == pytest.approx(1 - found.ladder.p_above(0))
    short = estimate_contrasts(curve([0.4, 0.45], 0.1), LADDER[:2], CurveOptions())
    assert short.p_value("rise") == short.p_value("plateau") == 1


def test_means_that_are_certain_and_level_have_neither_risen_nor_fallen():
    means = np.full((3, 2), 0.5)
    certain = Covariance(Sample(means, np.zeros((3, 2, 4)), np.zeros(4, int), 4))
    found = estimate_contrasts(certain, LADDER[:3], CurveOptions())
    assert found.ladder.se == 0
    assert found.p_value("improved") == found.p_value("declined") == 1


def test_flat_needs_the_tail_inside_its_margin_too():
    covariance = curve([0.5, 0.5, 0.5, 0.51, 0.52], 0.01)
    narrow = CurveOptions(tail_margin=0.01)
    found, wide = (estimate_contrasts(covariance, LADDER, o) for o in (narrow, CurveOptions()))
    assert wide.p_flat < LEVEL < found.p_flat == found.p_level


def zeros_at(position: int, items: int) -> Evidence:
    """A curve near 0 with one scale of nothing but zeros."""
    values = np.random.default_rng(0).random((5, 3, items)) * 0.01
    values[position] = 0.0
    covariance = Covariance(Sample.from_scores(values, np.arange(items)))
    return estimate_contrasts(covariance, np.array(LADDER), CurveOptions())


@pytest.mark.parametrize(("items", "flat", "level"), [(10, False, True), (400, True, True)])
def test_zeros_before_the_tail_count_for_the_range_alone(items, flat, level):
    found = zeros_at(0, items)
    assert found.constant_bound == pytest.approx(1 - 0.05 ** (1 / items))
    assert (found.p_flat < LEVEL, found.p_level < LEVEL) == (flat, level)
    assert flat or found.p_flat == 1


def test_zeros_in_the_tail_count_for_its_slope():
    """The last scale has weight 1/2 in the slope of three: 1 - .05^(1/N) is .058 and .007."""
    assert zeros_at(4, 50).p_level == 1
    assert zeros_at(4, 400).p_level < LEVEL


def test_zeros_of_one_category_of_two_bound_half_of_overall():
    one = np.random.default_rng(0).uniform(0.3, 0.6, (2, 2, 12))
    parts = [Sample.from_scores(v, np.arange(12)) for v in (np.zeros((2, 2, 12)), one)]
    bounds = constant_score_bounds(Covariance(average(parts)), 0.9)
    assert bounds == pytest.approx([(1 - 0.05 ** (1 / 12)) / 2] * 2)


def p_values(covariance: Covariance) -> tuple[float, float]:
    """Of the range, and of the plain intersection of all pairs."""
    n = covariance.n_scales
    differences = [covariance.contrast(drop_weights(n, *pair)) for pair in pairs(n)]
    plain = max(difference.p_within(MARGIN) for difference in differences)
    return range_p_value(covariance, differences, MARGIN), plain


def study(
    means: list[float],
    rng: np.random.Generator,
    walk: float = 0.0,
    noise: float = 0.06,
    seeds: int = 3,
) -> Covariance:
    """Normal scores of 80 items; `walk` makes an item's scores drift apart over the scales."""
    shape = (len(means), seeds, 80)
    drift = np.cumsum(rng.normal(0, walk, (len(means), 1, 80)), axis=0)
    runs = rng.normal(0, 0.006, (*shape[:2], 1))
    scores = np.array(means)[:, None, None] + drift + runs + rng.normal(0, noise, shape)
    return Covariance(Sample.from_scores(scores, np.arange(80)))


@pytest.mark.parametrize("walk", [0.0, 0.04])
@pytest.mark.parametrize("means", [[0.48, 0.5, 0.5, 0.5, 0.52], [0.48, 0.52, 0.5, 0.5, 0.5]])
def test_a_range_on_the_margin_is_called_smaller_at_most_at_the_level(means, walk):
    rng = np.random.default_rng(5)
    claimed = np.mean([p_values(study(means, rng, walk))[0] < LEVEL for _ in range(600)])
    assert claimed < LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / 600)


@pytest.mark.parametrize(
    ("total", "means"),
    [
        ([[0.5, 0.3, 0.1], [0.3, 5.0, -0.4], [0.1, -0.4, 0.5]], [0.5, 0.504, 0.492]),
        ([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]], [0.5, 0.51, 0.49]),
    ],
)
def test_the_p_value_of_a_range_is_the_chance_that_simulation_finds(total, means):
    """The largest chance, over pairs a margin apart, of a range below the observed one; the third
    mean lies around the middle of the pair, given its difference. Unequal, correlated noise."""
    total, means = np.array(total) * 3e-5, np.array(means)[:, None]
    root = np.linalg.cholesky(total)[:, None, :]
    covariance = Covariance(Sample(means, root, np.zeros(3, int), 3))
    observed = float(np.ptp(means))
    draws = np.random.default_rng(0).multivariate_normal(np.zeros(3), total, 400_000)
    chances, differences = [], []
    for i, j in pairs(3):
        gap = draws[:, i] - draws[:, j]
        off = draws[:, 3 - i - j] - (draws[:, i] + draws[:, j]) / 2
        off -= np.cov(off, gap)[0, 1] / gap.var() * gap
        differences.append(Estimate(float(means[i, 0] - means[j, 0]), float(gap.std()), np.inf))
        gap += MARGIN
        between = np.abs(off) <= observed - np.abs(gap) / 2
        chances.append(np.mean((np.abs(gap) <= observed) & between))
    found = range_p_value(covariance, differences, MARGIN)
    assert found == pytest.approx(max(chances), rel=0.05)


def test_it_finds_level_curves_more_often_than_all_pairs_one_by_one():
    rng = np.random.default_rng(6)
    studies = [study([0.5] * 5, rng, noise=0.16, seeds=6) for _ in range(200)]
    found = np.array([p_values(each) for each in studies]) < LEVEL
    assert found[:, 0].mean() > found[:, 1].mean() + 0.03
    assert 0.2 < found[:, 1].mean() < 0.9


def test_two_scales_are_tested_as_their_difference():
    covariance = study([0.5, 0.51], np.random.default_rng(1), 0.02)
    sharp, plain = p_values(covariance)
    assert 0 < sharp == pytest.approx(plain)


def test_a_range_at_the_margin_or_above_is_never_below_it():
    assert p_values(study([0.4, 0.5, 0.6], np.random.default_rng(2), 0.0))[0] == 1.0
    means = np.array([[0.25], [0.5]])
    at_margin = Covariance(Sample(means, np.full((2, 1, 4), 0.01), np.zeros(4, int), 4))
    assert range_p_value(at_margin, [Estimate(0.25, 0.1, 9)], 0.25) == 1.0


def test_means_without_noise_are_taken_as_they_are():
    means = np.array([[0.5, 0.5], [0.51, 0.51], [0.5, 0.5]])
    certain = Covariance(Sample(means, np.zeros((3, 2, 4)), np.zeros(4, int), 4))
    assert p_values(certain) == (0.0, 0.0)
