"""Precision of a design by hand, its power by scipy and by simulation, the required sample size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.inference.contrasts import tail_weights
from analysis.inference.covariance import Covariance
from analysis.inference.sample import Sample
from analysis.power.design import (
    ITEM_GRID,
    AnswerNoise,
    Components,
    Precision,
    components_of,
    power_within,
    precision,
    required_sample_size,
)

SCALES = np.array([250, 500, 1000, 2000, 4000])
ACROSS = float(tail_weights(SCALES) @ tail_weights(SCALES))


def test_precision_by_hand():
    found = precision(Components(0.02, 0.0001, 0.01, shared=4), np.array(100), np.array(4))
    items, runs = 0.02 / 100, (0.0001 + 0.01 / 100) / 4
    assert found.se == pytest.approx(np.sqrt(items + runs))
    assert found.df == pytest.approx((items + runs) ** 2 / (items**2 / 99 + runs**2 / (3 * 4)))


def test_known_run_noise_costs_no_degrees_of_freedom():
    known = Components(0.02, 0.0001, 0.01, run_known=True)
    items, runs = 0.02 / 100, (0.0001 + 0.01 / 100) / 4
    found = precision(known, np.array(100), np.array(4))
    assert found.df == pytest.approx((items + runs) ** 2 / (items**2 / 99))


def test_power_of_equivalence_is_that_of_two_t_tests():
    measured = Precision(np.array(0.01), np.array(12.0))
    t = stats.t(12)
    assert power_within(measured, 0.03, 0.05) == pytest.approx(2 * t.cdf(3 - t.ppf(0.95)) - 1)
    assert power_within(measured, 0.015, 0.05) == 0
    assert power_within(Precision(np.array(0.0), np.array(np.inf)), 0.02, 0.05) == 1


def test_clustered_items_bring_degrees_of_freedom_as_clusters():
    single = Components(0.02, 0.0, 0.0, run_known=True)
    clustered = Components(0.02, 0.0, 0.0, run_known=True, cluster=5)
    assert precision(single, np.array(100), np.array(2)).df == pytest.approx(99)
    assert precision(clustered, np.array(100), np.array(2)).df == pytest.approx(19)


def test_components_of_a_pilot_by_hand():
    """The tail slope of each item, of each run, and what is left of an item in a run."""
    rng = np.random.default_rng(0)
    k, s, n = 5, 4, 30
    y = rng.normal(0.5, 0.2, n) + rng.normal(0, 0.06, (k, 1, n)) + rng.normal(0, 0.1, (k, s, n))
    y += rng.normal(0, 0.05, (k, s, 1))
    found = components_of(Covariance(Sample.from_scores(y, np.arange(n))), SCALES)
    own = np.tensordot(tail_weights(SCALES), y.mean(1), 1)
    slopes = np.tensordot(tail_weights(SCALES), y, 1)  # (S, N)
    rest = slopes - slopes.mean(1, keepdims=True) - slopes.mean(0) + slopes.mean()
    item_run = (rest**2).sum() / ((s - 1) * (n - 1))
    ms_runs = slopes.mean(1).var(ddof=1)
    assert found.item_run == pytest.approx(item_run)
    assert found.item == pytest.approx(own.var(ddof=1) - item_run / s)
    assert found.run == pytest.approx(ms_runs - item_run / n)
    assert found.run_measured and not found.run_known


def test_components_are_recovered_from_a_pilot():
    rng = np.random.default_rng(0)
    y = (
        rng.normal(0.5, 0.2, 400)
        + rng.normal(0, 0.06, (5, 1, 400))
        + rng.normal(0, 0.02, (5, 60, 1))
        + rng.normal(0, 0.1, (5, 60, 400))
    )
    found = components_of(Covariance(Sample.from_scores(y, np.arange(400))), SCALES)
    assert found.item == pytest.approx(ACROSS * 0.06**2, rel=0.25)
    assert found.run == pytest.approx(ACROSS * 0.02**2, rel=0.4)
    assert found.item_run == pytest.approx(ACROSS * 0.1**2, rel=0.1)


def test_run_noise_of_one_seed_is_known_only_if_it_is_stated():
    sample = Sample.from_scores(np.random.default_rng(0).uniform(0, 1, (5, 1, 20)), np.arange(20))
    assert not components_of(Covariance(sample), SCALES).run_measured
    stated = components_of(Covariance(sample, 0.01), SCALES)
    assert stated.run_measured and stated.run_known
    assert stated.run == pytest.approx(ACROSS * 0.01**2)


def test_the_required_sample_size_has_the_power_and_less_has_not():
    parts = Components(0.01, 0.0001, 0.01, shared=4)
    items, seeds = required_sample_size(parts, 0.02, 0.05, 0.8)
    smaller = ITEM_GRID[np.searchsorted(ITEM_GRID, items) - 1]
    power = power_within(precision(parts, np.array([items, smaller]), seeds), 0.02, 0.05)
    assert power[0] >= 0.8 > power[1]


def test_the_fewest_seeds_are_taken_whose_items_are_at_most_twice_the_least():
    parts = Components(0.01, 0.0001, 0.01, shared=4)
    _, seeds = required_sample_size(parts, 0.02, 0.05, 0.8)
    grid = precision(parts, ITEM_GRID[:, None], np.arange(2, 41))
    enough = power_within(grid, 0.02, 0.05) >= 0.8
    least = np.where(enough.any(0), ITEM_GRID[enough.argmax(0)], np.inf)
    assert seeds == 2 + int(np.argmax(least <= 2 * least.min()))
    assert 2 < seeds < 40


def test_the_search_goes_from_10_to_100_000_items():
    assert (ITEM_GRID[0], ITEM_GRID[-1]) == (10, 100_000)
    assert (np.diff(ITEM_GRID) > 0).all()


def test_exactly_twice_the_least_items_are_few_enough():
    """40 seeds need 38 items, seven need 76, six more."""
    parts = Components(0.0015, 0.000144, 0.0025, shared=4)
    least = power_within(precision(parts, ITEM_GRID, np.array(40)), 0.02, 0.05) >= 0.8
    assert ITEM_GRID[np.argmax(least)] == 38
    assert required_sample_size(parts, 0.02, 0.05, 0.8) == (76, 7)


def test_no_sample_size_is_required_where_none_is_enough_or_noise_is_unmeasured():
    unmeasured = Components(0.01, 0, 0, run_measured=False)
    assert required_sample_size(unmeasured, 0.02, 0.05, 0.8) is None
    assert required_sample_size(Components(0.01, 0.1, 0.01), 0.02, 0.05, 0.8) is None
    known = Components(0.01, 0.0, 0.01, run_known=True)
    assert required_sample_size(known, 0.02, 0.05, 0.8)[1] == 1


def test_the_promised_power_is_kept_by_simulation():
    rng = np.random.default_rng(1)
    parts = Components(ACROSS * 0.05**2, ACROSS * 0.01**2, ACROSS * 0.1**2)
    promised = float(power_within(precision(parts, np.array(100), np.array(3)), 0.02, 0.05))
    shown = 0
    for _ in range(300):
        y = (
            0.5
            + rng.normal(0, 0.05, (5, 1, 100))
            + rng.normal(0, 0.01, (5, 3, 1))
            + rng.normal(0, 0.1, (5, 3, 100))
        )
        covariance = Covariance(Sample.from_scores(y, np.arange(100)))
        low, high = covariance.contrast(tail_weights(SCALES)).interval(0.9)
        shown += low > -0.02 and high < 0.02
    assert shown / 300 == pytest.approx(promised, abs=0.08)


def test_more_answers_and_judgements_average_out_their_own_noise_and_no_other():
    """Of .05 per item and run, .02 is the answers' and .01 the judge's (mean of two repeats)."""
    noise = AnswerNoise(answer=0.02, judge=0.02, repeats=2)
    assert noise.planned(0.05, 1.0, 1, 2) == pytest.approx(0.05)
    assert noise.planned(0.05, 1.0, 4, 2) == pytest.approx(0.02 + 0.03 / 4)
    assert noise.planned(0.05, 1.0, 1, 4) == pytest.approx(0.02 + 0.02 + 0.005)
    assert noise.planned(0.025, 0.5, 5, 1) == pytest.approx(0.5 * (0.02 + 0.04 / 5))
    # Stated noise larger than all that was measured leaves no other.
    assert noise.planned(0.001, 1.0, 10, 2) == pytest.approx(0.003)
