"""A cluster with accounting, on a machine that gives its nodes no namespaces of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.slurm import cluster as cluster_module
from tests.slurm.cluster import attached, missing, running, wait_until


@pytest.fixture(scope="module")
def accounted():
    """Such a cluster; it is gone without a trace afterwards."""
    if reason := missing(accounting=True):
        pytest.skip(reason)
    hosts = Path("/etc/hosts").read_text("utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster_module, "namespaces_work", lambda: False)
        with running(accounting=True, wait=400) as cluster:
            yield cluster
    assert Path("/etc/hosts").read_text("utf-8") == hosts
    assert not cluster_module.WORK.exists()
    assert not (cluster_module.CONFIG / "slurm.conf").exists()


def test_another_process_finds_the_cluster(accounted):
    assert attached() == accounted


def test_the_database_knows_what_a_job_was_given(accounted):
    job = accounted.submit("hostname", "--partition=gpu", "--gres=gpu:3", "--cpus-per-task=5")
    accounted.wait(job)

    def recorded():
        rows = accounted.accounted(job, "JobID", "State", "Partition", "AllocTRES")
        return next((row for row in rows if row["JobID"] == str(job)), {})  # not of its steps

    # A job's end may be written before its start.
    wait_until(lambda: recorded().get("Partition") == "gpu", 30, "no record")
    assert recorded()["State"] == "COMPLETED"
    given = dict(part.split("=") for part in recorded()["AllocTRES"].split(","))
    assert (given["cpu"], given["gres/gpu"], given["node"]) == ("5", "3", "1")


def test_a_job_that_ends_while_the_database_is_down_is_recorded_later(accounted):
    accounted.kill_accounting()
    job = accounted.submit("true")
    accounted.wait(job)
    accounted.start_accounting()
    wait_until(
        lambda: any(r["State"] == "COMPLETED" for r in accounted.accounted(job, "State")),
        60,
        "no record",
    )


def test_two_nodes_of_one_address_are_two(accounted):
    job = accounted.submit("srun sh -c 'echo $SLURMD_NODENAME'", "--nodes=2", "--ntasks=2")
    accounted.wait(job)
    assert sorted(accounted.printed(job).split()) == ["node1", "node2"]
