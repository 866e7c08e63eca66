"""Stage along: scores of the snapshots along every run, as a table of their own.

Reads the judgements of the snapshots and every `train.json`; writes `tables/intermediate_scores.csv`, one row
per judge, run, snapshot and category. The points of a run share its training, so the intervals
hold the noise of the items alone. None of it enters the score table or a verdict.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from analysis.inference.arm_curves import build_panel
from analysis.inference.means import curve_rows
from analysis.inference.score_array import build_cubes
from analysis.options import CurveOptions
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, read_json
from instruct_scaling.common.records import EvalItem, Judgement, read_items, read_rows

NOISE = "one run along its way: items only"
COLUMNS = (
    *("judge", "arm", "scale", "seed", "fraction", "category", "mean", "low", "high", "n_items"),
    *("n_missing", "step", "examples_seen", "tokens_seen", "run_examples", "noise", "note"),
)

Judged = dict[int, list[Judgement]]  # percent of the run -> judgements of one judge


def along_rows(
    train: dict[str, Any],
    judged: Judged,
    items: dict[str, EvalItem],
    interval: float,
    where: str,
) -> list[dict[str, Any]]:
    """The rows of one run and judge, `overall` (plain mean of the categories) among them.

    Args:
        train: the run's train.json.
        judged: judgements of every snapshot.
        items: the eval items by id.
        interval: coverage of the t intervals over items, or clusters of items.
        where: the run's train.json, for errors.

    Raises:
        InputError: it is not the train.json of a run with these snapshots, or a judgement is of
            an item that the eval set lacks.
    """
    try:
        identity = train["provenance"]["identity"]
        run = {key: identity[key] for key in ("arm", "scale", "seed")}
        points = {point["percent"]: point for point in train["intermediate"]}
        run_examples = train["examples_seen"]
        passed = {percent: points[percent] for percent in judged}
    except (KeyError, TypeError) as error:
        raise InputError(
            f"not the train.json of a run with these snapshots: {error} is missing",
            where=where,
            fix="train the run again with intermediate_checkpoints.fractions as they are",
        ) from error
    # A way is computed like a curve of one seed, the percents in the place of the scales.
    (cube,) = build_cubes(_scores(judged, items))
    panel = build_panel(cube, CurveOptions(interval=interval))
    rows = []
    for row in curve_rows(panel, {}, CurveOptions(interval=interval)):
        percent = row["scale"]
        point = passed[percent]
        rows.append(
            row
            | run
            | {
                "fraction": percent / 100,
                "step": point["step"],
                "examples_seen": point["examples"],
                "tokens_seen": point["tokens"],
                "run_examples": run_examples,
                "noise": NOISE,
            }
        )
    return rows


def _scores(judged: Judged, items: dict[str, EvalItem]) -> pd.DataFrame:
    """The judgements as the analysis takes a score table."""
    rows = []
    for percent, judgements in judged.items():
        for judgement in judgements:
            item = items.get(judgement.item)
            if item is None:
                raise InputError(
                    f"a judgement is of item {judgement.item}, which the eval set lacks",
                    fix="the snapshots were asked with another eval set: run the workflow again",
                )
            rows.append(
                {
                    "judge": judgement.judge,
                    "arm": "",
                    "category": item.category,
                    "cluster": item.cluster or item.id,
                    "item": item.id,
                    "scale": percent,
                    "seed": 1,
                    "score": judgement.score,
                }
            )
    return pd.DataFrame(rows).astype({"score": float})


def judgements_by_run(paths: Sequence[Path]) -> dict[Path, dict[str, Judged]]:
    """Judgements by the folder of their run, judge and percent.

    Args:
        paths: files RUN/intermediate/PERCENT/judgements/JUDGE.jsonl.

    Raises:
        InputError: a file is broken, or does not lie in such a place.
    """
    found: dict[Path, dict[str, Judged]] = defaultdict(lambda: defaultdict(dict))
    for path in paths:
        parts = path.parts[-5:]
        if len(parts) < 5 or parts[1] != "intermediate" or not parts[2].isdigit():
            raise InputError(
                "not a judgement of a snapshot",
                where=path,
                fix="RUN/intermediate/PERCENT/judgements/JUDGE",
            )
        found[path.parents[3]][path.stem][int(parts[2])] = read_rows(path, Judgement)
    return found


def intermediate_scores(
    items: Annotated[Path, typer.Option(help="Eval items.")],
    train: Annotated[str, typer.Option(help="train.json of every run, in one quoted text.")],
    judgements: Annotated[
        str,
        typer.Option(
            help="Judgements of all snapshots, RUN/intermediate/PERCENT/judgements/*.jsonl."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Table to write (intermediate_scores.csv).")],
    interval: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.9,
) -> None:
    """Put the scores along every run into one table."""
    known = read_items(items)
    judged = judgements_by_run([Path(path) for path in shlex.split(judgements)])
    rows: list[dict[str, Any]] = []
    for path in map(Path, shlex.split(train)):
        document = read_json(path)
        for ways in judged[path.parent].values():
            rows += along_rows(document, ways, known, interval, str(path))
    table = pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("judge", kind="stable")
    with atomic_path(out) as temporary:
        table.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")
