"""Subsets are nested, stable, blind to file order, uniform; their files are reproducible."""

from __future__ import annotations

import json
from itertools import count

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Record
from instruct_scaling.common.seeds import rank_key
from instruct_scaling.data.pool.store import data_hash, iter_records, read_ids, write_records
from instruct_scaling.data.selection.ranking import draw_subset
from instruct_scaling.data.subset import SCHEMA, read_subset, rows_hash, write_subset
from tests.stages import run_stage

IDS = st.lists(st.uuids().map(lambda value: value.hex), min_size=1, max_size=60, unique=True)
IDS_OF_TWO = ["a" * 32, "b" * 32]
SEEDS = st.integers(0, 2**31 - 1)


@given(IDS, SEEDS, st.data())
def test_smaller_subsets_begin_larger_ones(ids, seed, data):
    small = data.draw(st.integers(1, len(ids)))
    large = data.draw(st.integers(small, len(ids)))
    assert draw_subset(ids, large, seed)[:small] == draw_subset(ids, small, seed)


@given(IDS, SEEDS)
def test_the_whole_pool_is_sorted_by_rank_key(ids, seed):
    assert draw_subset(ids, len(ids), seed) == sorted(ids, key=lambda one: rank_key(seed, one))


@given(IDS, SEEDS, st.data())
def test_order_of_the_pool_has_no_influence(ids, seed, data):
    shuffled = data.draw(st.permutations(ids))
    scale = data.draw(st.integers(1, len(ids)))
    assert draw_subset(shuffled, scale, seed) == draw_subset(ids, scale, seed)


@given(IDS, SEEDS, st.data())
def test_a_growing_pool_only_inserts(ids, seed, data):
    old = ids[: data.draw(st.integers(1, len(ids)))]
    grown = draw_subset(ids, len(ids), seed)
    assert [one for one in grown if one in set(old)] == draw_subset(old, len(old), seed)


def test_every_record_is_as_likely_as_any_other():
    ids = [f"{number:032x}" for number in range(50)]
    counts = dict.fromkeys(ids, 0)
    draws = 2000
    for seed in range(draws):
        for one in draw_subset(ids, 10, seed):
            counts[one] += 1
    # Binomial(2000, 0.2): mean 400, SD 17.9; 5 SD leave room for 50 comparisons.
    assert all(abs(count - 400) < 5 * 17.9 for count in counts.values())
    # Chi-square with 49 degrees of freedom, scaled for drawing without replacement: 99.99% is 99.
    assert sum((count - 400) ** 2 for count in counts.values()) / (2000 * 0.2 * 0.8) * 49 / 50 < 99


def test_seeds_give_unlike_subsets():
    ids = [f"{number:032x}" for number in range(1000)]
    shared = set(draw_subset(ids, 100, 1)) & set(draw_subset(ids, 100, 2))
    assert len(shared) < 30  # 10 are expected


def test_the_file_has_the_same_bytes_and_says_what_it_is(tmp_path):
    ids = [f"{number:032x}" for number in range(10)]
    rows = {"repeats": np.arange(1, 11), "phases": np.arange(10) % 2}
    facts = {"seed": "3", "selection": "{}", "pool_records": "40"}
    for name in ("a", "b"):
        write_subset(tmp_path / f"{name}.parquet", ids, **rows, facts=facts)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert read_subset(tmp_path / "a.parquet") == (
        ids,
        facts | {"data_hash": data_hash(ids), "scale": "10"},
    )
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.schema.equals(SCHEMA)
    assert table["repeats"].to_pylist() == list(range(1, 11))
    assert table["phase"].to_pylist() == [0, 1] * 5


@given(IDS, st.randoms())
def test_data_hash_stands_for_the_set(ids, random):
    shuffled = random.sample(ids, len(ids))
    assert data_hash(shuffled) == data_hash(ids)
    assert data_hash(ids[1:]) != data_hash(ids)


@pytest.fixture
def pool(tmp_path):
    folder = tmp_path / "records"
    write_records(folder, (Record.make(f"q{n}", f"a{n}", source="test") for n in range(20)))
    return folder


def run_subset(pool, scale, out):
    run_stage("subset", "--records", pool, "--scale", scale, "--seed", 1, "--out", out)


def test_command_line_draws_from_a_pool(tmp_path, pool):
    out = tmp_path / "new" / "subset.parquet"
    run_subset(pool, 5, out)
    ids, facts = read_subset(out)
    assert ids == draw_subset(read_ids(pool), 5, 1)
    assert facts["scale"] == "5"
    assert (facts["pool_records"], facts["seed"]) == ("20", "1")
    assert json.loads(facts["selection"]) == {"type": "uniform"}
    rows = pq.read_table(out)
    assert set(rows["repeats"].to_pylist()) == {1}
    assert set(rows["phase"].to_pylist()) == {0}


def test_a_pool_that_grows_leaves_the_hash_of_equal_rows(tmp_path, pool):
    """The metadata state the pool's size, so the file itself does change."""
    run_subset(pool, 5, tmp_path / "before.parquet")
    wanted = read_subset(tmp_path / "before.parquet")[0]
    grown = tmp_path / "grown"
    extra = (Record.make(f"new{n}", "a", source="test") for n in count())
    last = max(rank_key(1, one) for one in wanted)
    added = next(record for record in extra if rank_key(1, record.id) > last)
    write_records(grown, [*iter_records(pool), added])
    run_subset(grown, 5, tmp_path / "after.parquet")
    assert read_subset(tmp_path / "after.parquet")[0] == wanted
    texts = [(tmp_path / f"{name}.sha256").read_text() for name in ("before", "after")]
    assert texts[0] == texts[1]
    run_subset(grown, 6, tmp_path / "after.parquet")
    assert (tmp_path / "after.sha256").read_text() != texts[0]


def test_repeats_phases_and_order_are_part_of_the_hash():
    ids, ones = IDS_OF_TWO, np.ones(2, np.int32)
    hashes = {
        rows_hash(ids, ones, 0 * ones),
        rows_hash(ids[::-1], ones, 0 * ones),
        rows_hash(ids, 2 * ones, 0 * ones),
        rows_hash(ids, ones, ones),
    }
    assert len(hashes) == 4


def test_a_scale_larger_than_the_pool_is_refused(tmp_path, pool):
    out = tmp_path / "subset.parquet"
    with pytest.raises(InputError, match="scale 21 is larger than the pool, which has 20 records"):
        run_subset(pool, 21, out)
    assert not out.exists()


def test_a_folder_that_is_no_pool_is_refused(tmp_path):
    with pytest.raises(InputError, match="no pool here"):
        run_subset(tmp_path, 1, tmp_path / "o")
