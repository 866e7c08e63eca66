"""Interim walls under the contract of branch isolation, whose file replaces this one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from math import ceil
from typing import IO


@dataclass(frozen=True, slots=True)
class Limits:
    cpu_seconds: float
    clock_seconds: float
    memory_mb: int
    scratch_mb: int


class Process:
    def __init__(self, popen: subprocess.Popen[bytes], folder: str) -> None:
        assert popen.stdin is not None and popen.stdout is not None
        self._popen = popen
        self._folder = folder
        self._cpu = 0.0
        self.stdin: IO[bytes] = popen.stdin
        self.stdout: IO[bytes] = popen.stdout
        self.ended_by: str | None = None

    def kill(self) -> None:
        if self._popen.returncode is not None:
            return
        try:
            os.killpg(self._popen.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            self._popen.kill()
        _, status, usage = os.wait4(self._popen.pid, 0)
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        self._cpu = usage.ru_utime + usage.ru_stime
        code = self._popen.returncode
        if code == -signal.SIGXCPU or code == 128 + signal.SIGXCPU:
            self.ended_by = "cpu"
        for pipe in (self.stdin, self.stdout):
            try:
                pipe.close()
            except OSError:
                pass
        shutil.rmtree(self._folder, ignore_errors=True)

    def cpu_seconds(self) -> float:
        return self._cpu


class Walls:
    def __init__(self, timeout_seconds: float, memory_mb: int, isolation: str | None = None):
        self.timeout_seconds = timeout_seconds
        self.memory_mb = memory_mb
        self.isolation = isolation or "interim"

    def start(self, source: str, limits: Limits, *, folder: bool = True) -> Process:
        cpu, memory = ceil(limits.cpu_seconds), limits.memory_mb * 2**20
        prelude = (
            "import resource as r\n"
            f"r.setrlimit(r.RLIMIT_CPU, ({cpu}, {cpu + 1}))\n"
            f"r.setrlimit(r.RLIMIT_AS, ({memory}, {memory}))\n"
        )
        interpreter = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        place = tempfile.mkdtemp(prefix="instruct-scaling-")
        popen = subprocess.Popen(
            [interpreter, "-I", "-S", "-B", "-c", prelude + source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=place,
            env={},
            start_new_session=True,
        )
        return Process(popen, place)
