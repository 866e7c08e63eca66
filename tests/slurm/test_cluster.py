"""The cluster of the tests itself: what it gives to jobs, that it survives, that it goes away."""

from __future__ import annotations

import os
import pwd
import time

import pytest

from tests.slurm import cluster as cluster_module
from tests.slurm.cluster import missing, start
from tests.slurm.files import MARK, Layout


def test_each_task_sees_its_own_gpus(cluster):
    job = cluster.submit(
        "srun --ntasks-per-node=2 --gpus-per-task=2 sh -c 'echo $(hostname) $CUDA_VISIBLE_DEVICES'",
        *("--partition=gpu", "--nodes=2", "--ntasks-per-node=2", "--gres=gpu:4"),
    )
    assert cluster.wait(job)["JobState"] == "COMPLETED"
    assert cluster.job(job)["TresPerNode"] == "gres:gpu:4"
    seen = sorted(cluster.printed(job).splitlines())
    assert seen == ["node1 0,1", "node1 2,3", "node2 0,1", "node2 2,3"]


def test_a_job_runs_as_the_user_who_submitted_it(cluster):
    job = cluster.submit("id -u; touch $PWD/mine", user="nobody")
    cluster.wait(job)
    nobody = pwd.getpwnam("nobody").pw_uid
    assert cluster.printed(job).split() == [str(nobody)]
    assert (cluster.shared / "mine").stat().st_uid == nobody


def test_nodes_share_one_folder_and_have_no_route_outside(cluster):
    if not cluster.layout.namespaces:
        pytest.skip("SLURM: no namespaces for its nodes here (needs CAP_SYS_ADMIN)")
    job = cluster.submit("echo from $(hostname) > $PWD/note; touch /tmp/own; ip route")
    cluster.wait(job)
    assert (cluster.shared / "note").read_text("utf-8") == "from node1\n"
    assert "default" not in cluster.printed(job)
    other = cluster.submit("cat note; ls /tmp", "--nodelist=node2")
    cluster.wait(other)
    assert cluster.printed(other).split() == ["from", "node1"]


def test_jobs_outlive_a_killed_slurmd_and_controller(cluster):
    job = cluster.submit("sleep 10; echo done", "--nodelist=node3")
    cluster_module.wait_until(lambda: cluster.job(job)["JobState"] == "RUNNING", 10, "not started")
    time.sleep(6)  # the controller saves its state 5 seconds after a change at the latest
    cluster.kill_controller()
    cluster.kill_node("node3")
    cluster.start_node("node3")
    cluster.start_controller()
    assert cluster.wait(job)["JobState"] == "COMPLETED"
    assert cluster.printed(job) == "done\n"


def test_a_second_cluster_is_refused_and_the_first_lives_on(cluster):
    with pytest.raises(RuntimeError, match="another SLURM cluster is up"):
        start(False, {}, owner=0)
    assert set(cluster.states()) == {"node1", "node2", "node3"}


def test_a_foreign_configuration_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(cluster_module, "CONFIG", tmp_path)
    monkeypatch.setattr(cluster_module, "PROGRAMS", ())
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert missing() is None
    (tmp_path / "slurm.conf").write_text("ClusterName=ours\n", "utf-8")
    assert "belongs to another cluster" in missing()


def test_nodes_of_one_address_have_a_port_each():
    text = cluster_module.slurm_conf(Layout(False, False), "host", {"KillWait": 30})
    assert text.startswith(MARK)
    assert "SlurmctldHost=host(127.0.0.1)" in text
    assert "KillWait=30" in text
    ports = [line.split("Port=")[1].split()[0] for line in text.splitlines() if "NodeAddr" in line]
    assert len(set(ports)) == 3
