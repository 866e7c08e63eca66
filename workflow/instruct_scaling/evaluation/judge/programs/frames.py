"""Frames between a sandbox and the judge: four bytes of length, then a letter and its content.

Standard library only: the module also runs inside both sandboxes.

=======  ==========================  =====================================================
letter   from, to                    content
=======  ==========================  =====================================================
`J`      judge to both               the job, as wire message
`R`      both to judge               nothing: the process is ready
`L`      program to tests            names that the program defines, as wire message
`X`      program to judge            what ended the program while it was loaded, as text
`C`      tests to program            a call: handle, arguments, named arguments
`I`      tests to program            the next value of an iterator: handle
`V`      program to tests            a value, and the arguments that changed
`S`      program to tests            the iterator has no more values
`E`      program to tests            an exception, and the arguments that changed
`P`      tests to judge              every test passed
`F`      tests to judge              what failed, as text
`H`      tests to judge              a test used as data what is none, as text
`N`      tests to judge              a test passes what is no plain data, as text
=======  ==========================  =====================================================
"""

from __future__ import annotations

import os

MAX_FRAME = 17 * 2**20  # more than a wire message of the largest size
TEXT_BYTES = 600


class Connection:
    """This process's side: descriptors 0 and 1, which become /dev/null for everything else."""

    def __init__(self) -> None:
        self._in = os.dup(0)
        self._out = os.dup(1)
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)

    def send(self, letter: bytes, content: bytes = b"") -> None:
        """Write one frame."""
        data = memoryview((1 + len(content)).to_bytes(4, "big") + letter + content)
        while data:
            data = data[os.write(self._out, data) :]

    def receive(self) -> tuple[bytes, bytes]:
        """Read one frame: letter and content. The process ends where there is none."""
        frame = self._exactly(int.from_bytes(self._exactly(4), "big"))
        return frame[:1], frame[1:]

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            part = os.read(self._in, min(size, 1 << 20))
            if not part:
                os._exit(1)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def text(error: BaseException) -> str:
    """An exception in one line: `AssertionError`, `ValueError: what it says`."""
    name = type(error).__name__
    try:
        message = str(error).strip()
    except BaseException:
        message = ""
    return (f"{name}: {message}" if message else name).split("\n")[0][:300]


def text_bytes(line: str) -> bytes:
    """A line as the content of a frame."""
    return line.encode("utf-8", "replace")[:TEXT_BYTES]
