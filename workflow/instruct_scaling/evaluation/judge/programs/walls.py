"""Processes that run a text of Python behind walls, with limits on what they use.

A text runs under the strongest isolation that this machine has:

- bubblewrap, with a filter of system calls: own processes, network, IPC and host name, own users
  where the judge is not root; the interpreter's files, read-only, and a folder in memory;
- Landlock with the same filter, where bubblewrap cannot make namespaces: the interpreter's files,
  and a folder on disk for files without subfolders.

Under both a process can start no process, become no other program and open no socket but a pair, so
that the limit on address space bounds all its memory. Where neither works there is no isolation,
and `Walls` raises. A judge that is root gives every process a user of its own.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import platform
import select
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from math import ceil
from pathlib import Path
from typing import BinaryIO

import psutil

from instruct_scaling.common.errors import InputError
from instruct_scaling.evaluation.judge.programs import bubblewrap, seccomp
from instruct_scaling.evaluation.judge.programs.interpreter import (
    DEVICES,
    this_interpreter,
    without_hidden,
)
from instruct_scaling.evaluation.judge.programs.isolation import Isolation, candidates
from instruct_scaling.evaluation.judge.programs.scratch import (
    Scratch,
    make_scratch,
    remove_abandoned,
)

log = logging.getLogger(__name__)

START_SECONDS = 60.0  # a loaded machine may take long to start an interpreter
# By the clock a program may take this many times its CPU seconds: it shares the machine, and the
# verdict should not depend on what else runs there.
CLOCK_FACTOR = 3
SCRATCH_MB = 16
REAP_SECONDS = 5.0  # what bubblewrap takes at most to end after its process
LOOK_SECONDS = 0.25  # how often the folder's size is looked at
OUT_OF_MEMORY = 98  # as in launcher.py
THREADS = 256
# Users for root to give: those that systemd gives to services for the moment, 61184 to 65519.
USERS = range(61184, 65520)
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "PATH": "", "MALLOC_ARENA_MAX": "2"}
MODULES = "import decimal, hashlib, random, socket, ssl, threading, zoneinfo"  # some are compiled


class NoIsolation(Exception):
    """No isolation works on this machine; the text says why, `fix` what to do."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.fix = fix


class NotStarted(OSError):
    """The walls could not be put up around one process: nothing of its text has run."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process may use.

    Attributes:
        cpu_seconds: time of all its threads, rounded up to whole seconds.
        clock_seconds: time from the moment that the walls stand.
        memory_mb: address space.
        scratch_mb: size of its folder, in all and of one file.
    """

    cpu_seconds: float
    clock_seconds: float
    memory_mb: int
    scratch_mb: int = SCRATCH_MB


