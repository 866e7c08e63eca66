"""A signal to every process of a job at once, as SLURM's step daemon sends it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest

from tests.studies import snakemake, tiny_study

STAGE = """
import pathlib, signal, sys, time
stopped = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stopped.append(1))
pathlib.Path(sys.argv[1]).touch()
while not stopped:
    time.sleep(0.02)
print('saving', flush=True)
time.sleep(1)
print('saved', flush=True)
sys.exit(75)
"""


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    """What Snakemake gives to bash for a fine-tuning, before and after the stage's command."""
    folder = tmp_path_factory.mktemp("stops")
    printed = snakemake(folder, tiny_study(), "--dry-run", "--printshellcmds").stdout
    found = re.search(
        r"([^\n]*)python -m instruct_scaling finetune .*?(2>&1[^\n]*tee[^\n]*)", printed, re.DOTALL
    )
    return found[1].replace("Shell command:", ""), found[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_the_shell_of_a_fine_tuning_outlasts_its_signal(around, tmp_path, number):
    """Snakemake, on a cluster, takes a shell that has ended for the end of the job, and SLURM then
    kills the ranks: of three stops one saved."""
    ready, log = tmp_path / "ready", tmp_path / "stage.log"
    stage = shlex.join([sys.executable, "-c", STAGE, str(ready)])
    before, after = around
    after = re.sub(r"tee [^\s)]+", lambda _: f"tee {log}", after)
    command = ["bash", "-c", f"set -euo pipefail; {before} {stage} {after}"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, number)
        time.sleep(0.1)
        os.killpg(process.pid, number)
        printed, _ = process.communicate(timeout=30)
    assert process.returncode == 75
    assert printed == log.read_text("utf-8") == "saving\nsaved\n"
