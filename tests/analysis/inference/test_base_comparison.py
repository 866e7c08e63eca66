"""The untuned base, with and without examples in its prompt, against tuned scales."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.inference.multiplicity import holm
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from analysis.scores import check_scores
from tests.analysis.score_tables import table

OPTIONS = CurveOptions(fit_draws=50)
RISING = {"math": [0.3, 0.36, 0.42, 0.48, 0.54], "code": [0.5, 0.55, 0.58, 0.58, 0.58]}


def with_examples(scores: pd.DataFrame, shots: int, gain: float, seed: int = 0) -> pd.DataFrame:
    """The table with answers of the base that are `gain` better with examples in the prompt."""
    rng = np.random.default_rng(seed)
    base = scores[(scores["scale"] == 0) & (scores.get("shots", pd.Series(0, scores.index)) == 0)]
    better = (base["score"] + gain + rng.normal(0, 0.02, len(base))).clip(0, 1)
    found = pd.concat([scores, base.assign(shots=shots, score=better)], ignore_index=True)
    return found.assign(shots=found["shots"].fillna(0))


def study(shots: int | None = None, **kwargs: object) -> pd.DataFrame:
    scores = table(RISING, base=True, **kwargs)
    return scores if shots is None else with_examples(scores, shots, 0.08)


def rows_of(scores: pd.DataFrame, options: CurveOptions = OPTIONS) -> pd.DataFrame:
    return analyze(check_scores(scores), options)["base_comparison"]


def test_each_category_has_the_smallest_the_sufficient_and_the_largest_scale():
    tables = analyze(check_scores(study(items=150, noise=0.03)), OPTIONS)
    rows = tables["base_comparison"].query("category == 'code'")
    enough = tables["sufficient"].set_index("category").loc["code", "scale"]
    assert enough == 1000
    assert rows["scale"].tolist() == [250, 1000, 4000]
    assert rows["which"].tolist() == ["smallest", "sufficient", "largest"]
    assert (rows["shots"] == 0).all()


def test_a_scale_of_two_roles_stands_once():
    rows = rows_of(table({"math": [0.5] * 5}, base=True, items=150, noise=0.02, run_sd=0.002))
    math = rows.query("category == 'math'").set_index("scale")
    assert math["which"].to_dict() == {250: "smallest, sufficient", 4000: "largest"}


def test_one_tuned_run_against_the_base_is_nearly_the_paired_t_test():
    """A stated run SD of nearly nothing leaves the noise of items: away from 0 and 1 that of t."""
    scores = table({"math": [0.5]}, scales=(10,), seeds=1, items=25, base=True)
    tuned, base = (scores.loc[scores["scale"] == scale, "score"].to_numpy() for scale in (10, 0))
    expected = stats.ttest_rel(tuned, base)
    row = rows_of(scores, CurveOptions(run_sd=1e-9)).set_index("category").loc["math"]
    assert row["which"] == "smallest, largest"
    assert row["difference"] == pytest.approx((tuned - base).mean())
    assert row["mean"] - row["base_mean"] == pytest.approx(row["difference"])
    interval = expected.confidence_interval(0.9)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high), abs=0.002)
    assert row["p_value"] == pytest.approx(expected.pvalue, rel=0.1)


def test_one_seed_has_no_p_value():
    rows = rows_of(study(seeds=1))
    assert rows["low"].notna().all()
    assert rows["p_value"].isna().all()
    assert rows["note"].str.contains("one seed").all()


def test_the_correction_counts_every_scale_that_could_have_been_chosen():
    rows = rows_of(study())
    family = rows[rows["category"] != "overall"]
    others = 2 * 5 - len(family)  # two categories with five scales each
    expected = holm([*family["p_value"], *[1.0] * others])[: len(family)]
    assert family["p_holm"].tolist() == pytest.approx(expected.tolist())


def test_examples_in_the_prompt_are_compared_with_tuning_and_with_none():
    rows = rows_of(study(5, items=60))
    against = rows.query("category == 'math' and shots == 5")
    assert set(against["scale"]) >= {250, 4000}
    plain = rows.query("category == 'math' and shots == 0 and other_shots == 0")
    merged = against.merge(plain, on="scale", suffixes=("", "_zero"))
    assert (merged["difference_zero"] - merged["difference"]).tolist() == pytest.approx(
        [0.08] * len(merged), abs=0.02
    )
    (row,) = rows.query("category == 'math' and other_shots == 5").to_dict("records")
    assert (row["shots"], row["scale"], row["which"]) == (0, 0, "few-shot base")
    assert row["difference"] == pytest.approx(0.08, abs=0.02)
    assert row["low"] > 0
    assert row["p_holm"] < 0.01
    assert row["noise"] == "items only; neither was tuned"


def test_examples_change_no_curve_verdict_or_variance():
    plain, more = (analyze(check_scores(study(n)), OPTIONS) for n in (None, 5))
    for name in ("curves", "verdicts", "sufficient", "variance", "changes", "fits", "judges"):
        pd.testing.assert_frame_equal(plain[name], more[name])


def test_several_numbers_of_examples_stand_apart():
    rows = rows_of(with_examples(study(2), 8, 0.12, seed=1))
    assert set(rows["shots"]) == {0, 2, 8}
    assert set(rows["other_shots"]) == {0, 2, 8}


def test_examples_without_a_base_of_none_are_still_compared_with_tuning():
    scores = study(5)
    only = scores[(scores["scale"] > 0) | (scores["shots"] == 5)]
    rows = rows_of(only)
    assert set(rows["shots"]) == {5}
    assert (rows["other_shots"] == 0).all()


def test_an_item_that_the_base_did_not_answer_is_left_out_of_both():
    scores = study(seeds=2, items=10).reset_index(drop=True)
    lost = (scores["scale"] == 0) & (scores["item"] == "math-003")
    scores.loc[lost, ["score", "status"]] = [np.nan, "timeout"]
    row = rows_of(scores).query("category == 'math' and which == 'largest'").iloc[0]
    part = scores.query("category == 'math' and item != 'math-003'").groupby("scale")["score"]
    means = part.mean()
    assert row["difference"] == pytest.approx(means[4000] - means[0])
    assert "up to 10% of the pairs lack a score" in row["note"]
