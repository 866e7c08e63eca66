"""Starting the ranks of a run, and ending them together.

`local` starts them on this machine, `srun` over the nodes of a SLURM job. Other launchers
(torchrun, deepspeed, mpirun) start the command themselves with `--launcher none`, which takes rank
and address from the environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from instruct_scaling.common.errors import EXIT_BAD_INPUT, EXIT_RETRY, InputError
from instruct_scaling.training import slurm
from instruct_scaling.training.failures import (
    EXIT_LOST_PEER,
    EXIT_MEMORY,
    largest_child_bytes,
    local_failure,
    out_of_memory_kills,
    step_failure,
)
from instruct_scaling.training.ports import free_port

Launcher = Literal["local", "srun", "none"]

PARENT_VARIABLE = "INSTRUCT_SCALING_PARENT"
GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # CUDA, ROCm, WSL
# Snakemake sets all of them to a rule's threads, and torch reads MKL's before OpenMP's.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
REPORTED = (EXIT_BAD_INPUT, EXIT_RETRY, EXIT_MEMORY)  # the ranks have said what it was
GRACE_SECONDS = 20.0  # for the other ranks, after one has failed
PROGRAM = (sys.executable, "-m", "instruct_scaling", "finetune")


def default_ranks(launcher: Launcher = "local") -> int:
    """One rank for each GPU; without GPUs one for each thread of the job, two at most; with srun so
    many on each node."""
    nodes = len(slurm.allocation().nodes) if launcher == "srun" else 1
    return nodes * _ranks_here()


def _ranks_here() -> int:
    if any(Path(device).exists() for device in GPU_DEVICES):  # torch takes seconds to import
        import torch

        if torch.cuda.is_available():
            return torch.cuda.device_count()
    return min(2, job_threads())


def launch(launcher: Launcher, arguments: Sequence[str], ranks: int) -> None:
    """Start `ranks` processes with the same arguments and `--launcher none`, and wait for them.

    Raises:
        InputError: the launcher is not installed.
        SystemExit: a rank failed or was stopped; one line, of the rank or of this process, says
            which and why.
    """
    command = [*PROGRAM, *arguments, "--launcher", "none"]
    if launcher == "local":
        parent = {PARENT_VARIABLE: str(os.getpid())}
        commands = [(command, parent | added) for added in rank_environments(ranks)]
    else:
        given = slurm.allocation()
        commands = [([*slurm.srun(ranks, given), *command], slurm.rank_variables(ranks, given))]
    kills = out_of_memory_kills()
    with _forwarded_signals() as started:
        processes = started.processes
        for command, added in commands:
            try:
                processes.append(subprocess.Popen(command, env=os.environ | added))
            except FileNotFoundError as error:
                raise InputError(
                    f"{command[0]} is not installed", where="--launcher", fix="use local"
                ) from error
        rank, code = wait_for_all(processes)
    if code == 0:
        return
    if not started.stopped and code not in REPORTED:
        killed = out_of_memory_kills() > kills
        line = step_failure(code)
        if launcher == "local":
            memory = largest_child_bytes()
            line = local_failure(rank, ranks, code, memory=memory, killed=killed)
        print(line, file=sys.stderr)
    sys.exit(code if code in (EXIT_BAD_INPUT, EXIT_RETRY) else 1)


def without_launcher(arguments: Sequence[str]) -> list[str]:
    """The arguments for the ranks, which start no others."""
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == "--launcher":
            skip = True
        elif not argument.startswith("--launcher="):
            kept.append(argument)
    return kept


def rank_environments(ranks: int) -> list[dict[str, str]]:
    """The variables of each rank on this machine, as torchrun would set them; the ranks share the
    threads of the job."""
    threads = str(max(1, job_threads() // ranks))
    shared = {
        **dict.fromkeys(THREAD_VARIABLES, threads),
        "WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(ranks)]


def job_threads() -> int:
    """Threads that this job may use: those of OMP_NUM_THREADS, which Snakemake sets to a rule's
    threads, or all usable cores."""
    return int(os.environ.get("OMP_NUM_THREADS") or usable_cores())


def usable_cores() -> int:
    """Cores that this process may run on (a cluster job owns a part of its node)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass
class Started:
    """The processes of the ranks, in their order, and whether they were told to stop."""

    processes: list[subprocess.Popen] = field(default_factory=list)
    stopped: bool = False


@contextmanager
def _forwarded_signals() -> Iterator[Started]:
    """SIGTERM and Ctrl-C reach the ranks, which save and end; a second Ctrl-C kills them. A job may
    get several SIGTERM: ahead of its time limit, at the limit, and from scancel."""
    started = Started()
    interrupted = False

    def forward(signum: int, frame: Any) -> None:
        nonlocal interrupted
        for process in started.processes:
            again = interrupted and signum == signal.SIGINT
            process.kill() if again else process.send_signal(signal.SIGTERM)
        interrupted = interrupted or signum == signal.SIGINT
        started.stopped = True

    before = {n: signal.signal(n, forward) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield started
    finally:
        for process in started.processes:
            if process.poll() is None:
                process.kill()
        for number, handler in before.items():
            signal.signal(number, handler)


def wait_for_all(processes: list[subprocess.Popen]) -> tuple[int, int]:
    """The rank that failed first and its exit code, or (0, 0).

    After a failure the others get a moment to end. Ranks that ended because they had lost another
    one count only where no other rank failed.
    """
    deadline: float | None = None
    failed: dict[int, int] = {}  # in the order in which they were seen
    while any(process.poll() is None for process in processes):
        failed |= failures(processes)
        if failed and deadline is None:
            deadline = time.monotonic() + GRACE_SECONDS
        if processes[0].returncode == EXIT_BAD_INPUT:  # rank 0 has reported what is wrong
            deadline = 0.0
        if deadline is not None and time.monotonic() > deadline:
            failed = failed or failures(processes)
            for process in processes:
                process.kill()
                process.wait()
            break
        time.sleep(0.05)
    else:
        failed |= failures(processes)
    first = [item for item in failed.items() if item[1] != EXIT_LOST_PEER]
    return next(iter(first or failed.items()), (0, 0))


def failures(processes: list[subprocess.Popen]) -> dict[int, int]:
    """Rank -> exit code of those that have ended with a failure."""
    return {n: p.returncode for n, p in enumerate(processes) if p.returncode not in (None, 0)}


def end_with_parent() -> None:
    """In a rank: end when the process that started it is gone, rather than hold the GPU."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(0.2)
        os._exit(EXIT_RETRY)

    threading.Thread(target=watch, daemon=True).start()
