"""Run Snakemake on a study as a user would, in a folder of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "workflow" / "profiles" / "local"


def tiny_study() -> dict[str, Any]:
    """The smallest study with two arms: seconds of training, every stage real."""
    recipe = {
        "batch_size": 8,
        "epochs": 1,
        "learning_rate": 1e-3,
        "precision": "fp32",
        "max_length": 96,
    }
    return {
        "study": "tiny",
        "pools": {"own": {"sources": [{"type": "synthetic", "records": 240}]}},
        "bases": {
            "small": {
                "type": "tiny",
                "vocab_size": 512,
                "hidden_size": 32,
                "layers": 2,
                "heads": 2,
                "text_documents": 300,
                "steps": 5,
            }
        },
        "arms": {
            "full": {"base": "small", "pool": "own", "recipe": recipe},
            "lora": {
                "base": "small",
                "pool": "own",
                "recipe": recipe | {"tuning": {"method": "lora", "rank": 2}},
            },
        },
        "ladder": {"scales": [16, 32]},
        "seeds": {"replicates": [1]},
        "validation": {"records": 24, "evaluations": 2},
        "evalset": {"sources": [{"type": "synthetic", "items_per_category": 2}]},
        "generate": {"max_new_tokens": 8, "batch_size": 24},
        "judges": {"metric": {"type": "metric"}},
    }


def snakemake(
    folder: Path,
    config: dict[str, Any] | None,
    *arguments: str,
    check: bool = True,
    timeout: float = 540,
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake with `config` in `folder` and return what it printed."""
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", str(PROFILE)]
    command += ["-s", str(ROOT / "Snakefile"), "--directory", str(folder), "--nocolor"]
    if config is not None:
        path = folder / "study.yaml"
        path.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), "utf-8")
        command += ["--configfile", str(path)]
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=timeout
    )
    if check and done.returncode:
        raise AssertionError(f"snakemake failed:\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}")
    return done


def planned_jobs(folder: Path, config: dict[str, Any]) -> dict[str, int]:
    """Rule -> number of jobs that `snakemake -n` would run, the target rule left out."""
    printed = snakemake(folder, config, "--dry-run").stdout
    table = printed.partition("Job stats:")[2].partition("total")[0]
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
    jobs.pop("all", None)
    return jobs
