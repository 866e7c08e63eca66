"""Stage losses: the loss on validation records along every run, as one table.

Reads every `train.json`; writes `tables/validation_loss.csv`, one row per run, evaluation and category:
`arm, scale, seed, fraction, step, category, loss, records, supervised_tokens`. Fraction 0 is the
base, before the first step. No judge has a part in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from analysis.tables import OVERALL
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, read_json

COLUMNS = (
    *("arm", "scale", "seed", "fraction", "step", "category"),
    *("loss", "records", "supervised_tokens"),
)


def loss_rows(document: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """The rows of one train.json; none where no records were held out.

    The row `overall` is the plain mean of the categories, as it is of the scores.

    Raises:
        InputError: it is not the train.json of a run.
    """
    try:
        identity, validation = document["provenance"]["identity"], document["validation"]
        if validation is None:
            return []
        run = {key: identity[key] for key in ("arm", "scale", "seed")}
        rows = []
        for point in validation["evaluations"]:
            losses = point["loss"]
            place = run | {"fraction": point["fraction"], "step": point["step"]}
            for category, loss in [*losses.items(), (OVERALL, sum(losses.values()) / len(losses))]:
                rows.append(
                    place | {"category": category, "loss": loss} | _counts(validation, category)
                )
        return rows
    except (KeyError, TypeError) as error:
        raise InputError(
            f"not the train.json of a run: {error} is missing",
            where=path,
            fix="train the run again with this version",
        ) from error


def _counts(validation: dict[str, Any], category: str) -> dict[str, int]:
    """Records and supervised tokens that a loss stands on."""
    keys = ("records", "supervised_tokens")
    if category == OVERALL:
        return {key: sum(validation[key].values()) for key in keys}
    return {key: validation[key][category] for key in keys}


def validation_loss(
    train: Annotated[list[Path], typer.Argument(help="train.json of every run.")],
    out: Annotated[Path, typer.Option(help="Table to write (validation_loss.csv).")],
) -> None:
    """Put the validation losses of every run into one table."""
    rows = [row for path in train for row in loss_rows(read_json(path), str(path))]
    with atomic_path(out) as temporary:
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        table.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")
