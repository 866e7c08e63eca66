"""Primary claims keep Holm's correction, all others get q values, and rows say which they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from analysis.errors import InputError
from analysis.inference.families import label_exploratory
from analysis.inference.multiplicity import benjamini_hochberg, correct
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from tests.analysis.inference.test_multiplicity import CODE, MATH, OVERALL
from tests.analysis.score_tables import checked

MEANS = {"math": [0.3, 0.35, 0.4, 0.43, 0.45], "code": [0.5, 0.5, 0.52, 0.5, 0.51]}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_q_values_are_those_of_statsmodels(p_values):
    expected = multipletests(p_values, method="fdr_bh")[1]
    assert benjamini_hochberg(p_values) == pytest.approx(expected)


def test_primary_categories_are_a_family_of_their_own():
    evidence = {"math": MATH, "code": CODE, "overall": OVERALL}
    found = correct(evidence, "directional", {"math"})
    assert found["math"] == correct({"math": MATH}, "directional")["math"]
    # Of code the claims tail .5, drop .01, rise .02: 3 * .01 and 3 / 2 * .02 are both .03.
    assert found["code"]["drop"] == pytest.approx(0.03)
    assert found["code"]["tail"] == pytest.approx(0.5)
    assert found["overall"]["tail"] == pytest.approx(3 * 0.012)  # the smallest of three


def test_the_first_judge_is_primary_and_the_other_exploratory():
    scores = checked(MEANS, judges=("second", "first"))
    verdicts = analyze(scores, CurveOptions())["verdicts"]
    assert dict(zip(verdicts["judge"], verdicts["family"], strict=True)) == {
        "first": "exploratory",
        "second": "primary",
    }
    primary = verdicts["family"] == "primary"
    assert verdicts.loc[primary, "q_value"].isna().all()
    assert verdicts.loc[~primary, "p_holm"].isna().all()
    known = verdicts["p_value"].notna()
    assert verdicts.loc[known & primary, "p_holm"].notna().all()
    assert verdicts.loc[known & ~primary, "q_value"].notna().all()


def test_a_declared_family_is_corrected_alone():
    scores = checked(MEANS)
    options = CurveOptions(primary={"categories": ["math"]})
    verdicts = analyze(scores, options)["verdicts"].set_index("category")
    assert verdicts["family"].to_dict() == {
        "math": "primary",
        "code": "exploratory",
        "overall": "exploratory",
    }
    alone = analyze(scores[scores["category"] == "math"], CurveOptions())["verdicts"]
    assert verdicts.loc["math", "p_holm"] == alone["p_holm"].iloc[0]
    assert (
        verdicts.loc["math", "detectable"]
        <= analyze(scores, CurveOptions())["verdicts"]["detectable"].max()
    )


@pytest.mark.parametrize(
    ("primary", "says"),
    [
        ({"judges": ["gpt"]}, "analysis.primary.judges: the table has no 'gpt'"),
        ({"arms": ["lora"]}, "analysis.primary.arms: the table has no 'lora'"),
        ({"categories": ["maths"]}, "name some of"),
    ],
)
def test_a_family_of_unknown_names_is_refused(primary, says):
    with pytest.raises(InputError, match=says):
        analyze(checked(MEANS), CurveOptions(primary=primary))


def test_other_tables_are_exploratory_with_q_values_by_judge():
    rows = [
        {"judge": judge, "category": category, "p_value": p}
        for judge, category, p in [
            ("a", "math", 0.01),
            ("a", "code", 0.04),
            ("a", "overall", 0.02),
            ("b", "math", 0.5),
            ("b", "code", np.nan),
        ]
    ]
    found = label_exploratory([*rows, {"judge": "b", "note": "nothing", "category": "code"}])
    assert {row["family"] for row in found} == {"exploratory"}
    assert [row.get("q_value") for row in found] == pytest.approx(
        [0.02, 0.04, 0.02, 0.5, None, None]
    )
    comparisons = analyze(checked(MEANS, arms=("full", "lora")), CurveOptions())["comparisons"]
    assert set(comparisons["family"]) == {"exploratory"}
    assert comparisons["q_value"].notna().all()
