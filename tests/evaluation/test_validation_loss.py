"""Validation losses of all runs as one table."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import write_json
from instruct_scaling.evaluation.validation_loss import COLUMNS, loss_rows
from instruct_scaling.evaluation.validation_loss import validation_loss as validation_loss_stage


def document(scale=100, validation=True):
    points = [
        {"step": 0, "fraction": 0.0, "loss": {"code": 4.0, "math": 3.0}},
        {"step": 7, "fraction": 1.0, "loss": {"code": 2.0, "math": 1.0}},
    ]
    measured = {
        "unit": "nats per supervised token",
        "records": {"code": 5, "math": 6},
        "supervised_tokens": {"code": 50, "math": 40},
        "evaluations": points,
    }
    return {
        "provenance": {"identity": {"arm": "full", "scale": scale, "seed": 1}},
        "validation": measured if validation else None,
    }


def test_a_row_for_every_evaluation_and_category_with_overall_as_plain_mean():
    rows = loss_rows(document(), "train.json")
    assert all(tuple(row) == COLUMNS for row in rows)
    assert [(row["step"], row["category"], row["loss"]) for row in rows] == [
        *((0, "code", 4.0), (0, "math", 3.0), (0, "overall", 3.5)),
        *((7, "code", 2.0), (7, "math", 1.0), (7, "overall", 1.5)),
    ]
    assert [row["records"] for row in rows[:3]] == [5, 6, 11]
    assert [row["supervised_tokens"] for row in rows[:3]] == [50, 40, 90]


def test_nothing_held_out_is_an_empty_table_with_its_header(tmp_path):
    write_json(tmp_path / "train.json", document(validation=False))
    validation_loss_stage([tmp_path / "train.json"], tmp_path / "validation_loss.csv")
    assert (tmp_path / "validation_loss.csv").read_text("utf-8") == ",".join(COLUMNS) + "\n"


def test_the_stage_writes_all_runs(tmp_path):
    for scale in (100, 200):
        write_json(tmp_path / f"{scale}.json", document(scale))
    validation_loss_stage(
        [tmp_path / "100.json", tmp_path / "200.json"], tmp_path / "tables" / "validation_loss.csv"
    )
    table = pd.read_csv(tmp_path / "tables" / "validation_loss.csv")
    assert table.groupby("scale").size().to_dict() == {100: 6, 200: 6}


def test_a_file_of_something_else_is_named():
    with pytest.raises(InputError, match=r"train\.json: not the train\.json of a run"):
        loss_rows({"loss": 1}, "train.json")


def test_a_missing_file_is_one_clear_line(tmp_path):
    command = [
        sys.executable,
        "-m",
        "instruct_scaling.evaluation.validation_loss",
        "none.json",
        "--out",
        "c.csv",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: none.json: no such file")
