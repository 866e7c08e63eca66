"""What the cluster's controller says of itself, and how `run` asks it for the state of jobs.

Snakemake's plugin asks `sacct` by default. Without job accounting every such query fails, and the
plugin (2.8) then drops the jobs it waited for and waits without end; it also turns to `sacct` in a
poll in which `scontrol` did not answer. Therefore accounting is tried before the first job, and
where there is none, a `sacct` that asks `squeue` goes first on PATH.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from instruct_scaling.common.checkout import ROOT
from instruct_scaling.common.errors import InputError

TIMEOUT_SECONDS = 20.0
FIRST_POLL_SECONDS = 40
LONGEST_POLL_SECONDS = 180  # what the plugin's interval grows to
NO_ACCOUNTING = "accounting_storage/none"
SUBMIT = ROOT / "workflow" / "slurm" / "submit"
WITHOUT_ACCOUNTING = ROOT / "workflow" / "slurm" / "without-accounting"
LASTING = {"--slurm-status-attempts": "17280", "--max-status-checks-per-second": "0.2"}
"""A query that fails is repeated every five seconds for a day: after its last attempt the plugin
would drop the jobs."""


@dataclass(frozen=True, slots=True)
class Status:
    """How the state of jobs is asked for, why so, and a warning where that can fail."""

    command: Literal["sacct", "squeue"]
    why: str
    first_poll_seconds: int = FIRST_POLL_SECONDS
    warning: str | None = None

    def __str__(self) -> str:
        text = f"states of jobs from {self.command}: {self.why}"
        return text if self.warning is None else f"{text}\nwarning: {self.warning}"


def controller_config() -> dict[str, str]:
    """What `scontrol show config` prints, as key -> value.

    Raises:
        InputError: there is no SLURM here, or its controller does not answer.
    """
    try:
        done = _run("scontrol", "show", "config")
    except FileNotFoundError as error:
        raise InputError(
            "SLURM is not installed on this machine (no scontrol)",
            where="--profile",
            fix="start the study on the cluster's login node, or use --profile local",
        ) from error
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode != 0:
        said = f"no answer in {TIMEOUT_SECONDS:.0f} s"
        if done is not None:
            said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(
            f"SLURM's controller does not answer: {said}",
            where="scontrol show config",
            fix="start the study again when `sinfo` works",
        )
    return parse_config(done.stdout)


def parse_config(text: str) -> dict[str, str]:
    """Key -> value of the lines `Key = value`."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def accounting_error() -> str | None:
    """Why `sacct` cannot be used, None where it works."""
    try:
        done = _run("sacct", "--allocations", "--noheader", "--starttime", "now-1minute")
    except FileNotFoundError:
        return "sacct is not installed"
    except subprocess.TimeoutExpired:
        return f"sacct gave no answer in {TIMEOUT_SECONDS:.0f} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines() or ["sacct failed"]
    return lines[-1]


def choose_status(config: Mapping[str, str], accounting: str | None) -> Status:
    """`sacct` where accounting works, else `squeue`.

    Args:
        config: of the controller.
        accounting: why sacct cannot be used (`accounting_error`).
    """
    storage = config.get("AccountingStorageType", NO_ACCOUNTING)
    if storage not in (NO_ACCOUNTING, "(null)") and accounting is None:
        return Status("sacct", f"accounting works ({storage})")
    reason = (
        "the cluster has no accounting"
        if storage in (NO_ACCOUNTING, "(null)")
        else f"accounting does not answer ({accounting})"
    )
    age = min_job_age(config)
    kept = f"finished jobs are kept for {age} s"
    warning = None
    if age < LONGEST_POLL_SECONDS + 20:
        warning = (
            f"{kept} (MinJobAge), the plugin asks every {LONGEST_POLL_SECONDS} s at the longest: a "
            "job may end unseen, and the study then waits for it; stop it with Ctrl-C and start it "
            "again. An administrator can raise MinJobAge to 300."
        )
    # Below three times the first interval the plugin leaves squeue.
    first = max(1, min(FIRST_POLL_SECONDS, age // 3))
    return Status("squeue", f"{reason}; {kept}", first, warning)


def min_job_age(config: Mapping[str, str]) -> int:
    """Seconds for which the controller knows a finished job; SLURM's default is 300."""
    found = re.match(r"\d+", config.get("MinJobAge", ""))
    return int(found[0]) if found else 300


def status_arguments(status: Status, given: set[str]) -> list[str]:
    """Options of Snakemake's plugin for a choice, but those that the user has given."""
    options = {
        "--slurm-status-command": status.command,
        "--slurm-init-seconds-before-status-checks": str(status.first_poll_seconds),
        **LASTING,
    }
    return [part for name, value in options.items() if name not in given for part in (name, value)]


def use_commands(status: Status) -> None:
    """Put our `sbatch`, and where there is no accounting our `sacct`, first on PATH."""
    folders = [SUBMIT] if status.command == "sacct" else [SUBMIT, WITHOUT_ACCOUNTING]
    os.environ["PATH"] = os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")])


def programs_missing() -> list[str]:
    """SLURM's commands that a study needs and that are not here."""
    return [name for name in ("sbatch", "squeue", "scancel", "srun") if not shutil.which(name)]


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
