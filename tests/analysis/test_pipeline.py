"""The whole analysis: degenerate tables, invariances, determinism."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from analysis.scores import check_scores
from analysis.tables import SCHEMAS, frame, write_tables
from tests.analysis.score_tables import checked, table

OPTIONS = CurveOptions(fit_draws=50)
MEANS = {"math": [0.3, 0.35, 0.4, 0.43, 0.45], "code": [0.5, 0.5, 0.52, 0.5, 0.51]}


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return checked(MEANS, items=20, seeds=2, repeats=2, base=True)


@pytest.fixture(scope="module")
def tables(scores) -> dict[str, pd.DataFrame]:
    return analyze(scores, OPTIONS)


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    return table.select_dtypes("number")


def test_every_table_is_written_with_its_columns(tables):
    assert set(tables) == set(SCHEMAS)
    for name, found in tables.items():
        assert list(found.columns) == list(SCHEMAS[name])


def test_the_same_table_and_options_give_the_same_bytes(scores, tables, tmp_path):
    for name, found in (("first", tables), ("second", analyze(scores, OPTIONS))):
        write_tables(found, tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert names == sorted(f"{name}.csv" for name in SCHEMAS)
    for name in names:
        first, second = ((tmp_path / each / name).read_bytes() for each in ("first", "second"))
        assert first == second
    again = pd.read_csv(tmp_path / "first" / "curves.csv")
    assert again["mean"].to_numpy() == pytest.approx(tables["curves"]["mean"].to_numpy(), rel=1e-9)


def test_the_base_model_is_no_scale_of_the_ladder(scores, tables):
    assert (tables["curves"]["scale"] == 0).sum() == 3
    without = analyze(scores[scores["scale"] > 0], OPTIONS)
    pd.testing.assert_frame_equal(without["verdicts"], tables["verdicts"])
    # The one family that is finite without data takes the base as a point.
    first, second = (
        each["fits"].query("family != 'rectified power law'") for each in (without, tables)
    )
    pd.testing.assert_frame_equal(first, second)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(random):
    scores = table(MEANS, items=8, seeds=2)
    order = list(range(len(scores)))
    random.shuffle(order)
    plain = analyze(check_scores(scores), OPTIONS)
    shuffled = analyze(check_scores(scores.iloc[order]), OPTIONS)
    for name in plain:
        pd.testing.assert_frame_equal(plain[name], shuffled[name])


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.permutations([3, 14, 159]))
def test_the_names_of_seeds_do_not_matter(names):
    scores = table(MEANS, items=8, seeds=3)
    plain = analyze(check_scores(scores), OPTIONS)
    renamed = analyze(
        check_scores(scores.assign(seed=scores["seed"].map(dict(enumerate(names))))), OPTIONS
    )
    for name in ("verdicts", "variance", "changes", "fits", "plan"):
        pd.testing.assert_frame_equal(numbers(plain[name]), numbers(renamed[name]))


def test_repeats_of_a_judge_are_averaged():
    scores = table(MEANS, items=10, repeats=3)
    key = [c for c in scores.columns if c not in ("repeat", "score")]
    averaged = scores.groupby(key, sort=False)["score"].mean().reset_index()
    three, one = (analyze(check_scores(t), OPTIONS) for t in (scores, averaged))
    pd.testing.assert_frame_equal(numbers(three["verdicts"]), numbers(one["verdicts"]))
    pd.testing.assert_frame_equal(numbers(three["curves"]), numbers(one["curves"]))


def test_a_failed_repeat_is_left_out_and_never_counts_as_zero():
    scores = table({"math": [0.8, 0.8]}, scales=(1, 2), items=5, repeats=3)
    scores.loc[scores["repeat"] == 2, ["score", "status"]] = [np.nan, "unparsed"]
    kept = scores[scores["repeat"] < 2]
    first, second = (analyze(check_scores(t), OPTIONS)["curves"] for t in (scores, kept))
    assert first["mean"].tolist() == pytest.approx(second["mean"].tolist())
    assert (first["n_missing"] == 0).all()


def test_one_item_gives_a_mean_without_an_interval():
    found = analyze(
        checked({"math": [0.4, 0.5], "code": [0.3, 0.4]}, scales=(1, 2), items=1), OPTIONS
    )
    assert found["curves"]["mean"].notna().all()
    assert found["curves"][["low", "high"]].isna().all().all()
    assert found["curves"]["note"].str.contains("one item").all()
    assert (found["verdicts"]["verdict"] == "undetermined").all()


def test_all_scores_equal_is_stated():
    scores = checked(MEANS, items=10).assign(score=0.5)
    found = analyze(scores, OPTIONS)
    assert found["curves"]["low"].isna().all()
    assert found["curves"]["note"].str.contains("all values are equal").all()
    assert (found["verdicts"]["verdict"] == "undetermined").all()
    assert found["verdicts"]["note"].str.contains("all scores are equal").all()
    assert (found["fits"]["status"] == "refused").all()


def test_all_missing_is_stated():
    scores = checked(MEANS, items=10).assign(score=np.nan, status="timeout")
    found = analyze(scores, OPTIONS)
    assert found["curves"]["mean"].isna().all()
    assert (found["curves"]["bound_low"] == 0).all()
    assert (found["curves"]["bound_high"] == 1).all()
    assert (found["verdicts"]["verdict"] == "undetermined").all()


def test_the_base_model_alone_is_refused():
    scores = table(MEANS, items=5).assign(scale=0).drop_duplicates(["seed", "item"])
    with pytest.raises(InputError, match="base model only"):
        analyze(check_scores(scores), OPTIONS)


def test_a_row_with_an_unknown_column_is_a_programming_error():
    with pytest.raises(KeyError):
        frame("curves", [{"surprise": 1}])
