"""The workflow as a module of another one, under a prefix."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import yaml

from instruct_scaling.common.files import write_jsonl
from instruct_scaling.config.runs import read_runs
from tests.studies import ROOT, planned_jobs, printed_commands, tiny_study

PARENT = f"""
configfile: "study.yaml"


module scaling:
    snakefile:
        "{ROOT / "workflow" / "Snakefile"}"
    config:
        config
    prefix:
        "deep/er"


use rule * from scaling as scaling_*
"""

DEPLOYED = f"""
configfile: "config/config.yaml"


module instruct_scaling:
    snakefile:
        "{ROOT / "workflow" / "Snakefile"}"
    config:
        config


use rule * from instruct_scaling
"""


@pytest.fixture
def parent(tmp_path):
    """A folder with another workflow that takes in this one, and a pool in a local file."""
    (tmp_path / "Snakefile").write_text(PARENT, "utf-8")
    records = [{"instruction": f"Say {n} words.", "output": "word " * n} for n in range(1, 91)]
    write_jsonl(tmp_path / "records.jsonl", records)
    config = tiny_study()
    config["pools"]["own"]["sources"] = [{"type": "file", "path": "records.jsonl"}]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config), "utf-8")
    return tmp_path


def run(folder, *arguments):
    """Run Snakemake by hand in a folder."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def test_its_default_target_is_known_and_every_path_is_under_the_prefix(parent):
    done = run(parent, "--dry-run", "--printshellcmds")
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = planned_jobs(done.stdout)
    assert (jobs["scaling_finetune"], jobs["scaling_report"]) == (4, 1)
    commands = printed_commands(done.stdout)
    assert len(commands) == sum(jobs.values()) - jobs["scaling_all"]
    for command in commands:  # inputs, outputs, logs and work folders
        prefixes = re.findall(r"([^\s='\"]*)results/", command)
        assert prefixes == ["deep/er/"] * command.count("results/")
    assert any("--work deep/er/results/" in command for command in commands)


@pytest.mark.slow
def test_its_jobs_run_and_the_study_s_own_files_are_found_without_the_prefix(parent):
    done = run(parent, "--until", "scaling_subset", "scaling_runs")
    assert done.returncode == 0, done.stdout + done.stderr
    results = parent / "deep" / "er" / "results" / "tiny"
    assert not (parent / "results").exists()
    for scale in (16, 32):
        subset = pq.read_table(results / "subsets" / "own" / "uniform" / f"n{scale}" / "s1.parquet")
        assert subset.num_rows == scale
    assert len(read_runs(results / "runs.csv")) == 6


def test_what_snakedeploy_writes_plans_the_default_study(tmp_path):
    """It copies `config/`, links followed, beside a Snakefile that takes in the workflow."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    assert not (tmp_path / "config" / "config.yaml").is_symlink()
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow" / "Snakefile").write_text(DEPLOYED, "utf-8")
    done = run(tmp_path, "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert planned_jobs(done.stdout)["report"] == 1
    assert (ROOT / "config" / "README.md").is_file()
    catalog = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text("utf-8"))
    assert catalog["usage"]["report"] is True
