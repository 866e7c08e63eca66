"""Stage costs: what one run of each arm and scale cost to tune, for score-against-cost figures.

Reads every `train.json`; writes `tables/costs.csv`, one row per arm and scale (means over seeds):
`arm, scale, seeds, cost, unit, tokens, training_flops, seconds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, read_json

COLUMNS = ("arm", "scale", "seeds", "cost", "unit", "tokens", "training_flops", "seconds")


@dataclass(frozen=True, slots=True)
class Training:
    """The figures of one run's train.json that the page shows; None where the run has none."""

    arm: str
    scale: int
    steps: int
    examples: int
    tokens: int
    seconds: float
    tokens_per_second: float
    gpu_hours: float | None
    core_hours: float | None
    mfu: float | None
    flops: float
    last_loss: float
    peak_bytes: int
    trainable: int
    device: str
    ranks: int


def training_of(document: dict[str, Any], path: str) -> Training:
    """The figures of one train.json.

    Raises:
        InputError: one of them is missing.
    """
    try:
        identity = document["provenance"]["identity"]
        return Training(
            arm=identity["arm"],
            scale=identity["scale"],
            steps=document["steps"],
            examples=document["examples_seen"],
            tokens=document["tokens"]["total"],
            seconds=document["seconds"]["training"],
            tokens_per_second=document["tokens_per_second"],
            gpu_hours=document["gpu_hours"],
            core_hours=document["cpu_core_hours"],
            mfu=document["mfu"],
            flops=document["training_flops"],
            last_loss=document["loss"]["last"],
            peak_bytes=document["peak_memory_bytes"]["sum"],
            trainable=document["parameters"]["trainable"],
            device=document["execution"]["device"],
            ranks=document["execution"]["ranks"],
        )
    except (KeyError, TypeError) as error:
        raise InputError(
            f"not the train.json of a run: {error} is missing",
            where=path,
            fix="train the run again with this version",
        ) from error


def costs_table(runs: list[Training]) -> pd.DataFrame:
    """Mean cost of a run by arm and scale, in one unit for all rows, so that arms can be compared.

    The unit is GPU hours if every run was tuned on GPUs, CPU core hours if none was, and training
    FLOPs where some were.
    """
    on_gpu = {run.gpu_hours is not None for run in runs}
    if on_gpu == {True}:
        unit, costs = "GPU hours per run", [run.gpu_hours for run in runs]
    elif on_gpu == {False}:
        unit, costs = "CPU core hours per run", [run.core_hours for run in runs]
    else:
        unit, costs = "training FLOPs per run", [run.flops for run in runs]
    table = pd.DataFrame(
        {
            "arm": [run.arm for run in runs],
            "scale": [run.scale for run in runs],
            "cost": costs,
            "tokens": [run.tokens for run in runs],
            "training_flops": [run.flops for run in runs],
            "seconds": [run.seconds for run in runs],
        }
    )
    grouped = table.groupby(["arm", "scale"], sort=True)
    means = grouped.mean().assign(seeds=grouped.size(), unit=unit).reset_index()
    return means[list(COLUMNS)]


def costs(
    train: Annotated[list[Path], typer.Argument(help="train.json of every run.")],
    out: Annotated[Path, typer.Option(help="Table to write (costs.csv).")],
) -> None:
    """Put what every run cost into one table."""
    table = costs_table([training_of(read_json(path), str(path)) for path in train])
    with atomic_path(out) as temporary:
        table.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")
