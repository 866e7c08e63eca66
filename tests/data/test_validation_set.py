"""Records held out of a pool: even over categories, the same for all runs, in no subset."""

from __future__ import annotations

import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Record
from instruct_scaling.common.seeds import derive_seed, rank_key
from instruct_scaling.config.runs import seed_for, validation_seed
from instruct_scaling.config.study import Study
from instruct_scaling.data.pool.store import data_hash, write_records
from instruct_scaling.data.subset import draw_subset, read_subset
from instruct_scaling.data.validation_set import (
    UNLABELED,
    draw_validation_set,
    shares,
    write_validation_set,
)

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
    ) as told:
        shares({"math": 100, "code": 200}, 240)
    assert "150 in all" in str(told.value)
    assert "lower validation.records" in str(told.value)


RECORDS = [(f"{n:032x}", ("math", "code", None)[n % 3]) for n in range(90)]


def test_the_draw_is_by_rank_key_and_blind_to_the_order_of_the_pool():
    drawn = draw_validation_set(RECORDS, 9, seed=4)
    assert drawn == draw_validation_set(RECORDS[::-1], 9, seed=4)
    for name in ("math", "code", None):
        ids = sorted((r for r, c in RECORDS if c == name), key=lambda one: rank_key(4, one))
        assert [r for r, c in drawn if c == (name or UNLABELED)] == ids[:3]


def test_a_record_that_joins_takes_a_place_and_moves_no_other():
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


def run(stage, *options):
    command = [sys.executable, "-m", "instruct_scaling", stage, *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True)


def drawn_subset(pool, scale, out, *more):
    return run("subset", "--records", pool, "--scale", scale, "--seed", 1, "--out", out, *more)


@pytest.mark.slow
def test_subsets_leave_them_out_and_stay_nested(tmp_path, pool):
    held = tmp_path / "validation_set.parquet"
    done = run("validation-set", "--records", pool, "--number", 6, "--seed", 2, "--out", held)
    assert done.returncode == 0, done.stderr
    kept_out, _ = read_subset(held)
    subsets = {}
    for scale in (10, 24):
        out = tmp_path / f"{scale}.parquet"
        assert drawn_subset(pool, scale, out, "--validation", held).returncode == 0
        subsets[scale], _ = read_subset(out)
    assert subsets[24][:10] == subsets[10]
    assert not set(subsets[24]) & set(kept_out)
    # Leaving records out moves none of the others.
    everything = {r.id for r in _records(pool)}
    assert subsets[24] == [r for r in draw_subset(sorted(everything), 30, 1) if r not in kept_out]
    too_many = drawn_subset(pool, 25, tmp_path / "none.parquet", "--validation", held)
    assert too_many.returncode == 2
    assert "has 24 records besides 6 validation records" in too_many.stderr
    assert "validation.records" in too_many.stderr


def _records(pool):
    from instruct_scaling.data.pool.store import iter_records

    return iter_records(pool)


def test_a_folder_that_is_no_pool_is_refused(tmp_path):
    done = run(
        "validation-set", "--records", tmp_path, "--number", 1, "--seed", 2, "--out", tmp_path / "o"
    )
    assert done.returncode == 2
    assert "no pool here" in done.stderr
    assert "Traceback" not in done.stderr
