"""The command line of bubblewrap for one program."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from instruct_scaling.evaluation.judge.programs.interpreter import DEVICES, Interpreter

FOLDER = "/tmp"  # where programs work; it exists in memory only, and ends with them
MEGABYTE = 1024 * 1024
_INFORMATION = re.compile(rb"\{[^{}]*\}\s*")
_CHILD = re.compile(rb'"child-pid":\s*(\d+)')


def installed() -> str | None:
    """The path of bubblewrap, None where it is not installed."""
    return shutil.which("bwrap")


def command(
    interpreter: Interpreter,
    inside: Sequence[str],
    *,
    scratch_mb: int,
    report: int,
    own_users: bool,
    no_further_users: bool,
) -> list[str]:
    """bubblewrap's arguments, up to and including the command that runs inside.

    Own processes, network, IPC and host name; a file system with what the interpreter reads,
    read-only, the simplest devices, and a folder in memory of `scratch_mb`. There is no /proc: no
    other process, and no environment of one, can be looked at. The command is process 1.

    Args:
        interpreter: what is readable.
        inside: the command to run.
        scratch_mb: size of the folder.
        report: descriptor that bubblewrap writes the number of the process inside on.
        own_users: in a user namespace, as an ordinary user needs. Otherwise (as root) the command
            keeps the two capabilities with which it becomes another user.
        no_further_users: forbid user namespaces inside; bubblewrap 0.8 and later, with `own_users`.
    """
    walls = ["--die-with-parent", "--as-pid-1", "--unshare-pid", "--unshare-net", "--unshare-ipc"]
    walls += ["--unshare-uts", "--hostname", "sandbox", "--info-fd", str(report)]
    if own_users:
        walls += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
        walls += ["--disable-userns"] if no_further_users else []
    else:
        walls += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    return [installed() or "bwrap", *walls, *_file_system(interpreter, scratch_mb), *inside]


def child(report: bytes) -> int | None:
    """The number of the process inside, which bubblewrap writes first."""
    found = _CHILD.search(report)
    return None if found is None else int(found.group(1))


def without_information(report: bytes) -> bytes:
    """A report without what bubblewrap writes of itself."""
    return _INFORMATION.sub(b"", report)


def _file_system(interpreter: Interpreter, scratch_mb: int) -> list[str]:
    arguments: list[str] = []
    # Folders above the interpreter may be closed to others (/root); here they are not.
    for parent in dict.fromkeys(
        str(parent)
        for path in (*interpreter.readable, *DEVICES)
        for parent in reversed(Path(path).parents[:-1])
    ):
        arguments += ["--perms", "0755", "--dir", parent]
    for path in interpreter.readable:
        arguments += ["--ro-bind", path, path]
    for path in interpreter.hidden:
        arguments += ["--size", "4096", "--tmpfs", path, "--remount-ro", path]
    for path in DEVICES:
        arguments += ["--dev-bind", path, path]
    arguments += ["--perms", "1777", "--size", str(scratch_mb * MEGABYTE), "--tmpfs", FOLDER]
    # The root is a folder in memory without a bound: nothing may be written into it.
    return [*arguments, "--remount-ro", "/", "--chdir", FOLDER]
