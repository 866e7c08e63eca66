"""Stage tokens: what the arrays hold, the index of ids, independence of workers, refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file
from instruct_scaling.common.records import Message, Record
from instruct_scaling.data.encoding import encode_records
from instruct_scaling.data.pool.store import data_hash, write_records
from instruct_scaling.data.tokens import stage
from instruct_scaling.data.tokens.store import (
    FLAGS,
    TokenStore,
    id_text,
    id_words,
    open_store,
)
from tests.data.chat_families import make_tokenizer
from tests.stages import run_stage

TEMPLATE = "Human: {prompt}\n\nAssistant: "
ARRAYS = ("tokens", "offsets", "spans", "span_offsets", "flags", "ids", "rows")


def make_records(count):
    return [Record.make(f"Repeat: {n}", f"{n * 7} " * (1 + n % 9)) for n in range(count)]


@pytest.fixture(scope="module")
def base(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "bloom"}', "utf-8")
    return folder


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """A pool of 230 records."""
    folder = tmp_path_factory.mktemp("pool") / "records"
    write_records(folder, make_records(230))
    return folder


def tokens(pool, base, out, *more):
    options = ["--template", TEMPLATE, "--max-length", 24, *more]
    run_stage("tokens", "--records", pool, "--base", base, *options, "--out", out)
    return out


@pytest.fixture(scope="module")
def store(pool, base, tmp_path_factory):
    """The store of the pool; every other test reads it only."""
    return tokens(pool, base, tmp_path_factory.mktemp("tokens") / "store")


def words(ids):
    return id_words(pa.array(ids, pa.string()), "test")


def test_rows_are_what_the_encoder_makes_of_the_records(store, tokenizer):
    records = make_records(230)
    opened = open_store(store)
    encoded = list(encode_records(records, tokenizer, TEMPLATE, 24))
    rows = opened.find(words([record.id for record in records]))
    assert rows.tolist() == list(range(230))
    for row, example in enumerate(encoded):
        found, spans = opened.sequence(row)
        np.testing.assert_array_equal(found, example.tokens)
        np.testing.assert_array_equal(spans, example.spans)
        for name, bit in FLAGS.items():
            assert bool(opened.flags[row] & bit) == getattr(example, name)
    some = np.array([7, 3, 229, 3])
    assert opened.lengths(some).tolist() == [len(encoded[row].tokens) for row in some]
    supervised = [int(np.diff(encoded[row].spans).sum()) for row in some]
    assert opened.supervised(some).tolist() == supervised
    assert opened.supervised(some[:0]).tolist() == []


def test_what_decided_the_tokens_and_what_they_are_is_stated(store, base):
    about = json.loads((store / "tokens.json").read_text("utf-8"))
    identity, counts = about["identity"], about["counts"]
    records = make_records(230)
    assert identity["pool"] == data_hash(record.id for record in records)
    assert identity["template"] == TEMPLATE
    assert (identity["max_length"], identity["supervise"]) == (24, "all")
    assert identity["tokenizer"]["tokenizer.json"] == sha256_file(base / "tokenizer.json")
    assert identity["tokenizer"]["model_type"] == "bloom"
    opened = open_store(store)
    every = np.arange(230)
    assert counts["records"] == len(opened) == 230
    assert counts["tokens"] == len(opened.tokens) == opened.lengths(every).sum()
    assert counts["supervised_tokens"] == opened.supervised(every).sum()
    assert counts["longest"] == opened.lengths(every).max() == 24
    assert counts["answer_cut"] == np.count_nonzero(opened.flags & FLAGS["answer_cut"]) > 0
    assert opened.tokens.dtype == np.uint16
    assert about["provenance"]["stage"] == "tokens"


@pytest.mark.parametrize("workers", [2, 5])
def test_the_bytes_do_not_depend_on_the_workers(store, pool, base, tmp_path, workers, monkeypatch):
    monkeypatch.setattr(stage, "CHUNK", 16)
    other = tokens(pool, base, tmp_path / "store", "--workers", workers)
    for name in ARRAYS:
        assert (other / f"{name}.npy").read_bytes() == (store / f"{name}.npy").read_bytes(), name
    about = [json.loads((folder / "tokens.json").read_text("utf-8")) for folder in (store, other)]
    assert about[0] == about[1]


HALVES = st.integers(0, 3).map(lambda n: n * 0x5555555555555555)


@given(st.lists(st.tuples(HALVES, HALVES), min_size=1, unique=True), st.data())
def test_rows_are_found_also_where_ids_share_a_half(ids, data):
    wanted = data.draw(st.lists(st.tuples(HALVES, HALVES)))
    table = np.array(ids, np.uint64)
    rows = np.lexsort((table[:, 1], table[:, 0]))
    empty = np.zeros(0)
    store = TokenStore({}, *[empty] * 5, np.ascontiguousarray(table[rows].T), rows)
    found = store.find(np.array(wanted, np.uint64).reshape(-1, 2)).tolist()
    assert found == [ids.index(one) if one in ids else -1 for one in wanted]


@given(st.lists(st.binary(min_size=16, max_size=16).map(bytes.hex)), st.integers(0, 3))
def test_ids_survive_their_halves(ids, start):
    part = pa.array(ids, pa.string())[start:]
    assert [id_text(half) for half in id_words(part, "test")] == ids[start:]


@pytest.mark.parametrize("wrong", ["no such id", "A" * 32, "", None, " " + "a" * 31])
def test_an_id_of_another_kind_is_refused(wrong):
    with pytest.raises(InputError, match="is not the id of a record"):
        words(["a" * 32, wrong])


def test_pools_and_bases_that_cannot_be_tokenized_are_refused(pool, base, tmp_path):
    with pytest.raises(InputError, match="no pool here"):
        tokens(tmp_path, base, tmp_path / "out")
    with pytest.raises(InputError, match=r"config\.json: no such file"):
        tokens(pool, tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="the template has no"):
        tokens(pool, base, tmp_path / "out", "--template", "Hi")
    assert not (tmp_path / "out").exists()


def test_a_chat_template_and_the_last_turn_alone_reach_the_encoder(tmp_path):
    tokenizer = make_tokenizer("llama3")
    tokenizer.save_pretrained(tmp_path / "base")
    (tmp_path / "base" / "config.json").write_text('{"model_type": "llama"}', "utf-8")
    turns = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    record = Record.of_messages([Message(*turn) for turn in turns])
    write_records(tmp_path / "records", [record])
    for supervise, answers in (("all", 2), ("last", 1)):
        options = ["--template", "chat", "--supervise", supervise, "--max-length", 99]
        out = tokens(tmp_path / "records", tmp_path / "base", tmp_path / supervise, *options)
        (wanted,) = encode_records([record], tokenizer, "chat", 99, supervise=supervise)
        found, spans = open_store(out).sequence(0)
        assert len(spans) == answers
        np.testing.assert_array_equal(found, wanted.tokens)
        np.testing.assert_array_equal(spans, wanted.spans)


def test_a_refusal_in_a_worker_is_one_message_and_leaves_nothing(pool, base, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "CHUNK", 100)
    with pytest.raises(InputError, match="the template has no"):
        tokens(pool, base, tmp_path / "out", "--template", "Hi", "--workers", 2)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_broken_or_of_another_format_is_refused(store, tmp_path):
    def changed(name, content):
        copy = tmp_path / name
        copy.mkdir(exist_ok=True)
        for path in store.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        (copy / name).write_bytes(content)
        return copy

    with pytest.raises(InputError, match="no such file"):
        open_store(tmp_path)
    with pytest.raises(InputError, match="not a token store of format"):
        open_store(changed("tokens.json", b'{"format": 0}'))
    with pytest.raises(InputError, match="broken token store"):
        open_store(changed("rows.npy", b"half of i"))
    with pytest.raises(InputError, match="its arrays do not fit"):
        open_store(changed("tokens.npy", (store / "flags.npy").read_bytes()))


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(base, tmp_path):
    """kill -9 to the parent alone, in the middle of the work."""
    write_records(tmp_path / "records", make_records(40_000))
    command = [sys.executable, "-m", "instruct_scaling", "tokens", "--workers", "2"]
    command += ["--records", str(tmp_path / "records"), "--base", str(base)]
    command += ["--template", TEMPLATE, "--max-length", "24", "--out", str(tmp_path / "out")]
    parent = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".out.*/out/tokens.npy")):
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    while True:
        try:
            os.killpg(parent.pid, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() < deadline, "a worker is left"
        time.sleep(0.05)
    assert not (tmp_path / "out").exists()
