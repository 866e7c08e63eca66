"""Reading a score table: what is refused, and what is filled in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.errors import InputError
from analysis.scores import check_scores, read_scores
from tests.analysis.score_tables import table

MEANS = {"math": [0.4, 0.5], "code": [0.3, 0.4]}


@pytest.fixture
def scores() -> pd.DataFrame:
    return table(MEANS, scales=(100, 200), seeds=2, items=3)


def refused(scores: pd.DataFrame) -> str:
    with pytest.raises(InputError) as caught:
        check_scores(scores)
    return str(caught.value)


@pytest.mark.parametrize("value", [-0.01, 1.2, np.inf, 55])
def test_a_score_outside_zero_to_one_is_refused_with_its_line(scores, value):
    scores.loc[4, "score"] = value
    message = refused(scores)
    assert "outside [0, 1]" in message
    assert "line 6" in message


def test_a_score_that_is_text_is_refused(scores):
    scores["score"] = scores["score"].astype(object)
    scores.loc[0, "score"] = "good"
    assert "is not a number" in refused(scores)


def test_examples_in_the_prompt_are_counted_and_belong_to_the_base(scores):
    assert (check_scores(scores)["shots"] == 0).all()
    base = scores[scores["scale"] == 100].assign(scale=0)
    both = pd.concat([scores, base, base.assign(shots=5.0)])  # NaN where the column was absent
    found = check_scores(both)
    assert found["shots"].value_counts().to_dict() == {0: len(scores) + len(base), 5: len(base)}
    assert found["shots"].dtype == np.int64
    assert "shots is above 0 at a tuned scale" in refused(scores.assign(shots=5))
    assert "shots is not a whole number" in refused(scores.assign(shots=0.5))
    assert "shots is not a whole number" in refused(scores.assign(shots=-1))


def test_a_run_with_examples_answers_the_same_items(scores):
    base = scores[scores["scale"] == 100].assign(scale=0)
    some = base[base["item"] != "math-001"].assign(shots=5)
    message = refused(pd.concat([scores, base, some]))
    assert "scale 0, seed 0, shots 5" in message


def test_duplicate_rows_are_refused(scores):
    message = refused(pd.concat([scores, scores.iloc[[5]]]))
    assert "1 row repeats a judgement" in message


def test_the_same_item_in_another_repeat_is_no_duplicate(scores):
    again = scores.assign(repeat=1)
    assert len(check_scores(pd.concat([scores, again]))) == 2 * len(scores)


def test_a_run_with_other_items_is_refused_and_named(scores):
    odd = (scores["scale"] == 200) & (scores["seed"] == 1) & (scores["item"] == "math-001")
    message = refused(scores[~odd])
    assert "scale 200, seed 1" in message
    assert "math-001" in message


def test_of_several_missing_items_the_first_is_named(scores):
    odd = (scores["scale"] == 200) & (scores["seed"] == 1) & (scores["category"] == "math")
    assert "it lacks 3, such as math-000" in refused(scores[~odd])


def test_the_run_with_a_foreign_item_is_named_and_not_the_others(scores):
    odd = (scores["scale"] == 200) & (scores["seed"] == 1) & (scores["item"] == "math-001")
    scores.loc[odd, "item"] = "math-999"
    message = refused(scores)
    assert "scale 200, seed 1" in message
    assert "lacks 1, such as math-001" in message
    assert "the others lack 1, such as math-999" in message


def test_an_empty_score_without_a_reason_is_refused(scores):
    scores.loc[2, "score"] = np.nan
    assert "without a reason" in refused(scores)
    assert "without a reason" in refused(scores.drop(columns="status"))
    scores.loc[2, "status"] = "timeout"
    assert check_scores(scores)["score"].isna().sum() == 1


def test_an_answer_that_cannot_be_read_is_wrong_and_a_failed_judgement_is_missing(scores):
    scores.loc[[2, 3], "score"] = np.nan
    scores.loc[[2, 3], "status"] = ["unparsable", "unparsed"]
    checked = check_scores(scores)["score"]
    assert checked[2] == 0
    assert np.isnan(checked[3])


@pytest.mark.parametrize("column", ["arm", "scale", "seed", "category", "item", "judge", "score"])
def test_a_missing_column_is_named(scores, column):
    assert column in refused(scores.drop(columns=column))


def test_an_empty_table_is_refused(scores):
    assert "no rows" in refused(scores.iloc[:0])


def test_a_category_named_overall_is_refused(scores):
    assert "overall" in refused(scores.replace({"category": {"math": "overall"}}))


def test_an_item_in_two_categories_is_refused(scores):
    scores.loc[scores["item"] == "code-000", "item"] = "math-000"
    assert refused(scores)


@pytest.mark.parametrize(("column", "value"), [("scale", -5), ("scale", 1.5), ("seed", np.nan)])
def test_scales_and_seeds_are_whole_numbers(scores, column, value):
    scores[column] = scores[column].astype(float)
    scores.loc[3, column] = value
    assert refused(scores).startswith(
        f"score table: {column} is not a whole number from 0 on in line 5"
    )


def test_an_empty_category_is_refused(scores):
    scores.loc[1, "category"] = None
    assert "category is empty" in refused(scores)


def test_parquet_and_csv_read_the_same(scores, tmp_path):
    scores.to_csv(tmp_path / "scores.csv", index=False)
    scores.to_parquet(tmp_path / "scores.parquet")
    first = read_scores(tmp_path / "scores.csv")
    second = read_scores(tmp_path / "scores.parquet")
    pd.testing.assert_frame_equal(first, second, check_dtype=False)


def test_optional_columns_may_be_absent(scores):
    bare = scores[["arm", "scale", "seed", "category", "item", "judge", "score"]]
    read = check_scores(bare)
    assert (read["cluster"] == read["item"]).all()
    assert (read["repeat"] == 0).all()


def test_names_that_look_like_numbers_stay_text(scores, tmp_path):
    scores.replace({"category": {"math": "007"}}).to_csv(tmp_path / "scores.csv", index=False)
    assert "007" in set(read_scores(tmp_path / "scores.csv")["category"])


def test_files_that_are_not_tables_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_scores(tmp_path / "none.parquet")
    (tmp_path / "scores.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match="cannot be read"):
        read_scores(tmp_path / "scores.parquet")
