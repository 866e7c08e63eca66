"""Run Snakemake on a study as a user would, in a folder of its own."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
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


def edited(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a config with the value at a dotted path replaced or added."""
    config = copy.deepcopy(config)
    *parents, last = path.split(".")
    node = config
    for key in parents:
        node = node.setdefault(key, {})
    node[last] = value
    return config


def snakemake(
    folder: Path,
    config: dict[str, Any] | None,
    *arguments: str,
    check: bool = True,
    timeout: float = 540,
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake with `config` in `folder` and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *_arguments(folder, config, "study"), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if check and done.returncode:
        raise AssertionError(f"snakemake failed:\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}")
    return done


def _arguments(folder: Path, config: dict[str, Any] | None, name: str) -> list[str]:
    arguments = ["--workflow-profile", str(PROFILE), "--snakefile", str(ROOT / "Snakefile")]
    arguments += ["--directory", str(folder), "--nocolor"]
    if config is not None:
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), "utf-8")
        arguments += ["--configfile", str(path)]
    return arguments


@dataclass(frozen=True)
class DryRun:
    """A dry run to make: a config, the stage whose version is raised, further arguments."""

    config: dict[str, Any]
    raised: str | None = None
    arguments: tuple[str, ...] = ()


def dry_runs(folder: Path, runs: Mapping[str, DryRun]) -> dict[str, str]:
    """What `snakemake -n` prints for each of some configs, in `folder`; it must succeed."""
    requests = [
        {
            "raised": run.raised,
            "arguments": [*_arguments(folder, run.config, f"study{i}"), "-n", *run.arguments],
        }
        for i, run in enumerate(runs.values())
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.rules.plans"],
        cwd=ROOT,
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        timeout=540,
        check=True,
    )
    answers = dict(zip(runs, json.loads(done.stdout), strict=True))
    for name, answer in answers.items():
        assert answer["code"] == 0, f"{name}:\n{answer['stdout']}\n{answer['stderr']}"
    return {name: answer["stdout"] for name, answer in answers.items()}


def planned_jobs(printed: str) -> dict[str, int]:
    """Rule -> number of jobs in what `snakemake -n` has printed, the target rule left out."""
    table = printed.partition("Job stats:")[2].partition("total")[0]
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
    jobs.pop("all", None)
    return jobs


def printed_commands(printed: str) -> list[str]:
    """The command of every job in what `snakemake -n -p` has printed; one may have several lines,
    since a template may."""
    pattern = r"^Shell command: (?:trap [^;]*; )?(python -m .*? \| (?:tee \S+|\(trap [^)]*\)))$"
    return re.findall(pattern, printed, re.MULTILINE | re.DOTALL)


def pretend_finished(folder: Path, config: dict[str, Any]) -> None:
    """Make a study look finished to Snakemake in seconds: empty outputs, and its own notes of the
    params and inputs that they were made with."""
    printed = snakemake(folder, config, "--dry-run", "--forceall").stdout
    for line in re.findall(r"^ +output: (.*)$", printed, re.MULTILINE):
        for name in line.split(", "):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if path.suffix else path.mkdir(exist_ok=True)
    snakemake(folder, config, "--touch", "--forceall")
