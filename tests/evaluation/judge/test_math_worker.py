"""The process that compares formulas: verdicts, errors, hangs and deaths."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from instruct_scaling.evaluation.judge.scorers.math_worker import (
    MathError,
    MathTimeout,
    MathWorker,
)


@pytest.fixture(scope="module")
def worker():
    worker = MathWorker(seconds=1)
    yield worker
    worker.close()


def test_algebra_is_compared(worker):
    assert worker.same("(x+1)^2", "x^2+2x+1")
    assert not worker.same("(x+1)^2", "x^2+1")


def test_a_dead_worker_is_replaced(worker):
    assert worker.same("x+1", "1+x")
    os.kill(worker._process.pid, signal.SIGKILL)
    worker._process.wait()
    assert worker.same("x+2", "2+x")


def test_a_hang_ends_the_worker_and_not_the_caller(worker):
    assert worker.same("x", "x")
    os.kill(worker._process.pid, signal.SIGSTOP)  # as one multiplication that handles no signal
    with pytest.raises(MathTimeout):
        worker.same("y", "2y")
    assert worker.same("y+1", "1+y")


def test_a_worker_that_never_lives_is_an_error(monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(MathError, match="the worker ended"):
        MathWorker().same("x", "y")


def test_many_threads_ask_at_once(worker):
    right: list[bool] = []
    threads = [
        threading.Thread(target=lambda n=n: right.append(worker.same(f"x+{n}", f"{n}+x")))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 8
