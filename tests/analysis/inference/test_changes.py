"""Single items between two scales, by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.inference.changes import change_rows
from analysis.inference.curves import build_arm_curves
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from analysis.scores import check_scores
from tests.analysis.score_tables import table

MEANS = [0.3, 0.36, 0.42, 0.48, 0.54]


def changes(scores: pd.DataFrame, options: CurveOptions | None = None) -> pd.DataFrame:
    options = options or CurveOptions()
    (array,) = build_score_arrays(check_scores(scores))
    return pd.DataFrame(change_rows(build_arm_curves(array, options), options))


def pairs(before: list[float], after: list[float], seeds: int = 1) -> pd.DataFrame:
    """One category at two scales, the same scores in every seed."""
    scores = table({"math": [0.5, 0.5]}, scales=(100, 200), items=len(before), seeds=seeds)
    return scores.assign(score=[float(s) for s in before * seeds + after * seeds])


BEFORE = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]


def test_wins_ties_losses_and_flips_by_hand():
    rows = changes(pairs(BEFORE, [1, 1, 1, 0, 1, 1, 0, 0, 0, 0]))
    row = rows[rows["category"] == "math"].iloc[0]
    assert len(rows) == 2
    assert (row["wins"], row["ties"], row["losses"]) == pytest.approx((0.2, 0.7, 0.1))
    assert row["negative_flips"] == pytest.approx(0.1)
    assert row["wins_low"] < 0.2 < row["wins_high"]
    assert (row["scale_from"], row["scale_to"]) == (100, 200)


def test_a_score_at_the_threshold_counts_as_right():
    """Flips: .5 to .4 and .6 to .4; a fall from .5 to .5 is none, nor is one from .4 to .3."""
    before, after = [0.5, 0.6, 0.5, 0.4], [0.4, 0.4, 0.5, 0.3]
    assert changes(pairs(before, after))["negative_flips"].tolist() == [0.5, 0.5]
    higher = changes(pairs(before, after), CurveOptions(right_from=0.55))
    assert higher["negative_flips"].tolist() == [0.25, 0.25]


def test_no_flip_seen_is_bounded_not_zero():
    row = changes(pairs(BEFORE, [1, 1, 1, 1, 1, 1, 0, 0, 0, 0])).iloc[0]
    assert row["negative_flips"] == 0
    assert row["negative_flips_high"] == pytest.approx(1 - 0.05 ** (1 / 10))


def test_items_of_one_cluster_count_once_in_that_bound():
    scores = pairs(BEFORE, BEFORE)
    scores["cluster"] = scores["item"].map(lambda item: f"c{int(item[-3:]) % 4}")
    row = changes(scores).iloc[0]
    assert row["wins_high"] == pytest.approx(1 - 0.05 ** (1 / 4))
    assert row["ties_low"] == pytest.approx(0.05 ** (1 / 4))


def test_wins_ties_and_losses_sum_to_one_over_every_pair_of_scales():
    rows = changes(table({"math": MEANS}, base=True))
    assert (rows["wins"] + rows["ties"] + rows["losses"]).tolist() == pytest.approx([1] * len(rows))
    math = rows[rows["category"] == "math"]
    assert list(zip(math["scale_from"], math["scale_to"], strict=True)) == [
        *((0, 250), (250, 500), (500, 1000), (1000, 2000), (2000, 4000)),
        *((250, 4000), (0, 4000)),
    ]


def test_overall_is_the_mean_of_the_categories():
    rows = changes(table({"math": MEANS, "code": MEANS[::-1]}))
    shares = rows.pivot(index=["scale_from", "scale_to"], columns="category", values="wins")
    assert shares["overall"].tolist() == pytest.approx(
        ((shares["math"] + shares["code"]) / 2).tolist()
    )


def test_one_scale_has_no_changes():
    assert changes(table({"math": [0.5]}, scales=(100,))).empty
