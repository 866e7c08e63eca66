"""The arrays of a subset's examples."""

from __future__ import annotations

import numpy as np
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.data.chat_template import Draft
from instruct_scaling.data.encoding import cut
from instruct_scaling.training.examples import load_examples, subset_records, write_examples

from .conftest import make_records, write_pool, write_subset

END, START = 2, 1


def test_arrays_survive_the_disk(tmp_path):
    encoded = [
        cut(Draft([5, 6, 7, END], [(2, 4)]), 9),
        cut(Draft([START, 8, 9, END], [(1, 4)]), 9),
        cut(Draft([5] * 20 + [7] * 20 + [END], [(20, 41)]), 9),
    ]
    write_examples(tmp_path / "examples", ["a", "b", "c"], iter(encoded))
    examples = load_examples(tmp_path / "examples")
    assert examples.ids == ["a", "b", "c"]
    for index, example in enumerate(encoded):
        tokens, spans = examples.sequence(index)
        np.testing.assert_array_equal(tokens, example.tokens)
        np.testing.assert_array_equal(spans, example.spans)
    counts = examples.counts
    assert (counts.examples, counts.tokens, counts.longest) == (3, 4 + 4 + 9, 9)
    assert counts.supervised_tokens == 2 + 3 + 8
    assert (counts.prompts_cut, counts.answers_cut) == (1, 1)


def test_subset_order_is_kept_and_unknown_ids_are_named(tmp_path):
    records = make_records(5)
    pool = write_pool(tmp_path, records)
    wanted = [records[3].id, records[0].id]
    found = subset_records(pool, write_subset(tmp_path / "s.parquet", wanted))
    assert found == [records[3], records[0]]
    bad = write_subset(tmp_path / "bad.parquet", [records[0].id, "missing"])
    with pytest.raises(InputError, match=r"1 of 2 ids.*missing"):
        subset_records(pool, bad)
    empty = tmp_path / "empty.parquet"
    write_subset(empty, [records[0].id])
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(empty).slice(0, 0), empty)
    with pytest.raises(InputError, match="no records"):
        subset_records(pool, empty)
