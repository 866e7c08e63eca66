"""The scorer `unit_tests`, and the sandbox that runs a model's programs apart from this process.

Layers of isolation, recorded in `Sandbox.isolation`:

- always: a process of its own in a fresh folder, empty environment, no standard streams, limits
  on CPU time, address space, file size, processes and open files, a limit by the clock after which
  the whole group is killed, and an audit hook that refuses network, processes and foreign files;
- as root: another user (nobody), where that user can still read the interpreter;
- bubblewrap, where it works: no network, own process tree, and a file system that holds nothing
  but the interpreter (read-only) and the folder.

Without bubblewrap this stops accidents and the usual cheats, not an attacker.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import resources
from math import ceil
from pathlib import Path

import psutil
import regex

from instruct_scaling.common.errors import InputError
from instruct_scaling.evaluation.judge.judgements import Outcome, missing, scored

log = logging.getLogger(__name__)

START_SECONDS = 60.0  # a loaded machine may take long to start an interpreter
# By the clock a program may take this many times its CPU seconds: it shares the machine, and the
# verdict should not depend on what else runs there.
CLOCK_FACTOR = 3
NOBODY = 65534
OUTPUT_BYTES = 4096
# Modules that are not loaded before the user changes, one of them compiled.
PROBE = "import decimal, random, threading"
PROCESSES = 256  # beyond those that the user runs already
SYSTEM_FOLDERS = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache")
READABLE_FILES = ("/dev/null", "/dev/zero", "/dev/urandom", "/etc/localtime", "/usr/share/zoneinfo")

_FENCE = regex.compile(
    r"```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", regex.DOTALL | regex.MULTILINE
)
_PYTHON = {"", "python", "python3", "py"}


def extract_program(response: str) -> str:
    """The Python program of a response: its first Python or unnamed code block, else all of it.

    No-break spaces become spaces: public answer files have them as indentation.
    """
    response = response.replace("\u00a0", " ").replace("\r\n", "\n")
    for language, body in _FENCE.findall(response):
        if language.lower() in _PYTHON:
            return body.removesuffix("\n")
    return response


def unit_tests(response: str, tests: str, sandbox: Sandbox) -> Outcome:
    """1 if the tests pass after the response's program has run, else 0.

    A program that fails, stops early or exceeds a limit is wrong (0); a sandbox that could not
    start it says nothing (missing).
    """
    program = extract_program(response)
    if not program.strip():
        return scored(0.0, "empty program")
    verdict = sandbox.run(program, tests)
    if not verdict.started:
        return missing("sandbox_error", verdict.detail)
    return scored(float(verdict.passed), verdict.detail)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one program. `started` is false if the sandbox itself failed."""

    started: bool
    passed: bool
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Isolation:
    """How strongly programs are kept apart: with bubblewrap or not, as which user."""

    bubblewrap: bool
    uid: int | None

    def __str__(self) -> str:
        wall = "bubblewrap" if self.bubblewrap else "limits and audit hook only"
        return f"{wall}, as {'another user' if self.uid is not None else 'this user'}"


