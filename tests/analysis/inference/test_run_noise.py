"""Run noise of contrasts: coverage under noise of any shape, shrinkage over categories by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import polygamma

from analysis.inference.contrasts import tail_weights
from analysis.inference.covariance import covariances
from analysis.inference.run_noise import RunNoise, inverse_trigamma, prior, squeeze
from analysis.inference.sample import Sample, average
from analysis.tables import OVERALL

SCALES = np.array([250, 500, 1000, 2000, 4000])
WEIGHTS = tail_weights(SCALES)
RUN_SD = {
    "equal": [0.01] * 5,
    "last scale noisier": [0.005] * 4 + [0.02],
    "falling": [0.03, 0.02, 0.012, 0.008, 0.005],
}


def drawn(shape: tuple[int, ...], kind: str, rng: np.random.Generator) -> np.ndarray:
    """Run effects, scales first."""
    noise = rng.standard_normal(shape)
    if kind == "AR(1)":
        for k in range(1, 5):
            noise[k] = 0.8 * noise[k - 1] + 0.6 * noise[k]
        return 0.01 * noise
    return np.array(RUN_SD[kind]).reshape(5, *[1] * (len(shape) - 1)) * noise


def study(kind: str, seeds: int, rng: np.random.Generator, items: int = 40) -> dict[str, Sample]:
    """Twelve flat categories at .5 that share half of their run noise, and overall."""
    shared, own = drawn((5, seeds, 1), kind, rng), drawn((5, seeds, 12), kind, rng)
    runs = (shared + own) / np.sqrt(2)
    samples = {}
    for number in range(12):
        y = 0.5 + rng.normal(0, 0.2, items) + rng.normal(0, 0.03, (5, 1, items))
        y = y + runs[..., [number]] + rng.normal(0, 0.05, (5, seeds, items))
        samples[f"c{number:02d}"] = Sample.from_scores(y, np.arange(items))
    return samples | {OVERALL: average(list(samples.values()))}


@pytest.mark.parametrize("kind", [*RUN_SD, "AR(1)"])
def test_tail_slopes_are_covered_whatever_the_noise_over_scales(kind):
    """Nominal .90, three seeds. Pooled over scales, the noisier last scale was covered by .79."""
    rng = np.random.default_rng(1)
    covered, overall = [], []
    for _ in range(120):
        for name, covariance in covariances(study(kind, 3, rng)).items():
            low, high = covariance.contrast(WEIGHTS).interval(0.9)
            (overall if name == OVERALL else covered).append(low <= 0 <= high)
    # Categories of a study share runs: its twelve intervals are worth about four.
    assert np.mean(covered) >= 0.87 - 2 * np.sqrt(0.13 * 0.87 / (120 * 4))
    assert np.mean(overall) >= 0.87 - 3 * np.sqrt(0.13 * 0.87 / 120)


def test_mean_squares_are_those_of_the_contrast_in_each_seed():
    samples = list(study("equal", 4, np.random.default_rng(0)).values())[:3]
    squares, df = RunNoise(samples).mean_squares(WEIGHTS)
    for found, sample in zip(squares, samples, strict=True):
        assert found == pytest.approx((WEIGHTS @ sample.means).var(ddof=1) / 4)
    assert df.tolist() == [3, 3, 3]


def test_one_run_at_a_scale_takes_the_variance_of_a_run_at_the_others():
    rng = np.random.default_rng(2)
    y = 0.5 + rng.normal(0, 0.02, (3, 4, 1)) + rng.normal(0, 0.1, 30)
    y[2, 1:] = np.nan
    sample = Sample.from_scores(y, np.arange(30))
    squares, df = RunNoise([sample]).mean_squares(np.array([-1.0, 0.0, 1.0]))
    variances = sample.means[:2].var(axis=1, ddof=1)
    assert squares[0] == pytest.approx(variances[0] / 4 + variances.mean())
    assert df[0] == 3


@pytest.mark.parametrize("runs", [[3, 3, 3, 3, 1], [5, 5, 3, 3, 2]])
def test_tail_slopes_are_covered_where_scales_have_different_numbers_of_runs(runs):
    rng = np.random.default_rng(4)
    covered = []
    for _ in range(80):
        samples = study("equal", max(runs), rng)
        samples.pop(OVERALL)
        for name, sample in samples.items():
            means, influence = sample.means.copy(), sample.influence.copy()
            for k, number in enumerate(runs):
                means[k, number:], influence[k, number:] = np.nan, 0.0
            samples[name] = replace(sample, means=means, influence=influence)
        for covariance in covariances(samples).values():
            low, high = covariance.contrast(WEIGHTS).interval(0.9)
            covered.append(low <= 0 <= high)
    assert np.mean(covered) >= 0.87 - 2 * np.sqrt(0.13 * 0.87 / (80 * 4))


def test_equal_mean_squares_have_one_value_and_the_capped_degrees_of_freedom():
    squares, df = np.array([1.0, 1.1, 0.9, 1.0]), np.full(4, 5.0)
    assert prior(squares, df) == (np.inf, pytest.approx(1.0))
    posterior, total = squeeze(squares, df, effective=2.5)
    assert posterior == pytest.approx(np.full(4, 1.0))
    assert total == pytest.approx(np.full(4, 12.5))


def test_unequal_mean_squares_are_drawn_together_by_the_moments_of_their_logarithms():
    """var log s^2 = trigamma(d / 2) + trigamma(d0 / 2), of scaled F mean squares (Smyth 2004)."""
    rng = np.random.default_rng(0)
    true = 0.5 * 6 / rng.chisquare(6, 20_000)
    squares = true * rng.chisquare(4, 20_000) / 4
    prior_df, value = prior(squares, np.full(20_000, 4.0))
    assert prior_df == pytest.approx(6, rel=0.1)
    assert value == pytest.approx(0.5, rel=0.03)
    posterior, total = squeeze(squares, np.full(20_000, 4.0), effective=100)
    assert posterior == pytest.approx((prior_df * value + 4 * squares) / (prior_df + 4))
    assert total == pytest.approx(np.full(20_000, prior_df + 4))
    assert np.square(posterior - true).mean() < 0.8 * np.square(squares - true).mean()


def test_scores_without_noise_neither_give_nor_take_any():
    squares, df = np.array([0.0, 1.0, 2.0, 3.0]), np.full(4, 2.0)
    posterior, _ = squeeze(squares, df, 4.0)
    assert posterior[0] == 0
    assert posterior[1:] == pytest.approx(squeeze(squares[1:], df[1:], 4.0)[0])


def test_two_categories_are_too_few_to_draw_together():
    squares, df = np.array([1.0, 9.0]), np.full(2, 2.0)
    assert squeeze(squares, df, 2.0)[0].tolist() == [1.0, 9.0]


@pytest.mark.parametrize("x", [0.01, 0.7, 3.0, 500.0])
def test_trigamma_is_inverted(x):
    assert inverse_trigamma(float(polygamma(1, x))) == pytest.approx(x, rel=1e-6)


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 9, 12), (0.5, 2.5, 5), (1.0, 1, 1.2)])
def test_categories_that_share_their_runs_count_for_fewer(share, low, high):
    """12 / (1 + 11 r^2) with r the shared part of the variance, from many runs."""
    rng = np.random.default_rng(3)
    shared, own = rng.standard_normal((5, 40, 1)), rng.standard_normal((5, 40, 12))
    runs = np.sqrt(share) * shared + np.sqrt(1 - share) * own
    samples = [Sample(runs[..., c], np.zeros((5, 40, 4)), np.zeros(4, int), 4) for c in range(12)]
    assert low <= RunNoise(samples).effective_categories <= high
