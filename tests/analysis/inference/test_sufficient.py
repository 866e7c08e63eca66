"""The smallest sufficient scale: the step-down test, its error rates, what is said without one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from analysis.inference.covariance import covariances
from analysis.inference.estimate import Estimate
from analysis.inference.sample import Sample
from analysis.inference.sufficient import gain_weights, smallest_sufficient
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from benchmarks.simulated_study import Design, simulate
from tests.analysis.score_tables import checked

OPTIONS = CurveOptions(fit_draws=50)


def gains(*values: float, se: float = 0.01):
    """Gains of the largest scale over each one before it."""
    return lambda k: Estimate(values[k], se, np.inf)


@pytest.mark.parametrize(
    ("values", "position"),
    [
        ((0.2, 0.1, 0.0, 0.0), 2),
        ((0.0, 0.0, 0.0, 0.0), 0),
        ((0.0, 0.1, 0.0, 0.0), 2),  # the test stops at the first failure
        ((0.0, 0.0, 0.0, 0.03), None),  # .03 + 1.645 x .01 is above .04
        ((0.0, 0.0, 0.0, 0.0235), 0),
    ],
)
def test_the_test_goes_down_from_the_top_and_stops(values, position):
    found = smallest_sufficient(gains(*values), 5, 0.04, 0.05)
    assert found.position == position
    assert found.gain.value == values[3 if position is None else position]


def test_the_p_value_is_the_largest_of_the_chain():
    found = smallest_sufficient(gains(0.1, 0.0, 0.02), 4, 0.04, 0.05)
    assert found.position == 1
    assert found.p_value == pytest.approx(norm.sf(2))  # the gain of .02 at the last but one
    none = smallest_sufficient(gains(0.0, 0.0, 0.04), 4, 0.04, 0.05)
    assert (none.position, none.p_value) == (None, pytest.approx(0.5))


def positions(kind: str, items: int, seeds: int, means: list[float], studies: int) -> np.ndarray:
    """The sufficient position (-1 for none) of four categories that share half of the run noise."""
    design, rng = Design(kind, items, seeds, len(means), 0.0075), np.random.default_rng(1)
    found = []
    for _ in range(studies):
        shared = rng.standard_normal((len(means), seeds))
        samples = {}
        for name in "abcd":
            run = np.sqrt(0.5) * (shared + rng.standard_normal(shared.shape))
            values = simulate(np.array(means), design, rng, run)
            samples[name] = Sample.from_scores(values, np.arange(items))
        for noise in covariances(samples).values():
            enough = smallest_sufficient(
                lambda k, noise=noise: noise.contrast(gain_weights(len(means), k)),
                len(means),
                0.04,
                0.05,
            )
            found.append(-1 if enough.position is None else enough.position)
    return np.array(found)


PLATEAU = [0.44, 0.52, 0.60, 0.60, 0.60]  # from a quarter of the ladder on


def test_a_plateau_at_a_quarter_is_found_in_nine_of_ten_graded_studies():
    found = positions("graded", 180, 5, PLATEAU, 50)
    assert (found == 2).mean() >= 0.9
    assert not np.isin(found, [0, 1]).any()


def test_a_plateau_at_a_quarter_is_found_in_half_of_binary_studies():
    assert (positions("binary", 600, 3, PLATEAU, 50) == 2).mean() == pytest.approx(0.55, abs=0.12)


def test_exactly_on_the_margin_a_claim_is_wrong_in_a_twentieth():
    """The largest gains .04 over the third scale: neither that nor an earlier one is enough."""
    found = positions("graded", 180, 5, [0.44, 0.52, 0.56, 0.60, 0.60], 150)
    wrong = np.isin(found, [0, 1, 2]).mean()
    assert 0.02 <= wrong <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)  # four categories share runs


def rows_of(means: dict[str, list[float]], options: CurveOptions = OPTIONS, **kwargs: object):
    return analyze(checked(means, **kwargs), options)["sufficient"].set_index("category")


def test_statements_say_what_is_shown_in_words():
    rows = rows_of(
        {
            "rewrite": [0.4, 0.5, 0.6, 0.6, 0.6],
            "open_qa": [0.5] * 5,
            "math": [0.1, 0.2, 0.3, 0.4, 0.5],
        },
        items=150,
        noise=0.03,
        run_sd=0.003,
    )
    assert rows.loc["rewrite", "statement"] == (
        "1,000 records are enough for Rewrite (gain beyond: under 0.04, 95%)"
    )
    assert rows.loc["open_qa", "statement"] == (
        "250 records, the smallest scale, are enough for Open QA (gain beyond: under 0.04, 95%)"
    )
    assert rows.loc["math", "statement"] == (
        "2,000 records are not enough for Math: 4,000 gain more than 0.04 over them (95%)"
    )
    assert rows["scale"].fillna(0).tolist() == [0, 250, 1000, rows.loc["overall", "scale"]]
    assert (rows["gain_upper"][["rewrite", "open_qa"]] < 0.04).all()


def test_the_last_doubling_is_per_doubling_also_where_the_last_step_is_longer():
    """.06 over two doublings: .03 per doubling, above the margin of .02."""
    rows = rows_of(
        {"math": [0.3, 0.36, 0.42]}, scales=(100, 200, 800), items=150, noise=0.02, run_sd=0.001
    )
    row = rows.loc["math"]
    assert row["last_gain"] == pytest.approx(0.03, abs=0.003)
    assert row["last_low"] < row["last_gain"] < row["last_high"]
    assert row["p_last"] > 0.95


def test_signal_to_noise_is_the_rise_over_the_sd_of_a_run():
    rows = rows_of(
        {name: [0.3, 0.32, 0.34, 0.36, 0.38] for name in "abcdef"}, seeds=6, noise=0.01, run_sd=0.03
    )
    each = rows.drop("overall")
    assert each["run_sd"].mean() == pytest.approx(0.03, rel=0.15)
    ratio = each["rise"] / each["run_sd"]
    assert each["signal_to_noise"].tolist() == pytest.approx(ratio.tolist())
    # Two runs differ by a normal variable: its chance to have the sign of the rise.
    assert each["one_run_right"].tolist() == pytest.approx(norm.cdf(abs(ratio) / np.sqrt(2)))


def test_one_seed_makes_no_claim():
    rows = rows_of({"math": [0.5] * 5}, seeds=1, items=300, noise=0.02)
    assert rows["scale"].isna().all()
    assert rows["p_last"].isna().all()
    assert rows["statement"].str.contains("one seed").all()
    assert rows["last_gain"].notna().all()
    stated = rows_of(
        {"math": [0.5] * 5}, CurveOptions(run_sd=0.002), seeds=1, items=300, noise=0.02
    )
    assert stated.loc["math", "scale"] == 250


def test_a_hump_and_a_floor_say_nothing_of_enough():
    scores = checked({"hump": [0.4, 0.6, 0.7, 0.6, 0.41], "floor": [0.5] * 5}, items=150)
    scores.loc[scores["category"] == "floor", "score"] /= 100
    rows = analyze(scores, OPTIONS)["sufficient"].set_index("category")
    assert rows["scale"][["hump", "floor"]].isna().all()
    assert "falls somewhere" in rows.loc["hump", "statement"]
    assert "at the floor" in rows.loc["floor", "statement"]


def test_missing_scores_widen_the_bound():
    """Four of 100 at the largest scale: the gain could be larger by about .04 x (1 - mean)."""
    scores = checked({"math": [0.5] * 5}, items=100, noise=0.02, run_sd=0.002)
    complete = analyze(scores, OPTIONS)["sufficient"].set_index("category").loc["math"]
    lost = (scores["scale"] == 4000) & scores["item"].isin([f"math-{i:03d}" for i in range(4)])
    scores.loc[lost, ["score", "status"]] = [np.nan, "timeout"]
    row = analyze(scores, OPTIONS)["sufficient"].set_index("category").loc["math"]
    gap = 0.04 * (1 - 0.5)
    assert row["gain_upper"] - row["gain"] > complete["gain_upper"] - complete["gain"] + gap / 2
    assert row["gain_upper"] > complete["gain_upper"]


def test_equal_scores_at_two_scales_are_no_proof_that_nothing_is_gained():
    """All 8 items right at the last two scales: the exact bound of 1 - .05^(1/8) is .31."""
    scores = checked({"math": [0.4, 0.6, 0.8, 0.9, 0.9]}, items=8)
    scores.loc[scores["scale"] >= 2000, "score"] = 1.0
    row = analyze(scores, OPTIONS)["sufficient"].set_index("category").loc["math"]
    assert pd.isna(row["scale"])
    assert row["gain_upper"] == pytest.approx(2 * (1 - 0.05 ** (1 / 8)), abs=0.01)
