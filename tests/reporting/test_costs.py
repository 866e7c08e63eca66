"""One row per arm and scale, in one unit for all of them."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import write_json
from instruct_scaling.reporting.costs import COLUMNS, costs_table, training_of
from instruct_scaling.reporting.costs import costs as costs_stage


def document(arm="full", scale=100, *, gpu_hours=None, core_hours=0.5, flops=1e9, seconds=10.0):
    return {
        "provenance": {"identity": {"arm": arm, "scale": scale}},
        "steps": 3,
        "examples_seen": scale,
        "tokens": {"total": 40 * scale},
        "seconds": {"training": seconds},
        "tokens_per_second": 1.0,
        "gpu_hours": gpu_hours,
        "cpu_core_hours": core_hours,
        "mfu": None,
        "training_flops": flops,
        "loss": {"last": 1.0},
        "peak_memory_bytes": {"sum": 1},
        "parameters": {"trainable": 1},
        "execution": {"device": "CPU", "ranks": 2},
    }


def table(*documents):
    return costs_table([training_of(value, "train.json") for value in documents])


def test_seeds_are_averaged():
    found = table(document(core_hours=1.0), document(core_hours=3.0), document(scale=200))
    assert list(found.columns) == list(COLUMNS)
    assert found[["scale", "seeds", "cost"]].values.tolist() == [[100, 2, 2.0], [200, 1, 0.5]]
    assert set(found.unit) == {"CPU core hours per run"}


def test_gpu_runs_are_in_gpu_hours():
    found = table(document(gpu_hours=2.0, core_hours=None))
    assert found[["cost", "unit"]].values.tolist() == [[2.0, "GPU hours per run"]]


def test_mixed_devices_share_the_only_common_unit():
    found = table(document(flops=5.0), document("lora", gpu_hours=2.0, core_hours=None, flops=7.0))
    assert set(found.unit) == {"training FLOPs per run"}
    assert found.cost.tolist() == [5.0, 7.0]


def test_a_file_of_something_else_is_named():
    with pytest.raises(InputError, match=r"train\.json: not the train\.json of a run"):
        training_of({"loss": 1}, "train.json")


def test_the_stage_writes_the_table(tmp_path):
    write_json(tmp_path / "train.json", document())
    costs_stage([tmp_path / "train.json"], tmp_path / "tables" / "costs.csv")
    assert pd.read_csv(tmp_path / "tables" / "costs.csv").scale.tolist() == [100]


def test_a_missing_file_is_one_clear_line(tmp_path):
    command = [
        sys.executable,
        "-m",
        "instruct_scaling.reporting.costs",
        "none.json",
        "--out",
        "c.csv",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: none.json: no such file")
