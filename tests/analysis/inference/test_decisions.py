"""How often a small scale orders arms as the largest does: by hand, and what its interval holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.inference.decisions import agreement, decision_rows
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from analysis.scores import check_scores
from tests.analysis.score_tables import table

NAMES = tuple(f"c{i}" for i in range(8))


def rows_of(scores: pd.DataFrame) -> pd.DataFrame:
    arrays = build_score_arrays(check_scores(scores))
    return pd.DataFrame(decision_rows(arrays, CurveOptions()))


def arms(curves: dict[str, list[float]], **kwargs: object) -> pd.DataFrame:
    """An arm per curve, the same in every category, with noise of its own."""
    return pd.concat(
        [
            table(dict.fromkeys(NAMES, curve), arms=(arm,), seed=i, **kwargs)
            for i, (arm, curve) in enumerate(curves.items())
        ]
    )


def test_agreement_by_hand():
    """One pair, one category: two runs each at two scales, the largest with means .5 and .4."""
    first = [[[0.3], [0.1]], [[0.6], [0.4]]]
    second = [[[0.2], [0.2]], [[0.4], [0.4]]]
    means = np.array([first, second])  # (A, K, S, C)
    assert agreement(means)[0, :, 0].tolist() == [1.0, 0.0]
    means[1, 0, 1] = 0.1  # a tie counts one half
    assert agreement(means)[0, :, 0].tolist() == [1.0, 0.5]
    three = np.concatenate([means, means[:1] + 1])
    # two further pairs, right in both runs
    assert agreement(three)[0, :, 0].tolist() == pytest.approx([1.0, 2.5 / 3])


def test_arms_far_apart_are_always_in_order():
    curves = {"low": [0.2, 0.3, 0.4], "high": [0.5, 0.6, 0.7]}
    rows = rows_of(arms(curves, scales=(10, 20, 40), seeds=2, items=20))
    assert (rows["accuracy"] == 1).all()
    overall = rows[rows["category"] == "overall"]
    assert overall["scale"].tolist() == [10, 20]
    assert (overall["best"] == "high").all()
    assert (overall["high"] == 1).all()
    # all eight categories agree: the exact bound of 8, not certainty
    assert overall["low"].tolist() == pytest.approx([0.05 ** (1 / 8)] * 2)
    assert (overall["note"] == "every order is right: exact bound from 8 categories").all()


def test_curves_that_cross_are_in_the_wrong_order_before():
    curves = {"early": [0.5, 0.52, 0.54], "late": [0.3, 0.4, 0.7]}
    rows = rows_of(arms(curves, scales=(10, 20, 40), seeds=2, items=20))
    assert (rows["accuracy"] == 0).all()
    assert (rows["best"] == "early").all()
    assert (rows["best_at_largest"] == "late").all()


def test_equal_arms_are_in_order_by_chance():
    curves = {"a": [0.5, 0.5], "b": [0.5, 0.5]}
    rows = rows_of(arms(curves, scales=(10, 20), seeds=4, items=40, run_sd=0.02))
    (row,) = rows[rows["category"] == "overall"].to_dict("records")
    assert row["low"] < 0.5 < row["high"]
    assert row["noise"] == "categories and seeds"
    assert (row["n_pairs"], row["n_categories"], row["n_seeds"]) == (1, 8, 4)
    each = rows[rows["category"] != "overall"]
    assert row["accuracy"] == pytest.approx(each["accuracy"].mean())


def test_one_arm_has_no_order_and_ladders_apart_say_so():
    assert rows_of(table({"a": [0.5, 0.6]}, scales=(10, 20))).empty
    first = table({"a": [0.5, 0.6]}, scales=(10, 20))
    apart = pd.concat([first, first.assign(arm="b", scale=first["scale"] * 2)])
    assert rows_of(apart)["note"].tolist() == ["the arms do not have two scales in common"]
    alone = pd.concat([first, first.assign(arm="b", seed=first["seed"] + 10)])
    assert rows_of(alone)["note"].tolist() == ["the arms do not have a seed in common"]
