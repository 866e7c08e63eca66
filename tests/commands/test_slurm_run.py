"""`run --profile slurm` from end to end, with SLURM's commands played by `fake_slurm`.

What a real SLURM makes of it is asserted in tests/slurm.
"""

from __future__ import annotations

import os

import pytest
import yaml

from tests.commands.fake_slurm import install
from tests.commands.test_cli import cli
from tests.studies import tiny_study

pytestmark = pytest.mark.slow

SITE = {
    "account": None,
    "cpu": {"partition": "cpu", "cpus": 4, "memory_gb": 16, "hours": 2},
    "gpu": {"partition": "gpu", "cpus": 4, "gpus": 1, "memory_gb": 16, "hours": 2},
}
QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--retries", "0")


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder with a study, a site file and a cluster without accounting."""
    programs = install(tmp_path / "slurm")
    config = tiny_study()
    # Members of a group that need nothing but what is there, and one that fails.
    config["ladder"] = {"scales": [16, 32, 64, 100_000]}
    config["validation"] = {"records": 0}
    config["pools"]["own"]["sources"] = [{"type": "file", "path": "pool.jsonl"}]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config), "utf-8")
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(SITE), "utf-8")
    rows = [f'{{"instruction": "Say {n}.", "output": "It is {n}."}}\n' for n in range(200)]
    (tmp_path / "pool.jsonl").write_text("".join(rows), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tmp_path / "slurm"


def comments(cluster):
    """The comments of all submitted jobs, in order."""
    jobs = sorted((cluster / "jobs").iterdir(), key=lambda job: int(job.name))
    return [(job / "comment").read_text() for job in jobs]


def test_light_jobs_share_one_and_of_a_failed_group_the_error_is_said(cluster):
    more = ("--until", "subset", *QUICK)
    done = cli("run", "study.yaml", "--profile", "slurm", *more)
    assert done.returncode == 1
    assert "states of jobs from squeue: the cluster has no accounting" in done.stderr
    failed = [line for line in done.stderr.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1, done.stderr
    assert failed[0].startswith("FAILED subset own uniform n100000 s1: ")
    assert "    error: " in done.stderr
    submitted = comments(cluster)
    assert [text for text in submitted if "subset" in text] == ["rule_subset_subset"]
    last = (cluster / "jobs" / str(len(submitted)) / "arguments").read_text().splitlines()
    assert last[last.index("-t") + 1] == "120"  # four of 30 minutes, one after the other
    assert "--cpus-per-task=4" in last
    assert "--no-requeue" in last
