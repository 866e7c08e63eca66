"""python -m instruct_scaling.training: tune a base on a subset."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import typer

from instruct_scaling.common.errors import EXIT_BAD_INPUT, EXIT_RETRY, InputError, Interrupted
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.config.study import Tracking
from instruct_scaling.training.job import EvalOptions, Execution, Job, Rank, Snapshot
from instruct_scaling.training.launch import Launcher, default_ranks, end_with_parent, launch
from instruct_scaling.training.trackers import check_installed

Tracked = Literal["none", "wandb", "trackio"]


def finetune(
    base: Annotated[Path, typer.Option(help="Folder of the base model.")],
    records: Annotated[Path, typer.Option(help="Folder or file with the pool's records.")],
    subset: Annotated[Path, typer.Option(help="The run's subset.parquet.")],
    recipe: Annotated[str, typer.Option(help="Recipe as JSON.")],
    template: Annotated[str, typer.Option(help="Text around a prompt, with {prompt}.")],
    order_seed: Annotated[int, typer.Option(help="Seed of the training order.")],
    init_seed: Annotated[int, typer.Option(help="Seed of new weights and dropout.")],
    work: Annotated[Path, typer.Option(help="Folder for checkpoints; removed at the end.")],
    out_model: Annotated[Path, typer.Option(help="Folder of the tuned model.")],
    out_train: Annotated[Path, typer.Option(help="train.json.")],
    identity_json: Annotated[str, typer.Option(help="Identity of the run as JSON.")] = "{}",
    validation: Annotated[
        Path | None, typer.Option(help="Parquet with ids and categories held out of the pool.")
    ] = None,
    validation_evaluations: Annotated[
        int, typer.Option(min=1, help="How often to measure the loss on them.")
    ] = 4,
    intermediate: Annotated[
        str,
        typer.Option(
            help="Folders for snapshots of the model, in one quoted text; the folder around each "
            "names its percent of the steps: .../intermediate/25/model."
        ),
    ] = "",
    ranks: Annotated[int, typer.Option(help="Processes; 0 takes one per GPU, or two.")] = 0,
    launcher: Annotated[Launcher, typer.Option(help="How the ranks are started.")] = "local",
    row_tokens: Annotated[
        int | None, typer.Option(help="Token budget of a packed row; default by memory.")
    ] = None,
    attention: Annotated[str | None, typer.Option(help="Force sdpa, flash or flex.")] = None,
    checkpointing: Annotated[
        bool | None, typer.Option(help="Recompute activations; default by memory.")
    ] = None,
    save_minutes: Annotated[float, typer.Option(help="Minutes between checkpoints.")] = 10.0,
    save_steps: Annotated[int | None, typer.Option(help="Also save every so many steps.")] = None,
    tracker: Annotated[Tracked, typer.Option(help="Where the figures also go.")] = "none",
    tracker_project: Annotated[
        str, typer.Option(help="Project of the run in the tracker.")
    ] = "instruct-scaling",
) -> None:
    """Fine-tune a base model on a subset; stops and goes on without losing exactness.

    The options from --validation on never change the weights, only how they are reached and what is
    measured on the way.
    """
    job = Job(
        base=base,
        records=records,
        subset=subset,
        recipe=_recipe(recipe),
        template=template,
        order_seed=order_seed,
        init_seed=init_seed,
        identity=_json("--identity-json", identity_json),
        work_root=work,
        out_model=out_model,
        out_train=out_train,
        execution=Execution(
            row_tokens,
            attention,
            checkpointing,
            save_minutes,
            save_steps,
            None if tracker == "none" else Tracking(tool=tracker, project=tracker_project),
        ),
        watched=EvalOptions(validation, validation_evaluations, _snapshots(intermediate)),
    )
    _check_paths(job)
    if tracker != "none":
        check_installed(tracker)
    if launcher != "none":
        launch(launcher, _without_launcher(sys.argv[2:]), ranks or default_ranks())
        return
    _be_a_rank(job, Rank.from_environment())


def _be_a_rank(job: Job, rank: Rank) -> None:
    """Run in this process. What goes wrong is either seen by all ranks or by rank 0 alone, so
    rank 0 says it for all."""
    end_with_parent()
    from instruct_scaling.training.run import run_rank

    try:
        run_rank(job, rank)
    except (InputError, Interrupted) as error:
        if rank.is_first:
            raise
        code = EXIT_RETRY if isinstance(error, Interrupted) else EXIT_BAD_INPUT
        raise typer.Exit(code) from error


def _check_paths(job: Job) -> None:
    for path in (job.base, job.records, job.subset, job.watched.validation):
        if path is not None and not path.exists():
            raise InputError("no such file or folder", where=path)


def _snapshots(text: str) -> tuple[Snapshot, ...]:
    paths = [Path(part) for part in shlex.split(text)]
    for path in paths:
        percent = path.parent.name
        if not (percent.isascii() and percent.isdigit() and 0 < int(percent) < 100):
            raise InputError(
                f"{percent!r} is no percent of a run",
                where=f"--intermediate {path}",
                fix="name the folder around a snapshot by a whole number from 1 to 99",
            )
    return tuple(Snapshot(int(path.parent.name), path) for path in paths)


def _recipe(text: str) -> Recipe:
    try:
        return Recipe.model_validate(_json("--recipe", text))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["recipe", *(str(part) for part in first["loc"])])
        raise InputError(first["msg"], where=key) from error


def _json(option: str, text: str) -> dict:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error}", where=option) from error


def _without_launcher(arguments: list[str]) -> list[str]:
    """The arguments for the ranks, which are started by nobody else."""
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == "--launcher":
            skip = True
        elif not argument.startswith("--launcher="):
            kept.append(argument)
    return kept
