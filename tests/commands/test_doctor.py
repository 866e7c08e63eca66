"""What `doctor` says of a machine: what works, what is missing, what to install."""

from __future__ import annotations

import shutil
import subprocess
import time

import pytest

from instruct_scaling.commands import doctor
from instruct_scaling.evaluation.judge.programs.walls import Walls
from tests.commands.test_cli import cli


def test_it_ends_well_and_soon_on_any_machine(tmp_path):
    """With no program on the path, no home and no network."""
    start = time.monotonic()
    bare = {
        "PATH": str(tmp_path),
        "HF_HOME": str(tmp_path / "hub"),
        "HF_ENDPOINT": "http://0.0.0.0:9",
    }
    done = cli("doctor", **bare, HF_HUB_OFFLINE="0", INSTRUCT_SCALING_CACHE=str(tmp_path))
    assert time.monotonic() - start < 30  # seconds of work; this machine may do other work
    assert done.returncode == 0
    assert "Traceback" not in done.stdout + done.stderr
    found = {
        line[8:26].strip(): line[:8].strip() for line in done.stdout.splitlines() if line[0] != " "
    }
    assert list(found) == [
        *("Python", "packages", "PyTorch", "GPUs", "compilers", "programs", "SLURM"),
        *("Hugging Face hub", "offline folder", "disk"),
    ]
    assert found["Python"] == found["packages"] == found["PyTorch"] == found["disk"] == "ok"
    for what in ("compilers", "SLURM", "Hugging Face hub", "offline folder"):
        assert found[what] == "none", what
    assert "apt install bubblewrap" in done.stdout


def test_a_check_that_breaks_is_a_finding_and_hides_no_other(monkeypatch):
    def broken():
        raise OSError("libcudart.so: cannot open shared object file")

    monkeypatch.setattr(doctor, "torch", broken)
    found = {finding.what: finding for finding in doctor.findings()}
    assert found["PyTorch"].status == "missing"
    assert "libcudart.so" in found["PyTorch"].text
    assert found["disk"].status == "ok"


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "peft" else "1.0")
    finding = doctor.packages()
    assert (finding.status, finding.text) == ("missing", "peft")
    assert "pip install" in str(finding)


def stub(monkeypatch, programs, code=0, stdout="", stderr=""):
    """A machine with some programs, each of which ends with a code and prints something."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}" if name in programs else None)
    done = subprocess.CompletedProcess([], code, stdout, stderr)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)


def works(monkeypatch, *rungs: str) -> None:
    """A machine where these isolations of programs work and no others."""
    monkeypatch.setattr(
        Walls,
        "problem",
        lambda _, isolation: None if isolation.rung in rungs else "No permissions",
    )


def test_it_says_how_programs_are_kept_apart(monkeypatch):
    stub(monkeypatch, ["bwrap"])
    works(monkeypatch, "bubblewrap", "landlock")
    assert str(doctor.programs()).startswith("ok      programs          bubblewrap and a system")
    works(monkeypatch, "landlock")
    finding = doctor.programs()
    assert finding.status == "ok"
    assert "Landlock" in finding.text and "bubblewrap: No permissions" in finding.text
    works(monkeypatch)
    finding = doctor.programs()
    assert finding.status == "none"
    assert "code stays without a score" in finding.text
    assert "landlock: No permissions" in finding.text


@pytest.mark.parametrize(
    ("installed", "container", "settings", "advice"),
    [
        ([], False, {}, "apt install bubblewrap"),
        (
            ["bwrap"],
            False,
            {"kernel.apparmor_restrict_unprivileged_userns": "1"},
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            ["bwrap"],
            False,
            {"user.max_user_namespaces": "0", "kernel.unprivileged_userns_clone": "1"},
            "sudo sysctl user.max_user_namespaces=15000",
        ),
        (["bwrap"], True, {}, "docker run --security-opt seccomp=unconfined"),
        (["bwrap"], False, {}, "allow user namespaces"),
    ],
)
def test_it_says_what_bubblewrap_needs(
    monkeypatch, tmp_path, installed, container, settings, advice
):
    stub(monkeypatch, installed)
    monkeypatch.setattr(doctor, "CONTAINER_MARKS", [tmp_path] if container else [])
    monkeypatch.setattr(doctor, "_sysctl", settings.get)
    assert doctor.bubblewrap_advice("No permissions").startswith(advice)
    assert "0.7" in doctor.bubblewrap_advice("bwrap: Unknown option --size")


def test_a_setting_that_the_kernel_does_not_have_is_none():
    assert doctor._sysctl("kernel.ostype") == "Linux"
    assert doctor._sysctl("kernel.no_such_setting") is None


@pytest.mark.parametrize(
    ("programs", "plugin", "code", "partitions", "status"),
    [
        ([], "2.8", 0, "", "none"),
        (["sbatch"], None, 0, "gpu*\n", "missing"),
        (["sbatch"], "2.8", 1, "", "missing"),
        (["sbatch"], "2.8", 0, "gpu*\ncpu\n", "ok"),
    ],
)
def test_slurm_needs_its_commands_the_plugin_and_an_answer(
    monkeypatch, programs, plugin, code, partitions, status
):
    stub(monkeypatch, programs, code, stdout=partitions)
    monkeypatch.setattr(doctor, "_version", lambda name: plugin)
    finding = doctor.slurm()
    assert finding.status == status
    assert ("gpu*, cpu" in finding.text) == (status == "ok")


def test_the_offline_folder_counts_what_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("INSTRUCT_SCALING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("INSTRUCT_SCALING_OFFLINE", raising=False)
    finding = doctor.offline_folder()
    assert finding.status == "none"
    assert "prefetch" in finding.fix
    (tmp_path / "copies" / "example.org").mkdir(parents=True)
    (tmp_path / "copies" / "example.org" / "eval_set.json").touch()
    monkeypatch.setenv("INSTRUCT_SCALING_OFFLINE", str(tmp_path / "copies"))
    finding = doctor.offline_folder()
    assert finding.status == "ok"
    assert "copies: 1 files" in finding.text
    monkeypatch.setenv("INSTRUCT_SCALING_OFFLINE", str(tmp_path / "nowhere"))
    assert doctor.offline_folder().status == "missing"
