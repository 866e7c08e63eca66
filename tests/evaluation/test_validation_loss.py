"""Validation losses of all runs as one table."""

from __future__ import annotations

import pandas as pd
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import write_json
from instruct_scaling.config.runs import RunRow
from instruct_scaling.evaluation.validation_loss import COLUMNS, loss_rows
from instruct_scaling.evaluation.validation_loss import validation_loss as validation_loss_stage

MEASURED = {
    "unit": "nats per supervised token",
    "records": {"code": 5, "math": 6},
    "supervised_tokens": {"code": 50, "math": 40},
    "evaluations": [
        {"step": 0, "fraction": 0.0, "loss": {"code": 4.0, "math": 3.0}},
        {"step": 7, "fraction": 1.0, "loss": {"code": 2.0, "math": 1.0}},
    ],
}


def table_of(folder, scales, validation=MEASURED):
    """The stage's table for runs of these scales; the base at scale 0 has no train.json."""
    lines = ["arm,scale,seed,folder", "full,0,1,n0"]
    for scale in scales:
        write_json(folder / f"n{scale}" / "train.json", {"validation": validation})
        lines.append(f"full,{scale},1,n{scale}")
    (folder / "runs.csv").write_text("\n".join(lines), "utf-8")
    validation_loss_stage(runs=folder / "runs.csv", out=folder / "tables" / "validation_loss.csv")
    return folder / "tables" / "validation_loss.csv"


def test_a_row_for_every_evaluation_and_category_with_overall_as_plain_mean(tmp_path):
    write_json(tmp_path / "train.json", {"validation": MEASURED})
    rows = loss_rows(RunRow("full", 100, 2, tmp_path))
    assert all(tuple(row) == COLUMNS for row in rows)
    assert {(row["arm"], row["scale"], row["seed"]) for row in rows} == {("full", 100, 2)}
    assert [(row["fraction"], row["step"], row["category"], row["loss"]) for row in rows] == [
        *((0.0, 0, "code", 4.0), (0.0, 0, "math", 3.0), (0.0, 0, "overall", 3.5)),
        *((1.0, 7, "code", 2.0), (1.0, 7, "math", 1.0), (1.0, 7, "overall", 1.5)),
    ]
    assert [row["records"] for row in rows[:3]] == [5, 6, 11]
    assert [row["supervised_tokens"] for row in rows[:3]] == [50, 40, 90]


def test_without_validation_records_the_table_is_its_header(tmp_path):
    table = table_of(tmp_path, [100], validation=None)
    assert table.read_text("utf-8") == ",".join(COLUMNS) + "\n"


def test_the_stage_writes_all_tuned_runs(tmp_path):
    table = pd.read_csv(table_of(tmp_path, [100, 200]))
    assert table.groupby("scale").size().to_dict() == {100: 6, 200: 6}


def test_a_file_of_something_else_and_a_missing_one_are_named(tmp_path):
    run = RunRow("full", 100, 1, tmp_path)
    with pytest.raises(InputError, match=r"train\.json: no such file"):
        loss_rows(run)
    write_json(tmp_path / "train.json", {"loss": 1})
    with pytest.raises(InputError, match=r"train\.json: not the train\.json of a run"):
        loss_rows(run)
