"""curves_by_tag.csv: the numbers of curves.csv, from the items of one value of a tag."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from analysis.errors import InputError
from analysis.inference.curves import build_arm_curves, curve_rows
from analysis.inference.curves_by_tag import tag_claim_rows, tag_curve_rows, tag_curves
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from analysis.scores import check_scores, read_scores
from analysis.tables import SCHEMAS
from tests.analysis.score_tables import table

MEANS = {"math": [0.3, 0.35, 0.4, 0.43, 0.45], "code": [0.5, 0.5, 0.52, 0.5, 0.51]}
BY_LANGUAGE = CurveOptions(by_tag=["language"])


def tagged(**shape) -> pd.DataFrame:
    """Math in two languages, code in one; two math items without."""
    scores = table(MEANS, items=20, **shape)
    number = scores["item"].str[-3:].astype(int)
    languages = pd.Series(np.where(number % 2, "zh", "en"), index=scores.index)
    languages[scores["category"] == "code"] = "en"
    languages[(scores["category"] == "math") & (number < 2)] = None
    return scores.assign(tag_language=languages, tag_level=number % 3)


def test_a_value_has_the_curves_of_a_table_with_its_items_alone():
    scores = check_scores(tagged(base=True, arms=("full", "lora")))
    rows = tag_curve_rows(tag_curves(scores, BY_LANGUAGE))
    for value in ("en", "zh"):
        part = scores[scores["tag_language"] == value]
        alone = [
            row
            for array in build_score_arrays(part)
            for row in curve_rows(build_arm_curves(array, BY_LANGUAGE), BY_LANGUAGE)
        ]
        found = [row for row in rows if row["value"] == value]
        assert len(found) == len(alone)
        for own, row in zip(found, alone, strict=True):
            assert set(own) <= set(SCHEMAS["curves_by_tag"])
            keys = ("judge", "arm", "category", "scale", "mean", "low", "high", "n_items")
            assert [own.get(key) for key in keys] == [row.get(key) for key in keys]
    items = {(row["category"], row["value"]): row["n_items"] for row in rows}
    assert items[("math", "en")] == items[("math", "zh")] == 9
    assert items[("overall", "en")] == 29
    assert ("code", "zh") not in items


def test_overall_says_how_many_categories_have_such_items():
    rows = tag_curve_rows(tag_curves(check_scores(tagged()), BY_LANGUAGE))
    notes = {row["value"]: row["note"] for row in rows if row["category"] == "overall"}
    assert notes == {"en": "", "zh": "mean of the 1 of 2 categories with such items"}


def test_tags_come_in_the_order_of_the_option_and_none_by_default():
    scores = check_scores(tagged())
    options = CurveOptions(by_tag=["level", "language"])
    tags = [row["tag"] for row in tag_curve_rows(tag_curves(scores, options))]
    assert list(dict.fromkeys(tags)) == ["level", "language"]
    assert {row["value"] for row in tag_curve_rows(tag_curves(scores, options))} == {
        "0",
        "1",
        "2",
        "en",
        "zh",
    }
    assert analyze(scores, CurveOptions())["curves_by_tag"].empty


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tag_language": ""}, "no item has the tag language"),
        ({"tag_language": np.nan}, "no item has the tag language"),
    ],
)
def test_a_tag_that_no_item_has_is_refused(change, says):
    scores = check_scores(tagged().assign(**change))
    with pytest.raises(InputError, match=says):
        tag_curve_rows(tag_curves(scores, BY_LANGUAGE))


def test_an_unknown_tag_is_refused_with_those_that_there_are():
    scores = check_scores(tagged())
    with pytest.raises(
        InputError, match=r"(?s)no column tag_tier.*name one of its tags: language, le"
    ):
        tag_curve_rows(tag_curves(scores, CurveOptions(by_tag=["tier"])))
    plain = scores.drop(columns=["tag_language", "tag_level"])
    with pytest.raises(InputError, match="it has none"):
        tag_curve_rows(tag_curves(plain, CurveOptions(by_tag=["tier"])))


def test_an_item_has_one_value_of_a_tag():
    scores = tagged()
    scores.loc[5, "tag_language"] = "fr"
    with pytest.raises(InputError, match="has two values of tag_language"):
        check_scores(scores)


def test_tags_are_text_in_every_format(tmp_path):
    scores = tagged()
    scores["tag_level"] = scores["tag_level"].map("00{}".format)
    scores.to_csv(tmp_path / "a.csv", index=False)
    scores.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        found = read_scores(tmp_path / name)
        assert set(found["tag_level"]) == {"000", "001", "002"}
        assert set(found["tag_language"]) == {"en", "zh", ""}


def test_each_value_has_a_claim_on_its_end_with_a_q_value():
    means = {"math": [0.3, 0.36, 0.42, 0.48, 0.54], "code": [0.5] * 5}
    scores = table(means, items=60, seeds=4, noise=0.03)
    number = scores["item"].str[-3:].astype(int)
    scores = check_scores(scores.assign(tag_half=np.where(number < 30, "a", "b")))
    claims = analyze(scores, CurveOptions(by_tag=["half"]))["claims_by_tag"]
    assert list(claims["value"]) == ["a"] * 3 + ["b"] * 3
    assert set(claims["family"]) == {"exploratory"}
    math = claims[claims["category"] == "math"]
    assert (math["tail_low"] < 0.06).all()
    assert (math["tail_high"] > 0.06).all()
    assert (math["gain"] - 0.06).abs().max() < 0.02
    assert (math["gain_from"] == 2000).all()
    assert (math["q_value"] < 0.01).all()
    code = claims[claims["category"] == "code"]
    assert (code["q_value"] > 0.05).all()
    single = claims[claims["category"] != "overall"]
    assert single["q_value"].to_numpy() == pytest.approx(
        multipletests(single["p_value"], method="fdr_bh")[1]
    )


def test_one_seed_bears_no_claim_on_a_value():
    (part, *_) = tag_curves(check_scores(tagged(seeds=1)), BY_LANGUAGE)
    for row in tag_claim_rows([part]):
        assert "p_value" not in row
        assert "training noise is unmeasured" in row["note"]
