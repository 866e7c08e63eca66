"""One process at a time for a run's work folder.

`flock` is used where the file system has it: the lock ends with the process that holds it. Lustre
mounted without `-o flock` has none (ENOSYS), nor has NFS without its lock daemon (ENOLCK). There a
file names the owner, and whether that one lives is asked of this machine or of SLURM.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import psutil

from instruct_scaling.common.errors import InputError
from instruct_scaling.training import slurm

log = logging.getLogger(__name__)

LOCK_SECONDS = 15.0  # ranks of a killed run need a moment to notice
GUARD_SECONDS = 60.0  # it is held for the time of two reads
HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}


@dataclass(frozen=True)
class Owner:
    """A process, also after a restart of its machine: `started` is in seconds since 1970."""

    host: str
    pid: int
    started: float
    job: str | None

    @classmethod
    def this(cls) -> Owner:
        """This process."""
        process = psutil.Process()
        return cls(socket.gethostname(), process.pid, process.create_time(), slurm.own_job())

    def __str__(self) -> str:
        job = f", SLURM job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


@contextmanager
def exclusive_lock(work: Path) -> Iterator[None]:
    """Hold the work folder; a second process with the same run must not write into it.

    Raises:
        InputError: another live process holds it, or it cannot be locked.
    """
    work.mkdir(parents=True, exist_ok=True)
    with (work / ".lock").open("w") as handle:
        if _flock(handle, work):
            yield
            return
    log.warning(
        "%s: this file system has no flock (Lustre: mount it with -o flock); the file .owner names "
        "who trains there",
        work,
    )
    with _owner_file(work / ".owner"):
        yield


def _flock(handle: IO[str], work: Path) -> bool:
    """Lock an open file; False where its file system has no such locks."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno in UNSUPPORTED:
                return False
            if error.errno not in HELD:
                raise InputError(f"it cannot be locked ({error.strerror})", where=work) from error
            if time.monotonic() > deadline:
                raise _held("another process", work, "wait for it, or stop it first") from error
        time.sleep(0.2)


@contextmanager
def _owner_file(path: Path) -> Iterator[None]:
    """A file that only one process can make, in place of a lock."""
    own = Owner.this()
    deadline = time.monotonic() + LOCK_SECONDS
    while not _made(path, own):
        other = _read(path)
        alive = is_alive(other, own) if other is not None else None
        if other is not None and alive is False:
            _remove_ended(path, other)
            continue
        if time.monotonic() > deadline:
            fix = "wait for it, or stop it first"
            if alive is None:
                fix = f"if that process has ended, remove {path}"
            raise _held(str(other or "a process that is not named"), path.parent, fix)
        time.sleep(0.2)
    try:
        yield
    finally:
        if _read(path) == own:
            path.unlink(missing_ok=True)


def _held(who: str, work: Path, fix: str) -> InputError:
    return InputError(f"{who} is training this run", where=work, fix=fix)


def _made(path: Path, own: Owner) -> bool:
    try:
        number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(number, "w", encoding="utf-8") as handle:
        json.dump(asdict(own), handle)
        handle.flush()
        os.fsync(handle.fileno())
    return True


def _read(path: Path) -> Owner | None:
    """Who is named; None where the file is gone, or not whole yet."""
    try:
        return Owner(**json.loads(path.read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _remove_ended(path: Path, ended: Owner) -> None:
    """Remove the file of an owner that has ended, but not that of who was quicker to replace it:
    only who has made a second file may remove the first."""
    guard = path.with_name(f"{path.name}.guard")
    with suppress(FileNotFoundError):
        if time.time() - guard.stat().st_mtime > GUARD_SECONDS:  # its maker was killed
            guard.unlink()
    try:
        os.close(os.open(guard, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError:
        time.sleep(0.2)
        return
    try:
        if _read(path) == ended:
            path.unlink()
    finally:
        guard.unlink(missing_ok=True)


def is_alive(other: Owner, own: Owner) -> bool | None:
    """Whether an owner lives; None where nobody here can tell."""
    if other.host == own.host:
        try:
            return abs(psutil.Process(other.pid).create_time() - other.started) < 2
        except psutil.NoSuchProcess:
            return False
    if other.job is None:
        return None
    if other.job == own.job:  # this job, started again on another node
        return False
    return slurm.job_lives(other.job)
