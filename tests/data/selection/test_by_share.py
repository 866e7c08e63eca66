"""`stratified`, `mixture`, `staged`: shares held at every scale, bands, phases, what is refused."""

from __future__ import annotations

from collections import Counter
from math import ceil, floor

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.data.selection.candidates import Candidates
from instruct_scaling.data.selection.ranking import draw_subset
from instruct_scaling.data.selection.select import select
from tests.data.selection.pools import IDS, KINDS, SEEDS, section, third

MANY = [f"{number:032x}" for number in range(300)]


def candidates(labels, ids=MANY):
    return Candidates(pa.array(ids[: len(labels)]), pa.array(labels))


def labels_of(selection, labels, scale, seed=1):
    chosen = select(selection, candidates(labels), scale, seed)
    return Counter(labels[row] for row in chosen.rows.tolist())


@given(IDS, SEEDS, st.data())
def test_proportional_shares_are_those_of_the_pool_at_every_scale(ids, seed, data):
    scale = data.draw(st.integers(1, len(ids)))  # every scale is possible
    counts = Counter(map(third, ids))
    drawn = Counter(
        third(one) for one, _, _ in KINDS["stratified, proportional"].draw(ids, scale, seed)
    )
    for name, count in counts.items():
        exact = scale * count / len(ids)
        assert floor(exact) <= drawn[name] <= ceil(exact)


@given(IDS, SEEDS)
def test_within_a_stratum_the_uniform_order_holds(ids, seed):
    counts = Counter(map(third, ids))
    assume(len(counts) == 3)
    rows = KINDS["stratified, equal"].draw(ids, 3 * min(counts.values()), seed)
    for name in "abc":
        own = [one for one in ids if third(one) == name]
        drawn = [one for one, _, _ in rows if third(one) == name]
        assert drawn == draw_subset(own, len(drawn), seed)


def test_stated_shares_are_exact():
    labels = ["en"] * 200 + ["zh"] * 100
    shares = {"en": 0.3, "zh": 0.7}
    for kind in ("stratified", "mixture"):
        selection = section(kind, by="language", shares=shares)
        assert labels_of(selection, labels, 100) == {"en": 30, "zh": 70}


def test_a_stratum_that_runs_out_names_the_largest_scale():
    labels = ["en"] * 200 + ["zh"] * 30
    selection = section("mixture", by="language", shares={"en": 0.5, "zh": 0.5})
    with pytest.raises(InputError) as caught:
        labels_of(selection, labels, 100)
    said = str(caught.value)
    assert "zh has 30 records, and its share (0.5) of scale 100 is 50" in said
    assert "the largest possible scale is" in said
    largest = int(said.split("largest possible scale is ")[1].split(";")[0])
    assert largest in (60, 61)
    assert labels_of(selection, labels, largest)["zh"] == 30


@pytest.mark.parametrize("shares", [{"en": 1.0}, {"en": 0.5, "zh": 0.3, "fr": 0.2}])
def test_strata_and_shares_have_the_same_names(shares):
    labels = ["en", "zh"] * 20
    selection = section("stratified", by="language", shares=shares)
    odd = "'zh' is only in the pool" if "zh" not in shares else "'fr' is only in the shares"
    with pytest.raises(InputError, match=odd):
        labels_of(selection, labels, 4)


def test_a_mixture_leaves_the_others_out_and_knows_its_sources():
    labels = ["a", "b", "c"] * 20
    mixed = labels_of(section("mixture", by="source", shares={"a": 0.5, "b": 0.5}), labels, 30)
    assert mixed == {"a": 15, "b": 15}
    with pytest.raises(InputError, match="'d' is only in the shares"):
        labels_of(section("mixture", by="source", shares={"d": 1.0}), labels, 3)


def test_records_without_a_label_are_refused_or_left_out():
    labels = ["a", None, "b", None] * 5
    with pytest.raises(InputError, match="10 of 20 records have no source") as caught:
        labels_of(section("stratified", by="source"), labels, 4)
    assert "on_missing: exclude" in caught.value.fix
    drawn = labels_of(section("stratified", by="source", on_missing="exclude"), labels, 10)
    assert drawn == {"a": 5, "b": 5}
    with pytest.raises(InputError, match="largest possible scale is 10"):
        labels_of(section("stratified", by="source", on_missing="exclude"), labels, 11)


def test_no_label_at_all_is_refused():
    nothing = pa.array([None] * 4, pa.string())
    with pytest.raises(InputError, match="no record has tag:x"):
        select(section("staged", by="tag:x"), Candidates(pa.array(MANY[:4]), nothing), 2, 1)


def test_quantile_bands_are_of_equal_size_and_text_is_read_as_numbers():
    labels = [str(number / 7) for number in range(100)]
    selection = section(
        "stratified", by="tag:x", bands=4, shares={"1": 1 / 2, "2": 0.25, "3": 0.125, "4": 0.125}
    )
    drawn = labels_of(selection, labels, 40)
    bands = Counter(int(float(label) * 7 + 0.5) // 25 for label in drawn)
    assert bands == {0: 20, 1: 10, 2: 5, 3: 5}


def test_stated_edges_put_a_value_at_an_edge_above_it():
    selection = section("staged", by="annotation:x", edges=[1, 2])
    chosen = select(selection, candidates([0.0, 1.0, 1.5, 2.0]), 4, 3)
    assert dict(zip(chosen.rows.tolist(), chosen.phases.tolist(), strict=True)) == {
        0: 0,
        1: 1,
        2: 1,
        3: 2,
    }


@pytest.mark.parametrize(
    ("keys", "labels", "says"),
    [
        ({"bands": 3}, [1.0] * 9, "band 1 of annotation:x holds no record"),
        ({"edges": [5]}, [1.0, 2.0], "band 2 of annotation:x holds no record"),
        ({"bands": 2}, ["hard", "1"], "annotation:x is no number"),
        ({}, [1.0, 2.0], "which has no values to name"),
        ({"bands": 2}, [float("inf"), 1.0], "infinite"),
    ],
)
def test_numbers_that_make_no_bands_are_refused(keys, labels, says):
    with pytest.raises(InputError, match=says):
        labels_of(section("stratified", by="annotation:x", **keys), labels, 1)


@pytest.mark.parametrize(
    ("order", "phases"),
    [
        ("ascending", {"a": 0, "b": 1, "c": 2}),
        ("descending", {"a": 2, "b": 1, "c": 0}),
        (["b", "a", "c"], {"a": 1, "b": 0, "c": 2}),
        ("mixed", {"a": 0, "b": 0, "c": 0}),
    ],
)
def test_the_order_of_the_phases_changes_no_record(order, phases):
    labels = ["a", "b", "c"] * 20
    chosen = select(section("staged", by="source", order=order), candidates(labels), 30, 5)
    assert all(
        phase == phases[labels[row]]
        for row, phase in zip(chosen.rows.tolist(), chosen.phases.tolist(), strict=True)
    )
    control = select(section("stratified", by="source"), candidates(labels), 30, 5)
    assert chosen.rows.tolist() == control.rows.tolist()


def test_an_order_names_every_stratum():
    with pytest.raises(InputError, match=r"the order is a, d; source has a, b"):
        labels_of(section("staged", by="source", order=["a", "d"]), ["a", "b"] * 3, 2)
