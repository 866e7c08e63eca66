"""Starting ranks: their number, environments, the command line of srun, exit codes."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.training import finetune as finetune_module
from instruct_scaling.training import launch as launch_module
from instruct_scaling.training import ports as ports_module
from instruct_scaling.training import slurm
from instruct_scaling.training.launch import (
    THREAD_VARIABLES,
    default_ranks,
    launch,
    rank_environments,
    wait_for_all,
    without_launcher,
)
from instruct_scaling.training.ports import free_port, job_port, meeting_ports


def test_ranks_share_an_address_and_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(launch_module, "usable_cores", lambda: 8)
    environments = rank_environments(2)
    assert [env["RANK"] for env in environments] == ["0", "1"]
    assert {env["WORLD_SIZE"] for env in environments} == {"2"}
    assert {env["OMP_NUM_THREADS"] for env in environments} == {"4"}
    assert len({env["MASTER_PORT"] for env in environments}) == 1
    for name in THREAD_VARIABLES:  # as Snakemake does for a rule with two threads
        monkeypatch.setenv(name, "2")
    assert {env[name] for env in rank_environments(2) for name in THREAD_VARIABLES} == {"1"}
    assert {env["OMP_NUM_THREADS"] for env in rank_environments(4)} == {"1"}


def test_a_rank_computes_with_its_share_of_the_threads(monkeypatch):
    """torch reads MKL_NUM_THREADS before OMP_NUM_THREADS."""
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "2")
    program = "import torch; print(torch.get_num_threads())"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | rank_environments(2)[0],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "1"


@pytest.mark.parametrize(("threads", "ranks"), [("1", 1), ("2", 2), ("8", 2)])
def test_without_a_gpu_a_job_has_a_rank_for_each_thread_up_to_two(monkeypatch, threads, ranks):
    monkeypatch.setattr(launch_module, "GPU_DEVICES", ())
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert default_ranks() == ranks


@pytest.mark.parametrize(
    ("launcher", "ranks", "expected"),
    [("local", 1, "rank"), ("local", 2, "launch"), ("srun", 1, "launch"), ("none", 2, "rank")],
)
def test_a_single_local_rank_is_the_process_that_was_started(
    monkeypatch, tmp_path, launcher, ranks, expected
):
    from instruct_scaling.training import pipeline

    events = []
    monkeypatch.setattr(os, "environ", os.environ | {"WORLD_SIZE": "outer"})
    monkeypatch.setattr(finetune_module, "launch", lambda *_: events.append("launch"))
    monkeypatch.setattr(finetune_module, "end_with_parent", lambda: None)
    monkeypatch.setattr(pipeline, "run_rank", lambda *_: events.append("rank"))
    path = tmp_path
    finetune_module.finetune(
        *(path, path, path, "{}", "{prompt}", 0, 0, path, path, path),
        ranks=ranks,
        launcher=launcher,
    )
    assert events == [expected]
    single = launcher == "local" and ranks == 1
    assert os.environ["WORLD_SIZE"] == ("1" if single else "outer")


def test_a_port_in_use_is_passed_over(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports_module, "PORTS", range(port, port + 1))
        with pytest.raises(InputError, match="no port is free"):
            free_port()
    assert free_port() == port


def test_ranks_get_the_arguments_without_the_launcher():
    given = ["--base", "b", "--launcher", "srun", "--launcher=local", "--ranks", "2"]
    assert without_launcher(given) == ["--base", "b", "--ranks", "2"]


def test_two_jobs_look_for_a_port_at_two_places_and_outside_those_of_connections(
    monkeypatch, tmp_path
):
    outgoing = tmp_path / "ip_local_port_range"
    monkeypatch.setattr(ports_module, "OUTGOING", outgoing)
    for low, high in ((32_768, 60_999), (25_000, 65_535)):
        outgoing.write_text(f"{low}\t{high}\n", "utf-8")
        ports = {job_port(job) for job in (100_000, 100_003, 719_999)}
        assert len(ports) == 3
        assert all(20_000 <= port < min(low, 32_000) for port in ports)
    outgoing.write_text("1024\t65535\n", "utf-8")
    assert meeting_ports() == list(range(20_000, 32_000))


@pytest.fixture
def slurm_job(monkeypatch, tmp_path):
    """Job 123456 on two nodes with 128 CPUs in all; as under Snakemake's plugin, its nodes have to
    be asked for."""
    write_program(tmp_path / "squeue", '[ "$3" = 123456 ] && echo "node[3-4] 128"')
    write_program(tmp_path / "scontrol", "[ $3 = 'node[3-4]' ] && printf 'node3\\nnode4\\n'")
    shown = '"$MASTER_ADDR $MASTER_PORT $OMP_NUM_THREADS $MKL_NUM_THREADS $@"'
    write_program(tmp_path / "srun", f"echo {shown} > {tmp_path}/called")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("SLURM_JOB_NODELIST", raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "123456")
    return tmp_path


@pytest.mark.parametrize(("given", "threads"), [("64", "8"), ("4", "4")])
def test_srun_starts_the_ranks_of_a_slurm_job(monkeypatch, slurm_job, given, threads):
    """Each gets its share of the CPUs, whatever Snakemake says the rule has."""
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    launch("srun", ["--base", "b"], 16)
    address, port, *called = (slurm_job / "called").read_text("utf-8").split()
    assert address == "node3"
    assert 20_000 <= int(port) < 32_000
    assert called[:2] == [threads, threads]
    assert called[2:] == [
        *("--overlap", "--nodes=2", "--ntasks=16", "--ntasks-per-node=8", "--cpus-per-task=8"),
        *("--distribution=block", "--kill-on-bad-exit=1"),
        *(sys.executable, "-m", "instruct_scaling", "finetune"),
        *("--base", "b", "--launcher", "none"),
    ]


def test_ranks_that_are_not_stated_are_those_of_all_nodes(monkeypatch, slurm_job):
    monkeypatch.setattr(launch_module, "GPU_DEVICES", ())
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert default_ranks("srun") == 4
    with pytest.raises(InputError, match="3 ranks are not the same number on each of 2 nodes"):
        launch("srun", [], 3)


def test_a_controller_that_does_not_answer_is_named(slurm_job):
    write_program(slurm_job / "squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(InputError, match="Unable to contact slurm controller"):
        slurm.allocation()


def write_program(path, line):
    path.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_srun_without_a_job_or_without_srun_is_refused(monkeypatch, tmp_path):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(InputError, match="allocation"):
        launch("srun", [], 2)
    monkeypatch.setattr(slurm, "allocation", lambda: slurm.Allocation(1, ("node3",), 8))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="srun is not installed"):
        launch("srun", [], 2)


@pytest.mark.parametrize(("code", "exit_code"), [(2, 2), (75, 75), (1, 1), (3, 1), (-6, 1)])
def test_a_launcher_passes_on_the_codes_that_mean_something(monkeypatch, code, exit_code):
    monkeypatch.setattr(launch_module, "wait_for_all", lambda processes: (0, code))
    monkeypatch.setattr(launch_module, "PROGRAM", ("true",))
    with pytest.raises(SystemExit) as ended:
        launch("local", [], 2)
    assert ended.value.code == exit_code


def stopped_twice(monkeypatch, folder, number, seconds):
    """Exit code of a rank that goes on for so long after two signals to its launcher."""
    stubborn = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: pathlib.Path(sys.argv[1], 'noticed').touch())\n"
        "pathlib.Path(sys.argv[1], 'ready').touch()\n"
        "until = time.monotonic() + 60\n"
        "while time.monotonic() < until:\n"
        "    time.sleep(0.02)\n"
        "    if pathlib.Path(sys.argv[1], 'noticed').exists():\n"
        f"        until = min(until, time.monotonic() + {seconds})\n"
        "sys.exit(75)\n"
    )
    monkeypatch.setattr(launch_module, "PROGRAM", (sys.executable, "-c", stubborn))

    def stop():
        for mark in ("ready", "noticed"):
            while not (folder / mark).exists():
                time.sleep(0.02)
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    with pytest.raises(SystemExit) as ended:
        launch("local", [str(folder)], 1)
    thread.join()
    return ended.value.code


def test_a_second_interrupt_kills_ranks_that_do_not_end(monkeypatch, tmp_path, capsys):
    began = time.monotonic()
    assert stopped_twice(monkeypatch, tmp_path, signal.SIGINT, 60) == 1
    assert time.monotonic() - began < 50
    assert "error" not in capsys.readouterr().err  # who stops a run knows why it ended


def test_a_second_sigterm_leaves_ranks_the_time_to_save(monkeypatch, tmp_path):
    """SLURM sends one ahead of the time limit and one at the limit."""
    assert stopped_twice(monkeypatch, tmp_path, signal.SIGTERM, 1) == 75


def processes(*codes):
    return [subprocess.Popen([sys.executable, "-c", f"import time; {code}"]) for code in codes]


def test_the_first_failure_is_the_runs_exit_code():
    assert wait_for_all(processes("exit(0)", "exit(0)")) == (0, 0)
    assert wait_for_all(processes("time.sleep(0.2)", "exit(75)")) == (1, 75)


def test_bad_input_on_rank_0_ends_the_others_at_once():
    ranks = processes("exit(2)", "time.sleep(60)")
    assert wait_for_all(ranks) == (0, 2)
    assert ranks[1].returncode is not None
