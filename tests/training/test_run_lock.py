"""Who may train a run: with flock, and where the file system has none."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.training import run_lock
from instruct_scaling.training.run_lock import Owner, exclusive_lock, is_alive


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(run_lock, "LOCK_SECONDS", 0.5)


@pytest.fixture
def failing(monkeypatch):
    """Makes flock fail as a file system would."""

    def fail(number):
        def flock(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)

    return fail


@pytest.fixture
def held(tmp_path):
    """A folder that another process holds with flock."""
    code = (
        "import sys, time, pathlib; from instruct_scaling.training.run_lock import exclusive_lock\n"
        "with exclusive_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        yield tmp_path, process
        process.kill()


def test_a_folder_that_another_process_holds_is_refused_until_it_ends(held):
    folder, process = held
    with (
        pytest.raises(InputError, match="another process is training this run"),
        exclusive_lock(folder),
    ):
        pass
    process.kill()
    process.wait()
    with exclusive_lock(folder):
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_flock_a_file_names_the_owner_and_the_run_goes_on(
    failing, tmp_path, number, caplog, monkeypatch
):
    failing(number)
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with exclusive_lock(tmp_path):
        named = json.loads((tmp_path / ".owner").read_text("utf-8"))
        assert (named["host"], named["pid"]) == (socket.gethostname(), os.getpid())
        assert named["job"] == "17"
    assert "mount it with -o flock" in caplog.text
    assert not (tmp_path / ".owner").exists()


def test_another_error_of_the_lock_is_said_as_it_is(failing, tmp_path):
    failing(errno.EIO)
    with (
        pytest.raises(InputError, match="cannot be locked \\(Input/output error\\)"),
        exclusive_lock(tmp_path),
    ):
        pass


def name_owner(folder, owner):
    (folder / ".owner").write_text(json.dumps(asdict(owner)), "utf-8")


def test_without_flock_a_live_owner_is_refused_by_name(failing, tmp_path):
    failing(errno.ENOSYS)
    name_owner(tmp_path, Owner.this())
    with (
        pytest.raises(InputError, match=f"process {os.getpid()} on .* is training this run"),
        exclusive_lock(tmp_path),
    ):
        pass
    assert (tmp_path / ".owner").exists()


def test_without_flock_an_owner_that_has_ended_is_replaced(failing, tmp_path):
    failing(errno.ENOSYS)
    own = Owner.this()
    name_owner(tmp_path, replace(own, started=own.started - 1000))  # the number was used again
    with exclusive_lock(tmp_path):
        assert Owner(**json.loads((tmp_path / ".owner").read_text("utf-8"))) == own
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_an_owner_that_nobody_here_can_ask_for_is_refused_with_the_file(failing, tmp_path):
    failing(errno.ENOSYS)
    name_owner(tmp_path, Owner("elsewhere", 1, 0.0, None))
    with (
        pytest.raises(InputError, match=r"if that process has ended, remove .*/\.owner"),
        exclusive_lock(tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("said", "code", "alive"),
    [
        ("echo RUNNING", 0, True),
        ("echo COMPLETING", 0, True),
        ("echo TIMEOUT", 0, False),
        ("true", 0, False),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2", 1, False),
        ("echo 'Unable to contact slurm controller' >&2", 1, None),
    ],
)
def test_slurm_says_whether_an_owner_elsewhere_lives(tmp_path, monkeypatch, said, code, alive):
    program = tmp_path / "squeue"
    program.write_text(f"#!/bin/sh\n{said}\nexit {code}\n", "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    own = replace(Owner.this(), job="18")
    assert is_alive(Owner("elsewhere", 1, 0.0, "17"), own) is alive


def test_a_job_that_is_started_again_on_another_node_takes_over():
    own = replace(Owner.this(), job="17")
    assert is_alive(Owner("elsewhere", 1, 0.0, "17"), own) is False


def test_of_several_that_want_a_stale_file_one_gets_it_at_a_time(tmp_path):
    """Four processes without flock, each of which holds the folder for a moment."""
    code = (
        "import errno, fcntl, os, pathlib, sys, time\n"
        "from instruct_scaling.training import run_lock\n"
        "def flock(*_): raise OSError(errno.ENOSYS, 'none')\n"
        "fcntl.flock = flock; run_lock.LOCK_SECONDS = 60\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "with run_lock.exclusive_lock(folder):\n"
        "    os.close(os.open(folder / 'inside', os.O_CREAT | os.O_EXCL))\n"
        "    time.sleep(0.05); (folder / 'inside').unlink()\n"
    )
    own = Owner.this()
    name_owner(tmp_path, replace(own, started=own.started - 1000))
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(4)]
    began = time.monotonic()
    assert [process.wait() for process in processes] == [0] * 4
    assert time.monotonic() - began < 50
