"""What SLURM has accounted for the runs of a study: every attempt, those that failed included."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from instruct_scaling.config.runs import Run, tuned_runs
from instruct_scaling.config.study import Study

LOGS = Path(".snakemake", "slurm_logs")
"""Of Snakemake's plugin: `rule_<rule>/<wildcards>/<number of the job>.log`."""
RULES = ("finetune", "generate")
COLUMNS = ("slurm_attempts", "slurm_gpu_hours", "slurm_core_hours")
FIELDS = "JobIDRaw,ElapsedRaw,AllocTRES"
AT_ONCE = 500  # numbers of jobs on a command line
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Used:
    """What one job had for so long."""

    gpu_hours: float
    core_hours: float


def with_accounted(
    table: pd.DataFrame, study: Study, logs: Path = LOGS
) -> tuple[pd.DataFrame, str]:
    """The table by arm and scale with the columns of accounting, and a line on what there is.

    Without jobs, or where there is no accounting, the table is as it was.
    """
    jobs = {run: job_numbers(logs, run) for run in tuned_runs(study)}
    numbers = [number for found in jobs.values() for number in found]
    if not numbers:
        return table, "SLURM: no job of this study's runs is logged here"
    used = accounted(numbers)
    if used is None:
        return table, f"SLURM: {len(numbers)} jobs are logged, and there is no accounting (sacct)"
    rows = [
        (run.arm, run.scale, len(found), *_sums(used[n] for n in found if n in used))
        for run, found in jobs.items()
    ]
    found = pd.DataFrame(rows, columns=["arm", "scale", *COLUMNS])
    joined = table.merge(found.groupby(["arm", "scale"]).sum().reset_index(), how="left")
    attempts, gpu, core = (joined[name].sum() for name in COLUMNS)
    return joined, (
        f"SLURM: {attempts:,.0f} attempts of {', '.join(RULES)} had {gpu:,.3g} GPU hours and "
        f"{core:,.3g} core hours, failed ones included"
    )


def job_numbers(logs: Path, run: Run) -> list[str]:
    """SLURM's numbers of all jobs of a run, of which the plugin has kept the logs."""
    wildcards = f"{run.arm}_{run.scale}_{run.seed}"
    folders = [logs / f"rule_{rule}" / wildcards for rule in RULES]
    found = {path.stem for folder in folders for path in folder.glob("*.log")}
    return sorted(number for number in found if number.isdigit())


def accounted(numbers: Iterable[str]) -> dict[str, Used] | None:
    """What `sacct` says of some jobs, by number; None where there is no accounting."""
    waiting = list(numbers)
    found: dict[str, Used] = {}
    while waiting:
        some, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        command = ["sacct", "--allocations", "--parsable2", "--noheader", "--duplicates"]
        command += ["--starttime", "1970-01-01", "--format", FIELDS, "--jobs", ",".join(some)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return None
        if done.returncode != 0:
            return None
        for line in done.stdout.splitlines():
            number, used = parse_line(line)
            known = found.get(number, Used(0.0, 0.0))  # one that was requeued has several lines
            found[number] = Used(
                known.gpu_hours + used.gpu_hours, known.core_hours + used.core_hours
            )
    return found


def parse_line(line: str) -> tuple[str, Used]:
    """A line `number|seconds|billing=1,cpu=64,gres/gpu=8,...`."""
    number, seconds, resources = line.split("|")
    amounts = _amounts(resources)
    hours = int(seconds or 0) / 3600
    return number, Used(amounts.get("gres/gpu", 0) * hours, amounts.get("cpu", 0) * hours)


def _amounts(resources: str) -> Mapping[str, int]:
    return {name: int(n) for name, n in re.findall(r"([\w/]+)=(\d+)(?=,|$)", resources)}


def _sums(used: Iterable[Used]) -> tuple[float, float]:
    jobs = list(used)
    return sum(job.gpu_hours for job in jobs), sum(job.core_hours for job in jobs)
