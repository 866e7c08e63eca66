"""Packing loses nothing, respects the budget and balances the ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.models.packed.packing import (
    balanced,
    first_fit_decreasing,
    one_answer,
    pack,
    packed_batch,
)

lengths_of = st.lists(st.integers(1, 300), min_size=1, max_size=60)


@given(lengths_of, st.integers(1, 5), st.integers(1, 400))
def test_every_example_is_placed_once_and_rows_keep_the_budget(lengths, ranks, row_tokens):
    packed = pack(lengths, ranks=ranks, row_tokens=row_tokens)
    assert len(packed) == ranks
    assert len({len(rows) for rows in packed}) == 1
    placed = sorted(item for rows in packed for row in rows for item in row)
    assert placed == list(range(len(lengths)))
    for rows in packed:
        for row in rows:
            assert sum(lengths[item] for item in row) <= row_tokens or len(row) == 1


@given(lengths_of, st.integers(1, 400))
def test_first_fit_decreasing_opens_a_bin_only_when_none_has_room(lengths, capacity):
    bins = first_fit_decreasing(lengths, capacity)
    loads = [sum(lengths[item] for item in bin_) for bin_ in bins]
    for later in range(1, len(bins)):
        smallest = min(lengths[item] for item in bins[later])
        assert all(load + smallest > capacity for load in loads[:later])


def test_an_example_longer_than_a_row_gets_its_own():
    (rows,) = pack([10, 500, 10], ranks=1, row_tokens=100)
    assert [1] in rows
    assert [0, 2] in rows


def test_fewer_examples_than_ranks_leave_rows_empty():
    assert sorted(pack([7, 9], ranks=3, row_tokens=100)) == [[[]], [[0]], [[1]]]


def test_ranks_get_equal_loads():
    packed = pack([30] * 64, ranks=2, row_tokens=4096)
    assert [len(rows[0]) for rows in packed] == [32, 32]


def test_examples_of_equal_length_keep_their_order():
    assert first_fit_decreasing([5, 5, 5], 10) == [[0, 1], [2]]
    assert balanced([5, 5, 5], 2, 10) == [[0, 2], [1]]


def test_heavy_rows_come_first_and_are_spread_over_the_ranks():
    assert pack([5, 3, 3], ranks=1, row_tokens=6) == [[[1, 2], [0]]]
    assert pack([100, 90, 20, 10], ranks=2, row_tokens=100) == [[[0], [2]], [[1], [3]]]


def test_balancing_gives_up_rather_than_overflow():
    assert balanced([6, 6, 4, 4, 4], 2, 12) is None
    assert len(pack([6, 6, 4, 4, 4], ranks=1, row_tokens=12)[0]) == 2


@pytest.mark.parametrize(("fill_to", "width"), [(1, 7), (7, 7), (8, 8), (5, 10)])
def test_a_row_is_filled_to_a_multiple_and_what_fills_it_is_no_target(fill_to, width):
    """Documents of 5 and 4 tokens take 4 and 3 positions: their last tokens are only targets."""
    examples = [one_answer(np.arange(5, 10), 2), one_answer(np.arange(20, 24), 1)]
    row = packed_batch(examples, torch.device("cpu"), fill_to=fill_to)
    assert row.input_ids.shape == (1, width)
    assert row.targets.tolist() == [7, 8, 9, 21, 22, 23]
    assert row.positions.tolist() == [1, 2, 3, 4, 5, 6]


def test_every_span_of_a_conversation_is_a_target_and_nothing_between_them():
    first = np.arange(10, 20), np.array([[2, 4], [7, 10]], np.int32)
    second = np.arange(30, 33).astype(np.uint16), np.array([[1, 3]], np.int32)
    row = packed_batch([first, second], torch.device("cpu"))
    assert row.input_ids.tolist() == [[*range(10, 19), 30, 31]]
    assert row.targets.tolist() == [12, 13, 17, 18, 19, 31, 32]
    assert row.positions.tolist() == [1, 2, 6, 7, 8, 9, 10]
