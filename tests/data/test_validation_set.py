"""Validation records: even over categories, the same for all runs, in no subset."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Record
from instruct_scaling.common.seeds import derive_seed, rank_key
from instruct_scaling.config.runs import seed_for, validation_seed
from instruct_scaling.config.study import Study
from instruct_scaling.data.pool.store import data_hash, read_ids, write_records
from instruct_scaling.data.selection.ranking import draw_subset
from instruct_scaling.data.subset import read_subset
from instruct_scaling.data.validation_set import (
    UNLABELED,
    draw_validation_set,
    shares,
    write_validation_set,
)
from tests.stages import run_stage

COUNTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 200), min_size=1)


@given(COUNTS, st.data())
def test_shares_sum_up_are_even_and_leave_each_category_half(counts, data):
    number = data.draw(st.integers(0, sum(count // 2 for count in counts.values())))
    given_ = shares(counts, number)
    assert sum(given_.values()) == number
    assert all(given_[name] <= counts[name] // 2 for name in counts)
    # Only a category that gave all it may gives less than the others, but for the remainder.
    free = [given_[name] for name in counts if given_[name] < counts[name] // 2]
    assert all(max(given_.values()) - one <= 1 for one in free)


def test_known_shares():
    assert shares({"math": 100, "code": 6, "cot": 100}, 13) == {"math": 5, "code": 3, "cot": 5}


def test_too_small_a_pool_names_both_numbers():
    with pytest.raises(
        InputError, match=r"240 validation records are too many for a pool of 300"
    ) as error:
        shares({"math": 100, "code": 200}, 240)
    assert "150 in all" in str(error.value)
    assert "lower validation.records" in str(error.value)


RECORDS = [(f"{n:032x}", ("math", "code", None)[n % 3]) for n in range(90)]


def test_the_draw_is_by_rank_key_and_blind_to_the_order_of_the_pool():
    drawn = draw_validation_set(RECORDS, 9, seed=4)
    assert drawn == draw_validation_set(RECORDS[::-1], 9, seed=4)
    for name in ("math", "code", None):
        ids = sorted((r for r, c in RECORDS if c == name), key=lambda one: rank_key(4, one))
        assert [r for r, c in drawn if c == (name or UNLABELED)] == ids[:3]


def test_a_record_that_joins_replaces_at_most_one():
    before = draw_validation_set(RECORDS, 9, seed=4)
    after = draw_validation_set([*RECORDS, (f"{1000:032x}", "math")], 9, seed=4)
    assert len(set(before) - set(after)) <= 1


def test_the_seed_is_one_for_all_replicates_and_no_other_purpose_has_it(default_config):
    default_config["seeds"] = {"study": 5, "replicates": [1, 2]}
    study = Study(**default_config)
    seed = validation_seed(study)
    assert seed == derive_seed(5, 0, "heldout")
    purposes = ("subset", "order", "init", "generation", "judge")
    assert seed not in {seed_for(study, label, p) for label in (1, 2) for p in purposes}


def test_the_file_has_the_same_bytes_and_says_what_it_is(tmp_path):
    drawn = draw_validation_set(RECORDS, 9, seed=4)
    write_validation_set(tmp_path / "a.parquet", drawn, 4)
    write_validation_set(tmp_path / "b.parquet", drawn, 4)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    table = pq.read_table(tmp_path / "a.parquet")
    assert list(zip(*table.to_pydict().values(), strict=True)) == drawn
    ids = [record_id for record_id, _ in drawn]
    facts = {"data_hash": data_hash(ids), "seed": "4", "records": "9"}
    assert read_subset(tmp_path / "a.parquet") == (ids, facts)


@pytest.fixture
def pool(tmp_path):
    folder = tmp_path / "records"
    categories = ("math", "code", None)
    records = [Record.make(f"q{n}", f"a{n}", category=categories[n % 3]) for n in range(30)]
    write_records(folder, records)
    return folder


def run_validation_set(pool, number, out):
    run_stage("validation-set", "--records", pool, "--number", number, "--seed", 2, "--out", out)


def run_subset(pool, scale, out, validation):
    options = ["--records", pool, "--scale", scale, "--seed", 1, "--validation", validation]
    run_stage("subset", *options, "--out", out)


def test_subsets_leave_them_out_and_stay_nested(tmp_path, pool):
    validation = tmp_path / "validation_set.parquet"
    run_validation_set(pool, 6, validation)
    reserved, _ = read_subset(validation)
    assert len(reserved) == 6
    subsets = {}
    for scale in (10, 24):
        out = tmp_path / f"{scale}.parquet"
        run_subset(pool, scale, out, validation)
        subsets[scale], _ = read_subset(out)
    assert subsets[24][:10] == subsets[10]
    assert not set(subsets[24]) & set(reserved)
    # Leaving records out moves none of the others.
    assert subsets[24] == [r for r in draw_subset(read_ids(pool), 30, 1) if r not in reserved]
    with pytest.raises(InputError, match="has 24 records besides 6 validation records") as error:
        run_subset(pool, 25, tmp_path / "none.parquet", validation)
    assert "validation.records" in error.value.fix


def test_a_folder_that_is_no_pool_is_refused(tmp_path):
    with pytest.raises(InputError, match="no pool here"):
        run_validation_set(tmp_path, 1, tmp_path / "o")
