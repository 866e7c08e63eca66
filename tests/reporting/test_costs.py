"""One row per arm and scale, in one unit for all of them."""

from __future__ import annotations

import pandas as pd
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import write_json
from instruct_scaling.config.runs import RunRow
from instruct_scaling.reporting.costs import COLUMNS, SECONDS, costs_table, training_figures
from instruct_scaling.reporting.costs import costs as costs_stage


def document(*, gpu_hours=None, core_hours=0.5, flops=1e9, seconds=10.0):
    return {
        "provenance": {"stage": "finetune"},
        "steps": 3,
        "examples_seen": 100,
        "tokens": {"total": 4000, "supervised": 1300},
        "seconds": {"startup": 4.0, "training": seconds, "export": 6.0, "total": seconds + 10},
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


@pytest.fixture
def table(tmp_path):
    """The cost table of runs: (arm, scale, train.json), one seed after the other."""

    def of(*runs):
        rows = []
        for seed, (arm, scale, written) in enumerate(runs):
            folder = tmp_path / f"{seed}"
            write_json(folder / "train.json", written)
            rows.append(RunRow(arm, scale, seed, folder))
        return costs_table(training_figures(rows))

    return of


def test_seeds_are_averaged(table):
    found = table(
        ("full", 100, document(core_hours=1.0)),
        ("full", 100, document(core_hours=3.0, seconds=30.0)),
        ("full", 100, document(core_hours=11.0, seconds=10.0)),
        ("full", 200, document()),
    )
    assert list(found.columns) == [*COLUMNS, *SECONDS]
    columns = ["scale", "seeds", "cost", "cost_training", "seconds_training", "seconds_total"]
    assert found[columns].values.tolist() == [
        [100, 3, 5.0, 2.75, 50 / 3, 80 / 3],  # 1 x 10 / 20, 3 x 30 / 40 and 11 x 10 / 20
        [200, 1, 0.5, 0.25, 10.0, 20.0],
    ]
    assert set(found.seconds_startup) == {4.0}
    assert set(found.seconds_validation) == {0.0}  # a phase that these runs do not have
    assert set(found.unit) == {"CPU core hours per run"}
    axes = ["steps", "examples", "tokens", "supervised_tokens", "training_flops"]
    assert found[axes].values.tolist() == [[3, 100, 4000, 1300, 1e9]] * 2


def test_gpu_runs_are_in_gpu_hours(table):
    found = table(("full", 100, document(gpu_hours=2.0, core_hours=None)))
    assert found[["cost", "cost_training", "unit"]].values.tolist() == [
        [2.0, 1.0, "GPU hours per run"]
    ]


def test_mixed_devices_share_the_only_common_unit(table):
    found = table(
        ("full", 100, document(flops=5.0)),
        ("lora", 100, document(gpu_hours=2.0, core_hours=None, flops=7.0)),
    )
    assert set(found.unit) == {"training FLOPs per run"}
    assert found.cost.tolist() == found.cost_training.tolist() == [5.0, 7.0]


def test_a_file_of_something_else_is_named(tmp_path):
    write_json(tmp_path / "train.json", {"loss": 1})
    with pytest.raises(InputError, match=r"train\.json: not the train\.json of a run: `steps`"):
        training_figures([RunRow("full", 100, 1, tmp_path)])


def test_the_stage_reads_the_tuned_runs_of_the_table(tmp_path):
    write_json(tmp_path / "runs/full/n100/s1/train.json", document())
    (tmp_path / "runs.csv").write_text(
        "arm,scale,seed,folder\nfull,0,1,runs/full/n0/s1\nfull,100,1,runs/full/n100/s1\n"
    )
    costs_stage(runs=tmp_path / "runs.csv", out=tmp_path / "tables" / "costs.csv")
    assert pd.read_csv(tmp_path / "tables" / "costs.csv").scale.tolist() == [100]


def test_a_missing_train_json_is_named(tmp_path):
    with pytest.raises(InputError, match=r"train\.json: no such file"):
        training_figures([RunRow("full", 100, 1, tmp_path)])
