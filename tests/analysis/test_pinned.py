"""The tables of one small fixed study, pinned by value: any change of method shows here.

Each digit below is a score in tenths. Counts, means and differences are sums of digits by hand.
Standard errors and degrees of freedom come from the analysis of variance in `by_hand`, which
shares no code with the analysis; quantiles and tails of t from scipy. The numbers of the fit are
those of version 1 of this analysis.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.options import CurveOptions
from analysis.pipeline import analyze
from analysis.scores import check_scores
from tests.analysis.oracles import score_interval

SCALES, SEEDS, ITEMS = (10, 20, 40, 80), (1, 2), 3
# A line per arm and category; a block per scale; in it the items of seed 1, then of seed 2.
DIGITS = """
full math  231332 343454 454656 565767
full code  545445 554645 465556 555654
lora math  121223 232434 344445 455646
lora code  545544 455465 565545 545565
"""
BASE = {"math": "112", "code": "343"}


def score_table() -> pd.DataFrame:
    rows = []
    for line in DIGITS.strip().splitlines():
        arm, category, *blocks = line.split()
        points = [(0, 1, BASE[category])]
        for scale, block in zip(SCALES, blocks, strict=True):
            points += [(scale, seed, block[ITEMS * i :][:ITEMS]) for i, seed in enumerate(SEEDS)]
        rows += [
            {"arm": arm, "scale": scale, "seed": seed, "category": category}
            | {"item": f"{category}-{i}", "judge": "exact", "score": int(digit) / 10}
            for scale, seed, digits in points
            for i, digit in enumerate(digits)
        ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return analyze(check_scores(score_table()), CurveOptions())


def row_of(table: pd.DataFrame, **key: object) -> pd.Series:
    for column, value in key.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def by_hand(y: np.ndarray, weights: list[float]) -> tuple[float, float, float]:
    """Value, standard error and degrees of freedom of a contrast of (scales, seeds, items) scores.

    The contrast of each seed and item, then the two-way analysis of variance.
    """
    _, s, n = y.shape
    d = np.einsum("k,ksn->sn", np.array(weights), y)
    rest = d - d.mean(1, keepdims=True) - d.mean(0) + d.mean()
    seeds, items = d.mean(1).var(ddof=1) / s, d.mean(0).var(ddof=1) / n
    noise = (rest**2).sum() / ((s - 1) * (n - 1)) / (n * s)
    variance = max(max(0, items - noise) + seeds, items / 2)
    divisor = seeds**2 / (s - 1) + items**2 / (n - 1) + noise**2 / ((s - 1) * (n - 1))
    return float(d.mean()), float(np.sqrt(variance)), float(max(1, variance**2 / divisor))


def digits_of(arm: str, category: str) -> np.ndarray:
    """(scales, seeds, items)"""
    line = next(line for line in DIGITS.splitlines() if line.startswith(f"{arm} {category}"))
    return np.array([[int(d) for d in block] for block in line.split()[2:]]).reshape(4, 2, 3) / 10


def test_means(tables):
    found = tables["curves"].pivot(index=["arm", "category"], columns="scale", values="mean")
    assert found.loc[("full", "math")].to_dict() == pytest.approx(
        {0: 4 / 30, 10: 14 / 60, 20: 23 / 60, 40: 30 / 60, 80: 36 / 60}
    )
    assert found.loc[("lora", "code"), 40] == pytest.approx(30 / 60)
    assert found.loc[("full", "overall"), 80] == pytest.approx((36 + 30) / 120)
    point = row_of(tables["curves"], arm="full", category="math", scale=80)
    value, se, df = by_hand(digits_of("full", "math"), [0, 0, 0, 1])
    expected = score_interval(value, se, stats.t.ppf(0.95, df))
    assert (point["low"], point["high"]) == pytest.approx(expected)
    assert (point["low"], point["high"]) == pytest.approx((0.235458, 0.879603), abs=1e-6)
    base = row_of(tables["curves"], arm="full", category="math", scale=0)
    # of .1, .1 and .2, whose standard error is 1/30
    expected = score_interval(4 / 30, 0.1 / 3, stats.t.ppf(0.95, 2))
    assert (base["low"], base["high"]) == pytest.approx(expected)


def test_verdicts(tables):
    math = row_of(tables["verdicts"], arm="full", category="math")
    value, se, df = by_hand(digits_of("full", "math"), [0, -0.5, 0, 0.5])
    assert (value, se, df) == pytest.approx((13 / 120, 0.011785, 1), abs=1e-6)
    half = stats.t.ppf(0.95, df) * se
    assert math[["tail_slope", "tail_low", "tail_high"]].tolist() == pytest.approx(
        [value, value - half, value + half]
    )
    assert math[["tail_low", "tail_high"]].tolist() == pytest.approx([0.033925, 0.182742], abs=1e-6)
    assert math["rise"] == pytest.approx((23 + 30 + 36) / 180 - 14 / 60)
    assert math["ladder_slope"] == pytest.approx((3 * (36 - 14) + (30 - 23)) / 600)
    assert (math["drop_from"], math["drop_to"]) == (20, 40)
    assert math["drop"] == pytest.approx((23 - 30) / 60)
    assert (math["verdict"], math["ladder"]) == ("undetermined", "not shown")
    assert math["note"].endswith("are worth 2 degrees of freedom; 3 are needed")
    code = row_of(tables["verdicts"], arm="full", category="code")
    value, se, df = by_hand(digits_of("full", "code"), [0, -0.5, 0, 0.5])
    assert df == 1
    half = stats.t.ppf(0.95, 1) * se
    assert (code["tail_low"], code["tail_high"]) == pytest.approx((value - half, value + half))


def test_comparisons(tables):
    row = row_of(tables["comparisons"], category="math", scale=80)
    gap = digits_of("full", "math") - digits_of("lora", "math")
    value, se, df = by_hand(gap, [0, 0, 0, 1])
    # Newcombe's method 10 by hand; each arm with the degrees of freedom of the difference.
    t = stats.t.ppf(0.95, df)
    (a, se_a, _), (b, se_b, _) = (
        by_hand(digits_of(arm, "math"), [0, 0, 0, 1]) for arm in ("full", "lora")
    )
    (low_a, high_a), (low_b, high_b) = score_interval(a, se_a, t), score_interval(b, se_b, t)
    r = (se_a**2 + se_b**2 - se**2) / (2 * se_a * se_b)
    down = np.sqrt((a - low_a) ** 2 - 2 * r * (a - low_a) * (high_b - b) + (high_b - b) ** 2)
    up = np.sqrt((high_a - a) ** 2 - 2 * r * (high_a - a) * (b - low_b) + (b - low_b) ** 2)
    assert (row["low"], row["high"]) == pytest.approx((value - down, value + up))
    assert 0.05 < row["p_value"] < 0.2
    assert row["p_holm"] == pytest.approx(min(1, 8 * row["p_value"]))
    overall = row_of(tables["comparisons"], category="overall", scale=40)
    assert overall["difference"] == pytest.approx((30 + 31 - 24 - 30) / 120)
    assert overall["p_holm"] == pytest.approx(min(1, 4 * overall["p_value"]))


def test_changes(tables):
    """code of full from 40 to 80: 465 to 555 and 556 to 654."""
    row = row_of(tables["changes"], arm="full", category="code", scale_from=40, scale_to=80)
    assert row[["wins", "ties", "losses", "negative_flips"]].tolist() == pytest.approx(
        [2 / 6, 2 / 6, 2 / 6, 1 / 6]
    )


def test_variance(tables):
    found = tables["variance"].query("arm == 'full' and category == 'math'")
    y = digits_of("full", "math")
    k, s, n = y.shape
    runs = y.mean(2) - y.mean((1, 2))[:, None]
    rest = y - y.mean(2, keepdims=True) - y.mean(1, keepdims=True) + y.mean((1, 2), keepdims=True)
    rest = (rest**2).sum() / (k * (s - 1) * (n - 1))
    run = (runs**2).sum() / (k * (s - 1)) - rest / n
    item = y.mean(1).var(axis=1, ddof=1).mean() - rest / s
    assert found["variance"].tolist()[:3] == pytest.approx([item, run, rest])
    assert found["variance"].tolist()[:3] == pytest.approx([1 / 2400, 0.005, 0.00375])
    assert found["share"].tolist()[:3] == pytest.approx([1 / 22, 12 / 22, 9 / 22])


def test_efficiency(tables):
    """.30 lies 4/9 of a doubling beyond 10 records for full, and is lora's mean at 20."""
    row = row_of(
        tables["efficiency"][tables["efficiency"]["score"].between(0.29, 0.31)], category="math"
    )
    assert row["score"] == pytest.approx(14 / 60 + 0.25 * (30 - 14) / 60)
    assert (row["scale_a"], row["scale_b"]) == pytest.approx((10 * 2 ** (4 / 9), 20))
    assert row["ratio"] == pytest.approx(2 ** (5 / 9))


def test_fits(tables):
    row = row_of(tables["fits"], arm="full", category="math", family="logit-linear")
    assert row["parameters"] == "intercept=0.467038; slope=0.51373"
    assert row["rms"] == pytest.approx(0.0173206, abs=1e-6)  # scipy.optimize.least_squares
    assert 0.2 < row["p_misfit"] < 0.5


def test_plan(tables):
    """Components of the tail slope, (score at 80 - score at 20) / 2, from the digits."""
    y = digits_of("full", "math")
    slopes = (y[3] - y[1]) / 2  # (seeds, items)
    rest = slopes - slopes.mean(1, keepdims=True) - slopes.mean(0) + slopes.mean()
    rest = (rest**2).sum() / 2
    run = max(0, slopes.mean(1).var(ddof=1) - rest / 3)
    item = slopes.mean(0).var(ddof=1) - rest / 2
    row = row_of(tables["plan"], arm="full", category="math", items=50, seeds=3)
    variance = max(0, item) / 50 + (run + rest / 50) / 3
    assert row["slope_se"] == pytest.approx(np.sqrt(variance)) == pytest.approx(1 / 300)
    assert (row["runs"], row["judgements"]) == (3 * 4, 3 * 4 * 50)
