"""Code items through the metric judge: references first, time-outs alone, one by one."""

from __future__ import annotations

import json
import threading

import pytest

from instruct_scaling.common.records import EvalItem
from instruct_scaling.config.judges import MetricJudge
from instruct_scaling.evaluation.judge import metric
from instruct_scaling.evaluation.judge.judgements import TIME_OUT
from instruct_scaling.evaluation.judge.programs import judging
from instruct_scaling.evaluation.judge.programs.unit_tests import Verdict
from instruct_scaling.evaluation.judge.programs.walls import NoIsolation
from tests.evaluation.judge.conftest import answer

ADD = "def add(a, b):\n    return a + b"
TESTS = "assert add(2, 3) == 5"
METRIC = MetricJudge(type="metric")


def code(prompt="Add.", tests=TESTS, reference=ADD, **checks) -> EvalItem:
    return EvalItem.make("code", prompt, reference=reference, checks={"tests": tests} | checks)


def judge(pairs, config=METRIC, **options):
    items = {item.id: item for item, _ in pairs}
    answers = [answer(item, text) for item, text in pairs]
    return metric.judge_all(config, "m", items, answers, 2, **options)


@pytest.fixture
def runs(monkeypatch) -> list[str]:
    """Programs in the order in which they are run: `slow` by the clock, `lost` not started, those
    with `return a + b` right, all others wrong."""
    seen: list[str] = []
    lock = threading.Lock()

    def run(task, program, walls):
        with lock:
            seen.append(program)
        if "broken" in program:
            raise RuntimeError("a bug")
        if "lost" in program:
            return Verdict("not_started", "no room")
        if "slow" in program and seen.count(program) < 3:
            return Verdict("failed", "stopped after 15 s", time_out="clock")
        return Verdict("passed" if "a + b" in program else "failed")

    monkeypatch.setattr(judging, "run", run)
    return seen


def test_an_item_whose_reference_fails_is_bad_tests(walls, caplog):
    wrong = code("1", reference="def add(a, b):\n    return 0")
    broken = code("2", tests="assert add(")
    object_ = code(
        "3",
        tests="s = Stack()\ns.push(1)\nassert s.items == [1]",
        reference="class Stack:\n    def __init__(self): self.items = []\n"
        "    def push(self, x): self.items.append(x)",
    )
    same = code("4", object_.checks["tests"], object_.reference, same_process=True)
    fine = code("5")
    pairs = [(wrong, ADD), (broken, ADD), (object_, object_.reference)]
    pairs += [(same, object_.reference), (fine, ADD)]
    rows, programs = judge(pairs)
    assert [(row.score, row.status) for row in rows] == [
        (None, "bad_tests"),
        (None, "bad_tests"),
        (None, "needs_same_process"),
        (1, "ok"),
        (1, "ok"),
    ]
    assert rows[0].reason == "the reference does not pass: AssertionError"
    assert rows[1].reason == "`checks.tests` is no Python program"
    assert rows[2].reason == "a test uses `push` of an object of the program"
    assert programs["bad_tests"] == sorted([wrong.id, broken.id])
    assert programs["needs_same_process"] == [object_.id]
    assert programs["items_in_same_process"] == 1
    assert wrong.id in caplog.text


def test_a_program_cannot_make_its_item_missing(walls):
    """The reference passed with plain data, so what the tests pass beyond it is the program's."""
    item = code(tests="g = int if add(2, 3) != 5 else 1\nassert add(g, 0) == 1")
    rows, _ = judge([(item, "def add(a, b):\n    return 0")])
    assert (rows[0].score, rows[0].status) == (0, "ok")


def test_a_reference_in_a_fence_counts(walls):
    item = code(reference=f"```python\n{ADD}\n```")
    assert judge([(item, ADD)])[0][0].score == 1


@pytest.mark.usefixtures("walls")
def test_references_run_once_for_an_eval_set(runs, tmp_path):
    kept = tmp_path / ".references.jsonl"
    item = code()
    for _ in range(2):
        judge([(item, "def add(a, b): return 0")], references=kept)
    assert len(runs) == 3  # the reference, and an answer twice
    kept.write_text('{"key": "cut o', "utf-8")
    judge([(item, "")], references=kept)
    assert len(runs) == 4
    judge([(code(tests=TESTS + "\n"), "")], references=kept)
    judge([(item, "")], MetricJudge(type="metric", code_memory_mb=600), references=kept)
    assert len(runs) == 6


def test_a_reference_that_the_machine_stopped_is_tried_again(runs, tmp_path):
    kept = tmp_path / ".references.jsonl"
    judge([(code(reference=ADD + "  # lost"), ADD)], references=kept)
    assert not kept.exists()


@pytest.mark.usefixtures("walls")
def test_a_folder_that_cannot_be_written_to_does_without(runs, tmp_path):
    rows, _ = judge([(code(), ADD)], references=tmp_path / "none" / ".references.jsonl")
    assert rows[0].score == 1


