"""The commands on a config file: check it, price it, run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from instruct_scaling.commands.slurm.left_jobs import refuse_while_jobs_run
from instruct_scaling.commands.slurm.start import fitted_profile, runs_on_slurm, slurm_arguments
from instruct_scaling.common.checkout import ROOT, use_this_checkout
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.fetch import offline_folder
from instruct_scaling.common.files import atomic_path
from instruct_scaling.config.load import load_study
from instruct_scaling.config.runs import answering_runs, tuned_runs
from instruct_scaling.config.study import Study

# All but `code`: an edit of a rule's text re-runs nothing, a raised stage version does.
RERUN_TRIGGERS = ("mtime", "params", "input", "software-env")

# The rules whose results decide which runs are trained.
DATA_RULES = ("subset", "tokens")
# Options of calls that run no job, or say themselves which.
# fmt: off
PARTIAL_CALLS = frozenset({
    "-n", "--dry-run", "--dryrun", "-t", "--touch", "-U", "--until", "-O", "--omit-from",
    "-f", "--force", "-F", "--forceall", "-R", "--forcerun", "-l", "--list-rules", "-S",
    "--summary", "-D", "--detailed-summary", "--dag", "--rulegraph", "--d3dag", "--filegraph",
    "--unlock", "--lint", "--report", "--delete-all-output", "--cleanup-metadata", "-h", "--help",
    "--version",
})
# fmt: on

# What keeps transformers, datasets and the hub's client from the network.
HUB_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")

Config = Annotated[Path, typer.Argument(help="Config file of the study.")]


def validate(config: Config) -> None:
    """Check a config file: one line if it is valid, else one line for each mistake."""
    print(f"{config}: OK ({summary(load_study(config))})")


def plan(
    config: Config,
    out: Annotated[
        Path | None, typer.Option(help="Also write the table by arm and scale to this CSV file.")
    ] = None,
) -> None:
    """Print what a study will cost, what it has cost, and which figures are only assumed."""
    from instruct_scaling.commands.slurm.accounted import with_accounted
    from instruct_scaling.reporting.budget import plan_text
    from instruct_scaling.reporting.spending import spending, spending_text

    study = load_study(config)
    results = Path("results", study.study)
    print(plan_text(study, results))
    table = spending(study, results)
    print(f"By arm and scale, sums over seeds:\n{spending_text(table)}")
    table, note = with_accounted(table, study)
    print(note)
    if out is not None:
        with atomic_path(out) as temporary:
            table.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")


def run(
    config: Config,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SNAKEMAKE ARGUMENTS]", help="Passed on, such as `figures`, `-n`."),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="A profile of the workflow (local, slurm), or a profile's folder.")
    ] = "local",
    site: Annotated[
        Path | None,
        typer.Option(help="Site file of a cluster; default: site.yaml beside the study."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Snakemake's own log and all output of the stages.")
    ] = False,
) -> None:
    """Run a study, or what is left of it, with one line per finished step."""
    study = load_study(config)
    arguments = arguments or []
    program = ["snakemake"] if verbose else ["instruct_scaling.commands.progress"]
    results = Path("results", study.study)
    folder = profile_folder(profile)
    if runs_on_slurm(folder):
        folder = fitted_profile(profile, folder, config, site, results)
        of_slurm = slurm_arguments(folder, arguments)
        if "--unlock" in arguments:
            refuse_while_jobs_run(Path.cwd())
    elif site is not None:
        raise InputError(
            f"profile {profile} runs no SLURM jobs", where="--site", fix="leave it out"
        )
    else:
        of_slurm = []
    further = snakemake_arguments(config, folder, arguments) + of_slurm
    keep_hub_offline()
    if not verbose:
        scales = ",".join(str(run.scale) for run in tuned_runs(study))
        further += ["--logger", "steps", "--logger-steps-scales", scales]
    use_this_checkout()
    sys.stdout.flush()
    command = [sys.executable, "-m", *program, *further]
    if needs_data_first(results, arguments):
        done = subprocess.run([*command, "--until", *DATA_RULES])
        if done.returncode:
            raise typer.Exit(done.returncode)
    if not verbose:
        command += ["--logger-steps-results", str(results)]
    # In place of this process, so that signals and the exit code are Snakemake's own.
    os.execv(sys.executable, command)


def needs_data_first(results: Path, arguments: Sequence[str]) -> bool:
    """Whether the data stages get a call of their own before the whole study.

    Snakemake decides before its first job what to run. After an edit of a pool it would train
    every run again, though most subsets may turn out to be what they were; in a second call their
    hashes say so. A study without trained models, and a call that runs nothing or a stated part,
    needs no first one.
    """
    stated = {argument.split("=")[0] for argument in arguments}
    return (results / "runs").is_dir() and not stated & PARTIAL_CALLS


def keep_hub_offline() -> None:
    """Where a folder replaces the network, keep the packages of jobs from asking the hub."""
    if offline_folder() is not None:
        for variable in HUB_VARIABLES:
            os.environ.setdefault(variable, "1")


def snakemake_arguments(config: Path, profile: Path, arguments: Sequence[str]) -> list[str]:
    """The arguments of Snakemake for a study and a profile's folder.

    Those given come first: options that take several values would swallow targets after them.

    Raises:
        InputError: there is no workflow here.
    """
    snakefile = ROOT / "Snakefile"
    if not snakefile.is_file():
        raise InputError(
            "the workflow is not part of this installation",
            where=ROOT,
            fix="clone the repository and install it from there: pip install -e .",
        )
    further = ["--snakefile", str(snakefile), "--workflow-profile", str(profile)]
    if "--rerun-triggers" not in arguments:
        further += ["--rerun-triggers", *RERUN_TRIGGERS]
    return [*arguments, *further, "--configfile", str(config)]


def profile_folder(name: str) -> Path:
    """The folder of a shipped profile, else of one's own.

    Raises:
        InputError: there is none.
    """
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
