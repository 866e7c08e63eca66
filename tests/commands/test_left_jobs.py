"""Jobs that a killed Snakemake has left."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_scaling.commands.slurm.left_jobs import jobs_of_folder, refuse_while_jobs_run
from instruct_scaling.common.errors import InputError

LISTED = """\
11|/home/me/studies|rule_finetune_wildcards_full_150_1
12|/home/me/other|rule_finetune_wildcards_full_150_1
13|/home/me/studies|(null)
14|/home/me/studies|rule_judge
"""


def test_jobs_of_another_folder_or_by_hand_are_left_out():
    assert jobs_of_folder(LISTED, Path("/home/me/studies")) == ["11", "14"]
    assert jobs_of_folder("", Path("/home/me/studies")) == []


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Makes a squeue that runs a line of shell."""

    def make(line):
        program = tmp_path / "squeue"
        program.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return tmp_path

    return make


def test_a_lock_stays_while_jobs_run_that_would_be_submitted_again(squeue):
    folder = squeue('echo "11|$PWD|rule_finetune"; echo "15|$PWD|rule_judge"')
    with pytest.raises(InputError, match=r"not over: 11 15\n.*scancel 11 15"):
        refuse_while_jobs_run(Path.cwd())
    refuse_while_jobs_run(folder)


def test_a_controller_that_does_not_answer_keeps_the_lock(squeue):
    squeue("echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(InputError, match=r"does not say whether jobs .* Unable to contact"):
        refuse_while_jobs_run(Path.cwd())
