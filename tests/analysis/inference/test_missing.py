"""Missing scores: intervals and claims that hold whatever they are, and how far the others go."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.inference.contrasts import tail_weights
from analysis.inference.covariance import Covariance
from analysis.inference.missing import tipping_point
from analysis.inference.sample import Sample, average, difference
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from tests.analysis.score_tables import LADDER, checked

OPTIONS = CurveOptions(fit_draws=50)


def test_bounds_of_means_and_contrasts_by_hand():
    """A quarter missing at the second of two scales, where the others have the mean .6."""
    y = np.array([[[0.2, 0.4, 0.3, 0.5]], [[0.5, 0.7, 0.6, np.nan]]])
    sample = Sample.from_scores(y, np.arange(4))
    assert sample.down == pytest.approx([0, 0.25 * 0.6])
    assert sample.up == pytest.approx([0, 0.25 * 0.4])
    rise = Covariance(sample).contrast(np.array([-1.0, 1.0]))
    assert (rise.below, rise.above) == pytest.approx((0.15, 0.1))
    fall = Covariance(sample).contrast(np.array([1.0, -1.0]))
    assert (fall.below, fall.above) == pytest.approx((0.1, 0.15))
    both = average([sample, Sample.from_scores(np.full((2, 1, 4), 0.5), np.arange(4))])
    assert both.down == pytest.approx([0, 0.075])
    gap = difference(sample, Sample.from_scores(np.where(np.isnan(y), y, 0.5), np.arange(4)))
    assert gap.down == pytest.approx([0, 0.25 * 1.1])
    assert gap.up == pytest.approx([0, 0.25 * 0.9])


def test_a_run_that_was_never_made_is_not_missing():
    y = np.full((1, 2, 4), 0.5)
    y[0, 1] = np.nan
    made = np.array([[True, True]])
    assert Sample.from_scores(y, np.arange(4)).up == pytest.approx([0])
    assert Sample.from_scores(y, np.arange(4), made).up == pytest.approx([0.25])


def flat_at_94(rng: np.random.Generator) -> Sample:
    """180 right-or-wrong items, three seeds; .8 of the wrong answers at the last scale unscored."""
    p = 0.94 + rng.normal(0, 0.005, (5, 3, 1))
    y = (rng.random((5, 3, 180)) < p).astype(float)
    lost = (y[-1] == 0) & (rng.random((3, 180)) < 0.8)
    y[-1][lost] = np.nan
    return Sample.from_scores(y, np.arange(180))


def test_wrong_answers_that_fail_to_be_judged_make_no_improvement():
    rng = np.random.default_rng(0)
    weights = tail_weights(np.array(LADDER))
    claims, naive, covered = [], [], []
    for _ in range(200):
        covariance = Covariance(flat_at_94(rng))
        slope = covariance.contrast(weights)
        claims.append(slope.p_above() < 0.05)
        naive.append(covariance.with_missing(0.0).contrast(weights).p_above() < 0.05)
        low, high = slope.interval(0.9)
        covered.append(low <= 0 <= high)
    assert np.mean(naive) > 0.5
    assert np.mean(claims) <= 0.05
    assert np.mean(covered) >= 0.9


def with_missing_at_the_end(number: int) -> dict[str, pd.DataFrame]:
    """Scores of 100 items rise by .03 per doubling; this many fail at the last scale, per seed."""
    curve = {"math": [0.34, 0.37, 0.40, 0.43, 0.46]}
    scores = checked(curve, items=100, noise=0.02, run_sd=0.001)
    hit = (scores["scale"] == 4000) & (scores["item"].str[-3:].astype(int) < number)
    scores.loc[hit, ["score", "status"]] = [np.nan, "timeout"]
    return analyze(scores, OPTIONS.model_copy(update={"missing_limit": 0.5}))


def test_the_note_says_how_many_missing_scores_a_claim_survives():
    """A missing share of m moves the slope by m / 2 at most: 1% keeps .03 above 0, 20% does not."""
    few, many = (with_missing_at_the_end(n)["verdicts"].iloc[0] for n in (1, 20))
    assert few["verdict"] == "improving"
    assert "missing ones" not in few["note"]
    assert many["verdict"] == "undetermined"
    assert "improving by the scored answers alone: true unless more than" in many["note"]
    assert "of the 60 missing ones go against it" in many["note"]


def test_the_interval_of_a_mean_holds_all_that_the_missing_scores_could_be():
    found = with_missing_at_the_end(20)["curves"].query("category == 'math'").set_index("scale")
    row = found.loc[4000]
    assert row["low"] < row["mean"] * 0.8
    assert row["high"] > row["mean"] * 0.8 + 0.2
    assert found.loc[2000, "high"] - found.loc[2000, "low"] < 0.1


def improving(noise: Covariance) -> str:
    slope = noise.contrast(tail_weights(np.array(LADDER)))
    return "improving" if slope.p_above() < 0.05 else "nothing"


def test_the_tipping_point_is_the_largest_number_that_keeps_the_claim():
    rng = np.random.default_rng(1)
    studies = [Covariance(flat_at_94(rng)) for _ in range(20)]
    found = [
        (each, words) for each in studies if (words := tipping_point(each, improving, "nothing"))
    ]
    assert len(found) > 5
    for covariance, words in found:
        numbers = [int(word) for word in words.split() if word.isdigit()]
        kept, number = numbers
        assert improving(covariance.with_missing(kept / number)) == "improving"
        assert improving(covariance.with_missing((kept + 1) / number)) == "nothing"
