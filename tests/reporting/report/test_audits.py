"""Audits and figures as they are shown."""

from __future__ import annotations

import struct

import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import write_json
from instruct_scaling.reporting.report.audits import read_audit
from instruct_scaling.reporting.report.figures import MOST_CSV_BYTES, read_figures
from tests.reporting.report.example_study import pool_audit


def test_an_audit_is_steps_facts_and_tables(tmp_path):
    audit = pool_audit() | {"by_source": [{"source": "a", "sha256": "0" * 64, "unpinned": "main"}]}
    write_json(tmp_path / "audit.json", audit | {"empty": {}, "seed": 3})
    found = read_audit(tmp_path / "audit.json", "own")
    assert [step["share"] for step in found["steps"]] == [1.0, 0.9, 21500 / 24000]
    assert [step["reasons"] for step in found["steps"]] == [{}, {"exact": 2400}, {"ngram": 100}]
    assert found["facts"] == {"data_hash": "0123456789abcdef…", "seed": 3}
    assert list(found["tables"]) == [
        "examples of what was removed",
        "by_category",
        "characters",
        "by_source",
    ]
    assert found["tables"]["by_source"]["sha256"].tolist() == ["0" * 16 + "…"]
    assert found["unpinned"] == {"a": "main"}
    assert found["tables"]["by_category"].values.tolist() == [["math", 1800], ["code", 1700]]
    examples = found["tables"]["examples of what was removed"]
    assert examples[["step", "why", "row"]].values.tolist() == [["deduplicate", "exact", 7]]


def test_shares_are_of_the_records_that_were_usable_or_broken(tmp_path):
    step = {"name": "read", "read": 100, "kept": 75, "removed": 15, "broken": 10}
    write_json(tmp_path / "audit.json", {"steps": [step]})
    (found,) = read_audit(tmp_path / "audit.json", "own")["steps"]
    assert (found["removed"], found["broken"], found["share"]) == (15, 10, 0.75)


def test_an_audit_is_an_object(tmp_path):
    write_json(tmp_path / "audit.json", [])
    with pytest.raises(InputError, match="an audit is a JSON object"):
        read_audit(tmp_path / "audit.json", "own")


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)


def test_a_figure_is_its_picture_with_its_data_up_to_a_size(tmp_path):
    (tmp_path / "small.png").write_bytes(png(30, 20))
    (tmp_path / "small.csv").write_text("scale\n250\n")
    (tmp_path / "large.csv").write_text("scale\n" + "1\n" * (MOST_CSV_BYTES // 2))
    entries = [
        {"name": "small", "files": ["small.csv", "small.png"], "judge": "m", "arm": "full"},
        {"name": "large", "files": ["large.csv", "small.png"], "caption": "text"},
        {"name": "print", "files": ["print.pdf"]},
    ]
    write_json(tmp_path / "index.json", {"figures": entries})
    (small, large), omitted = read_figures(tmp_path)
    assert (small["width"], small["height"]) == (30, 20)
    assert small["keys"] == ["judge m", "arm full"]
    assert small["data"]["scale"].tolist() == [250]
    assert small["csv_base64"] == "c2NhbGUKMjUwCg=="
    assert large["csv_base64"] is None
    assert len(large["data"]) > 1000
    (omission,) = omitted
    assert omission[0] == "print"
    assert "add png to figures.formats" in omission[1]
