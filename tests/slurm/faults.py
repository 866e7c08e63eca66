"""What is done to a study that runs: each fault is a function that does it, undoes it where that
belongs to it, and says whom it met; None if there was nothing to meet.

A fault may last: the moments that it lasts are drawn from the generator that it is given.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.slurm.cluster import Cluster
from tests.slurm.fault_study import Trial
from tests.slurm.files import NODES
from tests.slurm.processes import parent, processes

Fault = Callable[[Trial, random.Random], str | None]


def canceled(trial: Trial, rng: random.Random) -> str | None:
    """scancel of a job, a fine-tuning where one runs."""
    return _stop_job(trial, rng, "scancel", "{job}")


def asked_to_save(trial: Trial, rng: random.Random) -> str | None:
    """What `--signal=TERM@600` does ahead of a time limit: SIGTERM to the job's steps."""
    if not trial.fine_tunings():
        return None
    return _stop_job(trial, rng, "scancel", "--signal=TERM", "{job}")


def time_limit(trial: Trial, rng: random.Random) -> str | None:
    """The time limit becomes a minute, which may be over."""
    return _on_job(trial, rng, "scontrol", "update", "JobId={job}", "TimeLimit=1")


def requeued(trial: Trial, rng: random.Random) -> str | None:
    """An administrator's requeue; SLURM refuses it for jobs with --no-requeue."""
    return _on_job(trial, rng, "scontrol", "requeue", "{job}")


def memory_gone(trial: Trial, rng: random.Random) -> str | None:
    """The kernel kills a rank for its memory."""
    ranks = rank_processes(trial)
    if not ranks:
        return None
    pid = rng.choice(ranks)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return f"rank with pid {pid}"


def stalled(trial: Trial, rng: random.Random) -> str | None:
    """The processes of all ranks stand still for some seconds, as on a file system that hangs."""
    ranks = rank_processes(trial)
    if not ranks:
        return None
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in ranks:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if number == signal.SIGSTOP:
            time.sleep(rng.uniform(5, 10))
    return f"{len(ranks)} ranks"


def slurmd_back_soon(trial: Trial, rng: random.Random) -> str | None:
    """slurmd of a node is killed and started again before the controller gives the node up."""
    node = _busy_node(trial, rng)
    _cluster(trial).kill_node(node)
    time.sleep(rng.uniform(1, 8))
    _cluster(trial).start_node(node)
    return node


def node_lost(trial: Trial, rng: random.Random) -> str | None:
    """slurmd of a node is killed, and back after SlurmdTimeout: its jobs are given up."""
    node = _busy_node(trial, rng)
    _cluster(trial).kill_node(node)
    time.sleep(rng.uniform(26, 32))
    _cluster(trial).start_node(node)
    return node


def drained(trial: Trial, rng: random.Random) -> str | None:
    """A node is drained while its jobs run, and given back."""
    node = _busy_node(trial, rng)
    _cluster(trial).drain(node)
    time.sleep(rng.uniform(5, 15))
    _cluster(trial).undrain(node)
    return node


def controller_restarted(trial: Trial, rng: random.Random) -> str | None:
    """slurmctld is killed, away for some seconds, and back.

    It saves its state five seconds after a change; what it forgets is a fault of its own."""
    _cluster(trial).kill_controller()
    seconds = rng.uniform(1, 12)
    time.sleep(seconds)
    _cluster(trial).start_controller()
    return f"{seconds:.0f} s away"


def snakemake_sigint(trial: Trial, rng: random.Random) -> str | None:
    """Ctrl-C, and the same command again."""
    return _end_snakemake(trial, signal.SIGINT)


def snakemake_sigterm(trial: Trial, rng: random.Random) -> str | None:
    """SIGTERM to Snakemake, which waits for its jobs; then the same command again."""
    return _end_snakemake(trial, signal.SIGTERM)


def snakemake_sigkill(trial: Trial, rng: random.Random) -> str | None:
    """SIGKILL; its jobs run on, and what the messages of `run` say is done."""
    return _end_snakemake(trial, signal.SIGKILL)


def second_snakemake(trial: Trial, rng: random.Random) -> str | None:
    """A second start in the same folder: it has to be refused, and the first goes on."""
    if not trial.running() or not list((trial.folder / ".snakemake/locks").glob("*")):
        return None
    done = trial.call("curves")
    if done.returncode == 0 and trial.running():
        raise AssertionError(f"a second start was not refused: {done.stderr[-500:]}")
    if "--unlock" not in done.stderr and trial.running():
        raise AssertionError(f"the refusal does not say what to type: {done.stderr[-800:]}")
    return "refused"