class Walls:
    """Starts processes under one isolation.

    Args:
        timeout_seconds: CPU time of a process; by the clock it may take three times as long.
        memory_mb: its address space.
        isolation: use this one instead of trying which works.
        unprotected: run with limits alone where no isolation works. Not as root.

    Attributes:
        isolation: the one that is used.
        passed_over: stronger ones that were tried, and why they do not work.

    Raises:
        NoIsolation: none works.
    """

    def __init__(
        self,
        timeout_seconds: float,
        memory_mb: int,
        isolation: Isolation | None = None,
        *,
        unprotected: bool = False,
    ) -> None:
        self.timeout_seconds = timeout_seconds
        self.memory_mb = memory_mb
        self.limits = Limits(timeout_seconds, CLOCK_FACTOR * timeout_seconds, memory_mb)
        self._interpreter = this_interpreter()
        self._launcher = (resources.files(__package__) / "launcher.py").read_text("utf-8")
        self._users = itertools.cycle(_from_here(USERS))
        self._threads = THREADS + _own_threads()
        remove_abandoned(USERS if _is_root() else ())
        self.passed_over: list[str] = []
        self.isolation = isolation or self._strongest(unprotected)
        if self.isolation.rung == "unprotected" and _is_root():
            raise NoIsolation(
                "unprotected programs do not run as root", "judge as an ordinary user"
            )

    def start(self, source: str, limits: Limits | None = None) -> Process:
        """Run a text of Python, which may use the standard library alone.

        Its descriptors 0 and 1 are the pipes of the process that this returns, 2 leads nowhere.
        The process ends when the thread that calls this one ends. Safe to call from several.

        Args:
            source: the text, run as `__main__`.
            limits: other limits than `Walls.limits`.

        Raises:
            NotStarted: the walls could not be put up.
        """
        return self._start(source, limits or self.limits, self.isolation)

    def _strongest(self, unprotected: bool) -> Isolation:
        root = _is_root()
        if bubblewrap.installed() is None:
            self.passed_over.append("bubblewrap: not installed")
        for isolation in candidates(
            root, bubblewrap.installed() is not None, self._interpreter.readable_by_others()
        ):
            reason = self.problem(isolation)
            if reason is None:
                return isolation
            self.passed_over.append(f"{isolation.rung}: {reason}")
        reasons = "; ".join(dict.fromkeys(self.passed_over))
        if unprotected:
            log.warning("programs run without isolation (%s)", reasons)
            return Isolation("unprotected")
        raise NoIsolation(
            f"programs cannot be kept apart on this machine ({reasons})",
            "`instruct-scaling doctor` says what to install or to allow",
        )

    def problem(self, isolation: Isolation) -> str | None:
        """Why an isolation does not work on this machine, None if it does: it is tried."""
        limits = Limits(10, START_SECONDS, 512)
        try:
            with self._start(f"{MODULES}\nprint('works', flush=True)", limits, isolation) as tried:
                if tried.stdout.read() == b"works\n":
                    return None
                return "the interpreter does not run in it"
        except NotStarted as error:
            return str(error)

    def _start(self, source: str, limits: Limits, isolation: Isolation) -> Process:
        user = next(self._users) if isolation.other_user else None
        scratch = None if isolation.rung == "bubblewrap" else make_scratch()
        folder = None if scratch is None else scratch.path
        job = self._job(source, limits, isolation, user, folder)
        reading, writing = os.pipe()
        try:
            if folder is not None and user is not None:
                os.chown(folder, user, user)
            process = self._popen(isolation, limits, folder, writing)
        except OSError as error:
            os.close(reading)
            if scratch is not None:
                scratch.remove()
            raise NotStarted(f"could not start: {error.strerror}") from error
        finally:
            os.close(writing)
        started = Process(process, limits, scratch)
        try:
            started.confine(job, reading)
        except BaseException:
            started.close()
            raise
        finally:
            os.close(reading)
        return started

    def _popen(
        self, isolation: Isolation, limits: Limits, folder: str | None, report: int
    ) -> subprocess.Popen[bytes]:
        # Not -I: it would take the fixed seed of hashes with the rest of the environment, which
        # holds nothing else of this machine.
        inside = [self._interpreter.executable, "-s", "-P", "-S", "-B", "-c", self._launcher]
        environment = ENVIRONMENT | {"HOME": folder or bubblewrap.FOLDER}
        environment["TMPDIR"] = environment["HOME"]
        if isolation.rung == "bubblewrap":
            inside = bubblewrap.command(
                self._interpreter,
                inside,
                scratch_mb=limits.scratch_mb,
                report=report,
                own_users=not isolation.other_user,
                no_further_users=isolation.no_further_users,
            )
        return subprocess.Popen(
            inside,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=report,
            pass_fds=(report,) if isolation.rung == "bubblewrap" else (),
            cwd=folder or "/",
            env=environment,
            start_new_session=True,
        )

    def _job(
        self,
        source: str,
        limits: Limits,
        isolation: Isolation,
        user: int | None,
        folder: str | None,
    ) -> bytes:
        """What launcher.py reads: see `Job` there."""
        landlock = isolation.rung == "landlock"
        readable = [*self._interpreter.readable, *DEVICES]
        calls = None
        if isolation.rung != "unprotected":
            try:
                calls = seccomp.system_call_filter(platform.machine(), metadata=not landlock)
            except InputError as error:
                raise NotStarted(error.what) from error
        job = {
            "source": source,
            "memory_mb": limits.memory_mb,
            "cpu_seconds": ceil(limits.cpu_seconds),
            "scratch_mb": limits.scratch_mb,
            # In a user namespace, or as a user of its own, it is counted alone.
            "threads": self._threads if folder is not None and user is None else THREADS,
            "user": user,
            "keeps_reading": isolation.keeps_reading,
            "first": isolation.rung == "bubblewrap" and user is not None,
            "judge": os.getpid() if folder is not None else None,
            "folder": folder or bubblewrap.FOLDER,
            "readable": without_hidden(readable, self._interpreter.hidden) if landlock else None,
            "listed": readable,
            "filter": None if calls is None else calls.hex(),
            "own_pid": seccomp.OWN_PID,
        }
        text = json.dumps(job).encode()
        return b"%08d" % len(text) + text


