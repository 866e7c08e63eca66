"""A study of two fine-tunings that takes a minute or two on the cluster, to be disturbed.

Its data stages and its base are made once, without SLURM, and copied into every trial, which then
runs `instruct-scaling run` on the cluster from the fine-tunings to the tables of the analysis.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from instruct_scaling.common.files import sha256_file
from tests.slurm.cluster import Cluster
from tests.studies import ROOT, tiny_study

RANKS = 2
SHAPES = {"one-node": "slurm", "two-nodes": "slurm-multinode"}
"""Shape of a fine-tuning -> the shipped profile."""
ON_THIS_MACHINE = (
    "--set-resources",
    f"finetune:ranks={RANKS}",
    "--set-threads",
    f"finetune={RANKS}",
)
TARGET = "curves"
MEASURED = {"costs.csv", "efficiency.csv"}  # they hold seconds
LOGS = ".snakemake/slurm_logs"


def study(seconds: int) -> dict[str, Any]:
    """The config; `seconds` is about what each fine-tuning takes on a machine at rest."""
    config = tiny_study()
    config["study"] = "faults"
    full = config["arms"]["full"]
    full["recipe"]["epochs"] = 10 * seconds  # of 4 steps
    config["arms"] = {"full": full}
    config["ladder"] = {"scales": [32]}
    config["seeds"] = {"replicates": [1, 2]}
    config["execution"] = {"save_minutes": 0.1}
    return config


def profile(shape: str) -> dict[str, Any]:
    """The shipped profile of a shape with two ranks, short polls, and a retry for each fault."""
    shipped = ROOT / "workflow" / "profiles" / SHAPES[shape] / "config.yaml"
    content = yaml.safe_load(shipped.read_text("utf-8"))
    content |= {
        "retries": 20,
        "latency-wait": 20,
        "slurm-init-seconds-before-status-checks": 4,
        "seconds-between-status-checks": 3,
        "max-status-checks-per-second": 1,
    }
    content["set-threads"]["finetune"] = RANKS if shape == "one-node" else 1
    finetune = content["set-resources"]["finetune"]
    finetune |= {
        "ranks": RANKS,
        "limit_megabytes": 8000,
        "limit_minutes": 60,
        "gres": "'gpu:2'",
        "cpus_per_task": RANKS,
    }
    if shape == "two-nodes":
        finetune |= {"tasks_per_node": 1, "cpus_per_task": 1, "gres": "'gpu:1'"}
    return content


def prepare(folder: Path, seconds: int) -> None:
    """Write the study and both profiles, and make what comes before the fine-tunings."""
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True)
        (folder / shape / "config.yaml").write_text(yaml.safe_dump(profile(shape)), "utf-8")
    (folder / "study.yaml").write_text(yaml.safe_dump(study(seconds)), "utf-8")
    local(folder, "--until", "subset", "tokens")


def local(folder: Path, *arguments: str) -> None:
    """Run a part of the study without SLURM, with as many ranks as on the cluster."""
    command = ["instruct-scaling", "run", "study.yaml", TARGET, *arguments, *ON_THIS_MACHINE]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-3000:])


def environment() -> dict[str, str]:
    """The variables of a start of this checkout."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": f"{ROOT}/workflow:{ROOT}"}


def results(folder: Path) -> dict[str, str]:
    """The SHA-256 of each table that holds no seconds, and of the weights of each run."""
    base = folder / "results" / "faults"
    tables = [path for path in (base / "tables").glob("*.*") if path.name not in MEASURED]
    weights = list((base / "runs").glob("*/*/*/model/model.safetensors"))
    return {str(path.relative_to(base)): sha256_file(path) for path in sorted([*tables, *weights])}


