"""Stage validation-loss: the loss on validation records in the course of every run, as one table.

Reads `runs.csv` and the `train.json` of every tuned run; writes `tables/validation_loss.csv`, one
row per run, evaluation and category: `arm, scale, seed, fraction, step, category, loss, records,
supervised_tokens`. Fraction 0 is the base, before the first step. No judge takes part in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from analysis.tables import OVERALL
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, read_json
from instruct_scaling.config.runs import RunRow, read_runs

COLUMNS = (
    *("arm", "scale", "seed", "fraction", "step", "category"),
    *("loss", "records", "supervised_tokens"),
)


def loss_rows(run: RunRow) -> list[dict[str, Any]]:
    """The rows of one run; none where the study has no validation records.

    The row `overall` is the plain mean of the categories, as it is of the scores.

    Raises:
        InputError: the run's train.json is missing or is none.
    """
    path = run.folder / "train.json"
    document = read_json(path)
    try:
        validation = document["validation"]
        if validation is None:
            return []
        rows = []
        for point in validation["evaluations"]:
            losses = point["loss"]
            of_point = {"arm": run.arm, "scale": run.scale, "seed": run.seed} | {
                key: point[key] for key in ("fraction", "step")
            }
            for category, loss in [*losses.items(), (OVERALL, sum(losses.values()) / len(losses))]:
                counts = _counts(validation, category)
                rows.append(of_point | {"category": category, "loss": loss} | counts)
        return rows
    except (KeyError, TypeError) as error:
        raise InputError(
            f"not the train.json of a run: {error} is missing",
            where=path,
            fix="train the run again with this version",
        ) from error


def _counts(validation: dict[str, Any], category: str) -> dict[str, int]:
    """Records and supervised tokens that a loss is the mean over."""
    keys = ("records", "supervised_tokens")
    if category == OVERALL:
        return {key: sum(validation[key].values()) for key in keys}
    return {key: validation[key][category] for key in keys}


def validation_loss(
    runs: Annotated[Path, typer.Option(help="Table of runs (runs.csv).")],
    out: Annotated[Path, typer.Option(help="Table to write (validation_loss.csv).")],
) -> None:
    """Put the validation losses of every run into one table."""
    tuned = [run for run in read_runs(runs) if run.scale > 0]
    rows = [row for run in tuned for row in loss_rows(run)]
    with atomic_path(out) as temporary:
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        table.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")
