"""How `run` asks a real controller for states, and what our `sbatch` does while it is away."""

from __future__ import annotations

import os
import subprocess
import threading
import time

from snakemake_executor_plugin_slurm import job_status_query

from instruct_scaling.commands.slurm import controller
from instruct_scaling.commands.slurm.controller import (
    accounting_error,
    choose_status,
    controller_config,
    use_commands,
)


def test_a_cluster_without_accounting_is_seen_and_its_states_come_from_squeue(cluster, monkeypatch):
    monkeypatch.setenv("PATH", os.environ["PATH"])
    assert accounting_error() is not None
    status = choose_status(controller_config(), accounting_error())
    assert (status.command, status.warning) == ("squeue", None)
    number = cluster.submit("true", "--job-name=mine")
    cluster.wait(number)
    query = job_status_query.query_job_status_sacct("mine")
    assert subprocess.run(query, shell=True, capture_output=True).returncode != 0
    use_commands(status)
    done = subprocess.run(query, shell=True, capture_output=True, text=True)
    assert done.stdout == f"{number}|COMPLETED\n"


def test_a_submission_waits_for_the_controller_and_is_made_once(cluster, monkeypatch):
    monkeypatch.setenv("PATH", f"{controller.SUBMIT}:{os.environ['PATH']}")
    monkeypatch.setenv("INSTRUCT_SCALING_SBATCH_PAUSE", "1")
    command = ["sbatch", "--parsable", "--job-name=waits", "--comment", "rule_a", "--wrap", "true"]
    command[2:3] = ["--job-name", "waits"]
    cluster.kill_controller()
    again = threading.Timer(12, cluster.start_controller)
    again.start()
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, cwd=cluster.shared
        )
    finally:
        again.join()
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began > 10
    cluster.wait(int(done.stdout))
    assert [job["JobId"] for job in cluster.jobs() if job["JobName"] == "waits"] == [
        done.stdout.strip()
    ]


def test_slurm_takes_an_empty_constraint_for_none(cluster):
    """GPU jobs of a site whose CPU nodes alone have a constraint."""
    number = cluster.submit("true", "--constraint=", "--no-requeue")
    job = cluster.wait(number)
    assert (job["JobState"], job["Features"], job["Requeue"]) == ("COMPLETED", "", "0")
