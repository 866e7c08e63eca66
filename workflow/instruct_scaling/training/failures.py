"""How a rank that ends is reported: which one, by which signal, the likely cause, what to set.

The process that started the ranks writes one line about the first that failed. The others only
notice that a connection closed; they end without a word (`EXIT_LOST_PEER`) and leave what they
noticed in a file. This module does without torch, as the process that starts the ranks does.
"""

from __future__ import annotations

import re
import resource
import signal
import traceback
from pathlib import Path

EXIT_LOST_PEER = 76  # another rank was gone first
EXIT_MEMORY = 77  # a rank could not allocate memory, and has said so

LESS_MEMORY = (
    "set execution.checkpointing to true or execution.row_tokens lower, start fewer ranks on this "
    "machine (resource `ranks`), or give the job more memory (resource `mem_mb`)"
)
GOES_ON = "the same command goes on from the last checkpoint"
# What collectives of gloo and NCCL say when the process at the other end is gone.
LOST = re.compile(
    r"connection (was )?(closed|reset|refused|aborted)|broken pipe|gloo/transport|"
    r"nccl(remote|system|internal)error|nccl communicator was aborted|socket closed|"
    r"process group.*(timeout|timed out)",
    re.IGNORECASE,
)
NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory", re.IGNORECASE)


def lost_peer(error: BaseException) -> bool:
    """Whether a collective failed because another rank is gone."""
    return any(isinstance(e, RuntimeError) and LOST.search(str(e)) for e in _chain(error))


def out_of_memory(error: BaseException) -> bool:
    """Whether memory could not be allocated, on a GPU or by the C library."""
    return any(
        isinstance(each, MemoryError)
        or (isinstance(each, RuntimeError) and NO_MEMORY.search(str(each)))
        for each in _chain(error)
    )


def _chain(error: BaseException) -> list[BaseException]:
    """The error and those that it was raised from."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found


def memory_line(rank: int, error: BaseException) -> str:
    """What a rank says that could not allocate memory."""
    first = str(error).strip().splitlines() or [type(error).__name__]
    return f"error: rank {rank} ran out of memory ({first[0]}); {LESS_MEMORY}; {GOES_ON}"


def write_traceback(folder: Path, rank: int, error: BaseException) -> Path | None:
    """Leave a rank's traceback in `folder`, if that exists; returns the file."""
    if not folder.is_dir():
        return None
    path = folder / f"rank-{rank}.traceback"
    path.write_text("".join(traceback.format_exception(error)), "utf-8")
    return path


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed for want of memory since it started; 0 where it
    does not say (/proc/vmstat, since Linux 4.13)."""
    try:
        lines = Path("/proc/vmstat").read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def largest_child_bytes() -> int:
    """Most memory that one ended child process of this one ever held (Linux counts in KiB)."""
    return 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def local_failure(rank: int, ranks: int, code: int, *, memory: int, killed: bool) -> str:
    """One line about the first rank that failed on this machine.

    Args:
        rank: number of the rank.
        ranks: their number.
        code: what it ended with; negative for a signal, as `subprocess` has it.
        memory: bytes that the largest rank held.
        killed: the kernel has meanwhile killed a process for want of memory.
    """
    who = f"error: rank {rank} of {ranks}"
    if code == EXIT_LOST_PEER:
        return (
            f"{who} lost its connection to the others, though none has ended: "
            "rank-*.traceback in the work folder has what it met; check the network between the "
            f"ranks; {GOES_ON}"
        )
    if code > 0:
        return f"{who} ended with exit code {code}, its message stands above; {GOES_ON}"
    how = f"{who} was ended by {signal_name(-code)} (the largest rank held {memory / 1e9:.1f} GB)"
    return f"{how}; {cause(-code, killed=killed)}; {GOES_ON}"


def step_failure(code: int) -> str:
    """One line about a SLURM step that failed; srun's exit code is 128 and the signal's number."""
    if code < 0:
        return f"error: srun was ended by {signal_name(-code)}; {cause(-code)}; {GOES_ON}"
    who = "error: a rank of this job, named by srun above,"
    if code > 128:
        return f"{who} was ended by {signal_name(code - 128)}; {cause(code - 128)}; {GOES_ON}"
    return f"{who} ended with exit code {code}; {GOES_ON}"


def signal_name(number: int) -> str:
    """For instance `signal 9 (SIGKILL)`."""
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def cause(number: int, *, killed: bool = False) -> str:
    """Likely cause of a signal that nobody of this program sent, and what to set."""
    if number == signal.SIGKILL:
        sure = "the kernel has killed a process for want of memory"
        return f"{sure if killed else 'most likely for want of memory'}: {LESS_MEMORY}"
    if number == signal.SIGBUS:
        return "most likely /dev/shm or the disk of the work folder is full: make room there"
    if number in (signal.SIGSEGV, signal.SIGILL, signal.SIGFPE, signal.SIGABRT):
        return (
            "a crash in compiled code: if it comes again, set execution.attention to sdpa, and "
            "check torch, DeepSpeed's kernels (TORCH_EXTENSIONS_DIR) and the GPU's driver"
        )
    return "something outside ended it: look at the scheduler's log"
