"""The examples of a subset: rows of a token store, found by id; what does not fit is refused."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.data.encoding import encode_records
from instruct_scaling.data.pool.store import write_records
from instruct_scaling.data.tokens.stage import tokens
from instruct_scaling.data.tokens.store import open_store
from instruct_scaling.data.tokens.tokenizer import read_tokenizer
from instruct_scaling.training import pipeline
from instruct_scaling.training.examples import find_examples, fitting_store, subset_examples

from .conftest import RECIPE, TEMPLATE, make_records, write_subset

FIT = {"template": TEMPLATE, "max_length": RECIPE["max_length"], "supervise": "all"}


@pytest.fixture
def store(inputs):
    return open_store(inputs / "tokens")


def test_examples_are_those_of_the_ids_in_their_order(inputs, store, tmp_path):
    records = make_records(60)
    chosen = [records[index] for index in (33, 0, 59)]
    path = write_subset(tmp_path / "s.parquet", [record.id for record in chosen])
    examples = find_examples(store, path)
    tokenizer = read_tokenizer(inputs / "base")
    encoded = list(encode_records(chosen, tokenizer, TEMPLATE, RECIPE["max_length"]))
    assert [examples.id(index) for index in range(3)] == [record.id for record in chosen]
    assert examples.rows.tolist() == [33, 0, 59]
    for index, example in enumerate(encoded):
        found, spans = examples.sequence(index)
        np.testing.assert_array_equal(found, example.tokens)
        np.testing.assert_array_equal(spans, example.spans)
    counts = examples.counts
    lengths = [len(example.tokens) for example in encoded]
    assert (counts.examples, counts.tokens, counts.longest) == (3, sum(lengths), max(lengths))
    assert counts.supervised_tokens == sum(int(np.diff(e.spans).sum()) for e in encoded)
    assert counts.answers_cut == sum(example.answer_cut for example in encoded)
    assert counts.prompts_cut == sum(example.prompt_cut for example in encoded)


def test_repeats_and_phases_are_read(store, tmp_path):
    ids = [record.id for record in make_records(3)]
    columns = {"id": ids, "repeats": [1, 4, 2], "phase": [1, 0, 0]}
    pq.write_table(pa.table(columns), tmp_path / "s.parquet")
    examples = subset_examples(store, tmp_path / "s.parquet")
    assert (examples.repeats.tolist(), examples.phases.tolist()) == ([1, 4, 2], [1, 0, 0])
    for name in ("repeats", "phase"):
        fewer = {key: value for key, value in columns.items() if key != name}
        pq.write_table(pa.table(fewer), tmp_path / "old.parquet")
        with pytest.raises(InputError, match=f"the subset has no column {name}"):
            subset_examples(store, tmp_path / "old.parquet")
        pq.write_table(pa.table({**columns, name: [1, -1, 1]}), tmp_path / "bad.parquet")
        with pytest.raises(InputError, match="repeat is below 1, or a phase below 0"):
            subset_examples(store, tmp_path / "bad.parquet")


def test_what_of_a_subset_decides_a_run_are_its_rows(store, tmp_path):
    ids = [record.id for record in make_records(4)]
    plain = {"id": ids, "repeats": [1, 1, 2, 1], "phase": [0, 0, 0, 1]}

    def digest(**changes):
        table = pa.table(plain | changes).replace_schema_metadata({"pool_records": str(changes)})
        pq.write_table(table, tmp_path / "s.parquet")
        return subset_examples(store, tmp_path / "s.parquet").digest

    assert digest() == digest(repeats=[1, 1, 2, 1])  # under other metadata
    others = [{"id": ids[::-1]}, {"repeats": [1, 1, 2, 2]}, {"phase": [0, 0, 1, 1]}]
    assert len({digest(), *(digest(**other) for other in others)}) == 4


def test_unknown_ids_and_empty_subsets_are_refused(store, tmp_path):
    known = make_records(1)[0].id
    bad = write_subset(tmp_path / "bad.parquet", [known, "f" * 32])
    with pytest.raises(InputError, match=r"1 of 2 ids are not in the token store.* f{32}\n  fix: "):
        find_examples(store, bad)
    empty = write_subset(tmp_path / "empty.parquet", [known])
    pq.write_table(pq.read_table(empty).slice(0, 0), empty)
    with pytest.raises(InputError, match="no records"):
        find_examples(store, empty)
    with pytest.raises(InputError, match="no such file"):
        find_examples(store, tmp_path / "absent.parquet")


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        ({"template": "Q: {prompt} A: "}, "template"),
        ({"max_length": 63}, "max_length"),
        ({"supervise": "last"}, "supervise"),
        ({"max_length": 65, "supervise": "last"}, "max_length, supervise"),
    ],
)
def test_a_store_of_another_template_or_length_is_refused(inputs, edit, named):
    assert len(fitting_store(inputs / "tokens", inputs / "base", **FIT)) == 60
    with pytest.raises(InputError, match=f"made with another {named} than this run has"):
        fitting_store(inputs / "tokens", inputs / "base", **FIT | edit)


def test_a_store_of_another_tokenizer_is_refused(inputs, tmp_path):
    base = shutil.copytree(inputs / "base", tmp_path / "base")
    (base / "model.safetensors").write_bytes(b"other weights tokenize alike")
    fitting_store(inputs / "tokens", base, **FIT)
    (base / "tokenizer.json").write_bytes((base / "tokenizer.json").read_bytes() + b" ")
    with pytest.raises(InputError, match="another tokenizer"):
        fitting_store(inputs / "tokens", base, **FIT)


def test_a_second_run_tokenizes_nothing(group, run, monkeypatch):
    """Nor does the first: the store is all that a run reads of its pool."""

    def refuse(*_, **__):
        raise AssertionError("a run has tokenized")

    from instruct_scaling.data import encoding
    from instruct_scaling.data.text_template import TextTemplate

    monkeypatch.setattr(encoding, "encode_records", refuse)
    monkeypatch.setattr(TextTemplate, "drafts", refuse)
    first, second = run("first", epochs=1), run("second", epochs=1)
    before = {path: path.stat().st_mtime_ns for path in (first.inputs / "tokens").iterdir()}
    for one in (first, second):
        assert one.tune(group)["phases"][0]["examples"] == 48
        assert {path.name for path in one.work.glob("*/*")} <= {"checkpoints", "intermediate"}
    assert first.weights == second.weights
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_pool_that_grows_leaves_a_run_and_its_key_as_they_were(group, run, tmp_path):
    """The rows of all records move; the same subset gives the same weights under the same key."""
    grown = run("grown", epochs=1)
    key = pipeline.run_key(grown.pipeline_inputs(), {}, "")
    other = tmp_path / "inputs"
    shutil.copytree(grown.inputs, other, ignore=shutil.ignore_patterns("tokens", "records"))
    write_records(other / "records", make_records(90)[::-1])
    tokens(other / "records", other / "base", out=other / "tokens", **FIT)
    first = run("first", epochs=1)
    first.tune(group)
    grown.inputs = other
    grown.tune(group)
    assert grown.weights == first.weights
    assert pipeline.run_key(grown.pipeline_inputs(), {}, "") == key
