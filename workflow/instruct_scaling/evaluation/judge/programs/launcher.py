"""Confines its own process and then runs a Python text in it. Stand-alone: standard library only.

Descriptor 0 begins with an 8-digit length and that many bytes of JSON (a `Job`); what follows them
belongs to the text. Descriptor 2 is where it reports: `confined`, or what went wrong; from then on
it leads nowhere. Nothing of the text runs unless every step has succeeded.

The interpreter sets the filter of system calls on itself, once it has started: bubblewrap could
set one, but before it executes the interpreter, and a filter cannot tell this execution from the
next. What runs until then is this file, which has seen no input of the program.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
import types
from typing import Any, TypedDict

MEGABYTE = 1024 * 1024
OUT_OF_MEMORY = 98  # exit status of a text that ends with MemoryError

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS = 1, 8, 38
SECCOMP_SET_MODE_FILTER = 1
CAPABILITY_VERSION = 0x20080522
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
# Numbers of system calls: the same on x86_64 and aarch64 but for two.
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
SECCOMP = {"x86_64": 317, "aarch64": 277}
CAPSET = {"x86_64": 126, "aarch64": 91}

# Landlock's rights (linux/landlock.h): what each version of it knows, and what is granted.
WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 5
MAKE_REG, TRUNCATE = 1 << 8, 1 << 14
KNOWN_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
OF_A_FILE = WRITE_FILE | READ_FILE | TRUNCATE
NETWORK = 0b11  # bind and connect, from version 4
SCOPES = 0b11  # abstract sockets and signals, from version 6


class Job(TypedDict):
    """What to run and how.

    `user` is whom to become, `first` whether a process of the old user stays as process 1, `judge`
    the process that this one ends with (None: bubblewrap sees to it), `readable` and `listed` what
    Landlock lets it read and list (None: without Landlock), `folder` where it works, `filter` the
    system call filter in hexadecimal (None: without).
    """

    source: str
    memory_mb: int
    cpu_seconds: int
    scratch_mb: int
    threads: int
    user: int | None
    keeps_reading: bool
    judge: int | None
    first: bool
    folder: str
    readable: list[str] | None
    listed: list[str]
    filter: str | None
    own_pid: int


def read_job() -> Job:
    """The job, and not a byte more of descriptor 0."""
    return json.loads(read_exactly(int(read_exactly(8))))


def read_exactly(size: int) -> bytes:
    """`size` bytes of descriptor 0."""
    data = b""
    while len(data) < size:
        part = os.read(0, size - len(data))
        if not part:
            raise EOFError("the job ends early")
        data += part
    return data


def set_limits(job: Job) -> None:
    """Limits of this process, which nothing can raise again."""
    for limit, value in (
        (resource.RLIMIT_AS, job["memory_mb"] * MEGABYTE),
        (resource.RLIMIT_CPU, job["cpu_seconds"]),
        (resource.RLIMIT_FSIZE, job["scratch_mb"] * MEGABYTE),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, job["threads"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_MEMLOCK, MEGABYTE),
    ):
        hard = resource.getrlimit(limit)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(limit, (value, value))


def become(user: int, keeps_reading: bool) -> None:
    """Another user, with no rights of root.

    `keeps_reading`: but for reading files of all users, where the interpreter lies in a folder
    that is closed to others. Landlock, which goes before it, then decides alone what is read.
    """
    os.setgroups([])
    if keeps_reading:
        prctl(PR_SET_KEEPCAPS, 1)
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    if keeps_reading:
        header = struct.pack("=Ii", CAPABILITY_VERSION, 0)
        for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):  # containers may lack the first
            sets = struct.pack("=6I", 1 << capability, 1 << capability, 0, 0, 0, 0)
            if LIBC.syscall(CAPSET[os.uname().machine], header, sets) == 0:
                return
        raise OSError(ctypes.get_errno(), "no right to read the interpreter")


def end_with(judge: int) -> None:
    """Be killed when the thread of the judge that started this process ends.

    Set after a change of user, which takes it back.
    """
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != judge:
        raise OSError("the judge has ended")


def stay_as_first() -> None:
    """Go on in a child; the parent waits for it as process 1 and ends as it does.

    If the judge is killed, bubblewrap ends process 1 and with it all inside. It has no rights, so
    that it can only end a process of its own user, which the program's is not where root judges.
    """
    child = os.fork()
    if child == 0:
        return
    os.closerange(0, 4096)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def restrict_files(job: Job) -> None:
    """Landlock: read what the interpreter needs, write into the folder, reach nothing else.

    The folder stays flat, so that what is left in it is quickly counted and removed.
    """
    assert job["readable"] is not None
    version = check(LIBC.syscall(LANDLOCK_CREATE_RULESET, None, 0, 1), "Landlock")
    known = KNOWN_RIGHTS[max(number for number in KNOWN_RIGHTS if number <= version)]
    fields = [known]
    if version >= 4:
        fields.append(NETWORK)
    if version >= 6:
        fields.append(SCOPES)
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = check(
        LIBC.syscall(LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0), "Landlock's rules"
    )
    for path in job["readable"]:
        grant(ruleset, path, READ_FILE | READ_DIR)
    for path in job["listed"]:
        grant(ruleset, path, READ_DIR)
    grant(ruleset, "/dev/null", READ_FILE | WRITE_FILE)
    writing = READ_FILE | READ_DIR | WRITE_FILE | MAKE_REG | REMOVE_FILE | TRUNCATE
    grant(ruleset, job["folder"], writing & known)
    check(LIBC.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0), "Landlock")
    os.close(ruleset)


def grant(ruleset: int, path: str, rights: int) -> None:
    """Rights on a file, or on a folder and all below it; a path that is not there is left out."""
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):  # noqa: PTH112 (os alone is imported before the walls stand)
        rights &= OF_A_FILE
    if rights:
        rule = struct.pack("=Qi", rights, opened)
        check(LIBC.syscall(LANDLOCK_ADD_RULE, ruleset, 1, rule, 0), f"Landlock's rule of {path}")
    os.close(opened)


def filter_calls(instructions: bytes, own_pid: int) -> None:
    """Set the filter, with this process's number in place of `own_pid`."""
    instructions = instructions.replace(struct.pack("<I", own_pid), struct.pack("<I", os.getpid()))
    text = ctypes.create_string_buffer(instructions, len(instructions))
    program = struct.pack("@HP", len(instructions) // 8, ctypes.addressof(text))
    check(LIBC.syscall(SECCOMP[os.uname().machine], SECCOMP_SET_MODE_FILTER, 0, program), "seccomp")


def prctl(option: int, value: int) -> None:
    """Set an option of this process."""
    zero = ctypes.c_ulong(0)
    check(LIBC.prctl(option, ctypes.c_ulong(value), zero, zero, zero), f"prctl {option}")


def check(result: int, what: str) -> int:
    """The result of a system call.

    Raises:
        OSError: it failed.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def confine(job: Job) -> None:
    """Every wall, the filter last: what the others need is no longer allowed after it."""
    if job["first"]:
        stay_as_first()
    os.chdir(job["folder"])
    set_limits(job)
    if job["user"] is not None:
        become(job["user"], job["keeps_reading"])
    if job["judge"] is not None:
        end_with(job["judge"])
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    if job["readable"] is not None:
        restrict_files(job)
    if job["filter"] is not None:
        filter_calls(bytes.fromhex(job["filter"]), job["own_pid"])


def main() -> None:
    """Confine, report, and run the text as `__main__`."""
    try:
        job = read_job()
        confine(job)
        code = compile(job["source"], "<source>", "exec")
        nowhere = os.open(os.devnull, os.O_RDWR)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:2000])
        os._exit(97)
    os.write(2, b"confined")
    os.dup2(nowhere, 2)
    os.closerange(3, 4096)
    main_module: Any = types.ModuleType("__main__")
    sys.modules["__main__"] = main_module
    sys.argv[:] = ["<source>"]
    try:
        exec(code, main_module.__dict__)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


LIBC = ctypes.CDLL(None, use_errno=True)

if __name__ == "__main__":
    main()
