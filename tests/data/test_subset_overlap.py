"""The share of records that the subsets of two seeds have in common."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.runs import (
    subset_file,
    subset_label,
    subset_seed,
    tuned_runs,
    write_runs,
)
from instruct_scaling.config.study import Study
from instruct_scaling.data.selection.ranking import draw_subset
from instruct_scaling.data.subset import write_subset
from instruct_scaling.data.subset_overlap import COLUMNS
from tests.stages import run_stage
from tests.studies import tiny_study

IDS = [f"{number:032x}" for number in range(200)]


def overlap(folder, **edits):
    """The table of the tiny study on a pool of 200 records, by scale."""
    study = Study(**tiny_study() | {"ladder": {"scales": [20, 100, 200]}} | edits)
    write_runs(folder / "runs.csv", study)
    for run in tuned_runs(study):
        seed = subset_seed(study, subset_label(study, run.seed))
        ids = draw_subset(IDS, run.scale, seed)
        ones = np.ones(len(ids), np.int32)
        facts = {"seed": str(seed), "selection": "{}", "pool_records": "200"}
        path = folder / subset_file(study, run)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_subset(path, ids, ones, 0 * ones, facts)
    out = folder / "tables" / "subset_overlap.csv"
    run_stage("subset-overlap", "--runs", folder / "runs.csv", "--out", out)
    table = pd.read_csv(out)
    assert list(table.columns) == list(COLUMNS)
    return table.set_index("scale")


def test_the_share_in_common_is_that_of_the_pool(tmp_path):
    table = overlap(tmp_path, seeds={"replicates": [1, 2, 3]})
    assert table["share_of_pool"].tolist() == [0.1, 0.5, 1.0]
    assert (table["pool_records"] == 200).all()
    assert (table["subsets"] == 3).all()
    assert table.loc[200, "in_common"] == 1
    # Hypergeometric: 50 of 100 in common with an SD of 3.5, three pairs.
    assert abs(table.loc[100, "in_common"] - 0.5) < 0.1
    assert (table["arms"] == "full; lora").all()


def test_one_seed_has_no_pair(tmp_path):
    table = overlap(tmp_path)
    assert table["in_common"].isna().all()
    assert table["share_of_pool"].tolist() == [0.1, 0.5, 1.0]


def test_runs_of_one_subset_seed_count_once(tmp_path):
    crossed = {"crossed": {"subset": [1, 2], "training": [1, 2, 3]}}
    assert (overlap(tmp_path, seeds=crossed)["subsets"] == 2).all()
    held = {"replicates": [1, 2], "vary": ["order"]}
    assert (overlap(tmp_path / "held", seeds=held)["subsets"] == 1).all()


def test_a_subset_that_is_missing_is_named(tmp_path):
    study = Study(**tiny_study())
    write_runs(tmp_path / "runs.csv", study)
    with pytest.raises(InputError, match="no such file"):
        run_stage("subset-overlap", "--runs", tmp_path / "runs.csv", "--out", tmp_path / "o.csv")
