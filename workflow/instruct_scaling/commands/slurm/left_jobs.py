"""Jobs of a Snakemake that was killed: they run on, and a new start would submit them again."""

from __future__ import annotations

import subprocess
from pathlib import Path

from instruct_scaling.common.errors import InputError

OF_SNAKEMAKE = "rule_"  # how its plugin begins the comment of a job (2.8)


def jobs_of_folder(listed: str, folder: Path) -> list[str]:
    """The numbers of jobs that Snakemake submitted from a folder.

    Args:
        listed: lines of number, working folder and comment, with `|` between them.
        folder: where Snakemake was started.
    """
    fields = [line.split("|", 2) for line in listed.splitlines() if line.count("|") >= 2]
    return [
        number
        for number, where, comment in fields
        if Path(where) == folder and comment.startswith(OF_SNAKEMAKE)
    ]


def refuse_while_jobs_run(folder: Path) -> None:
    """Before a lock is removed: no job of the start that held it may still write.

    Raises:
        InputError: jobs are queued or run, or SLURM does not answer.
    """
    command = ["squeue", "--me", "--noheader", "--format", "%i|%Z|%k"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise InputError(
            f"SLURM does not say whether jobs of this folder still run: {done.stderr.strip()}",
            where="--unlock",
            fix="try again when the controller answers: scontrol ping",
        )
    if jobs := jobs_of_folder(done.stdout, folder):
        numbers = " ".join(jobs)
        raise InputError(
            f"jobs that were started in this folder are not over: {numbers}",
            where="--unlock",
            fix="wait until `squeue --me` lists them no more, or end them (training saves first): "
            f"scancel {numbers}",
        )
