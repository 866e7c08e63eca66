"""A rank that dies ends the job with one line: which one, by what, likely cause, what to set."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from instruct_scaling.training import failures, slurm
from instruct_scaling.training import launch as launch_module
from instruct_scaling.training.failures import (
    EXIT_LOST_PEER,
    EXIT_MEMORY,
    local_failure,
    lost_peer,
    memory_line,
    out_of_memory,
    step_failure,
)
from instruct_scaling.training.launch import launch, wait_for_all

from .test_launch import processes, write_program

ENDINGS = {
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "crashed": "ctypes.string_at(0)",
    "raised": "raise ValueError('a defect')",
    "cut off": f"sys.exit({EXIT_LOST_PEER})",
    "out of memory": f"sys.exit({EXIT_MEMORY})",
}


def launched(monkeypatch, capfd, ending: str) -> str:
    """Standard error of a launch whose rank 1 ends so; rank 0 ends as one does that is cut off."""
    program = (
        "import ctypes, os, signal, sys, time\n"
        f"if os.environ['RANK'] == '0': time.sleep(0.3); sys.exit({EXIT_LOST_PEER})\n"
        f"{ENDINGS[ending]}\n"
    )
    monkeypatch.setattr(launch_module, "PROGRAM", (sys.executable, "-c", program))
    with pytest.raises(SystemExit) as ended:
        launch("local", [], 2)
    assert ended.value.code == 1
    return capfd.readouterr().err


def test_a_killed_rank_is_named_with_its_signal_and_what_to_set(monkeypatch, capfd):
    (line,) = launched(monkeypatch, capfd, "killed").splitlines()
    assert line.startswith("error: rank 1 of 2 was ended by signal 9 (SIGKILL) (the largest rank")
    assert "for want of memory: set execution.checkpointing to true" in line
    assert "goes on from the last checkpoint" in line


def test_a_crash_in_compiled_code_is_named(monkeypatch, capfd):
    (line,) = launched(monkeypatch, capfd, "crashed").splitlines()
    assert "rank 1 of 2 was ended by signal 11 (SIGSEGV)" in line
    assert "execution.attention to sdpa" in line


def test_a_rank_that_raises_shows_its_own_error_and_one_line(monkeypatch, capfd):
    *own, line = launched(monkeypatch, capfd, "raised").splitlines()
    assert own[-1] == "ValueError: a defect"
    assert "error: rank 1 of 2 ended with exit code 1, its message stands above" in line


def test_what_a_rank_has_said_is_not_said_twice(monkeypatch, capfd):
    assert launched(monkeypatch, capfd, "out of memory") == ""


def test_ranks_that_only_lost_each_other_say_where_to_look(monkeypatch, capfd):
    (line,) = launched(monkeypatch, capfd, "cut off").splitlines()
    assert "lost its connection to the others, though none has ended" in line
    assert "rank-*.traceback" in line


def test_who_lost_a_rank_is_not_blamed_though_it_was_seen_first():
    lost = f"exit({EXIT_LOST_PEER})"
    assert wait_for_all(processes(lost, "time.sleep(0.4); exit(3)")) == (1, 3)


def test_a_kill_by_the_kernel_is_told_from_a_guess():
    line = local_failure(0, 2, -9, memory=11 * 10**9, killed=True)
    assert "the kernel has killed a process for want of memory" in line
    assert "the largest rank held 11.0 GB" in line


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (137, "named by srun above, was ended by signal 9 (SIGKILL); most likely for want"),
        (135, "signal 7 (SIGBUS); most likely /dev/shm or the disk"),
        (1, "named by srun above, ended with exit code 1"),
        (-15, "srun was ended by signal 15 (SIGTERM); something outside"),
    ],
)
def test_a_slurm_step_reports_the_signal_of_its_exit_code(
    monkeypatch, tmp_path, capfd, code, expected
):
    assert expected in step_failure(code)
    if code < 0:
        return
    write_program(tmp_path / "srun", f"exit {code}")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(slurm, "allocation", lambda: slurm.Allocation(1, ("node3",), 8))
    with pytest.raises(SystemExit):
        launch("srun", [], 2)
    assert expected in capfd.readouterr().err


def test_errors_of_collectives_and_of_memory_are_known():
    closed = RuntimeError("[../gloo/transport/tcp/pair.cc:553] Connection closed by peer [::1]:42")
    wrapped = ValueError("while saving")
    wrapped.__cause__ = closed
    assert lost_peer(closed)
    assert lost_peer(wrapped)
    assert not lost_peer(ConnectionRefusedError("connection refused"))  # of a web service
    full = RuntimeError(
        "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"
    )
    assert out_of_memory(full)
    assert out_of_memory(MemoryError())
    assert not out_of_memory(closed)
    assert memory_line(1, full).startswith("error: rank 1 ran out of memory ([enforce fail")


def rank_processes(launcher: int, count: int) -> list[psutil.Process]:
    """The ranks that a launcher has started, in their order."""
    found: list[psutil.Process] = []
    while len(found) < count:
        time.sleep(0.05)
        found = psutil.Process(launcher).children()
    return sorted(found, key=lambda each: each.environ()["RANK"])


def test_kill_9_of_one_of_two_ranks_in_a_run(run):
    """The other's gloo error stays in a file."""
    victim = run(epochs=200)
    process = victim.start("--execution", '{"save_steps": 1}')
    while not victim.checkpoints():
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(rank_processes(process.pid, 2)[1].pid, signal.SIGKILL)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert "gloo" not in stderr
    (line,) = [line for line in stderr.splitlines() if "error" in line]
    assert line.startswith("error: rank 1 of 2 was ended by signal 9 (SIGKILL)")
    left: Path = victim.work / "rank-0.traceback"
    assert lost_peer(RuntimeError(left.read_text("utf-8")))


def test_the_kernels_count_of_kills_is_read_where_there_is_one():
    assert failures.out_of_memory_kills() >= 0
