"""Annotations: values by id, from text and files, read back and as tags of another pool."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import EvalItem, Record
from instruct_scaling.config.annotations import FileAnnotation, LanguageAnnotation, LengthAnnotation
from instruct_scaling.config.pools import Pool
from instruct_scaling.data.annotations.file import read_values
from instruct_scaling.data.annotations.store import (
    annotation_facts,
    as_tag,
    iter_annotation,
    read_annotation,
    write_annotation,
)
from instruct_scaling.data.annotations.text import language_of, length_of, script_language
from instruct_scaling.data.pool.sources import PoolFiles
from instruct_scaling.data.pool.stage import build_pool
from instruct_scaling.data.pool.store import iter_records, write_records
from tests.stages import run_stage

ITEM = EvalItem.make("math", "How many apples are left when Tom eats three of his seven apples?")
RECORDS = [
    Record.make("Say hello", "Hello there", language="en", source="a", tags={"tier": "x"}),
    Record.make("Add", "3", input="1 and 2", source="a"),
    Record.make("写一首诗", "床前明月光", language="zh", source="b"),
]


# On disk

numbers = st.one_of(st.none(), st.floats(allow_nan=False))
texts = st.one_of(st.none(), st.text(max_size=5))


@given(values=st.one_of(st.lists(numbers, min_size=1), st.lists(texts, min_size=1)))
def test_values_come_back_as_they_were_with_their_counts(values, tmp_path_factory):
    path = tmp_path_factory.mktemp("annotation") / "a.parquet"
    ids = [f"{number:032x}" for number in range(len(values))]
    write_annotation(path, ids, values, {"annotation": "{}"})
    assert list(iter_annotation(path)) == list(zip(ids, values, strict=True))
    assert read_annotation(path) == dict(zip(ids, values, strict=True))
    facts = annotation_facts(path)
    missing = values.count(None)
    assert (facts["records"], facts["missing"]) == (str(len(values)), str(missing))
    assert float(facts["missing_share"]) == pytest.approx(missing / len(values), rel=1e-5)
    assert facts["annotation"] == "{}"


def test_what_is_no_annotation_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such annotation"):
        read_annotation(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no Parquet")
    with pytest.raises(InputError, match="damaged Parquet file"):
        read_annotation(tmp_path / "text.parquet")
    pq.write_table(pa.table({"id": ["a"], "score": [1.0]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="has the columns id, score, not id and value"):
        read_annotation(tmp_path / "other.parquet")


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (0.25, "0.25"), (-2.0, "-2"), ("a", "a"), (1e300, "1" + "0")]
)
def test_a_value_as_a_tag(value, text):
    assert as_tag(value).startswith(text)
    if isinstance(value, float):
        assert float(as_tag(value)) == value


# From the text


@pytest.mark.parametrize(("part", "length"), [("prompt", 11), ("output", 1), ("all", 12)])
def test_lengths_are_of_the_part_that_is_asked_for(part, length):
    assert length_of(LengthAnnotation(type="length", of=part))(RECORDS[1]) == length


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The quick brown fox", "en"),
        ("请把 Transformer 模型的结构写出来", "zh"),
        ("Translate into English: 你好", "en"),
        ("日本語で詩を書いてください", "ja"),
        ("한국어로 시를 써 주세요", "ko"),
        ("Напиши стихотворение", "ru"),
        ("اكتب قصيدة", "ar"),
        ("एक कविता लिखो", "hi"),
        ("Γράψε ένα ποίημα", "el"),
        ("כתוב שיר", "he"),
        ("เขียนบทกวี", "th"),
        ("12 + 30 = ?", None),
        ("", None),
    ],
)
def test_the_language_is_that_of_the_script_with_most_words(text, language):
    assert script_language(text, "en") == language


def test_latin_letters_are_of_the_language_that_the_config_says():
    german = LanguageAnnotation(type="language", latin="de", of="output")
    assert [language_of(german)(record) for record in RECORDS] == ["de", None, "zh"]


# From a file


def file_values(path, **rest):
    return read_values(FileAnnotation(type="file", path=str(path), **rest))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "parquet"])
def test_files_of_every_format_are_read(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    rows = [{"key": "a", "level": 1}, {"key": "b", "level": 2.5}, {"key": "c", "level": None}]
    if kind == "csv":
        path.write_text("\ufeffkey,level,more\na,1,x\nb,2.5,y\nc,,z\n", "utf-8")
    elif kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    elif kind == "json":
        path.write_text(json.dumps(rows), "utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    assert file_values(path, fields={"id": "key", "value": "level"}) == {"a": 1.0, "b": 2.5}


def test_values_that_are_not_all_numbers_are_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,value\na,1\nb,hard\n", "utf-8")
    assert file_values(path) == {"a": "1", "b": "hard"}


def test_rows_find_their_records_by_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("question,input,output,value\nAdd ,1 and 2,3,0.5\n", "utf-8")
    found = file_values(path, match="text", fields={"instruction": "question"})
    assert found == {RECORDS[1].id: 0.5}


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("id,level\na,1\n", {}, "a.csv: no entry has the key `value`"),
        ("key,value\na,1\n", {}, "a.csv, line 2: entry without id: `id` is missing (keys: key"),
        ("id,value\na,1\na,2\n", {}, "a.csv, line 3: record a has two values: 1, 2"),
        ("id,value\na,1,5\n", {}, "a.csv, line 2: not as many cells as the header has"),
        ("id,value\na,1\n", {"match": "text"}, "line 2: entry without instruction"),
    ],
)
def test_wrong_columns_and_rows_are_named(tmp_path, text, options, says):
    path = tmp_path / "a.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError) as error:
        file_values(path, **options)
    assert says in str(error.value)


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        file_values(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_bytes(b"id,value\n\xff\xfe,1\n")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        file_values(tmp_path / "a.csv")


# The stage


def run_annotation(tmp_path, section, *options):
    records = tmp_path / "records"
    if not records.exists():
        write_records(records, RECORDS)
    out = tmp_path / "annotations" / "own.parquet"
    given = ["--records", records, "--annotation", json.dumps(section), "--out", out]
    run_stage("annotation", *given, *options)
    return out


def test_the_stage_writes_a_row_for_every_record_and_counts_what_is_missing(tmp_path, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "a.csv"
    path.write_text(f"id,value\n{RECORDS[2].id},7\nother,1\n", "utf-8")
    out = run_annotation(tmp_path, {"type": "file", "path": str(path)})
    expected = [(one.id, value) for one, value in zip(RECORDS, [None, None, 7.0], strict=True)]
    assert list(iter_annotation(out)) == expected
    facts = annotation_facts(out)
    assert (facts["missing"], facts["missing_share"]) == ("2", "0.666667")
    assert list(json.loads(facts["inputs"])) == [str(path)]
    assert "3 records, 2 without a value (66.7%)" in caplog.text


def test_the_stage_measures_lengths(tmp_path):
    out = run_annotation(tmp_path, {"type": "length", "of": "output"})
    assert list(read_annotation(out).values()) == [11.0, 1.0, 5.0]


def test_a_file_that_belongs_to_no_record_is_refused_and_nothing_is_left(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,value\nother,1\n", "utf-8")
    with pytest.raises(InputError, match="no row belongs to a record of the pool"):
        run_annotation(tmp_path, {"type": "file", "path": str(path)})
    assert not (tmp_path / "annotations" / "own.parquet").exists()


def test_a_loss_needs_a_base(tmp_path):
    with pytest.raises(InputError, match="needs the option --base"):
        run_annotation(tmp_path, {"type": "base_loss", "base": "tiny"})


# A pool made of another one


def made_of(tmp_path, annotations, steps):
    records = tmp_path / "records"
    write_records(records, RECORDS)
    files = {}
    for name, values in annotations.items():
        files[name] = tmp_path / f"{name}.parquet"
        ids = [one.id for one in RECORDS][: len(values)]
        write_annotation(files[name], ids, values, {})
    section = {"sources": [{"type": "pool", "pool": "own"}], "steps": steps}
    pools = {"own": PoolFiles(records, files)}
    audit = build_pool(Pool.model_validate(section), [ITEM], tmp_path / "new", pools)
    return audit, list(iter_records(tmp_path / "new"))


def test_annotations_are_tags_that_filters_use(tmp_path):
    steps = [
        {"type": "filter", "tag_bounds": {"quality": {"min": 0.5}}},
        {"type": "filter", "tags": {"level": ["hard", "easy"]}},
    ]
    annotations = {"quality": [0.75, 0.25, 2.0], "level": ["easy", "hard", None]}
    audit, kept = made_of(tmp_path, annotations, steps)
    assert [one.id for one in kept] == [RECORDS[0].id]
    assert kept[0].tags == {"tier": "x", "quality": "0.75", "level": "easy"}
    assert (kept[0].source, kept[0].language) == ("a", "en")
    first, second = audit["steps"][1:3]
    assert first["reasons"]["tag_bounds.quality"]["count"] == 1
    (example,) = second["reasons"]["tags.level"]["examples"]
    assert (example["id"], example["row"], example["source"]) == (RECORDS[2].id, 3, "pool own")
    assert list(audit["inputs"]) == ["pool own"]


def test_a_missing_value_gives_no_tag(tmp_path):
    _, kept = made_of(tmp_path, {"level": [None, 2.0, None]}, [])
    assert [one.tags.get("level") for one in kept] == [None, "2", None]


def test_an_annotation_of_other_records_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"row 3 is not of record .* made for other records"):
        made_of(tmp_path, {"level": [1.0, 2.0]}, [])


def test_the_pool_stage_takes_records_and_annotations_of_pools(tmp_path):
    out = run_annotation(tmp_path, {"type": "length", "of": "output"})
    (tmp_path / "items.jsonl").write_text(json.dumps(ITEM.to_row()) + "\n", "utf-8")
    short = {"type": "filter", "tag_bounds": {"own": {"max": 5}}}
    section = {"sources": [{"type": "pool", "pool": "base"}], "steps": [short]}
    new = ["--out-records", tmp_path / "new", "--out-audit", tmp_path / "audit.json"]
    given = ["--pool", json.dumps(section), "--evalset", tmp_path / "items.jsonl", *new]
    records, values = f"base={tmp_path / 'records'}", f"base={out}"
    run_stage("pool", *given, "--records-of", records, "--annotation-of", values)
    assert [one.id for one in iter_records(tmp_path / "new")] == [one.id for one in RECORDS[1:]]
    audit = json.loads((tmp_path / "audit.json").read_text("utf-8"))
    assert set(audit["provenance"]["inputs"]) == {
        "pool base",
        str(out),
        str(tmp_path / "items.jsonl"),
    }
    with pytest.raises(InputError, match="the records of pool base are not given"):
        run_stage("pool", *given)
    with pytest.raises(InputError, match="is not of the form NAME=PATH"):
        run_stage("pool", *given, "--records-of", "base")