class Process:
    """A process behind walls. As a context it is closed at the end.

    Attributes:
        stdin, stdout: unbuffered pipes to its descriptors 0 and 1: `write` may write less than
            all, `read(n)` may give less than n.
        ended_by: what stopped it: None (it runs, or ended by itself), `cpu`, `clock`, `memory`
            (its folder's size counts too), or `signal N`.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], limits: Limits, scratch: Scratch | None
    ) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.stdin: BinaryIO = process.stdin  # type: ignore[assignment]
        self.stdout: BinaryIO = process.stdout  # type: ignore[assignment]
        self.ended_by: str | None = None
        self._process = process
        self._limits = limits
        self._scratch = scratch
        self._lock = threading.Lock()  # a number is signaled only while it is this process's
        self._used: float | None = None  # CPU seconds, once it has ended
        self._inner: int | None = None  # pidfd of the process inside bubblewrap
        self._seen = 0.0
        self._stopped_for: str | None = None
        self._deadline = time.monotonic() + START_SECONDS
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def confine(self, job: bytes, report: int) -> None:
        """Hand the job over and wait until the walls stand.

        Raises:
            NotStarted: they do not, with the reason that came through `report`.
        """
        with contextlib.suppress(BrokenPipeError):
            _write_all(self.stdin.fileno(), job)
        text = b""
        while not text.endswith(b"confined") and (part := os.read(report, 4096)):
            text += part
        self._take(bubblewrap.child(text))
        if not text.endswith(b"confined"):
            reason = bubblewrap.without_information(text).decode("utf-8", "replace").strip()
            if self._stopped_for == "clock":
                reason = f"not started after {START_SECONDS:g} s"
            raise NotStarted(reason or "it ended before the walls stood")
        self._deadline = time.monotonic() + self._limits.clock_seconds

    def kill(self) -> None:
        """End it if it runs, and wait until it and its folder are gone. Its pipes stay open."""
        self._signal()
        self._watcher.join(REAP_SECONDS)
        if self._watcher.is_alive():
            self._signal()
            self._watcher.join()

    def close(self) -> None:
        """Kill it and close its pipes. A second time it does nothing."""
        self.kill()
        self.stdin.close()
        self.stdout.close()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it has ended, after at most so long; the limit by the clock ends it anyway."""
        self._watcher.join(seconds)
        return not self._watcher.is_alive()

    def cpu_seconds(self) -> float:
        """CPU time that it has used, or used in all if it has ended."""
        with self._lock:
            return _cpu_seconds(self._process.pid) if self._used is None else self._used

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, child: int | None) -> None:
        """Hold on to the process inside bubblewrap."""
        with self._lock, contextlib.suppress(OSError):
            if child is not None and self._used is None:
                self._inner = os.pidfd_open(child)

    def _signal(self) -> None:
        """Kill the process inside first: bubblewrap then ends too, having reaped it. Killed with
        it, bubblewrap would leave it to process 1, which in a container may reap nothing."""
        with self._lock, contextlib.suppress(ProcessLookupError, PermissionError):
            if self._used is not None:
                return
            self._seen = _cpu_seconds(self._process.pid)  # not all of it is passed on
            if self._inner is not None:
                inner, self._inner = self._inner, None
                try:
                    signal.pidfd_send_signal(inner, signal.SIGKILL)
                finally:
                    os.close(inner)
            else:
                os.killpg(self._process.pid, signal.SIGKILL)

    def _watch(self) -> None:
        """Stop it at a limit that the kernel does not watch; take note of how it ended."""
        while not _ends(self._process.pid, self._pause()):
            if time.monotonic() >= self._deadline:
                self._stopped_for = "clock"
            elif self._scratch and _size(self._scratch.path) > self._limits.scratch_mb:
                self._stopped_for = "memory"
            else:
                continue
            self._signal()
        with self._lock:
            _, status, usage = os.wait4(self._process.pid, 0)
            if self._inner is not None:
                os.close(self._inner)
            self._used = max(self._seen, usage.ru_utime + usage.ru_stime)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.ended_by = self._stopped_for or self._reason(self._process.returncode)
        if self._scratch is not None:
            self._scratch.remove()

    def _pause(self) -> float:
        """Seconds until the next look."""
        left = max(0.0, self._deadline - time.monotonic())
        return min(left, LOOK_SECONDS if self._scratch is not None else 1.0)

    def _reason(self, code: int) -> str | None:
        if code == OUT_OF_MEMORY:
            return "memory"
        number = -code if code < 0 else code - 128  # bubblewrap ends with 128 + signal
        if number <= 0 or number > signal.NSIG:
            return None
        # The kernel's two counts of CPU time differ by some ticks.
        if number == signal.SIGKILL and self.cpu_seconds() >= 0.8 * self._limits.cpu_seconds:
            return "cpu"
        return f"signal {number}"


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _ends(pid: int, seconds: float) -> bool:
    """Whether a child ends within so long. It is not reaped."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:  # Linux before 5.3
        deadline = time.monotonic() + seconds
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(1000 * seconds))
    finally:
        os.close(descriptor)


def _is_root() -> bool:
    return os.geteuid() == 0


def _from_here(users: Sequence[int]) -> list[int]:
    """The same users, begun elsewhere in each process, so that two judges seldom share one."""
    begin = os.getpid() % len(users)
    return [*users[begin:], *users[:begin]]


def _own_threads() -> int:
    """Threads that this user runs: the limit on processes counts them too."""
    total = 0
    for process in psutil.process_iter(["uids", "num_threads"]):
        uids = process.info["uids"]
        if uids is not None and uids.real == os.getuid():
            total += process.info["num_threads"] or 0
    return total


def _cpu_seconds(pid: int) -> float:
    """Of a running process and those below it."""
    total = 0.0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
        total += sum(_cpu_seconds(child) for child in _children(process))
    return total


def _children(process: psutil.Process) -> list[int]:
    """Their numbers; from the kernel's own list, where it has one, since a search takes longer."""
    try:
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii")
        return [int(number) for number in listed.split()]
    except OSError:
        return [child.pid for child in process.children()]


def _size(folder: str) -> float:
    """Megabytes of a flat folder; each file counts a page at least."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                total += max(4096, 512 * entry.stat(follow_symlinks=False).st_blocks)
    return total / 2**20
