"""Processes of the cluster: started, found again by another process, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from tests.slurm.files import WORK


def start_daemon(name: str, command: list[str], stdin: IO[str] | int = subprocess.DEVNULL) -> int:
    """Start a daemon in the foreground of its own session, its output in log/NAME.out; returns the
    number of the process."""
    log = WORK / "log" / f"{name}.out"
    with (log if log.parent.exists() else Path(os.devnull)).open("a") as output:
        process = subprocess.Popen(
            command, stdin=stdin, stdout=output, stderr=output, cwd=WORK, start_new_session=True
        )
    (WORK / "pids" / name).write_text(str(process.pid), "utf-8")
    return process.pid


def read_pid(name: str) -> int | None:
    """The number of a process that we started and that runs still, by its name."""
    path = WORK / "pids" / name
    if not path.exists():
        return None
    pid = int(path.read_text("utf-8"))
    return pid if state(pid) not in ("", "Z") else None


def end(pids: Iterable[int], seconds: float = 10) -> None:
    """End processes, and wait until they are gone; those that take longer are killed."""
    waiting = list(pids)
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5)):
        for pid in waiting:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + patience
        while waiting and time.monotonic() < deadline:
            time.sleep(0.05)
            for pid in waiting:  # a child of ours stays a zombie until it is waited for
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            waiting = [pid for pid in waiting if state(pid) not in ("", "Z")]
        if not waiting:
            return


def wait_until(ready: Callable[[], bool], seconds: float, message: str) -> None:
    """Wait until `ready()` is true.

    Raises:
        TimeoutError: with `message`, when it is not after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(message)
        time.sleep(0.1)


def processes() -> list[int]:
    """The numbers of all processes of this machine."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def network(pid: int) -> str:
    """What names a process's network namespace; empty if it has ended."""
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return ["", "0"]


def state(pid: int) -> str:
    """A process's state, such as R, S or Z (a zombie); empty if it has ended."""
    return _stat(pid)[0]


def parent(pid: int) -> int:
    """The number of a process's parent; 0 if it has ended."""
    return int(_stat(pid)[1])


def name(pid: int) -> str:
    """The name of a process's program; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8").strip()
    except OSError:
        return ""
