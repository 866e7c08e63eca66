"""Files are written whole or not at all, and read with file and line."""

from __future__ import annotations

import os

import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import (
    atomic_path,
    read_json,
    read_jsonl,
    require_writable,
    sha256_file,
    sha256_text,
    write_json,
    write_jsonl,
)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "value.json"
    write_json(target, {"old": 1})
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_text(f"half {1 / 0}")
    assert read_json(target) == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["value.json"]


def test_lines_whose_rows_fail_midway_leave_the_old_file(tmp_path):
    target = tmp_path / "rows.jsonl"
    write_jsonl(target, [{"old": 1}])

    def rows():
        yield {"new": 1}
        assert target.read_text("utf-8") == '{"old": 1}\n', "the old file stands until the end"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_jsonl(target, rows())
    assert target.read_text("utf-8") == '{"old": 1}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_finished_write_leaves_no_litter_and_makes_its_folders(tmp_path):
    write_json(tmp_path / "a" / "b" / "value.json", {"text": "好"})
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["value.json"]
    assert (tmp_path / "a" / "b" / "value.json").read_text("utf-8") == '{\n  "text": "好"\n}\n'


def test_a_folder_replaces_a_folder(tmp_path):
    for content in ("a", "b"):
        with atomic_path(tmp_path / "model") as temporary:
            temporary.mkdir()
            (temporary / f"{content}.txt").write_text(content)
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["b.txt"]


def test_a_folder_replaces_a_link_and_leaves_what_it_points_to(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("kept")
    (tmp_path / "base").symlink_to(tmp_path / "model")
    with atomic_path(tmp_path / "base") as temporary:
        temporary.mkdir()
        (temporary / "weights").write_text("new")
    assert not (tmp_path / "base").is_symlink()
    assert (tmp_path / "base" / "weights").read_text() == "new"
    assert (tmp_path / "model" / "weights").read_text() == "kept"


def test_rows_come_back_with_their_line_numbers(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": "好"}\n\n{"a": 2}\n', "utf-8")
    assert list(read_jsonl(path)) == [(1, {"a": "好"}), (3, {"a": 2})]


def test_round_trip_of_rows(tmp_path):
    rows = [{"text": "line\u2028separator"}, {"text": "\x85next line"}, {"text": "好"}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    assert [row for _, row in read_jsonl(tmp_path / "rows.jsonl")] == rows


def test_text_is_written_as_it_reads(tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", [{"text": "好"}])
    assert (tmp_path / "rows.jsonl").read_text("utf-8") == '{"text": "好"}\n'


def test_an_invalid_line_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a": \n', "utf-8")
    with pytest.raises(InputError, match=r"rows\.jsonl, line 2: not valid JSON"):
        list(read_jsonl(path))


def test_json_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.json").write_text('{\n"a": \n}', "utf-8")
    with pytest.raises(InputError, match=r"a\.json, line 3: not valid JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"none\.json: no such file"):
        read_json(tmp_path / "none.json")
    with pytest.raises(InputError, match=r"none\.jsonl: no such file"):
        list(read_jsonl(tmp_path / "none.jsonl"))


def test_a_folders_hash_depends_on_names_and_bytes(tmp_path):
    (tmp_path / "a").write_text("1")
    first = sha256_file(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    second = sha256_file(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({first, second, sha256_file(tmp_path)}) == 3


def test_a_folders_hash_depends_on_subfolders_and_not_on_the_order_of_writing(tmp_path):
    for folder, order in (("one", ["x/a", "y/b", "c"]), ("two", ["c", "y/b", "x/a"])):
        for name in order:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name[-1])
            os.utime(path, (order.index(name), order.index(name)))
    assert sha256_file(tmp_path / "one") == sha256_file(tmp_path / "two")
    (tmp_path / "two" / "x" / "a").rename(tmp_path / "two" / "y" / "a")
    assert sha256_file(tmp_path / "one") != sha256_file(tmp_path / "two")


def test_the_hash_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert sha256_file(tmp_path / "a") == known
    assert sha256_text("abc") == known


def test_a_folder_that_cannot_be_written_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write here"):
        write_json(tmp_path / "file" / "below.json", {})


def test_a_file_where_the_folder_should_be_is_an_input_error(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(InputError, match="not a folder"):
        require_writable(tmp_path / "results" / "study")


def test_a_folder_that_does_not_exist_yet_is_writable(tmp_path):
    require_writable(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_an_input_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot write here"):
        write_json(tmp_path / "value.json", {})
    with pytest.raises(InputError, match="cannot be written"):
        require_writable(tmp_path / "results")
