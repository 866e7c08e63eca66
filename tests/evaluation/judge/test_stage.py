"""The command line of the stage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import werkzeug

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json, read_jsonl
from instruct_scaling.common.records import EvalItem
from instruct_scaling.config.judges import Judge
from instruct_scaling.config.section import parse_section
from instruct_scaling.evaluation.judge.stage import judge as judge_stage

PAIRS = [
    (EvalItem.make("math", "1+1?", reference="2", checks={"answer": "number"}), "It is 2."),
    (EvalItem.make("open_qa", "Capital of France?", reference="Paris"), "London"),
]


def command_line(options, judge: str) -> list[str]:
    command = [sys.executable, "-m", "instruct_scaling", "judge", "--judge", judge]
    for name, value in options.items():
        command += [name, str(value)]
    return command


def run(options, judge: str) -> subprocess.CompletedProcess[str]:
    command = command_line(options, judge)
    environment = {key: value for key, value in os.environ.items() if key != "OPENAI_API_KEY"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def call(options, judge: dict) -> None:
    named = {name.removeprefix("--"): value for name, value in options.items()}
    judge_stage(judge=json.dumps(judge), **named)


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
        parse_section(Judge, text, "--judge")


def test_an_unknown_scorer_is_named_with_the_nearest():
    with pytest.raises(InputError) as caught:
        parse_section(Judge, '{"type": "metric", "scorers": {"math": "rougeL"}}', "--judge")
    assert "unknown scorer `rougeL`: did you mean `rouge_l`?" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_stopped_llm_judge_goes_on(write_study, httpserver, stop, code):
    grade = {"role": "assistant", "content": "Score: 0.5"}
    choice = {"index": 0, "finish_reason": "stop", "message": grade}
    body = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    requests, stopped = [], threading.Event()

    def handle(request):
        requests.append(request.get_json()["seed"])
        if len(requests) > 20:  # so that it cannot end before the signal, however busy the machine
            stopped.wait(60)
        return werkzeug.Response(json.dumps(body), content_type="application/json")

    httpserver.expect_request("/v1/chat/completions").respond_with_handler(handle)
    pairs = [(EvalItem.make("generation", f"Write text {n}."), "x") for n in range(40)]
    options = write_study(pairs) | {"--execution": '{"concurrency": 2}'}
    command = command_line(options, '{"type": "llm", "model": "m"}')
    environment = os.environ | {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": httpserver.url_for("/v1")}
    judge = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what it runs in the background with Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while len(requests) < 20:
        assert judge.poll() is None
        time.sleep(0.01)
    judge.send_signal(stop)
    time.sleep(1)
    stopped.set()
    _, errors = judge.communicate(timeout=60)
    assert judge.returncode == code
    assert "run the same command again to go on" in errors
    assert "Traceback" not in errors
    assert not options["--out"].exists()
    time.sleep(0.5)  # the server answers what was under way
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [row for _, row in read_jsonl(options["--out"])]
    assert [row["score"] for row in rows] == [0.5] * 120
    assert 120 <= len(requests) <= 124


@pytest.mark.slow
def test_a_stopped_metric_judge_leaves_no_half_file(write_study):
    checks = {"tests": "assert True"}
    pairs = [
        (EvalItem.make("code", f"q{n}", checks=checks), "import time\ntime.sleep(2)")
        for n in range(50)
    ]
    options = write_study(pairs)
    command = command_line(options, '{"type": "metric"}')
    judge = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    time.sleep(6)
    judge.send_signal(signal.SIGTERM)
    _, errors = judge.communicate(timeout=60)
    assert judge.returncode == 75
    assert "Traceback" not in errors
    assert not options["--out"].exists()