def disk_full(trial: Trial, rng: random.Random) -> str | None:
    """No byte is left for checkpoints, Parquet files, logs and Snakemake's own files; then there
    is room again."""
    filler = trial.folder.parent / "filler"  # a small file system of its own
    try:
        with filler.open("wb", buffering=0) as handle, contextlib.suppress(OSError):
            while True:
                handle.write(bytes(1 << 16))
        time.sleep(rng.uniform(6, 14))
    finally:
        filler.unlink(missing_ok=True)
    return "all of it"


def corrupted(trial: Trial, rng: random.Random) -> str | None:
    """The newest checkpoint is damaged, and the run that would go on from it is stopped hard."""
    found = trial.checkpoints()
    if not found:
        return None
    path = rng.choice(sorted(found[-1].glob("*.pt")))
    with contextlib.suppress(FileNotFoundError):
        content = bytearray(path.read_bytes())
        content[rng.randrange(len(content))] ^= 0xFF
        path.write_bytes(content)
    memory_gone(trial, rng)
    return str(path.relative_to(trial.folder))


FAULTS: dict[str, Fault] = {
    "scancel": canceled,
    "SIGTERM ahead of the limit": asked_to_save,
    "time limit": time_limit,
    "requeue by an administrator": requeued,
    "out of memory (rank killed)": memory_gone,
    "file system hangs": stalled,
    "slurmd killed, back at once": slurmd_back_soon,
    "slurmd killed, node given up": node_lost,
    "node drained": drained,
    "controller restarted": controller_restarted,
    "Snakemake SIGINT": snakemake_sigint,
    "Snakemake SIGTERM": snakemake_sigterm,
    "Snakemake SIGKILL": snakemake_sigkill,
    "two Snakemakes": second_snakemake,
    "disk full": disk_full,
    "corrupted checkpoint": corrupted,
}
WITHOUT_SLURM = (
    "out of memory (rank killed)",
    "file system hangs",
    "Snakemake SIGINT",
    "Snakemake SIGTERM",
    "Snakemake SIGKILL",
    "two Snakemakes",
    "disk full",
    "corrupted checkpoint",
)
"""Those of `FAULTS` that need no cluster."""


def rank_processes(trial: Trial) -> list[int]:
    """The processes that train in this trial, without those that only started them."""
    found = []
    for pid in processes():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            folder = str(Path(f"/proc/{pid}/cwd").readlink())
            if folder == str(trial.folder) and words[1:4] == ["-m", "instruct_scaling", "finetune"]:
                found.append(pid)
    above = {parent(pid) for pid in found}
    return [pid for pid in found if pid not in above]


def _stop_job(trial: Trial, rng: random.Random, *command: str) -> str | None:
    met = _on_job(trial, rng, *command)
    if met is not None:
        trial.stopped[met.split()[1]] = time.time()
    return met


def _on_job(trial: Trial, rng: random.Random, *command: str) -> str | None:
    jobs = trial.fine_tunings() or trial.jobs("RUNNING")
    if not jobs:
        return None
    job = rng.choice(jobs)
    words = [word.format(job=job["JobId"]) for word in command]
    done = subprocess.run(words, capture_output=True, text=True)
    said = done.stderr.strip().splitlines()[-1:] if done.returncode else []
    return " ".join([job["Comment"].partition("_wildcards")[0], job["JobId"], *said])


def _cluster(trial: Trial) -> Cluster:
    assert trial.cluster is not None
    return trial.cluster


def _busy_node(trial: Trial, rng: random.Random) -> str:
    nodes = {job["NodeList"] for job in trial.jobs("RUNNING")}
    busy = [node for node in NODES if any(node in each or "[" in each for each in nodes)]
    return rng.choice(busy or list(NODES))


def _end_snakemake(trial: Trial, number: int) -> str | None:
    if not trial.running():
        return None
    assert trial.process is not None
    trial.signal(number)
    try:
        trial.process.wait(240)
    except subprocess.TimeoutExpired:
        os.killpg(trial.process.pid, signal.SIGKILL)
        trial.process.wait()
        return "did not end within 240 s, killed"
    return f"start {trial.starts}"
