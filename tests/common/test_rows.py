"""Files written by others: every format reads the same, every invalid entry is named."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.rows import FieldReader, InvalidRow, InvalidRows, Row, RowFile

VALUES = [{"instruction": "写一首诗", "n": 1}, {"instruction": "a\nb", "n": 2}]


def as_lines(values):
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", as_lines(VALUES)),
        ("bom.jsonl", b"\xef\xbb\xbf" + as_lines(VALUES)),
        ("bom_alone.jsonl", b"\xef\xbb\xbf\n" + as_lines(VALUES)),
        ("tabs.json", json.dumps(VALUES, indent="\t").replace("\n", "\r\n").encode()),
        ("blank_lines.jsonl", b"\n" + as_lines(VALUES).replace(b"\n", b"\r\n\r\n")),
        ("list.json", json.dumps(VALUES, indent=2).encode()),
        ("one_line_list.json", json.dumps(VALUES).encode()),
        ("wrong_name.txt", json.dumps(VALUES).encode()),
        ("a.jsonl.gz", gzip.compress(as_lines(VALUES), mtime=0)),
        ("list.json.gz", gzip.compress(json.dumps(VALUES).encode(), mtime=0)),
    ],
)
def test_json_formats_read_the_same(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert [row.value for row in RowFile(path)] == VALUES


def test_parquet_reads_the_same_and_counts_rows(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(VALUES), path)
    file = RowFile(path)
    assert file.unit == "row"
    assert list(file) == [Row(1, VALUES[0]), Row(2, VALUES[1])]


def test_invalid_lines_carry_their_number_and_the_rest_is_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n": 1}\n\n{"n": \n"text"\n\xff\xfe\n{"n": 6}\n' + b"1" * 5000)
    entries = list(RowFile(path))
    assert [entry.number for entry in entries] == [1, 3, 4, 5, 6, 7]
    assert [type(entry) for entry in entries] == [
        Row,
        InvalidRow,
        InvalidRow,
        InvalidRow,
        Row,
        InvalidRow,
    ]
    assert "not valid JSON" in entries[1].reason
    assert "not an object" in entries[2].reason
    assert "UTF-8" in entries[3].reason


def test_entries_of_a_list_carry_the_line_they_start_on(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[\n  {\n    "n": 1\n  },\n\n  {"n": 2}, 3\n]\n')
    assert [entry.number for entry in RowFile(path)] == [2, 6, 6]


@pytest.mark.parametrize(
    ("text", "line"),
    [('[\n{"n": 1},\n{"n": }\n]', 3), ('[\n{"n": 1}\n{"n": 2}\n]', 3), ('[{"n": 1},\n', 2)],
)
def test_a_syntax_error_in_a_list_stops_with_its_line(tmp_path, text, line):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        list(RowFile(path))
    assert error.value.line == line


def test_missing_file_says_where_relative_paths_start(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no such file") as error:
        RowFile("data/none.jsonl")
    assert str(tmp_path) in error.value.fix


@pytest.mark.parametrize(
    "content", [gzip.compress(as_lines(VALUES), mtime=0)[:-12], b"PAR1 and no more"]
)
def test_damaged_containers_are_named(tmp_path, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        list(RowFile(path))


@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=5), st.none() | st.integers() | st.text(max_size=9), max_size=3
        ),
        max_size=5,
    ),
    st.sampled_from([None, 1, 4]),
)
def test_lists_are_decoded_as_the_standard_library_does(tmp_path_factory, values, indent):
    path = tmp_path_factory.mktemp("rows") / "a.json"
    path.write_text(json.dumps(values, indent=indent), "utf-8")
    assert [row.value for row in RowFile(path)] == values


def test_skip_counts_and_stop_raises():
    skip = InvalidRows("a.jsonl", "line", "skip")
    for number in range(30):
        skip.add(InvalidRow(number, "bad"))
    assert skip.count == 30
    assert [row.number for row in skip.examples] == list(range(20))
    with pytest.raises(InputError, match=r"a\.jsonl, line 7: bad"):
        InvalidRows("a.jsonl", "line", "stop").add(InvalidRow(7, "bad"))
    with pytest.raises(InputError, match=r"a\.parquet, row 7: bad"):
        InvalidRows("a.parquet", "row", "stop").add(InvalidRow(7, "bad"))


def test_fields_are_mapped_and_numbers_become_text():
    fields = FieldReader({"output": "answer"})
    row = {"answer": 72, "input": "  ", "list": [], "language": float("nan")}
    assert fields.required(row, "output") == "72"
    assert fields.text(row, "input") is None
    assert fields.text(row, "language") is None
    assert fields.text(row, "category") is None
    with pytest.raises(ValueError, match="not text but list"):
        fields.text(row, "list")
    with pytest.raises(ValueError, match="entry without instruction: `instruction` is missing"):
        fields.required(row, "instruction")
    with pytest.raises(ValueError, match="`input` is empty"):
        fields.required(row, "input")
    with pytest.raises(ValueError, match="lone surrogate"):
        fields.text({"input": "\ud800"}, "input")


def test_booleans_are_no_text_and_text_is_returned_as_it_stands():
    fields = FieldReader({})
    with pytest.raises(ValueError, match="`input` is not text but bool"):
        fields.text({"input": True}, "input")
    assert fields.text({"input": " a \n"}, "input") == " a \n"
    assert fields.text({"input": 0}, "input") == "0"
    assert fields.text({"input": 0.5}, "input") == "0.5"


def test_a_mapping_to_a_key_that_never_occurs_is_refused():
    fields = FieldReader({"category": "klass", "output": "answer"})
    fields.text({"answer": "x", "class": "math"}, "output")
    fields.text({"answer": "x", "class": "math"}, "category")
    with pytest.raises(InputError, match="no entry has the key `klass`"):
        fields.check_all_found("a.jsonl")
    fields.text({"klass": None}, "category")
    fields.check_all_found("a.jsonl")
