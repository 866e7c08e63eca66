"""Stage intermediate-scores: scores of the intermediate checkpoints of every run, in one table.

Reads `runs.csv`, the judgements of the intermediate checkpoints and every `train.json`; writes
`tables/intermediate_scores.csv`, one row per judge, run, checkpoint and category. The checkpoints
of a run share its training, so the intervals hold the noise of the items alone. None of it enters
the score table or a verdict.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from analysis.inference.curves import build_arm_curves, curve_rows
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, read_json
from instruct_scaling.common.records import EvalItem, Judgement, read_items, read_rows
from instruct_scaling.config.runs import RunRow, read_runs

NOISE = "items only: checkpoints of one run"
COLUMNS = (
    *("judge", "arm", "scale", "seed", "fraction", "category", "mean", "low", "high", "n_items"),
    *("n_missing", "step", "examples_seen", "tokens_seen", "run_examples", "noise", "note"),
)


def run_rows(
    run: RunRow,
    judge: str,
    percents: list[int],
    items: dict[str, EvalItem],
    interval: float,
) -> list[dict[str, Any]]:
    """The rows of one run and judge, `overall` (plain mean of the categories) among them.

    Args:
        percents: the intermediate checkpoints, in percent of the run's steps.
        items: the eval items by id.
        interval: coverage of the t intervals over items, or clusters of items.

    Raises:
        InputError: the run's train.json or a file of judgements is missing or broken, the run
            lacks a checkpoint, or a judgement is of an item that the eval set lacks.
    """
    path = run.folder / "train.json"
    train = read_json(path)
    try:
        points = {point["percent"]: point for point in train["intermediate"]}
        run_examples = train["examples_seen"]
        passed = {percent: points[percent] for percent in percents}
    except (KeyError, TypeError) as error:
        raise InputError(
            f"not the train.json of a run with these intermediate checkpoints: {error} is missing",
            where=path,
            fix="train the run again with intermediate_checkpoints.fractions as they are",
        ) from error
    # Computed like a curve of one seed, with the percents as its scales.
    options = CurveOptions(interval=interval)
    (scores,) = build_score_arrays(_score_table(run, judge, percents, items))
    return [
        row
        | {"arm": run.arm, "scale": run.scale, "seed": run.seed}
        | {
            "fraction": row["scale"] / 100,
            "step": passed[row["scale"]]["step"],
            "examples_seen": passed[row["scale"]]["examples"],
            "tokens_seen": passed[row["scale"]]["tokens"],
            "run_examples": run_examples,
            "noise": NOISE,
        }
        for row in curve_rows(build_arm_curves(scores, options), options)
    ]


def _score_table(
    run: RunRow, judge: str, percents: list[int], items: dict[str, EvalItem]
) -> pd.DataFrame:
    """The judgements of one run and judge in the form that the analysis takes."""
    rows = []
    for percent in percents:
        path = run.folder / "intermediate" / str(percent) / "judgements" / f"{judge}.jsonl"
        for judgement in read_rows(path, Judgement):
            item = items.get(judgement.item)
            if item is None:
                raise InputError(
                    f"a judgement is of item {judgement.item}, which the eval set lacks",
                    where=path,
                    fix="remove the file and run the study again",
                )
            rows.append(
                {
                    "judge": judge,
                    "arm": run.arm,
                    "category": item.category,
                    "cluster": item.cluster or item.id,
                    "item": item.id,
                    "scale": percent,
                    "seed": run.seed,
                    "score": judgement.score,
                }
            )
    return pd.DataFrame(rows).astype({"score": float})


def intermediate_scores(
    runs: Annotated[Path, typer.Option(help="Table of runs (runs.csv).")],
    judge: Annotated[list[str], typer.Option(help="Name of a judge, once for each.")],
    percent: Annotated[
        list[int], typer.Option(help="Percent of a run's steps, once for each checkpoint.")
    ],
    items: Annotated[Path, typer.Option(help="Eval items (items.jsonl).")],
    out: Annotated[Path, typer.Option(help="Table to write (intermediate_scores.csv).")],
    interval: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.9,
) -> None:
    """Put the scores of all intermediate checkpoints into one table."""
    known = read_items(items)
    tuned = [run for run in read_runs(runs) if run.scale > 0]
    rows = [
        row
        for name in sorted(set(judge))
        for run in tuned
        for row in run_rows(run, name, percent, known, interval)
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    with atomic_path(out) as temporary:
        table.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")
