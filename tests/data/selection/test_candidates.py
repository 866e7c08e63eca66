"""Ids and labels are read from a pool's columns, its annotations and without validation records."""

from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Record
from instruct_scaling.data.pool import store
from instruct_scaling.data.pool.store import read_ids, write_records
from instruct_scaling.data.selection.candidates import read_candidates


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """Ten records in parts of four; every third has a tag."""
    monkeypatch.setattr(store, "PART_RECORDS", 4)
    folder = tmp_path / "records"
    write_records(
        folder,
        (
            Record.make(
                f"q{n}",
                f"a{n}",
                source="web" if n % 2 else "book",
                language=None if n == 4 else "en",
                tags={"level": str(n), "other": "x"} if n % 3 == 0 else {"other": "y"},
            )
            for n in range(10)
        ),
    )
    return folder


def annotation(path, ids, values):
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"id": ids, "value": values}), path)
    return path


def test_columns_and_tags_are_read_in_the_order_of_the_pool(pool):
    source = read_candidates(pool, "source", {})
    assert source.ids.to_pylist() == read_ids(pool)
    assert source.labels.to_pylist() == ["book", "web"] * 5
    assert read_candidates(pool, "language", {}).labels.null_count == 1
    tag = read_candidates(pool, "tag:level", {}).labels.to_pylist()
    assert tag == [str(n) if n % 3 == 0 else None for n in range(10)]
    assert read_candidates(pool, "tag:absent", {}).labels.null_count == 10
    assert read_candidates(pool, None, {}).labels is None


def test_an_annotation_is_joined_by_id(pool, tmp_path):
    ids = read_ids(pool)
    path = annotation(
        tmp_path / "a" / "x.parquet", [*ids[9:1:-1], "else"], [*map(float, range(8)), 99.0]
    )
    found = read_candidates(pool, "annotation:x", {"x": path}).labels.to_pylist()
    assert found == [None, None, 7, 6, 5, 4, 3, 2, 1, 0]
    path = annotation(tmp_path / "a" / "y.parquet", ids[:2], [math.nan, 2.0])
    assert read_candidates(pool, "annotation:y", {"y": path}).labels.to_pylist()[:2] == [None, 2.0]
    path = annotation(tmp_path / "a" / "z.parquet", ids[:1], ["hard"])
    assert read_candidates(pool, "annotation:z", {"z": path}).labels.to_pylist()[0] == "hard"


def test_validation_records_are_left_out(pool, tmp_path):
    ids = read_ids(pool)
    path = annotation(tmp_path / "validation" / "v.parquet", ids[:3], ["a"] * 3)
    found = read_candidates(pool, "source", {}, path)
    assert found.ids.to_pylist() == ids[3:]
    assert found.labels.to_pylist() == (["book", "web"] * 5)[3:]


def test_what_is_not_there_is_named(pool, tmp_path):
    with pytest.raises(InputError, match="the pool has no annotation 'x'") as caught:
        read_candidates(pool, "annotation:x", {"y": tmp_path / "y"})
    assert "use one of these: y" in caught.value.fix
    with pytest.raises(InputError, match="no such file"):
        read_candidates(pool, "annotation:x", {"x": tmp_path / "x"})
    with pytest.raises(InputError, match="no pool here"):
        read_candidates(tmp_path, "source", {})
