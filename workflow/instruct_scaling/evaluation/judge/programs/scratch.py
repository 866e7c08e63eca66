"""Folders on disk for programs, and the removal of those whose judge was killed.

A judge holds a lock on the folder of each running program. The kernel lets go of it when the judge
ends, however it ends: a folder that another process can lock has no owner, and goes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

PREFIX = "instruct-scaling-program-"


@dataclass(slots=True)
class Scratch:
    """A folder for one program, locked by this process until `remove`."""

    path: str
    _lock: int | None

    def remove(self) -> None:
        """Remove the folder, then let go of its lock. A second time it does nothing."""
        shutil.rmtree(self.path, ignore_errors=True)  # flat: see launcher.py
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def make_scratch() -> Scratch:
    """A new, locked folder in the temporary folder.

    Where the file system has no locks it stays without one; then nobody else can lock it either,
    so nobody takes it for abandoned.
    """
    while True:
        path = tempfile.mkdtemp(prefix=PREFIX)
        try:
            lock = _lock(path)
        except OSError:
            if Path(path).exists():
                return Scratch(path, None)
            continue  # another judge took it for abandoned before it was locked
        if Path(path).exists():
            return Scratch(path, lock)
        os.close(lock)


def remove_abandoned(users: Collection[int]) -> int:
    """Remove the folders of programs whose judge has ended.

    Args:
        users: whose folders may be removed, besides this process's own user's.

    Returns:
        How many were removed.
    """
    removed = 0
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            own = found.st_uid == os.geteuid() or found.st_uid in users
            if not own or not stat.S_ISDIR(found.st_mode):
                continue
            lock = _lock(str(path))
            try:
                shutil.rmtree(path)
            finally:
                os.close(lock)
            removed += 1
    return removed


def _lock(path: str) -> int:
    """A descriptor of a folder that no other process has locked.

    Raises:
        OSError: another one has, or the folder cannot be locked.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
