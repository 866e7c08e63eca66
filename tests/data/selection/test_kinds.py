"""What holds of every kind of selection."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.seeds import rank_key
from instruct_scaling.data.selection.select import KINDS as FUNCTIONS
from tests.data.selection.pools import IDS, KINDS, MOVES_WITH_THE_POOL, SEEDS

few = settings(max_examples=30)  # of each of many kinds
every_kind = pytest.mark.parametrize("name", KINDS)


def possible_scales(kind, ids, seed):
    """The scales that the selection accepts for this pool."""
    found = []
    for scale in range(1, len(ids) + 1):
        try:
            kind.draw(ids, scale, seed)
        except InputError:
            continue
        found.append(scale)
    return found


def test_every_kind_is_tested():
    assert {kind.selection.type for kind in KINDS.values()} == set(FUNCTIONS)


@every_kind
@few
@given(IDS, SEEDS, st.data())
def test_records_are_distinct_and_as_many_as_the_scale_says(name, ids, seed, data):
    scales = possible_scales(KINDS[name], ids, seed)
    assume(scales)
    scale = data.draw(st.sampled_from(scales))
    rows = KINDS[name].draw(ids, scale, seed)
    assert len({record_id for record_id, _, _ in rows}) == scale == len(rows)
    assert min(repeats for _, repeats, _ in rows) >= 1
    assert min(phase for _, _, phase in rows) >= 0


@every_kind
@few
@given(IDS, SEEDS)
def test_smaller_scales_begin_larger_ones(name, ids, seed):
    scales = possible_scales(KINDS[name], ids, seed)
    assume(scales)
    largest = KINDS[name].draw(ids, scales[-1], seed)
    for scale in scales:
        assert KINDS[name].draw(ids, scale, seed) == largest[:scale]


@every_kind
@few
@given(IDS, SEEDS, st.data())
def test_the_order_of_the_pool_has_no_influence(name, ids, seed, data):
    scales = possible_scales(KINDS[name], ids, seed)
    assume(scales)
    scale = data.draw(st.sampled_from(scales))
    shuffled = data.draw(st.permutations(ids))
    assert KINDS[name].draw(shuffled, scale, seed) == KINDS[name].draw(ids, scale, seed)


@every_kind
@few
@given(IDS, SEEDS, st.data())
def test_a_growing_pool_reorders_no_two_records_of_one_stratum(name, ids, seed, data):
    """A stratum is all records of one label and one repeat; kinds without shares have one order
    for the whole pool, see the next test."""
    kind = KINDS[name]
    old = ids[: data.draw(st.integers(6, len(ids)))]
    before, after = (possible_scales(kind, pool, seed) for pool in (old, ids))
    assume(before and after)
    label = kind.label or (lambda one: None)
    for pool, scales in ((old, before), (ids, after)):
        rows = kind.draw(pool, scales[-1], seed)
        for stratum in {(label(one), times) for one, times, _ in rows}:
            members = [one for one, times, _ in rows if (label(one), times) == stratum]
            assert members == sorted(members, key=lambda one: rank_key(seed, one))


@pytest.mark.parametrize("name", ["uniform", "weighted", "weighted by value", "ranked"])
@few
@given(IDS, SEEDS, st.data())
def test_a_growing_pool_only_inserts(name, ids, seed, data):
    kind = KINDS[name]
    old = ids[: data.draw(st.integers(1, len(ids)))]
    if name == "weighted by value":
        assume(set(map(kind.label, old)) == set("abc"))  # every weight has its value
    grown = [one for one, _, _ in kind.draw(ids, len(ids), seed)]
    kept = [one for one in grown if one in set(old)]
    assert kept == [one for one, _, _ in kind.draw(old, len(old), seed)]


@pytest.mark.parametrize("name", [name for name in KINDS if name not in MOVES_WITH_THE_POOL])
@few
@given(IDS, SEEDS, st.data())
def test_a_record_that_joins_replaces_at_most_one(name, ids, seed, data):
    """Where neither the strata nor the number of dosed records changes with the new one."""
    kind, (*old, new) = KINDS[name], ids
    assume(kind.label is None or kind.label(new) in set(map(kind.label, old)))
    assume(name != "dose" or kind.label(new) != "b")
    assume(name != "late dose" or kind.label(new) < 18)
    scales = sorted(set(possible_scales(kind, old, seed)) & set(possible_scales(kind, ids, seed)))
    assume(scales)
    scale = data.draw(st.sampled_from(scales))
    before, after = kind.draw(old, scale, seed), kind.draw(ids, scale, seed)
    assert len(set(before) - set(after)) <= 1
    assert {one for one, _, _ in after} - {one for one, _, _ in before} <= {new}


@every_kind
@few
@given(IDS, SEEDS)
def test_a_scale_that_is_refused_says_which_is_possible(name, ids, seed):
    kind = KINDS[name]
    scales = possible_scales(kind, ids, seed)
    for scale in range(max(scales, default=0) + 1, len(ids) + 1):
        with pytest.raises(InputError) as caught:
            kind.draw(ids, scale, seed)
        largest = re.search(r"largest possible scale is (\d+)", str(caught.value))
        if largest:
            assert int(largest[1]) == max(scales, default=0)
