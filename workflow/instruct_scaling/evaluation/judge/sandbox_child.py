"""Runs one program with its tests inside the sandbox. Stand-alone: standard library only.

Reads from file descriptor 0 an 8-digit length, that many bytes of JSON (program, tests, limits)
and, only after the tests have passed, a token. Writes to descriptor 1 one line when it starts and
one with the token or with what went wrong.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import types
from collections.abc import Iterable
from typing import Any

MEGABYTE = 1024 * 1024

# Audit events, by their beginnings, that no tested program has a need for.
REFUSED = (
    "ctypes.",
    "os.exec",
    "os.fork",
    "os.kill",
    "os.posix_spawn",
    "os.putenv",
    "os.spawn",
    "os.system",
    "pty.spawn",
    "socket.",
    "subprocess.",
    "sys.remote_exec",
    "syslog.",
    "webbrowser.",
)
# Audit events whose first arguments are paths that would be changed.
CHANGING = frozenset(
    (
        "os.chdir",
        "os.chmod",
        "os.chown",
        "os.link",
        "os.mkdir",
        "os.remove",
        "os.removexattr",
        "os.rename",
        "os.rmdir",
        "os.setxattr",
        "os.symlink",
        "os.truncate",
        "os.utime",
        "shutil.move",
        "shutil.rmtree",
    )
)
LISTING = frozenset(("os.listdir", "os.scandir", "os.walk"))


def read_exactly(descriptor: int, size: int) -> bytes:
    """`size` bytes of a descriptor, fewer at its end."""
    data = b""
    while len(data) < size:
        part = os.read(descriptor, size - len(data))
        if not part:
            break
        data += part
    return data


def set_limits(job: dict[str, Any]) -> None:
    """Limits of this process and all it starts; then the unprivileged user, if there is one."""
    memory = job["memory_mb"] * MEGABYTE
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, job["cpu_seconds"]),
        (resource.RLIMIT_FSIZE, 16 * MEGABYTE),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, job["processes"]),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(limit, (value, value))
    signal.alarm(job["clock_seconds"])  # ends it even if the judge is gone
    if job["uid"] is not None:
        os.setgroups([])
        os.setgid(job["uid"])
        os.setuid(job["uid"])


def guard(folder: str, readable: Iterable[str]) -> None:
    """Refuse, from now on, to leave `folder`, to start processes and to use the network.

    An audit hook cannot be taken out again, but it is no security boundary: code that corrupts
    the interpreter bypasses it. It stops accidents where nothing stronger is available.
    """
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    # Bound here, so that a program that replaces them does not change the hook.
    realpath, fsdecode = os.path.realpath, os.fsdecode
    folder = realpath(folder)
    roots = tuple(realpath(path) for path in (folder, *readable))

    def inside(path: Any, allowed: tuple[str, ...]) -> bool:
        if isinstance(path, int):
            return True
        full = realpath(fsdecode("." if path is None else path))
        return any(full == root or full.startswith(root.rstrip("/") + "/") for root in allowed)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(REFUSED):
            raise PermissionError(f"refused: {event}")
        if event == "open":
            path, _, flags = arguments
            if not inside(path, (folder, "/dev/null") if (flags or 0) & writing else roots):
                raise PermissionError(f"refused: open {path!r}")
        elif event in CHANGING:
            paths = [value for value in arguments[:2] if isinstance(value, str | bytes)]
            if not all(inside(path, (folder,)) for path in paths):
                raise PermissionError(f"refused: {event}")
        elif event in LISTING and not inside(arguments[0], roots):
            raise PermissionError(f"refused: {event}")

    sys.addaudithook(hook)


def main() -> None:
    """Run the job that descriptor 0 describes."""
    job = json.loads(read_exactly(0, int(read_exactly(0, 8))))
    source, result = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    set_limits(job)
    os.write(result, b"started\n")
    # From here on the program may have replaced anything: keep what is needed afterwards.
    write, leave, read = os.write, os._exit, read_exactly
    os.environ.clear()
    program = types.ModuleType("program")
    sys.modules["program"] = program
    guard(".", job["readable"])
    try:
        exec(compile(job["program"], "<program>", "exec"), program.__dict__)
        exec(compile(job["tests"], "<tests>", "exec"), program.__dict__)
    except BaseException as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        write(result, b"failed " + text.encode("utf-8", "replace") + b"\n")
        leave(1)
    write(result, b"passed " + read(source, job["token_bytes"]) + b"\n")
    leave(0)


if __name__ == "__main__":
    main()