class Sandbox:
    """Runs programs under the strongest isolation that works on this machine.

    Args:
        timeout_seconds: CPU time of a program with its tests, rounded up to whole seconds; by the
            clock it may take three times as long.
        memory_mb: address space of each of its processes.
        isolation: use this one instead of trying which works.

    Raises:
        InputError: no isolation works, not even the plain one.
    """

    def __init__(
        self, timeout_seconds: float, memory_mb: int, isolation: Isolation | None = None
    ) -> None:
        self.timeout_seconds = timeout_seconds
        self.memory_mb = memory_mb
        self._source = (resources.files(__package__) / "sandbox_child.py").read_text("utf-8")
        self._processes = _own_threads() + PROCESSES
        self.isolation = isolation or self._strongest()

    def run(self, program: str, tests: str) -> Verdict:
        """Run `program`, then `tests` in its namespace. Safe to call from several threads.

        Passed only if a random token comes back that is handed over after the last test.
        """
        return self._run(program, tests, self.isolation)

    def _strongest(self) -> Isolation:
        root = os.getuid() == 0
        wrap = shutil.which("bwrap") is not None
        candidates = [
            Isolation(bubblewrap, uid)
            for bubblewrap in ([True, False] if wrap else [False])
            for uid in ([NOBODY, None] if root else [None])
        ]
        for isolation in candidates:
            verdict = self._run(PROBE, "", isolation)
            if verdict.passed:
                if not isolation.bubblewrap:
                    log.warning(
                        "bubblewrap is %s: programs run with %s",
                        "not usable" if wrap else "not installed",
                        isolation,
                    )
                return isolation
            log.debug("no sandbox with %s: %s", isolation, verdict.detail)
        raise InputError(
            f"programs cannot be run apart on this machine ({verdict.detail})",
            fix="judge on Linux, or choose another scorer for these categories",
        )

    def _run(self, program: str, tests: str, isolation: Isolation) -> Verdict:
        token = secrets.token_hex(16)
        job = {
            "program": program,
            "tests": tests,
            "memory_mb": self.memory_mb,
            "cpu_seconds": ceil(self.timeout_seconds),
            "clock_seconds": ceil(self.timeout_seconds * CLOCK_FACTOR) + 1,
            "processes": PROCESSES if isolation.uid is not None else self._processes,
            "uid": isolation.uid,
            "readable": [sys.base_prefix, *READABLE_FILES],
            "token_bytes": len(token),
        }
        text = json.dumps(job).encode()
        with (
            tempfile.TemporaryDirectory(
                prefix="instruct-scaling-", ignore_cleanup_errors=True
            ) as folder,
            tempfile.TemporaryFile() as order,
        ):
            order.write(b"%08d" % len(text) + text + token.encode())
            order.seek(0)
            if isolation.uid is not None:
                os.chown(folder, isolation.uid, isolation.uid)
                Path(folder).chmod(0o711)  # root without its capabilities is another user
            try:
                process = subprocess.Popen(
                    self._command(isolation, folder),
                    stdin=order,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    cwd=folder,
                    env={},
                    start_new_session=True,
                )
            except OSError as error:
                return Verdict(False, False, f"could not start: {error.strerror}")
            try:
                return self._watch(process, token)
            finally:
                _kill(process)

    def _command(self, isolation: Isolation, folder: str) -> list[str]:
        interpreter = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        python = [interpreter, "-I", "-S", "-B", "-c", self._source]
        if not isolation.bubblewrap:
            return python
        command = [shutil.which("bwrap") or "bwrap", "--die-with-parent", "--new-session"]
        command += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        if isolation.uid is None:
            command += ["--unshare-user"]
        else:
            command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        # Folders above the interpreter may be closed to the other user (/root), here they are not.
        for parent in reversed(Path(sys.base_prefix).parents[:-1]):
            command += ["--perms", "0755", "--dir", str(parent)]
        for path in dict.fromkeys([*SYSTEM_FOLDERS, sys.base_prefix]):
            command += ["--ro-bind-try", path, path]
        command += ["--bind", folder, folder, "--chdir", folder, "--clearenv"]
        return [*command, *python]

    def _watch(self, process: subprocess.Popen[bytes], token: str) -> Verdict:
        assert process.stdout is not None
        output = b""
        started = False
        deadline = time.monotonic() + START_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while output.count(b"\n") < 2 and len(output) < OUTPUT_BYTES:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    reason = f"stopped after {self.timeout_seconds * CLOCK_FACTOR:g} s"
                    return Verdict(started, False, reason if started else "did not start in time")
                part = os.read(process.stdout.fileno(), OUTPUT_BYTES)
                if not part:
                    break
                output += part
                if not started and output.startswith(b"started\n"):
                    started = True
                    deadline = time.monotonic() + self.timeout_seconds * CLOCK_FACTOR
        return _verdict(output, token, started)


def _verdict(output: bytes, token: str, started: bool) -> Verdict:
    if not started:
        return Verdict(False, False, "the sandbox ended before the program began")
    message = output.removeprefix(b"started\n").split(b"\n")[0].decode("utf-8", "replace")
    if secrets.compare_digest(message.encode(), f"passed {token}".encode()):
        return Verdict(True, True)
    if message.startswith("failed "):
        return Verdict(True, False, message.removeprefix("failed "))
    return Verdict(True, False, "ended, or used up its CPU time, before its tests were through")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole group; reap the leader."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _own_threads() -> int:
    """Threads that this user runs: the limit on processes counts them too."""
    total = 0
    for process in psutil.process_iter(["uids", "num_threads"]):
        uids = process.info["uids"]
        if uids is not None and uids.real == os.getuid():
            total += process.info["num_threads"] or 0
    return total
