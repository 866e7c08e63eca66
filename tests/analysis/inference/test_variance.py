"""Components of variance against a two-way analysis of variance, and from made scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.inference.curves import build_arm_curves
from analysis.inference.score_array import build_score_arrays
from analysis.inference.variance import repeat_variances, variance_rows
from analysis.options import CurveOptions
from analysis.scores import check_scores
from tests.analysis.score_tables import table


def components(scores: pd.DataFrame) -> pd.DataFrame:
    scores = check_scores(scores)
    (array,) = build_score_arrays(scores)
    rows = variance_rows(build_arm_curves(array, CurveOptions()), repeat_variances(scores))
    return pd.DataFrame(rows).set_index(["category", "component"])


def scored(values: np.ndarray) -> pd.DataFrame:
    """A table of (scales, seeds, items, repeats) scores of one category."""
    k, s, n, r = values.shape
    scores = table({"math": [0.5] * k}, scales=tuple(range(1, k + 1)), seeds=s, items=n, repeats=r)
    return scores.assign(score=values.reshape(-1))


def test_one_scale_is_the_two_way_analysis_of_variance():
    rng = np.random.default_rng(1)
    s, n, r = 3, 8, 2
    y = (
        0.5
        + rng.normal(0, 0.1, (n, 1))
        + np.array([-0.1, 0.0, 0.12])[:, None, None]
        + rng.normal(0, 0.04, (s, n, 1))
        + rng.normal(0, 0.02, (s, n, r))
    )
    rows = components(scored(y[None])).loc["math"]["variance"]
    mean = y.mean(2)
    of_seed, of_item = mean.mean(1, keepdims=True), mean.mean(0, keepdims=True)
    ms_seed = n * ((of_seed - mean.mean()) ** 2).sum() / (s - 1)
    ms_item = s * ((of_item - mean.mean()) ** 2).sum() / (n - 1)
    ms_rest = ((mean - of_seed - of_item + mean.mean()) ** 2).sum() / ((s - 1) * (n - 1))
    judge = y.var(axis=2, ddof=1).mean()
    assert rows["judge"] == pytest.approx(judge)
    assert rows["item"] == pytest.approx((ms_item - ms_rest) / s)
    assert rows["run"] == pytest.approx((ms_seed - ms_rest) / n)
    assert rows["item_x_run"] == pytest.approx(ms_rest - judge / r)


def test_components_are_recovered():
    rng = np.random.default_rng(1)
    y = (
        0.5
        + rng.normal(0, 0.08, (1, 1, 150, 1))
        + rng.normal(0, 0.03, (5, 25, 1, 1))
        + rng.normal(0, 0.06, (5, 25, 150, 1))
        + rng.normal(0, 0.05, (5, 25, 150, 3))
    )
    rows = components(scored(y.clip(0, 1))).loc["math"]
    expected = {"item": 0.08**2, "run": 0.03**2, "item_x_run": 0.06**2, "judge": 0.05**2}
    for component, variance in expected.items():
        # 24 seeds less one at five scales know the run variance to 13%, items theirs to 12%.
        assert rows.loc[component, "variance"] == pytest.approx(variance, rel=0.25)
    assert rows["share"].sum() == pytest.approx(1)
    assert rows["share"].tolist() == pytest.approx(
        (rows["variance"] / rows["variance"].sum()).tolist()
    )


def test_one_seed_leaves_the_run_component_empty():
    rows = components(table({"math": [0.3, 0.4]}, scales=(1, 2), seeds=1)).loc["math"]
    assert rows["variance"].isna().to_dict() == {
        "item": False,
        "run": True,
        "item_x_run": True,
        "judge": True,
    }
    assert rows.loc["item", "share"] == 1
    assert rows["note"].str.contains("run noise is unmeasured").all()


def test_one_seed_with_repeats_takes_the_judge_out_of_the_item_part():
    y = np.random.default_rng(2).uniform(0.2, 0.8, (1, 1, 20, 4))
    rows = components(scored(y)).loc["math"]["variance"]
    judge = y[0, 0].var(axis=1, ddof=1).mean()
    assert rows["judge"] == pytest.approx(judge)
    assert rows["item"] == pytest.approx(max(0, y[0, 0].mean(1).var(ddof=1) - judge / 4))


def test_a_judge_without_repeats_is_left_in_the_interaction_and_overall_is_the_mean():
    scores = table({"math": [0.3, 0.4], "code": [0.6, 0.7]}, scales=(1, 2), items=20)
    rows = components(scores)
    assert rows.loc["math", "note"].str.contains("item_x_run holds the judge's noise").all()
    for component in ("item", "run", "item_x_run"):
        parts = [rows.loc[(name, component), "variance"] for name in ("math", "code")]
        assert rows.loc[("overall", component), "variance"] == pytest.approx(np.mean(parts))
    assert np.isnan(rows.loc[("overall", "judge"), "variance"])
