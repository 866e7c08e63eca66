"""A study through Snakemake's SLURM executor with the shipped profiles; asserted is what the
controller saw of its jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.slurm.cluster import Cluster, wait_until
from tests.studies import edited, tiny_study

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "workflow" / "profiles"
# Two cores are here, not 64: fewer processes, and threads, than the jobs ask for.
THREADS = {"tokens": 1, "judge": 1, "generate": 1, "base": 1}
RANKS = {
    "slurm": ({"ranks": 2}, 2),
    "slurm-multinode": ({"ranks": 4, "tasks_per_node": 2, "cpus_per_task": 32}, 1),
}


def profile(folder: Path, shipped: str) -> Path:
    """A shipped profile with another number of ranks, in a folder of its own."""
    content = yaml.safe_load((PROFILES / shipped / "config.yaml").read_text("utf-8"))
    changes, threads = RANKS[shipped]
    content["set-resources"]["finetune"] |= changes
    content["set-threads"] = {**THREADS, "finetune": threads}
    content |= {
        "slurm-status-command": "squeue",
        "slurm-init-seconds-before-status-checks": 3,
        "seconds-between-status-checks": 3,
        "latency-wait": 10,
    }
    path = folder / shipped / "config.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path.parent


def start(folder: Path, shipped: str, *arguments: str) -> subprocess.Popen[str]:
    """`instruct-scaling run study.yaml --profile ...` in the folder, as a user would type it."""
    command = [sys.executable, "-m", "instruct_scaling", "run", "study.yaml", "--verbose"]
    command += ["--profile", str(profile(folder, shipped)), *arguments]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}/workflow:{ROOT}",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    log = (folder / f"{shipped}.log").open("w")
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, text=True)


def finish(process: subprocess.Popen[str], folder: Path, shipped: str) -> None:
    """Wait for the end, which must be a good one."""
    code = process.wait(timeout=500)
    assert code == 0, (folder / f"{shipped}.log").read_text("utf-8")[-6000:]


def seen(cluster: Cluster, rule: str) -> list[Mapping[str, str]]:
    """The jobs of a rule that the controller knows, oldest first."""
    jobs = [job for job in cluster.jobs() if job["Comment"].startswith(f"rule_{rule}_")]
    return sorted(jobs, key=lambda job: int(job["JobId"]))


def requested(job: Mapping[str, str]) -> dict[str, str]:
    """What a job asked for, by kind: cpu, mem, node."""
    return dict(part.split("=") for part in job["TRES"].split(","))


@pytest.fixture(scope="module")
def folder(cluster) -> Path:
    """The folder of a study whose device is so slow that the scale decides the time."""
    path = cluster.shared / "study"
    path.mkdir()
    config: dict[str, Any] = edited(tiny_study(), "budget.device_peak_tflops", 1e-6)
    config = edited(config, "evalset.sources", [{"type": "synthetic", "items_per_category": 1}])
    del config["arms"]["lora"]
    (path / "study.yaml").write_text(yaml.safe_dump(config), "utf-8")
    return path


@pytest.mark.timeout(900)
def test_jobs_ask_for_what_their_rule_scale_and_base_need(cluster, folder):
    finish(start(folder, "slurm", "--until", "judge"), folder, "slurm")
    for rule, partition in (("pool", "cpu"), ("base", "cpu"), ("tokens", "cpu"), ("judge", "cpu")):
        job = seen(cluster, rule)[0]
        assert job["Partition"] == partition
        assert "TresPerNode" not in job
    assert requested(seen(cluster, "pool")[0])["cpu"] == "8"
    assert requested(seen(cluster, "pool")[0])["mem"] == "62.50G"  # 64,000 MB
    small, large = sorted(seen(cluster, "finetune"), key=minutes)
    for job in (small, large):
        assert job["Partition"] == "gpu"
        assert (job["NumNodes"], job["NumTasks"], job["CPUs/Task"]) == ("1", "1", "64")
        assert job["TresPerNode"] == "gres:gpu:8"
    assert minutes(large) - 60 == pytest.approx(2 * (minutes(small) - 60), abs=2)
    answering = seen(cluster, "generate")
    assert {job["TresPerNode"] for job in answering} == {"gres:gpu:1"}
    assert {job["JobState"] for job in cluster.jobs() if "rule_" in job["Comment"]} == {"COMPLETED"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_stopped_run_over_two_nodes_gets_twice_the_time(cluster, folder):
    """As above, but the largest run is trained again with profile slurm-multinode, and its first
    job is ended by an administrator."""
    before = {job["JobId"] for job in seen(cluster, "finetune")}
    run = folder / "results" / "tiny" / "runs" / "full" / "n32" / "s1"
    train = (run / "train.json").read_text("utf-8")
    (run / "train.json").unlink()
    process = start(folder, "slurm-multinode", "--until", "finetune")

    def jobs() -> list[Mapping[str, str]]:
        return [job for job in seen(cluster, "finetune") if job["JobId"] not in before]

    wait_until(lambda: bool(jobs()), 120, "no job for the second training")
    wait_until(lambda: jobs()[0]["JobState"] == "RUNNING", 30, "the job does not start")
    time.sleep(2)
    subprocess.run(["scancel", jobs()[0]["JobId"]], check=True)
    finish(process, folder, "slurm-multinode")
    first, second = jobs()
    assert (first["JobState"][:6], second["JobState"]) == ("CANCEL", "COMPLETED")
    for job in (first, second):
        assert (job["NumNodes"], job["NumTasks"], job["CPUs/Task"]) == ("2", "4", "32")
        assert job["TresPerNode"] == "gres:gpu:8"
    assert minutes(second) == pytest.approx(2 * minutes(first), abs=2)
    # Four ranks take the same steps as two, on the same data.
    assert (
        yaml.safe_load(train)["steps"] == yaml.safe_load((run / "train.json").read_text())["steps"]
    )


def minutes(job: Mapping[str, str]) -> int:
    """Time limit of a job."""
    days, _, rest = job["TimeLimit"].rpartition("-")
    hours, minute, _ = map(int, rest.split(":"))
    return int(days or 0) * 1440 + hours * 60 + minute