@dataclass
class Trial:
    """One study that runs on the cluster and is started again whenever its Snakemake has ended."""

    cluster: Cluster | None
    folder: Path
    shape: str
    starts: int = 0
    process: subprocess.Popen | None = None
    notes: list[str] = field(default_factory=list)
    stopped: dict[str, float] = field(default_factory=dict)
    """Number of a job -> when it was told to stop, in seconds since 1970."""

    def start(self) -> None:
        """Start the study, or go on with it; a lock that a killed start has left is removed as the
        message of `run` says."""
        if self.starts and list((self.folder / ".snakemake" / "locks").glob("*")):
            self._unlock()
        self.starts += 1
        # A shell has what runs in its background ignore Ctrl-C, and children inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with (self.folder / f"start-{self.starts}.log").open("w") as log:
            self.process = subprocess.Popen(
                self._command(TARGET),
                cwd=self.folder,
                env=environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _command(self, *words: str) -> list[str]:
        return ["instruct-scaling", "run", "study.yaml", *words, "--profile", self.shape]

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another start beside the one that runs."""
        return subprocess.run(
            self._command(*words),
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )

    def _unlock(self) -> None:
        """While jobs of the killed start run this is refused; they are ended, and then it works."""
        for _ in range(30):
            done = self.call("--unlock")
            if done.returncode == 0:
                return
            found = re.search(r"scancel ([\d ]+)", done.stderr)
            if found:
                self.notes.append(f"--unlock refused: jobs {found[1]}")
                subprocess.run(["scancel", *found[1].split()], capture_output=True)
            time.sleep(3)
        raise RuntimeError(f"--unlock: {done.stderr}")

    def running(self) -> bool:
        """Whether Snakemake lives."""
        return self.process is not None and self.process.poll() is None

    def done(self) -> bool:
        """Whether a start has ended well."""
        return self.process is not None and self.process.poll() == 0

    def signal(self, number: int) -> None:
        """Send a signal to Snakemake: Ctrl-C and SIGKILL to its whole group."""
        assert self.process is not None
        if number == signal.SIGTERM:
            self.process.send_signal(number)
        else:
            os.killpg(self.process.pid, number)

    def jobs(self, *states: str) -> list[dict[str, str]]:
        """This trial's jobs, in the given states if any are given."""
        assert self.cluster is not None
        found = [job for job in self.cluster.jobs() if job.get("WorkDir") == str(self.folder)]
        return [job for job in found if not states or job["JobState"] in states]

    def fine_tunings(self) -> list[dict[str, str]]:
        """The jobs that train at this moment."""
        return [job for job in self.jobs("RUNNING") if "finetune" in job.get("Comment", "")]

    def checkpoints(self) -> list[Path]:
        """The finished checkpoints, newest last."""
        found = self.folder.glob("results/faults/runs/*/*/*/.work/*/checkpoints/*/manifest.json")
        return sorted((path.parent for path in found), key=lambda path: path.stat().st_mtime)

    def completed(self) -> dict[str, int]:
        """Comment (rule and wildcards) -> number of its jobs that ended well."""
        counts: dict[str, int] = {}
        for job in self.jobs("COMPLETED"):
            if "finetune" in job["Comment"]:
                counts[job["Comment"]] = counts.get(job["Comment"], 0) + 1
        return counts

    def stops(self) -> list[dict[str, Any]]:
        """The fine-tunings that were told to stop: whether they had taken a step that the newest
        checkpoint did not have, whether they saved, and after how many seconds they had ended."""
        ends = {job["JobId"]: job.get("EndTime", "") for job in self.jobs()}
        found = []
        for number, since in self.stopped.items():
            for path in (self.folder / LOGS).glob(f"rule_finetune/**/{number}.log"):
                text = path.read_text("utf-8", errors="replace")
                with contextlib.suppress(ValueError):
                    end = datetime.fromisoformat(ends.get(number, "")).timestamp()
                    saved = ", saved" in text
                    trained = re.search(r" [1-9]\d*/\d+ \[", text) is not None
                    seconds = round(end - since, 1)
                    found.append({"trained": trained, "saved": saved, "seconds": seconds})
        return found


class LocalTrial(Trial):
    """The same without SLURM, under the profile `local`, started again by hand or by `retries`."""

    def _command(self, *words: str) -> list[str]:
        own = ["--retries", "20", *ON_THIS_MACHINE]
        return ["instruct-scaling", "run", "study.yaml", *words, *own]

    def jobs(self, *states: str) -> list[dict[str, str]]:
        """None: there is no SLURM."""
        return []


def copy(prepared: Path, folder: Path) -> Path:
    """A trial's own folder; times of files stay, so that nothing in it looks changed."""
    shutil.copytree(prepared, folder, symlinks=True)
    return folder
