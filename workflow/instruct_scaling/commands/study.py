"""The commands on a config file: check it, price it, run it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from instruct_scaling.common.checkout import ROOT, use_this_checkout
from instruct_scaling.common.errors import InputError
from instruct_scaling.config.load import load_study
from instruct_scaling.config.runs import answering_runs, tuned_runs
from instruct_scaling.config.study import Study

# All but `code`: an edit of a rule's text re-runs nothing, a raised stage version does.
RERUN_TRIGGERS = ("mtime", "params", "input", "software-env")

Config = Annotated[Path, typer.Argument(help="Config file of the study.")]


def validate(config: Config) -> None:
    """Check a config file: one line if it is valid, else one line for each mistake."""
    print(f"{config}: OK ({summary(load_study(config))})")


def plan(config: Config) -> None:
    """Print what a study will cost, and which figures are only assumed."""
    from instruct_scaling.reporting.budget import plan_text

    study = load_study(config)
    print(plan_text(study, Path("results", study.study)))


def run(
    config: Config,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SNAKEMAKE ARGUMENTS]", help="Passed on, such as `figures`, `-n`."),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="A profile of the workflow (local, slurm), or a profile's folder.")
    ] = "local",
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Snakemake's own log and all output of the stages.")
    ] = False,
) -> None:
    """Run a study, or what is left of it, with one line per finished step."""
    study = load_study(config)
    program = ["snakemake"] if verbose else ["instruct_scaling.commands.progress"]
    further = snakemake_arguments(config, profile, arguments or [])
    if not verbose:
        scales = ",".join(str(run.scale) for run in tuned_runs(study))
        further += ["--logger", "steps", "--logger-steps-scales", scales]
        further += ["--logger-steps-results", f"results/{study.study}"]
    use_this_checkout()
    sys.stdout.flush()
    # In place of this process, so that signals and the exit code are Snakemake's own.
    os.execv(sys.executable, [sys.executable, "-m", *program, *further])


def snakemake_arguments(config: Path, profile: str, arguments: Sequence[str]) -> list[str]:
    """The arguments of Snakemake for a study.

    Those given come first: options that take several values would swallow targets after them.

    Raises:
        InputError: there is no workflow here, or no such profile.
    """
    snakefile = ROOT / "Snakefile"
    if not snakefile.is_file():
        raise InputError(
            "the workflow is not part of this installation",
            where=ROOT,
            fix="clone the repository and install it from there: pip install -e .",
        )
    further = ["--snakefile", str(snakefile), "--workflow-profile", str(_profile(profile))]
    if "--rerun-triggers" not in arguments:
        further += ["--rerun-triggers", *RERUN_TRIGGERS]
    return [*arguments, *further, "--configfile", str(config)]


def _profile(name: str) -> Path:
    shipped = ROOT / "workflow" / "profiles"
    for folder in (shipped / name, Path(name)):
        if (folder / "config.yaml").is_file():
            return folder
    known = ", ".join(sorted(path.parent.name for path in shipped.glob("*/config.yaml")))
    raise InputError(
        f"no such profile: {name}",
        where="--profile",
        fix=f"use one of {known}, or a folder that holds a config.yaml",
    )


def summary(study: Study) -> str:
    """A study in one line: its name and how much of everything it has."""
    parts = [
        _count(len(study.arms), "arm"),
        _count(len(study.ladder.values()), "scale"),
        _count(len(study.seeds.labels), "seed"),
        _count(len(study.judges), "judge"),
        f"{_count(len(tuned_runs(study)), 'run')} to fine-tune",
        f"{_count(len(answering_runs(study)), 'model')} to evaluate",
    ]
    return f"study {study.study}: {', '.join(parts)}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
