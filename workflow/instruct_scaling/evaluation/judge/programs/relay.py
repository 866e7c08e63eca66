"""The judge's side of a sandbox: frames in and out by a deadline, never looked into."""

from __future__ import annotations

import os
import select
import time

from instruct_scaling.evaluation.judge.programs import bootstrap, frames
from instruct_scaling.evaluation.judge.programs.walls import Limits, Process, Walls

PART = 1 << 16


class Ended(Exception):
    """A process ended, or sent what is no frame."""


class OutOfTime(Exception):
    """The deadline passed."""


class Sandbox:
    """One process behind walls, and its frames. Opened as a context, which ends it.

    Args:
        main: name of the module that runs inside.

    Raises:
        NotStarted: it cannot be started.
    """

    def __init__(self, walls: Walls, main: str, limits: Limits) -> None:
        self.process: Process = walls.start(bootstrap.SOURCE, limits)
        self._in = self.process.stdin.fileno()
        self._out = self.process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._main = main
        self._received = bytearray()

    def begin(self, job: bytes, deadline: float) -> None:
        """Send the modules and the job, and wait until they have arrived."""
        self._write(bootstrap.modules(self._main), deadline)
        self.send(b"J" + job, deadline)

    def ready(self, deadline: float) -> None:
        """Wait until the process has its job."""
        if self.receive(deadline) != b"R":
            raise Ended

    def send(self, frame: bytes, deadline: float) -> None:
        """Send one frame.

        Raises:
            Ended: the process reads no more.
            OutOfTime: the deadline passed.
        """
        self._write(len(frame).to_bytes(4, "big") + frame, deadline)

    def receive(self, deadline: float) -> bytes:
        """The next frame.

        Raises:
            Ended: the process ended, or the frame is empty or too large.
            OutOfTime: the deadline passed.
        """
        self._fill(4, deadline)
        size = int.from_bytes(self._received[:4], "big")
        if not 0 < size <= frames.MAX_FRAME:
            raise Ended
        self._fill(4 + size, deadline)
        frame = bytes(self._received[4 : 4 + size])
        del self._received[: 4 + size]
        return frame

    def _fill(self, size: int, deadline: float) -> None:
        while len(self._received) < size:
            _wait(self._out, select.POLLIN, deadline)
            try:
                part = os.read(self._out, PART)
            except BlockingIOError:
                continue
            if not part:
                raise Ended
            self._received += part

    def _write(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            _wait(self._in, select.POLLOUT, deadline)
            try:
                view = view[os.write(self._in, view[:PART]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise Ended from None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()


def _wait(descriptor: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise OutOfTime
