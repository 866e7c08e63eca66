"""Stage costs: what one run of each arm and scale cost to tune, for score-against-cost figures.

Reads the table of runs and the `train.json` of every tuned run; writes `tables/costs.csv`, one row
per arm and scale with means over seeds. `cost` is the whole run from start-up to export,
`cost_training` its optimizer steps alone, both in `unit`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, read_json
from instruct_scaling.config.runs import RunRow, read_runs

PHASES = (
    "startup",
    "training",
    "validation",
    "checkpoints",
    "intermediate_checkpoints",
    "export",
)
SECONDS = [f"seconds_{phase}" for phase in (*PHASES, "total")]
FIGURES: dict[str, str] = {
    "steps": "steps",
    "examples": "examples_seen",
    "tokens": "tokens.total",
    "supervised_tokens": "tokens.supervised",
    "tokens_per_second": "tokens_per_second",
    "mfu": "mfu",
    "training_flops": "training_flops",
    "last_loss": "loss.last",
    "peak_bytes": "peak_memory_bytes.sum",
    "trainable": "parameters.trainable",
    "device": "execution.device",
    "ranks": "execution.ranks",
    "gpu_hours": "gpu_hours",
    "cpu_core_hours": "cpu_core_hours",
    "seconds_training": "seconds.training",
    "seconds_total": "seconds.total",
    "provenance": "provenance",
}
"""Column -> position of the figure in train.json."""
AXES = ("steps", "examples", "tokens", "supervised_tokens", "training_flops")
"""What a curve can be drawn against; `examples` counts repeats."""
COLUMNS = ("arm", "scale", "seeds", "cost", "cost_training", "unit", *AXES)


def training_figures(rows: Iterable[RunRow]) -> pd.DataFrame:
    """One row per tuned run: `arm`, `scale`, `seed`, and the columns of `FIGURES` and `SECONDS`.

    A figure that a run does not have (GPU hours on a CPU, MFU without a known peak) is empty; a
    phase that it did not pass through took 0 s.

    Raises:
        InputError: a train.json is missing or lacks a figure.
    """
    found = [
        {"arm": row.arm, "scale": row.scale, "seed": row.seed, **_read_figures(row.folder)}
        for row in rows
        if row.scale > 0
    ]
    table = pd.DataFrame(found, columns=list(dict.fromkeys(["arm", "scale", *FIGURES, *SECONDS])))
    return table.astype(dict.fromkeys(["mfu", "gpu_hours", "cpu_core_hours"], float))


def _read_figures(folder: Path) -> dict[str, Any]:
    path = folder / "train.json"
    document = read_json(path)
    found = {column: _figure(document, position, path) for column, position in FIGURES.items()}
    phases = {f"seconds_{phase}": document["seconds"].get(phase, 0.0) for phase in PHASES}
    return phases | found


def _figure(document: Any, position: str, path: Path) -> Any:
    try:
        return reduce(lambda value, key: value[key], position.split("."), document)
    except (KeyError, TypeError) as error:
        raise InputError(
            f"not the train.json of a run: `{position}` is missing",
            where=path,
            fix="train the run again with this version",
        ) from error


def costs_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean cost of a run by arm and scale, in one unit for all rows, so that arms can be compared.

    The unit is GPU hours if every run was tuned on GPUs, CPU core hours if none was, and training
    FLOPs where some were: then `cost` and `cost_training` are the same.

    Args:
        runs: as `training_figures` returns it.
    """
    on_gpu = runs["gpu_hours"].notna()
    steps = runs["seconds_training"] / runs["seconds_total"]
    if on_gpu.all():
        unit, cost = "GPU hours per run", runs["gpu_hours"]
    elif not on_gpu.any():
        unit, cost = "CPU core hours per run", runs["cpu_core_hours"]
    else:
        unit, cost, steps = "training FLOPs per run", runs["training_flops"], 1.0
    table = runs.assign(cost=cost, cost_training=cost * steps)
    grouped = table.groupby(["arm", "scale"], sort=True)
    means = grouped[["cost", "cost_training", *AXES, *SECONDS]].mean()
    return means.assign(seeds=grouped.size(), unit=unit).reset_index()[[*COLUMNS, *SECONDS]]


def costs(
    runs: Annotated[Path, typer.Option(help="The table of runs (runs.csv).")],
    out: Annotated[Path, typer.Option(help="Table to write (costs.csv).")],
) -> None:
    """Put what every run cost into one table."""
    table = costs_table(training_figures(read_runs(runs)))
    with atomic_path(out) as temporary:
        table.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")
