"""The pool stage: sources, the audit, files on disk, and how mistakes are reported."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file, write_jsonl
from instruct_scaling.common.records import EvalItem, Record
from instruct_scaling.config.load import load_study
from instruct_scaling.config.pools import Pool
from instruct_scaling.data.pool import store
from instruct_scaling.data.pool.stage import build_pool
from instruct_scaling.data.pool.store import data_hash, iter_records, read_records
from tests.stages import run_stage

COMMIT = "13e9b1a39fe86c8024fe15667d063aa8a3e32460"
ITEM = EvalItem.make("math", "How many apples are left when Tom eats three of his seven apples?")


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return str(path)


def file_pool(*paths, **rest):
    section = {"sources": [{"type": "file", "path": str(path)} for path in paths], **rest}
    return Pool.model_validate(section)


def default_steps(**bounds):
    """The steps of a pool by default, with bounds of their own."""
    filters = {"type": "filter", **bounds}
    return [filters, {"type": "deduplicate"}, {"type": "decontaminate"}]


def rows(n):
    return [{"instruction": f"Question number {k}", "output": f"Answer {k}"} for k in range(n)]


def step(audit, name):
    return next(entry for entry in audit["steps"] if entry["name"] == name)


def test_the_funnel_adds_up_and_examples_point_at_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    write_rows(
        path,
        [
            *rows(10),
            {"instruction": "Question number 3", "output": "again"},
            {"instruction": ITEM.prompt, "output": "4"},
            {"instruction": "long " * 40, "output": "x" * 50},
        ],
    )
    config = file_pool(path, steps=default_steps(max_output_chars=40))
    audit = build_pool(config, [ITEM], tmp_path / "records")
    assert [(s["name"], s["removed"], s["kept"]) for s in audit["steps"]] == [
        ("read", 0, 13),
        ("filter", 1, 12),
        ("deduplicate", 1, 11),
        ("decontaminate", 1, 10),
    ]
    assert audit["read"] == 13
    assert audit["kept"] == 10
    for name, reason, line in (
        ("filter", "max_output_chars", 13),
        ("deduplicate", "same_prompt", 11),
        ("decontaminate", "same_prompt", 12),
    ):
        entry = step(audit, name)["reasons"][reason]
        assert entry["count"] == 1
        assert entry["examples"][0]["line"] == line
    [long] = step(audit, "filter")["reasons"]["max_output_chars"]["examples"]
    assert long["prompt"] == "long " * 16  # the first 80 characters
    [leak] = step(audit, "decontaminate")["reasons"]["same_prompt"]["examples"]
    assert leak["because_of"] == ITEM.id
    [copy] = step(audit, "deduplicate")["reasons"]["same_prompt"]["examples"]
    assert "because_of" not in copy
    kept = list(iter_records(tmp_path / "records"))
    assert [one.prompt for one in kept] == [row["instruction"] for row in rows(10)]
    assert audit["data_hash"] == data_hash(one.id for one in kept)
    assert read_records(tmp_path / "records", [kept[4].id, kept[1].id]) == [kept[4], kept[1]]
    with pytest.raises(InputError, match="1 records of the subset are not in this pool"):
        read_records(tmp_path / "records", [kept[0].id, "0" * 32])


def test_a_step_shows_five_examples_and_counts_all(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", [*rows(3), *rows(3), *rows(3)])
    audit = build_pool(file_pool(path), [ITEM], tmp_path / "records")
    copies = step(audit, "deduplicate")["reasons"]["same_prompt"]
    assert copies["count"] == 6
    assert [example["line"] for example in copies["examples"]] == [4, 5, 6, 7, 8]


def test_the_audit_counts_names_lengths_and_special_tokens(tmp_path):
    values = [
        {"instruction": "q" * n, "input": "i", "output": "a" * (101 - n), "language": "en"}
        for n in range(1, 101)
    ]
    values += [{"instruction": "zz", "output": "<s> a </s> <s>", "language": "zh"}]
    values += [{"instruction": "yy", "output": "<s>"}]
    path = write_rows(tmp_path / "a.jsonl", values)
    audit = build_pool(file_pool(path), [ITEM], tmp_path / "records")
    assert audit["by_language"] == {"en": 100, "unstated": 1, "zh": 1}
    assert list(audit["by_language"]) == ["en", "unstated", "zh"]
    assert audit["special_tokens"] == {"<s>": 2, "</s>": 1}  # records, not occurrences
    lengths = [n + 2 for n in range(1, 101)] + [2, 2]
    shares = {"min": 0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1}
    assert audit["characters"]["prompt"] == {
        name: round(float(np.quantile(lengths, share)), 1) for name, share in shares.items()
    }
    assert audit["characters"]["output"]["max"] == 100


def test_a_pool_of_several_parts_reads_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "PART_RECORDS", 3)
    path = write_rows(tmp_path / "a.jsonl", rows(7))
    build_pool(file_pool(path), [ITEM], tmp_path / "records")
    names = [part.name for part in sorted((tmp_path / "records").iterdir())]
    assert names == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    kept = list(iter_records(tmp_path / "records"))
    assert [one.prompt for one in kept] == [row["instruction"] for row in rows(7)]
    assert store.read_ids(tmp_path / "records") == [one.id for one in kept]
    assert store.read_labels(tmp_path / "records") == [(one.id, None) for one in kept]


def test_the_same_sources_give_the_same_bytes(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", rows(20))
    for name in ("one", "two"):
        build_pool(file_pool(path), [ITEM], tmp_path / name)
    parts = [(tmp_path / name / "part-00000.parquet").read_bytes() for name in ("one", "two")]
    assert parts[0] == parts[1]


def test_sources_are_counted_apart_and_the_first_of_copies_stays(tmp_path):
    first = write_rows(tmp_path / "a.jsonl", rows(5))
    second = write_rows(tmp_path / "b.jsonl", [*rows(7)])
    audit = build_pool(file_pool(first, second), [ITEM], tmp_path / "records")
    assert [(s["source"], s["read"], s["kept"]) for s in audit["by_source"]] == [
        ("a.jsonl", 5, 5),
        ("b.jsonl", 7, 2),
    ]


def test_fields_categories_and_limit_of_a_source(tmp_path):
    path = tmp_path / "a.json.gz"
    values = [
        {"q": f"{k} + 1?", "a": k + 1, "kind": "closed\u00a0QA" if k % 2 else "arith"}
        for k in range(9)
    ]
    path.write_bytes(gzip.compress(json.dumps(values).encode()))
    source = {
        "type": "file",
        "path": str(path),
        "fields": {"instruction": "q", "output": "a", "category": "kind"},
        "category_names": {"arith": "math"},
        "language": "en",
        "limit": 5,
    }
    audit = build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "records")
    assert audit["by_category"] == {"math": 3, "closed_qa": 2}
    assert audit["by_language"] == {"en": 5}
    renamed = {row["in_file"]: row["entries"] for row in audit["renamed_categories"]}
    assert renamed == {"arith": 3, "closed<U+00A0>QA": 2}
    kept = list(iter_records(tmp_path / "records"))
    assert [(one.prompt, one.output) for one in kept[:2]] == [("0 + 1?", "1"), ("1 + 1?", "2")]


def test_a_limit_counts_usable_records_from_the_start(tmp_path):
    values = [*rows(2), {"instruction": "no output"}, *rows(9)[2:]]
    path = write_rows(tmp_path / "a.jsonl", values)
    source = {"type": "file", "path": path, "limit": 4, "on_error": "skip"}
    audit = build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "records")
    kept = [one.prompt for one in iter_records(tmp_path / "records")]
    assert kept == [row["instruction"] for row in rows(4)]
    [source] = audit["by_source"]
    assert (audit["read"], source["read"], source["broken"], source["kept"]) == (5, 5, 1, 4)


def test_rows_count_every_entry_and_a_sample_draws_from_them(tmp_path):
    values = [*rows(2), {"instruction": "no output"}, *rows(9)[2:]]
    path = write_rows(tmp_path / "a.jsonl", values)
    source = {"type": "file", "path": path, "rows": [2, 5], "on_error": "skip"}
    audit = build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "records")
    kept = [one.prompt for one in iter_records(tmp_path / "records")]
    assert kept == [row["instruction"] for row in rows(4)[1:]]
    assert (audit["read"], audit["broken"]) == (4, 1)
    drawn = Pool.model_validate({"sources": [source | {"sample": 2}]})
    build_pool(drawn, [ITEM], tmp_path / "drawn")
    assert {one.prompt for one in iter_records(tmp_path / "drawn")} < set(kept)


def test_what_an_entry_states_goes_before_what_the_source_states(tmp_path):
    stated = {"category": "code", "language": "zh"}
    path = write_rows(tmp_path / "a.jsonl", [rows(2)[0] | stated, rows(2)[1]])
    source = {"type": "file", "path": path, "category": "math", "language": "en"}
    build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "records")
    kept = [(one.category, one.language) for one in iter_records(tmp_path / "records")]
    assert kept == [("code", "zh"), ("math", "en")]


def test_end_marks_of_other_formats_are_cut_on_request_and_reported_if_left(tmp_path):
    path = write_rows(
        tmp_path / "a.jsonl",
        [
            {"instruction": "one ###", "output": "1<|endoftext|> \n"},
            {"instruction": "two", "input": "###", "output": "2 <|endoftext|> 3"},
            {"instruction": "three", "output": "<|endoftext|>"},
        ],
    )
    source = {"type": "file", "path": path, "on_error": "skip"}
    audit = build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "left")
    assert audit["special_tokens"] == {"<|endoftext|>": 3}
    source["strip_suffixes"] = ["###", "<|endoftext|>"]
    audit = build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "cut")
    assert audit["special_tokens"] == {"<|endoftext|>": 1}
    assert audit["by_source"][0]["suffixes_stripped"] == 4
    kept = [(one.prompt, one.output) for one in iter_records(tmp_path / "cut")]
    assert kept == [("one", "1"), ("two", "2 <|endoftext|> 3")]
    [invalid] = step(audit, "read")["reasons"]["broken"]["examples"]
    assert invalid["line"] == 3
    assert "holds nothing but one of `strip_suffixes`" in invalid["reason"]


def test_categories_of_the_eval_set_may_occur_in_the_pool(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", [{**rows(1)[0], "category": "poetry"}])
    with pytest.raises(InputError, match="line 1: unknown category 'poetry'"):
        build_pool(file_pool(path), [ITEM], tmp_path / "records")
    items = [EvalItem.make("poetry", "Write a poem about autumn.")]
    audit = build_pool(file_pool(path), items, tmp_path / "records")
    assert audit["by_category"] == {"poetry": 1}


INVALID = [
    ('{"instruction": "a", "output": ', "not valid JSON"),
    ('{"instruction": "a"}', "entry without output: `output` is missing (keys: instruction)"),
    ('{"instruction": "a", "output": " "}', "entry without output: `output` is empty"),
    ('{"output": "a"}', "entry without instruction"),
    ('{"instruction": ["a"], "output": "b"}', "`instruction` is not text but list"),
    ('["a", "b"]', "not an object"),
    ('{"instruction": "a", "output": "b", "category": "maht"}', "did you mean 'math'?"),
]


@pytest.mark.parametrize(("line", "message"), INVALID)
def test_an_invalid_entry_stops_with_file_and_line(tmp_path, line, message):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(rows(1)[0]) + "\n" + line + "\n")
    with pytest.raises(InputError) as error:
        build_pool(file_pool(path), [ITEM], tmp_path / "records")
    assert f"{path}, line 2: " in str(error.value)
    assert message in str(error.value)
    assert not (tmp_path / "records").exists()


def test_invalid_entries_are_skipped_and_counted_on_request(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([json.dumps(rows(1)[0]), *(line for line, _ in INVALID)]))
    section = {"sources": [{"type": "file", "path": str(path), "on_error": "skip"}]}
    audit = build_pool(Pool.model_validate(section), [ITEM], tmp_path / "records")
    invalid = step(audit, "read")["reasons"]["broken"]
    assert (audit["read"], audit["kept"], invalid["count"]) == (8, 1, 7)
    assert [entry["line"] for entry in invalid["examples"]] == [2, 3, 4, 5, 6, 7, 8]


def test_an_empty_pool_says_which_step_removed_how_many(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", rows(7))
    config = file_pool(path, steps=default_steps(min_output_chars=100))
    said = r"pool is empty: read 7, 0 broken, removed 7 by filter, 0 by deduplicate"
    with pytest.raises(InputError, match=said):
        build_pool(config, [ITEM], tmp_path / "records")
    assert not (tmp_path / "records").exists()


def test_an_unknown_category_in_the_filters_is_refused(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", rows(1))
    config = file_pool(path, steps=default_steps(categories=["rewrit"]))
    with pytest.raises(InputError, match=r"steps\.0\.categories: unknown category 'rewrit'.*'rewr"):
        build_pool(config, [ITEM], tmp_path / "records")


def test_a_misspelt_field_mapping_is_refused(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", rows(3))
    section = {"sources": [{"type": "file", "path": path, "fields": {"input": "contxt"}}]}
    with pytest.raises(InputError, match="no entry has the key `contxt`"):
        build_pool(Pool.model_validate(section), [ITEM], tmp_path / "records")


def test_tags_of_a_source_are_read_as_text(tmp_path):
    values = [{**row, "lvl": k, "kind": None} for k, row in enumerate(rows(2))]
    path = write_rows(tmp_path / "a.jsonl", [*values, rows(3)[2]])
    source = {"type": "file", "path": path, "tags": {"level": "lvl"}}
    build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "records")
    assert [one.tags for one in iter_records(tmp_path / "records")] == [
        {"level": "0"},
        {"level": "1"},
        {},
    ]
    source["tags"] = {"level": "levl"}
    with pytest.raises(InputError, match="no entry has the key `levl`, which `tags` names as lev"):
        build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "other")


def test_the_synthetic_source_fills_the_wanted_categories(tmp_path):
    section = {
        "sources": [{"type": "synthetic", "records": 40}],
        "steps": [
            {"type": "filter", "categories": ["Maths", "cot", "code"]},
            {"type": "filter", "categories": ["cot", "math"]},
        ],
    }
    audit = build_pool(Pool.model_validate(section), [ITEM], tmp_path / "records")
    assert audit["by_category"] == {"cot": 20, "math": 20}
    assert audit["read"] == 40


def test_a_synthetic_record_that_is_removed_is_found_at_its_number_from_one(tmp_path):
    source = {"type": "synthetic", "records": 8}
    steps = default_steps(categories=["math"], languages=["zh"])  # English, Chinese take turns
    config = Pool.model_validate({"sources": [source], "steps": steps})
    audit = build_pool(config, [ITEM], tmp_path / "records")
    examples = step(audit, "filter")["reasons"]["languages"]["examples"]
    assert [example["row"] for example in examples] == [1, 3, 5, 7]


@pytest.mark.slow
def test_the_hub_source_reads_through_datasets(tmp_path):
    (tmp_path / "data").mkdir()
    write_rows(tmp_path / "data" / "train.jsonl", rows(3))
    source = {"type": "hub", "dataset": str(tmp_path / "data")}
    audit = build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "records")
    assert audit["kept"] == 3
    assert audit["inputs"] == {f"{tmp_path}/data, split train": sha256_file(tmp_path / "data")}


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_a_clear_error(tmp_path):
    source = {"type": "hub", "dataset": "no-such-owner/no-such-set", "revision": COMMIT}
    with pytest.raises(InputError, match="cannot load this data set") as error:
        build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "records")
    assert error.value.where == f"no-such-owner/no-such-set@{COMMIT}"
    assert not (tmp_path / "records").exists()


class Hub:
    """Stands for the hub: `main` is a commit, a data set has one row."""

    def __init__(self, monkeypatch, commit):
        self.loaded = []
        monkeypatch.setattr("datasets.load_dataset", self.load)
        monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", self.info)
        self.commit = commit

    def load(self, name, split, revision):
        self.loaded.append((name, split, revision))
        return rows(1)

    def info(self, name, revision, timeout):
        if self.commit is None:
            raise ConnectionError("offline")
        return type("Info", (), {"sha": self.commit})


@pytest.mark.parametrize(("commit", "read"), [(COMMIT, COMMIT), (None, "main")])
def test_an_unpinned_data_set_is_stated_with_the_commit_that_was_read(
    tmp_path, monkeypatch, commit, read, caplog
):
    hub = Hub(monkeypatch, commit)
    source = {"type": "hub", "dataset": "owner/name", "revision": "main", "split": "test"}
    audit = build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "records")
    assert hub.loaded == [("owner/name", "test", read)]
    [found] = audit["by_source"]
    assert found["unpinned"] == f"revision main, commit {commit or 'unknown'}"
    assert "owner/name: the revision is not a commit" in caplog.text


def test_a_pinned_data_set_is_read_by_its_commit(tmp_path, monkeypatch):
    hub = Hub(monkeypatch, "0" * 40)
    source = {"type": "hub", "dataset": "owner/name", "revision": COMMIT}
    audit = build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "records")
    assert hub.loaded == [("owner/name", "train", COMMIT)]
    [found] = audit["by_source"]
    assert "unpinned" not in found
    assert found["location"] == f"owner/name@{COMMIT}, split train"


def run_pool(section, folder):
    write_jsonl(folder / "items.jsonl", [ITEM.to_row()])
    out = folder / "out"
    files = ["--out-records", out / "records", "--out-audit", out / "audit.json"]
    run_stage("pool", "--pool", json.dumps(section), "--evalset", folder / "items.jsonl", *files)


def test_command_line_writes_records_and_audit(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", rows(4))
    run_pool({"sources": [{"type": "file", "path": path}]}, tmp_path)
    audit = json.loads((tmp_path / "out" / "audit.json").read_text("utf-8"))
    assert audit["kept"] == len(list(iter_records(tmp_path / "out" / "records"))) == 4
    assert audit["provenance"]["inputs"] == {
        path: sha256_file(path),
        str(tmp_path / "items.jsonl"): sha256_file(tmp_path / "items.jsonl"),
    }
    assert audit["provenance"]["stage"] == "pool"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"path": "none.jsonl"}, "none.jsonl: no such file"),
        ({"path": "none.jsonl", "feilds": {}}, "--pool: sources.0.file.feilds: "),
    ],
)
def test_command_line_refuses_bad_input(tmp_path, source, message):
    with pytest.raises(InputError) as error:
        run_pool({"sources": [{"type": "file", **source}]}, tmp_path)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "fields", "n"),
    [
        ("alpaca_zh_demo.json", {}, 1000),
        ("alpaca_en_demo.json", {}, 999),
        ("gsm8k_train.jsonl", {"instruction": "question", "output": "answer"}, 7473),
    ],
)
def test_public_files_of_three_formats(real_data, tmp_path, name, fields, n):
    source = {"type": "file", "path": str(real_data / name), "fields": fields}
    audit = build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "records")
    assert audit["read"] == n
    assert step(audit, "read")["broken"] == 0
    assert audit["kept"] == n - step(audit, "deduplicate")["removed"]
    assert audit["special_tokens"] == {}
    first = next(iter(iter_records(tmp_path / "records")))
    assert first.output
    assert first.source == name


@pytest.mark.slow
def test_the_pool_of_the_public_study(root, offline_copies, tmp_path, monkeypatch):
    monkeypatch.setenv("INSTRUCT_SCALING_OFFLINE", str(offline_copies))
    study = load_study(root / "studies" / "real-small.yaml")
    audit = build_pool(study.pools["public"], [ITEM], tmp_path / "records")
    kept = [source["kept"] for source in audit["by_source"]]
    assert audit["special_tokens"] == {}
    assert min(kept) > 0, "every source gives records"
    assert audit["kept"] > max(study.ladder.values()) + study.validation.records
    assert set(audit["by_language"]) == {"en", "zh"}
    assert all(source["read"] <= 700 for source in audit["by_source"])


def test_a_sample_is_drawn_by_hash_whatever_the_order_of_the_file(tmp_path):
    values, kept = rows(200), {}
    for name, order in {"a": values, "b": values[::-1]}.items():
        path = write_rows(tmp_path / f"{name}.jsonl", [*order, {"instruction": "no output"}])
        source = {"type": "file", "path": path, "sample": 30, "on_error": "skip"}
        audit = build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / name)
        assert (audit["read"], audit["kept"]) == (31, 30)
        kept[name] = [one.id for one in iter_records(tmp_path / name)]
    assert kept["a"] == kept["b"][::-1], "in the order of the data"
    first = {Record.make(row["instruction"], row["output"]).id for row in values[:30]}
    assert set(kept["a"]) != first
    source = {"type": "file", "path": str(tmp_path / "a.jsonl"), "sample": 20, "on_error": "skip"}
    build_pool(Pool.model_validate({"sources": [source]}), [ITEM], tmp_path / "fewer")
    assert {one.id for one in iter_records(tmp_path / "fewer")} < set(kept["a"])


def test_pandas_and_datasets_read_a_pool(tmp_path):
    from datasets import load_dataset

    record = Record.make("Say 1.", "1", tags={"level": "easy", "topic": "numbers"})
    store.write_records(tmp_path / "records", [record, Record.make("Say 2.", "2")])
    assert next(iter(iter_records(tmp_path / "records"))) == record
    table = load_dataset(
        str(tmp_path / "records"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert table[0]["messages"] == [
        {"role": "user", "content": "Say 1."},
        {"role": "assistant", "content": "1"},
    ]
    assert table[0]["tags"][0] == {"name": "level", "value": "easy"}
    frame = pd.read_parquet(tmp_path / "records")
    assert list(frame["id"]) == [row["id"] for row in table]
