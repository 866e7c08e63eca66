"""The command line of the stage."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from instruct_scaling.errors import InputError
from instruct_scaling.files import read_json, read_jsonl
from instruct_scaling.judge.__main__ import main, parse_judge
from instruct_scaling.records import EvalItem

PAIRS = [
    (EvalItem.make("math", "1+1?", reference="2", checks={"answer": "number"}), "It is 2."),
    (EvalItem.make("open_qa", "Capital of France?", reference="Paris"), "London"),
]


def run(options, judge: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "instruct_scaling.judge", "--judge", judge]
    for name, value in options.items():
        command += [name, str(value)]
    environment = {key: value for key, value in os.environ.items() if key != "OPENAI_API_KEY"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def call(options, judge: dict) -> None:
    named = {name.removeprefix("--"): value for name, value in options.items()}
    main(judge=json.dumps(judge), **named)


def test_judgements_and_provenance_are_written(write_study):
    options = write_study(PAIRS)
    call(options, {"type": "metric"})
    rows = [row for _, row in read_jsonl(options["--out"])]
    assert [(row["item"], row["score"]) for row in rows] == [
        (PAIRS[0][0].id, 1),
        (PAIRS[1][0].id, 0),
    ]
    record = read_json(options["--out"].parent / "j.provenance.json")
    assert record["stage"] == "judge"
    assert record["identity"]["seed"] == 7
    assert record["judge_version"] == rows[0]["judge_version"]
    assert record["sandbox"] is None
    assert set(record["inputs"]) == {"items", "responses"}


def test_the_same_input_gives_the_same_bytes(write_study):
    options = write_study(PAIRS)
    call(options, {"type": "metric"})
    first = options["--out"].read_bytes()
    call(options, {"type": "metric"})
    assert options["--out"].read_bytes() == first


def test_a_mistake_is_one_clear_message(write_study):
    bare = EvalItem.make("math", "1+2?")
    done = run(write_study([*PAIRS, (bare, "3")]), '{"type": "metric"}')
    assert done.returncode == 2
    assert f"error: eval item {bare.id} (math) has no reference" in done.stderr
    assert "fix: " in done.stderr
    assert "Traceback" not in done.stderr


def test_no_key_is_one_clear_message(write_study):
    done = run(write_study(PAIRS), '{"type": "llm", "model": "m"}')
    assert done.returncode == 2
    assert "OPENAI_API_KEY holds no key" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "text",
    ["{", "{}", '{"type": "oracle"}', '{"type": "metric", "scorer": {}}', '{"type": "llm"}'],
)
def test_a_bad_section_is_refused(text):
    with pytest.raises(InputError, match="--judge"):
        parse_judge(text)
