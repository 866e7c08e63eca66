"""Starting ranks: environments, other launchers' command lines, exit codes."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys

import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.training.job import Rank
from instruct_scaling.training.launch import (
    external_command,
    free_port,
    launch,
    rank_environments,
    slurm_environment,
    wait_for_all,
)

PROGRAM = ["-m", "package", "--option", "1"]


def test_ranks_share_an_address_and_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("instruct_scaling.training.launch.usable_cores", lambda: 8)
    environments = rank_environments(2)
    assert [env["RANK"] for env in environments] == ["0", "1"]
    assert {env["WORLD_SIZE"] for env in environments} == {"2"}
    assert {env["OMP_NUM_THREADS"] for env in environments} == {"4"}
    assert len({env["MASTER_PORT"] for env in environments}) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # as Snakemake does for a rule with two threads
    assert {env["OMP_NUM_THREADS"] for env in rank_environments(2)} == {"1"}
    assert {env["OMP_NUM_THREADS"] for env in rank_environments(4)} == {"1"}


def test_a_port_in_use_is_passed_over(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr("instruct_scaling.training.launch.PORTS", range(port, port + 1))
        with pytest.raises(InputError, match="no port is free"):
            free_port()
    assert free_port() == port


def test_a_rank_knows_itself_by_torchruns_or_slurms_variables(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert Rank.from_environment() == Rank(0, 0, 1)
    for name, value in {"PROCID": "5", "LOCALID": "1", "NTASKS": "8"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert Rank.from_environment() == Rank(5, 1, 8)
    for name, value in {"RANK": "3", "LOCAL_RANK": "3", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert Rank.from_environment() == Rank(3, 3, 4)


def test_command_lines_of_other_launchers(monkeypatch):
    monkeypatch.setattr("instruct_scaling.training.launch.free_port", lambda: 20001)
    assert external_command("torchrun", PROGRAM, 4) == [
        "torchrun",
        "--nproc-per-node",
        "4",
        "--master-port",
        "20001",
        *PROGRAM,
    ]
    deepspeed = external_command("deepspeed", PROGRAM, 4)
    assert deepspeed[:5] == ["deepspeed", "--num_gpus", "4", "--master_port", "20001"]
    assert deepspeed[-4:] == ["--module", "package", "--option", "1"]
    srun = external_command("srun", PROGRAM, 4)
    assert srun == ["srun", "--ntasks", "4", sys.executable, *PROGRAM]


def test_ranks_of_a_slurm_job_meet_on_its_first_node(monkeypatch, tmp_path):
    scontrol = tmp_path / "scontrol"
    scontrol.write_text("#!/bin/sh\nprintf 'node3\\nnode4\\n'\n", "utf-8")
    scontrol.chmod(scontrol.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "node[3-4]")
    monkeypatch.setenv("SLURM_JOB_ID", "123456")
    assert slurm_environment() == {"MASTER_ADDR": "node3", "MASTER_PORT": "23456"}


def test_srun_without_a_job_and_a_missing_launcher_are_refused(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(InputError, match="allocation"):
        launch("srun", [], 2)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="torchrun is not installed"):
        launch("torchrun", [], 2)


def processes(*codes):
    return [subprocess.Popen([sys.executable, "-c", f"import time; {code}"]) for code in codes]


def test_the_first_failure_is_the_runs_exit_code():
    assert wait_for_all(processes("exit(0)", "exit(0)")) == 0
    assert wait_for_all(processes("time.sleep(0.2)", "exit(75)")) == 75


def test_bad_input_on_rank_0_ends_the_others_at_once():
    ranks = processes("exit(2)", "time.sleep(60)")
    assert wait_for_all(ranks) == 2
    assert ranks[1].returncode is not None
