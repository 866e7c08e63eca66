"""SLURM is one way to run the workflow: the package neither imports its plugin nor needs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.common.test_phases import imports
from tests.studies import ROOT

PACKAGE = ROOT / "workflow" / "instruct_scaling"
# Where a cluster is meant: see docs/executors.md.
ALLOWED = {
    "commands/slurm",
    "commands/doctor.py",
    "training/launch.py",
    "training/distributed.py",
    "training/slurm.py",
}
SPECIFIC = re.compile(
    r"\bSLURM_[A-Z_]+\b|[\"'](?:sbatch|squeue|scontrol|sacct|scancel|sinfo|srun)[\"']"
)


def specific(path: Path) -> list[str]:
    """What a file says of SLURM's commands and variables."""
    return SPECIFIC.findall(path.read_text("utf-8"))


def is_allowed(path: Path) -> bool:
    name = path.relative_to(PACKAGE).as_posix()
    return any(name == part or name.startswith(f"{part}/") for part in ALLOWED)


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('os.environ["SLURM_JOB_ID"]', True),
        ('run(["squeue", "--me"])', True),
        ("# on a SLURM cluster", False),
        ("launcher == srun", False),
    ],
)
def test_the_search_finds_commands_and_variables(tmp_path, text, found):
    (tmp_path / "a.py").write_text(text, "utf-8")
    assert bool(specific(tmp_path / "a.py")) == found


def test_no_other_file_calls_slurm_or_reads_its_variables():
    elsewhere = {
        str(path.relative_to(PACKAGE)): specific(path)
        for path in FILES
        if not is_allowed(path) and specific(path)
    }
    assert elsewhere == {}


def test_nothing_imports_the_plugin_and_only_commands_import_what_is_for_slurm():
    for path in FILES:
        for line, module in imports(path, ROOT / "workflow"):
            where = f"{path.relative_to(ROOT)}:{line}"
            assert not module.startswith("snakemake_executor_plugin"), where
            if module.startswith("instruct_scaling.commands.slurm"):
                assert path.relative_to(PACKAGE).parts[0] == "commands", where


def test_rules_name_no_partition_node_or_account():
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / "workflow").glob("**/*.smk"))
    found = re.findall(r"slurm_\w+|gres|\bqos\b|\bmpi\b|constraint=", text)
    assert found == []


def test_every_stage_can_be_imported_where_no_slurm_and_no_plugin_is(tmp_path):
    code = (
        "import sys; sys.modules['snakemake_executor_plugin_slurm'] = None\n"
        "from instruct_scaling.cli import COMMANDS, STAGES, load\n"
        "for one in [*STAGES.values(), *COMMANDS.values()]: load(one)\n"
    )
    environment = {name: v for name, v in os.environ.items() if not name.startswith("SLURM")}
    environment |= {"PATH": str(tmp_path), "PYTHONPATH": f"{ROOT / 'workflow'}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
