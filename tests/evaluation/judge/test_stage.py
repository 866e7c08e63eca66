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
from instruct_scaling.config.judges import Judge, LlmJudge
from instruct_scaling.config.section import parse_section
from instruct_scaling.evaluation.judge import llm
from instruct_scaling.evaluation.judge.judgements import make_judgement, scored
from tests.evaluation.judge.conftest import call_stage

PAIRS = [
    (EvalItem.make("math", "1+1?", reference="2", checks={"answer": "number"}), "It is 2."),
    (EvalItem.make("open_qa", "Capital of France?", reference="Paris"), "London"),
]


def command_line(options, judge: str) -> list[str]:
    command = [sys.executable, "-m", "instruct_scaling", "judge", "--judge", judge]
    for name, value in options.items():
        command += [name, str(value)]
    return command


def test_judgements_and_provenance_are_written(write_study):
    options = write_study(PAIRS)
    call_stage(options, {"type": "metric"})
    rows = [row for _, row in read_jsonl(options["--out"])]
    assert [(row["item"], row["score"]) for row in rows] == [
        (PAIRS[0][0].id, 1),
        (PAIRS[1][0].id, 0),
    ]
    record = read_json(options["--out"].parent / "j.provenance.json")
    assert record["stage"] == "judge"
    assert record["identity"]["seed"] == 7
    assert record["judge_version"] == rows[0]["judge_version"]
    assert record["programs"] is None
    assert set(record["inputs"]) == {"items", "responses"}


def test_the_same_input_gives_the_same_bytes(write_study):
    options = write_study(PAIRS)
    call_stage(options, {"type": "metric"})
    first = options["--out"].read_bytes()
    call_stage(options, {"type": "metric"})
    assert options["--out"].read_bytes() == first


def test_execution_reaches_the_judge_and_no_record(write_study, monkeypatch):
    seen = []

    def judge_all(section, name, items, responses, *_):
        seen.append(section)
        return [make_judgement(response, name, "v", scored(1)) for response in responses]

    monkeypatch.setattr(llm, "judge_all", judge_all)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    section = {"type": "llm", "model": "m", "repeats": 1}
    execution = {"concurrency": 3, "timeout_seconds": 7.0, "max_retries": 1}
    options = write_study(PAIRS) | {"--execution": json.dumps(execution)}
    call_stage(options, section)
    assert seen == [LlmJudge(**section, **execution)]
    recorded = read_json(options["--out"].parent / "j.provenance.json")["identity"]["judge"]
    assert recorded["model"] == "m"
    assert not recorded.keys() & execution.keys()


def test_a_mistake_is_one_clear_message(write_study):
    bare = EvalItem.make("math", "1+2?")
    command = command_line(write_study([*PAIRS, (bare, "3")]), '{"type": "metric"}')
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert f"error: eval item {bare.id} (math) has no reference" in done.stderr
    assert "fix: " in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_key_nothing_is_judged(write_study, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError, match="OPENAI_API_KEY holds no key"):
        call_stage(write_study(PAIRS), {"type": "llm", "model": "m"})


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
def test_a_stopped_llm_judge_continues(write_study, httpserver):
    """SIGTERM, then Ctrl-C, then to the end: no grade is requested twice."""
    grade = {"role": "assistant", "content": "Score: 0.5"}
    choice = {"index": 0, "finish_reason": "stop", "message": grade}
    body = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    requests, held = [], threading.Event()

    def handle(request):
        requests.append(request.get_json()["seed"])
        if len(requests) % 20 == 0:  # so that it cannot end before the signal, on any machine
            held.wait(60)
        return werkzeug.Response(json.dumps(body), content_type="application/json")

    httpserver.expect_request("/v1/chat/completions").respond_with_handler(handle)
    pairs = [(EvalItem.make("generation", f"Write text {n}."), "x") for n in range(20)]
    options = write_study(pairs) | {"--execution": '{"concurrency": 2}'}
    command = command_line(options, '{"type": "llm", "model": "m"}')
    environment = os.environ | {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": httpserver.url_for("/v1")}
    for number, (stop, code) in enumerate(((signal.SIGTERM, 75), (signal.SIGINT, 130)), 1):
        held.clear()
        judge = subprocess.Popen(
            command,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            # A shell starts what it runs in the background with Ctrl-C ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        while len(requests) < 20 * number:
            assert judge.poll() is None
            time.sleep(0.01)
        judge.send_signal(stop)
        _, errors = judge.communicate(timeout=60)
        held.set()
        assert judge.returncode == code
        assert "run the same command again" in errors
        assert "Traceback" not in errors
        assert not options["--out"].exists()
        time.sleep(0.2)  # the server ends what was under way
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [row for _, row in read_jsonl(options["--out"])]
    assert [row["score"] for row in rows] == [0.5] * 60
    assert 60 <= len(requests) <= 60 + 2 * 2


def test_a_metric_judge_needs_no_client_of_llm_judges():
    """Every run of a study is judged in a process of its own, and openai takes long to import."""
    program = "import sys; sys.modules['openai'] = None  # cannot be imported\n"
    program += "from instruct_scaling.evaluation.judge import metric, stage"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_stopped_metric_judge_goes_on_and_leaves_no_half_file(write_study):
    """SIGTERM, then SIGKILL, then to the end: what was judged is not judged again."""
    checks = {"tests": "assert wait() == 1"}
    program = "import time\ndef wait():\n    time.sleep(0.3)\n    return 1"
    pairs = [(EvalItem.make("code", f"q{n}", checks=checks), program) for n in range(30)]
    options = write_study(pairs) | {"--workers": 2}
    command = command_line(options, '{"type": "metric"}')
    for stop, code, enough in ((signal.SIGTERM, 75, 4), (signal.SIGKILL, -9, 8)):
        judge = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while len(kept(options["--work"])) < enough:
            assert judge.poll() is None
            time.sleep(0.02)
        judge.send_signal(stop)
        _, errors = judge.communicate(timeout=60)
        assert judge.returncode == code
        assert "Traceback" not in errors
        assert not options["--out"].exists()
    before = kept(options["--work"])
    assert 8 <= len(before) < 30
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"{len(before)}/30" in done.stderr  # the progress line begins there
    rows = [row for _, row in read_jsonl(options["--out"])]
    assert [row["score"] for row in rows] == [1] * 30
    assert kept(options["--work"]) == []  # an explicit second run judges again


def kept(work) -> list[str]:
    """Whole lines of judgements that a judge at work has kept."""
    files = list(work.glob("*.jsonl"))
    text = files[0].read_text("utf-8") if files else ""
    return [line for line in text.split("\n")[:-1] if line]
