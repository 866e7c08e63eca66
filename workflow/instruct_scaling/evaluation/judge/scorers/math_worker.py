"""Formulas compared by math-verify, in a process of its own.

math-verify bounds its time by SIGALRM, which reaches a main thread only, and sympy can spend
minutes in one multiplication of integers, where no signal is handled. So formulas are compared in a
worker process: any thread may ask, a hang ends the worker and not the stage, and the next question
starts another one. This file imports nothing of the package, so that the worker starts quickly.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import resource
import select
import subprocess
import sys
import threading
import time
from functools import lru_cache
from pathlib import Path

COMPARE_SECONDS = 3  # of each math-verify call; whole seconds, as it uses alarm(2)
_GRACE_SECONDS = 4  # beyond the time of parsing both and comparing
_START_SECONDS = 120  # importing sympy on a loaded machine
_MEMORY_BYTES = 2 << 30
_KEPT = 4096


class MathTimeout(Exception):
    """A comparison did not end."""


class MathError(Exception):
    """A text is no formula, or the worker cannot compare it. The message names the reason."""


class MathWorker:
    """A worker process, started when first asked and again after it has died."""

    def __init__(self, seconds: int = COMPARE_SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._compared = lru_cache(maxsize=_KEPT)(self._ask)  # no error is kept

    def same(self, gold: str, answer: str) -> bool:
        """Whether two LaTeX formulas are equal. The latest answers are kept.

        Raises:
            MathTimeout: it took too long, also a second time in a fresh worker for one that died.
            MathError: one of them is no formula.
        """
        with self._lock:
            return self._compared(gold, answer)

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # what was not written is lost anyway
                        pipe.close()

    def _ask(self, gold: str, answer: str) -> bool:
        for attempt in (1, 2):
            try:
                reply = self._exchange({"gold": gold, "answer": answer})
            except (OSError, EOFError) as error:  # the worker is dead: of memory, or killed
                self.close()
                if attempt == 2:
                    raise MathError(f"the worker ended: {type(error).__name__}") from error
                continue
            if reply.get("timeout"):
                raise MathTimeout(f"math-verify took longer than {self._seconds} s")
            if "error" in reply:
                raise MathError(str(reply["error"]))
            return bool(reply["same"])
        raise AssertionError("both attempts return or raise")

    def _exchange(self, question: dict[str, str]) -> dict[str, object]:
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(json.dumps(question).encode() + b"\n")
        process.stdin.flush()
        return json.loads(self._line(process, 3 * self._seconds + _GRACE_SECONDS))

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            # -P: the folder of this file holds modules that must not hide those of others
            [sys.executable, "-P", str(Path(__file__).resolve()), str(self._seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._line(self._process, _START_SECONDS)
        return self._process

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> bytes:
        assert process.stdout is not None
        deadline, received = time.monotonic() + seconds, b""
        while not received.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                self.close()
                raise MathTimeout(f"the comparison was stopped after {seconds:.0f} s")
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                raise EOFError
            received += piece
        return received


_shared: MathWorker | None = None
_shared_lock = threading.Lock()


def shared_worker() -> MathWorker:
    """The worker of this process, ended when the process ends."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = MathWorker()
            atexit.register(_shared.close)
        return _shared


def _serve(seconds: int) -> None:
    """Answer one JSON line for each on standard input, until it is closed."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    from math_verify import parse, verify
    from math_verify.errors import TimeoutException

    def compare(gold: str, answer: str) -> bool:
        parsed = [
            parse(f"${text}$", parsing_timeout=seconds, raise_on_error=True)
            for text in (gold, answer)
        ]
        return bool(verify(*parsed, timeout_seconds=seconds, raise_on_error=True))

    replies = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no reply
    print("{}", file=replies, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            reply: dict[str, object] = {"same": compare(question["gold"], question["answer"])}
        except TimeoutException:
            reply = {"timeout": True}
        except Exception as error:  # whatever its parsers raise at a text that is no formula
            reply = {"error": type(error).__name__}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
