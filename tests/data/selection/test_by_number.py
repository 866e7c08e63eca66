"""`weighted` and `ranked` against known distributions and orders; what is refused."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.seeds import rank_key
from instruct_scaling.data.selection.candidates import Candidates
from instruct_scaling.data.selection.ranking import draw_subset
from instruct_scaling.data.selection.select import select
from tests.data.selection.pools import IDS, KINDS, SEEDS, number, section

TEN = [f"{number:032x}" for number in range(10)]


def draw(selection, labels, scale, seed=1, ids=TEN):
    candidates = Candidates(pa.array(ids[: len(labels)]), pa.array(labels))
    return select(selection, candidates, scale, seed).rows.tolist()


def test_the_first_record_is_drawn_in_proportion_to_its_weight():
    weights, draws = [1.0, 2.0, 3.0, 4.0], 4000
    selection = section("weighted", by="annotation:w")
    first = Counter(draw(selection, weights, 1, seed)[0] for seed in range(draws))
    for row, weight in enumerate(weights):
        # Binomial: the SD of a share is at most 0.0078; 5 of them.
        assert abs(first[row] / draws - weight / 10) < 0.039


def test_the_second_one_is_drawn_likewise_among_the_others():
    weights, draws = [1.0, 1.0, 8.0], 3000
    selection = section("weighted", by="annotation:w")
    pairs = Counter(tuple(draw(selection, weights, 2, seed)) for seed in range(draws))
    # P(2 first) = 0.8, then either of the others with 1/2.
    assert abs(pairs[2, 0] / draws - 0.4) < 0.045
    # P(0 first) = 0.1, then 2 with 8/9.
    assert abs(pairs[0, 2] / draws - 0.1 * 8 / 9) < 0.027


@given(IDS, SEEDS)
def test_equal_weights_give_the_uniform_subset(ids, seed):
    rows = draw(section("weighted", by="annotation:w"), [0.3] * len(ids), 12, seed, ids)
    assert [ids[row] for row in rows] == draw_subset(ids, 12, seed)


def test_weights_by_value_and_a_weight_of_zero():
    labels = ["hard", "easy"] * 5
    selection = section("weighted", by="tag:d", weights={"hard": 1, "easy": 0})
    assert {labels[row] for row in draw(selection, labels, 5)} == {"hard"}
    with pytest.raises(InputError, match="scale 6 is larger than the 5 records with a weight"):
        draw(selection, labels, 6)


@pytest.mark.parametrize(
    ("keys", "labels", "says"),
    [
        ({}, [1.0, -2.0], "1 records have a weight below 0"),
        ({}, [1.0, None], "1 of 2 records have no tag:d"),
        ({}, ["1", "x"], "tag:d is no number"),
        ({"weights": {"a": 1}}, ["a", "b"], "'b' is only in the pool"),
        ({"weights": {"a": 1, "c": 1}}, ["a", "a"], "'c' is only in the weights"),
    ],
)
def test_weights_that_are_none_are_refused(keys, labels, says):
    with pytest.raises(InputError, match=says):
        draw(section("weighted", by="tag:d", **keys), labels, 1)


def test_records_without_a_weight_may_be_left_out():
    selection = section("weighted", by="tag:d", on_missing="exclude")
    assert sorted(draw(selection, [None, "1", "2", None], 2)) == [1, 2]


@given(IDS, SEEDS)
def test_the_best_come_first_and_equal_ones_by_keyed_hash(ids, seed):
    ranked = [one for one, _, _ in KINDS["ranked"].draw(ids, len(ids), seed)]
    assert ranked == sorted(ids, key=lambda one: (-number(one), rank_key(seed, one)))
    upwards = [one for one, _, _ in KINDS["ranked upwards"].draw(ids, len(ids), seed)]
    assert upwards == sorted(ids, key=lambda one: (number(one), rank_key(seed, one)))


def test_records_without_a_rank_are_refused_or_left_out():
    labels = [3.0, None, 1.0, None, 2.0]
    with pytest.raises(InputError, match="2 of 5 records have no annotation:q"):
        draw(section("ranked", by="annotation:q"), labels, 1)
    selection = section("ranked", by="annotation:q", on_missing="exclude")
    assert draw(selection, labels, 3) == [0, 4, 2]
    with pytest.raises(InputError, match="the largest possible scale is 3"):
        draw(selection, labels, 4)