@pytest.mark.usefixtures("walls")
def test_a_stop_by_the_clock_is_repeated_alone_before_it_counts(runs):
    slow = [(code(str(n)), f"{ADD}  # slow {n}") for n in range(2)]
    fast = [(code(str(n)), f"{ADD}  # {n}") for n in range(2, 5)]
    rows, programs = judge([*slow, *fast])
    assert programs["run_again_alone"] == 2
    assert {"slow" in program for program in runs[-2:]} == {True}  # after all others
    assert [row.score for row in rows] == [0, 0, 1, 1, 1]
    assert [(row.reason or "").startswith(TIME_OUT) for row in rows] == [True] * 2 + [False] * 3
    again, programs = judge(slow)  # the third time it is fast
    assert [row.score for row in again] == [1, 1]
    assert programs["run_again_alone"] == 0


@pytest.mark.usefixtures("walls")
def test_one_response_may_fail_and_the_stage_may_not(runs):
    pairs = [(code("1"), ADD), (code("2"), f"{ADD}  # broken"), (code("3"), f"{ADD}  # lost")]
    rows, _ = judge(pairs)
    assert [(row.score, row.status) for row in rows] == [
        (1, "ok"),
        (None, "sandbox_error"),
        (None, "sandbox_error"),
    ]


def test_a_scorer_that_breaks_down_costs_its_response_alone(monkeypatch):
    def broken(item, checks, response):
        if response == "bad":
            raise ZeroDivisionError("a bug")
        return metric.SCORERS["exact_match"].function(item, checks, response)

    from dataclasses import replace

    scorer = replace(metric.SCORERS["token_f1"], function=broken)
    monkeypatch.setitem(metric.SCORERS, "token_f1", scorer)
    items = [EvalItem.make("open_qa", str(n), reference="r") for n in range(2)]
    config = MetricJudge(type="metric", scorers={"open_qa": "token_f1"})
    rows, _ = judge([(items[0], "bad"), (items[1], "r")], config)
    assert [(row.score, row.status) for row in rows] == [(None, "scorer_error"), (1, "ok")]
    assert rows[0].reason == "token_f1: ZeroDivisionError: a bug"


@pytest.mark.usefixtures("walls")
def test_a_stopped_judge_goes_on(runs, tmp_path, monkeypatch):
    pairs = [(code(str(n), reference=None), f"{ADD}  # {n}") for n in range(6)]
    whole = judge(pairs, work=tmp_path / "whole")[0]
    runs.clear()
    original = judging.outcome_of

    def stop(verdict, checked):
        if len(runs) >= 4:
            raise KeyboardInterrupt
        return original(verdict, checked)

    monkeypatch.setattr(judging, "outcome_of", stop)
    with pytest.raises(KeyboardInterrupt):
        judge(pairs, work=tmp_path / "w")
    [kept] = (tmp_path / "w").iterdir()
    done = {json.loads(line)["key"] for line in kept.read_text("utf-8").split("\n") if line}
    monkeypatch.setattr(judging, "outcome_of", original)
    runs.clear()
    assert judge(pairs, work=tmp_path / "w")[0] == whole
    assert 0 < len(done) < 6
    assert len(runs) == 6 - len(done)


@pytest.mark.usefixtures("walls")
def test_a_kept_judgement_of_another_answer_or_item_is_not_used(runs, tmp_path):
    item = code()
    judge([(item, ADD)], work=tmp_path)
    runs.clear()
    judge([(item, ADD)], work=tmp_path)
    assert runs == [ADD]  # the reference alone
    judge([(item, f"{ADD} # else")], work=tmp_path)
    judge([(code(tests=f"{TESTS}\n"), ADD)], work=tmp_path)
    assert len(runs) == 1 + 2 + 2


def test_without_isolation_programs_are_missing_and_the_rest_is_judged(monkeypatch, caplog):
    def none(*_, **__):
        raise NoIsolation("bubblewrap: not installed", "install bubblewrap")

    monkeypatch.setattr(metric, "Walls", none)
    fact = EvalItem.make("open_qa", "q", reference="r")
    rows, programs = judge([(code(), ADD), (fact, "r")])
    assert [(row.score, row.status) for row in rows] == [(None, "no_isolation"), (1, "ok")]
    assert rows[0].reason == "bubblewrap: not installed; install bubblewrap"
    assert programs is None
    assert "install bubblewrap" in caplog.text


@pytest.mark.usefixtures("walls")
def test_as_many_programs_run_at_a_time_as_the_rule_allows(monkeypatch):
    running, most = 0, 0
    lock = threading.Lock()
    meet = threading.Event()

    def run(task, program, walls):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        meet.wait(0.05)
        with lock:
            running -= 1
        return Verdict("passed")

    monkeypatch.setattr(judging, "run", run)
    judge([(code(str(n)), f"{ADD}  # {n}") for n in range(8)])
    assert most == 2


def test_an_empty_answer_is_wrong(walls):
    assert judge([(code(), ""), (code("2"), "```python\n```")])[0][0].score == 0
