"""Stage finetune: tune a base on a subset.

Here are the options. `launch.py` starts the ranks, `pipeline.py` is what each of them does. This
module does without torch, so that the process that starts the ranks is there in a fraction of a
second.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.execution import Execution
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.config.section import parse_section
from instruct_scaling.config.study import Tracking
from instruct_scaling.training.launch import (
    Launcher,
    default_ranks,
    end_with_parent,
    launch,
    rank_environments,
    without_launcher,
)


def finetune(
    base: Annotated[Path, typer.Option(help="Folder of the base model.")],
    tokens: Annotated[Path, typer.Option(help="Token store of the pool, base and template.")],
    subset: Annotated[Path, typer.Option(help="The run's subset, Parquet.")],
    recipe: Annotated[str, typer.Option(help="Recipe as JSON.")],
    template: Annotated[str, typer.Option(help="Text around a prompt, with {prompt}, or `chat`.")],
    order_seed: Annotated[int, typer.Option(help="Seed of the training order.")],
    init_seed: Annotated[int, typer.Option(help="Seed of new weights and dropout.")],
    work: Annotated[Path, typer.Option(help="Folder for checkpoints; removed at the end.")],
    out_model: Annotated[Path, typer.Option(help="Folder of the tuned model.")],
    out_train: Annotated[Path, typer.Option(help="train.json.")],
    identity_json: Annotated[str, typer.Option(help="Identity of the run as JSON.")] = "{}",
    validation: Annotated[
        Path | None, typer.Option(help="Parquet with ids and categories of validation records.")
    ] = None,
    validation_evaluations: Annotated[
        int, typer.Option(min=1, help="How often to measure the loss on them.")
    ] = 4,
    intermediate: Annotated[
        str,
        typer.Option(
            help="Folders for intermediate checkpoints, in one quoted text; the folder around each "
            "names its percent of the steps: .../intermediate/25/model."
        ),
    ] = "",
    execution: Annotated[
        str,
        typer.Option(
            help="How to train, as JSON: the recipe's zero_stage and deepspeed, and the keys of "
            "the study's section `execution`."
        ),
    ] = "{}",
    ranks: Annotated[
        int,
        typer.Option(
            help="Processes; 0 takes one per GPU (on a CPU one per thread, two at most) of this "
            "machine or, with srun, of each node."
        ),
    ] = 0,
    launcher: Annotated[Launcher, typer.Option(help="How the ranks are started.")] = "local",
    tracker: Annotated[
        Literal["none", "wandb"], typer.Option(help="Where the figures also go.")
    ] = "none",
    tracker_project: Annotated[
        str, typer.Option(help="Project of the run in the tracker.")
    ] = "instruct-scaling",
) -> None:
    """Fine-tune a base model on a subset; stops and goes on without losing exactness.

    The options from --validation on never change the weights, only how they are reached and what is
    measured meanwhile.
    """
    settings, options = parse_execution(execution)
    whole = parse_object("--recipe", recipe) | settings
    tuning = parse_section(Recipe, json.dumps(whole), "--recipe")
    identity = parse_object("--identity-json", identity_json)
    snapshots = snapshot_folders(intermediate)
    for path in (base, tokens, subset, validation):
        if path is not None and not path.exists():
            raise InputError("no such file or folder", where=path)
    if launcher != "none":
        ranks = ranks or default_ranks(launcher)
        if launcher != "local" or ranks > 1:
            launch(launcher, without_launcher(sys.argv[2:]), ranks)
            return
        os.environ.update(rank_environments(1)[0])  # this process is the rank
    end_with_parent()
    from instruct_scaling.training.pipeline import Inputs, Observation, Outputs, run_rank

    tracking = None if tracker == "none" else Tracking(tool=tracker, project=tracker_project)
    run_rank(
        Inputs(base, tokens, subset, tuning, template, order_seed, init_seed, identity),
        Outputs(out_model, out_train, work),
        Observation(validation, validation_evaluations, snapshots, tracking),
        options,
    )


def parse_execution(text: str) -> tuple[dict[str, Any], Execution]:
    """`--execution`, split into the recipe's own execution fields and the study's section.

    Raises:
        InputError: it is not JSON, or has an unknown key or a wrong value.
    """
    given = parse_object("--execution", text)
    of_recipe = {key: given.pop(key) for key in ("zero_stage", "deepspeed") if key in given}
    return of_recipe, parse_section(Execution, json.dumps(given), "--execution")


def snapshot_folders(text: str) -> dict[int, Path]:
    """`--intermediate`: percent of the steps -> folder of the model that is kept after it.

    Raises:
        InputError: the folder around one of them is not named by a percent.
    """
    folders = {}
    for path in map(Path, shlex.split(text)):
        percent = path.parent.name
        if not (percent.isascii() and percent.isdigit() and 0 < int(percent) < 100):
            raise InputError(
                f"{percent!r} is not a percent of the steps",
                where=f"--intermediate {path}",
                fix="name the folder around an intermediate checkpoint by a whole number from 1 "
                "to 99",
            )
        folders[int(percent)] = path
    return folders


def parse_object(option: str, text: str) -> dict[str, Any]:
    """A JSON object that was given as an option.

    Raises:
        InputError: it is not one.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error}", where=option) from error
    if not isinstance(value, dict):
        raise InputError("not a JSON object", where=option)
    return value
