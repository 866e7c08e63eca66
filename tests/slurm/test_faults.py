"""A study on the cluster that is disturbed five times, and a stop that has to save."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.slurm.campaign import disturbed, finish, judged, made
from tests.slurm.cluster import Cluster
from tests.slurm.fault_study import Trial, copy
from tests.slurm.processes import wait_until

FIVE = (
    "out of memory (rank killed)",
    "controller restarted",
    "two Snakemakes",
    "SIGTERM ahead of the limit",
    "Snakemake SIGKILL",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A study up to its fine-tunings, and the hashes of its undisturbed results."""
    return made(tmp_path_factory.mktemp("made") / "study", seconds=5)


def steps(trial: Trial) -> bool:
    """Whether a fine-tuning has taken steps."""
    logs = trial.folder.glob("results/faults/logs/finetune/*.log")
    return any("step/s" in path.read_text("utf-8", errors="replace") for path in logs)


@pytest.mark.parametrize("shape", ["one-node", "two-nodes"])
def test_scancel_leaves_a_checkpoint_from_which_the_run_goes_on(
    cluster: Cluster, study, shape
) -> None:
    """Of three stops one saved, before the shell of the rule outlasted SIGTERM."""
    prepared, expected = study
    trial = Trial(cluster, copy(prepared, cluster.shared / f"stop-{shape}"), shape)
    trial.start()
    try:
        wait_until(lambda: steps(trial), 120, "no fine-tuning takes steps")
        for job in trial.fine_tunings():
            trial.stopped[job["JobId"]] = time.time()
            subprocess.run(["scancel", job["JobId"]], check=True)
        finish(trial)
    finally:
        if trial.running():
            trial.signal(signal.SIGINT)
    trained = [stop for stop in trial.stops() if stop["trained"]]
    assert trained
    assert all(stop["saved"] for stop in trained), trial.stops()
    assert judged(trial, expected, len(trial.stopped)) == []


def test_five_faults_change_no_byte(cluster: Cluster, study) -> None:
    prepared, expected = study
    outcome = disturbed(
        cluster, cluster.shared, prepared, expected, 0, FIVE, random.Random(3), "one-node"
    )
    assert outcome.wrong == []
