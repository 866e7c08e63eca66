"""The SLURM job that a run is part of: its ranks over the nodes, and whether another one lives.

Everything is asked of the controller rather than read from the environment: Snakemake's plugin
leaves the job's id alone there (2.8), or values of a step of one task around this process.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from instruct_scaling.common.errors import InputError
from instruct_scaling.training.ports import job_port

# States in which a job may still run, or run again; all others are final.
LIVE = {
    *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "STAGE_OUT", "SUSPENDED", "STOPPED"),
    *("REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESIZING", "SIGNALING", "SPECIAL_EXIT"),
}


@dataclass(frozen=True)
class Allocation:
    """What a SLURM job has: its number, the names of its nodes, the CPUs of all of them."""

    job: int
    nodes: tuple[str, ...]
    cpus: int

    def ranks_per_node(self, ranks: int) -> int:
        """Ranks on each node.

        Raises:
            InputError: the nodes do not get equally many.
        """
        if ranks % len(self.nodes):
            raise InputError(
                f"{ranks} ranks are not the same number on each of {len(self.nodes)} nodes",
                where="--ranks",
                fix="use a multiple of the nodes, one rank for each GPU",
            )
        return ranks // len(self.nodes)


def own_job() -> str | None:
    """Number of the job that this process runs in; None outside of SLURM."""
    return os.environ.get("SLURM_JOB_ID")


def job_lives(job: str) -> bool | None:
    """Whether a job runs or may run again; None where SLURM does not answer."""
    command = ["squeue", "--noheader", "--states=all", "--jobs", job, "--format", "%T"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:  # a job that the controller has forgotten ended long ago
        return False if "Invalid job id" in done.stderr else None
    return bool(set(done.stdout.split()) & LIVE)


def allocation() -> Allocation:
    """The job that this process runs in.

    Raises:
        InputError: there is none, or SLURM does not answer.
    """
    job = own_job()
    if job is None:
        raise InputError(
            "srun needs a SLURM allocation, and there is none here",
            where="--launcher",
            fix="submit the job with the profile slurm-multinode, or use --launcher local",
        )
    nodes, cpus = _output("squeue", "--noheader", "--jobs", job, "--format", "%N %C").split()
    names = _output("scontrol", "show", "hostnames", nodes).split()
    return Allocation(int(job), tuple(names), int(cpus))


def srun(ranks: int, given: Allocation) -> list[str]:
    """The command that starts the ranks, in order, the same number on each node, each with its
    share of the CPUs and all GPUs of its node (NCCL reaches the others' memory); one that fails
    ends the others.

    Nodes, tasks and CPUs are stated because a step inherits none of them reliably; `--overlap`,
    because this process may be in a step that holds the CPUs.
    """
    options = {
        "--nodes": len(given.nodes),
        "--ntasks": ranks,
        "--ntasks-per-node": given.ranks_per_node(ranks),
        "--cpus-per-task": threads(ranks, given),
        "--distribution": "block",
        "--kill-on-bad-exit": 1,
    }
    return ["srun", "--overlap", *(f"{name}={value}" for name, value in options.items())]


def rank_variables(ranks: int, given: Allocation) -> dict[str, str]:
    """Where the ranks meet, and the threads of each. srun tells each its number."""
    count = threads(ranks, given)
    wanted = os.environ.get("OMP_NUM_THREADS")  # Snakemake sets it to the rule's threads
    count = min(count, int(wanted)) if wanted else count
    return {
        **{f"{name}_NUM_THREADS": str(count) for name in ("OMP", "MKL", "OPENBLAS")},
        "MASTER_ADDR": given.nodes[0],
        "MASTER_PORT": str(job_port(given.job)),
    }


def threads(ranks: int, given: Allocation) -> int:
    """CPUs of each rank."""
    return max(1, given.cpus // ranks)


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "").strip() or str(error)
        raise InputError(
            f"SLURM does not say which nodes the job has: {said}",
            where=command[0],
            fix="see whether the controller answers: scontrol ping",
        ) from error
