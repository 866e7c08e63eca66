"""Whether a program passes an item's tests, which run in another process than the program.

The verdict comes from the tests' process alone. The program's process answers calls; whatever it
does beyond that, it can only fail.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Literal

from instruct_scaling.evaluation.judge.programs import wire
from instruct_scaling.evaluation.judge.programs.relay import Ended, OutOfTime, Sandbox
from instruct_scaling.evaluation.judge.programs.task import Task
from instruct_scaling.evaluation.judge.programs.walls import START_SECONDS, NotStarted, Walls

CPU_SHARE = 0.8  # of its CPU time that a program has used if the machine gave it enough

End = Literal["passed", "failed", "needs_same_process", "not_started"]
VERDICTS: Mapping[bytes, End] = {
    b"P": "passed",
    b"F": "failed",
    b"H": "failed",
    b"N": "needs_same_process",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one program.

    Attributes:
        end: `needs_same_process` where the tests pass what is no plain data, `not_started` where
            a sandbox failed.
        detail: what went wrong, in a line.
        beyond_data: the tests went beyond plain data, on whichever side.
        time_out: None, "cpu" where it used up its CPU time, "clock" where it did not and yet did
            not end by the clock: it waits for something, or the machine gave it no time.
    """

    end: End
    detail: str | None = None
    beyond_data: bool = False
    time_out: Literal["cpu", "clock"] | None = None

    @property
    def passed(self) -> bool:
        """Every test passed."""
        return self.end == "passed"


def run(task: Task, program: str, walls: Walls) -> Verdict:
    """Run one program and its tests. Safe to call from several threads."""
    seconds, clock = walls.limits.cpu_seconds, walls.limits.clock_seconds
    # What counts is the clock of the relay, which begins with the program.
    limits = replace(walls.limits, clock_seconds=START_SECONDS + clock)
    mains = ("same_process",) if task.same_process else ("serve", "tests_runner")
    with ExitStack() as stack:
        try:
            boxes = [stack.enter_context(Sandbox(walls, main, limits)) for main in mains]
        except NotStarted as error:
            return Verdict("not_started", str(error))
        verdict = _start(boxes, _jobs(task, program))
        deadline = time.monotonic() + clock
        try:
            verdict = verdict or _relay(boxes, deadline)
        except Ended:
            verdict = Verdict("failed", "ended before its tests were through")
        except OutOfTime:
            verdict = Verdict("failed", f"stopped after {clock:g} s")
            verdict = _timed_out(verdict, "clock")
    return _with_limits(verdict, boxes, seconds)


def _jobs(task: Task, program: str) -> list[bytes]:
    if task.same_process:
        parts = {"prelude": task.prelude, "helpers": task.helpers, "tests": task.tests}
        return [wire.Encoder().message([parts | {"program": program}])]
    code = {"helpers": task.helpers, "program": program}
    tests = {"prelude": task.prelude, "helpers": task.helpers, "tests": task.tests}
    return [
        wire.Encoder().message([code, list(task.names)]),
        wire.Encoder().message([tests, list(task.names)]),
    ]


def _start(boxes: list[Sandbox], jobs: list[bytes]) -> Verdict | None:
    """Hand every process its job; a verdict only where one does not come that far."""
    deadline = time.monotonic() + START_SECONDS
    try:
        for box, job in zip(boxes, jobs, strict=True):
            box.begin(job, deadline)
        for box in reversed(boxes):  # the program's last: its time begins with its job
            box.ready(deadline)
    except Ended:
        return Verdict("not_started", "the sandbox ended before the program began")
    except OutOfTime:
        return Verdict("not_started", "did not start in time")
    return None


def _relay(boxes: list[Sandbox], deadline: float) -> Verdict:
    """Pass calls and replies until the tests' process gives its verdict."""
    tests, program = boxes[-1], boxes[0]
    if tests is not program:
        loaded = program.receive(deadline)
        if loaded[:1] != b"L":
            return Verdict("failed", _text(loaded[1:]) or "could not be loaded")
        tests.send(loaded, deadline)
    while True:
        frame = tests.receive(deadline)
        end = VERDICTS.get(frame[:1])
        if end is not None:
            return Verdict(end, _text(frame[1:]) or None, frame[:1] in (b"H", b"N"))
        if tests is program:
            raise Ended
        program.send(frame, deadline)
        tests.send(program.receive(deadline), deadline)


def _with_limits(verdict: Verdict, boxes: list[Sandbox], seconds: float) -> Verdict:
    """The verdict with the limit that ended a process, which is known once both are gone."""
    if verdict.end != "failed":
        return verdict
    for box in boxes:
        if box.process.ended_by == "cpu":
            return _timed_out(Verdict("failed", f"used up its {seconds:g} s of CPU time"), "cpu")
    if verdict.time_out == "clock":
        used = max(box.process.cpu_seconds() for box in boxes)
        return _timed_out(verdict, "cpu" if used >= CPU_SHARE * seconds else "clock")
    ended = {box.process.ended_by for box in boxes} & {"memory"}
    if ended and verdict.detail == "ended before its tests were through":
        return Verdict("failed", "used up its memory")
    return verdict


def _timed_out(verdict: Verdict, by: Literal["cpu", "clock"]) -> Verdict:
    return Verdict(verdict.end, verdict.detail, verdict.beyond_data, by)


def _text(content: bytes) -> str:
    return " ".join(content[:2000].decode("utf-8", "replace").split())
