"""A study with an arm for every kind of selection, from its config to its report."""

from __future__ import annotations

import json
from collections import Counter
from itertools import count

import pandas as pd
import pyarrow.parquet as pq
import pytest

from instruct_scaling.common.files import write_jsonl
from instruct_scaling.common.records import Record
from instruct_scaling.common.seeds import derive_seed, rank_key
from instruct_scaling.config.load import validate_study
from instruct_scaling.config.runs import Run, subset_file
from instruct_scaling.data.selection.select import KINDS
from instruct_scaling.data.subset import read_facts
from tests.studies import edited, planned_jobs, pretend_finished, snakemake, tiny_study

SCALE = 24
BY_LENGTH = {"by": "annotation:length"}
STAGED = {"type": "staged", **BY_LENGTH, "bands": 2, "shares": "equal", "order": "descending"}
SELECTIONS = {
    "uniform": {"type": "uniform"},
    "stratified": {"type": "stratified", "by": "language", "shares": {"en": 0.75, "zh": 0.25}},
    "weighted": {"type": "weighted", **BY_LENGTH},
    "ranked": {"type": "ranked", **BY_LENGTH, "order": "ascending"},
    "mixture": {"type": "mixture", "by": "category", "shares": {"math": 0.5, "code": 0.5}},
    "staged": STAGED,
    "mixed": STAGED | {"order": "mixed"},
    "dose": {"type": "dose", "by": "category", "values": ["math"], "times": 3},
}


def every_kind():
    """The tiny study with one arm for each selection, one scale and one seed."""
    config = edited(tiny_study(), "ladder.scales", [SCALE])
    config["pools"]["own"]["annotations"] = {"length": {"type": "length"}}
    full = config["arms"]["full"]
    config["arms"] = {name: full | {"selection": one} for name, one in SELECTIONS.items()}
    phases = [{"epochs": 2}, {"epochs": 1, "learning_rate": 5e-4}]
    config["arms"]["staged"]["recipe"] = full["recipe"] | {"phases": phases}
    return config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Results of the study, run from start to end."""
    folder = tmp_path_factory.mktemp("selections")
    snakemake(folder, every_kind())
    return folder / "results" / "tiny"


@pytest.fixture(scope="module")
def subsets(finished):
    """Arm -> its subset, with category, language and length of each record."""
    study = validate_study(every_kind())
    records = pq.read_table(finished / "pools" / "own" / "records").to_pandas()
    values = pd.read_parquet(finished / "pools" / "own" / "annotations" / "length.parquet")
    labels = records[["id", "category", "language"]].merge(values, on="id")
    return {
        arm: pd.read_parquet(finished / subset_file(study, Run(arm, SCALE, 1))).merge(
            labels, on="id", how="left"
        )
        for arm in study.arms
    }


def trained(finished, arm):
    path = finished / "runs" / arm / f"n{SCALE}" / "s1" / "train.json"
    return json.loads(path.read_text("utf-8"))


def test_the_study_has_every_kind():
    assert {one["type"] for one in SELECTIONS.values()} == set(KINDS)


@pytest.mark.slow
def test_every_subset_is_what_its_selection_says(subsets):
    assert all(len(rows) == rows["id"].nunique() == SCALE for rows in subsets.values())
    assert Counter(subsets["stratified"]["language"]) == {"en": 18, "zh": 6}
    assert Counter(subsets["mixture"]["category"]) == {"math": 12, "code": 12}
    assert subsets["ranked"]["value"].is_monotonic_increasing
    means = {arm: rows["value"].mean() for arm, rows in subsets.items()}
    assert means["ranked"] < means["uniform"] < means["weighted"]
    dosed = subsets["dose"]["category"] == "math"
    assert (subsets["dose"]["repeats"] == dosed.map({True: 3, False: 1})).all()
    assert dosed.any() and not dosed.all()


@pytest.mark.slow
def test_stages_are_phases_and_their_control_has_the_same_records(subsets):
    staged, mixed = subsets["staged"], subsets["mixed"]
    assert Counter(staged["phase"]) == {0: SCALE // 2, 1: SCALE // 2}
    assert staged.groupby("phase")["value"].min()[0] >= staged.groupby("phase")["value"].max()[1]
    assert mixed["id"].tolist() == staged["id"].tolist()
    assert set(mixed["phase"]) == {0}


@pytest.mark.slow
def test_training_saw_repeats_and_phases(finished, subsets):
    seen = {arm: trained(finished, arm)["examples_seen"] for arm in SELECTIONS}
    staged = 2 * SCALE // 2 + SCALE // 2  # two passes of the first phase, one of the second
    expected = {arm: int(rows["repeats"].sum()) for arm, rows in subsets.items()}
    assert seen == expected | {"staged": staged}
    phases = trained(finished, "staged")["phases"]
    assert [(part["phase"], part["examples"]) for part in phases] == [(0, 24), (1, 12)]
    assert [part["phase"] for part in trained(finished, "mixed")["phases"]] == [0]


@pytest.mark.slow
def test_the_report_states_every_selection_and_its_part_of_the_pool(finished):
    page = " ".join((finished / "report.html").read_text("utf-8").split())
    for arm, selection in SELECTIONS.items():
        stated = f"its records by selection “{selection['type']}” ("
        assert (stated in page) == (arm != "uniform"), arm
    overlap = pd.read_csv(finished / "tables" / "subset_overlap.csv")
    assert set("; ".join(overlap["arms"]).split("; ")) == set(SELECTIONS)
    assert overlap["share_of_pool"].tolist() == pytest.approx([SCALE / (240 - 24)] * len(overlap))
    assert f"{SCALE / (240 - 24):.1%} of the 216 records" in page


@pytest.mark.slow
def test_a_pool_that_grows_trains_again_only_where_the_rows_of_a_subset_change(tmp_path):
    """The metadata of every subset change, for they state the size of the pool."""
    config = edited(tiny_study(), "ladder.scales", [8, 40])
    config = edited(config, "validation.records", 0)
    config["pools"]["own"]["sources"] = [{"type": "file", "path": "records.jsonl"}]
    records = [{"instruction": f"Say {n}.", "output": f"{n}"} for n in range(60)]
    write_jsonl(tmp_path / "records.jsonl", records)
    pretend_finished(tmp_path, config)
    data = ("--omit-from", "finetune")
    snakemake(tmp_path, config, "--forcerun", "evalset", "base", "runs", *data)
    snakemake(tmp_path, config, "--touch", "--forceall")
    write_jsonl(tmp_path / "records.jsonl", [*records, joining(records, config)])
    snakemake(tmp_path, config, *data)
    planned = planned_jobs(snakemake(tmp_path, config, "--dry-run").stdout)
    assert planned["finetune"] == 2  # both arms at the larger scale
    assert planned["report"] == 1
    folder = tmp_path / "results" / "tiny" / "subsets" / "own" / "uniform"
    assert {read_facts(path)["pool_records"] for path in folder.rglob("*.parquet")} == {"61"}


def joining(records, config):
    """A record that ranks behind the first 8 and before the 31st."""
    seed = derive_seed(0, config["seeds"]["replicates"][0], "subset")

    def key(row):
        return rank_key(seed, Record.make(row["instruction"], row["output"]).id)

    keys = sorted(map(key, records))
    candidates = ({"instruction": f"Say {n}.", "output": f"{n}"} for n in count(100))
    return next(row for row in candidates if keys[7] < key(row) < keys[30])


@pytest.mark.slow
def test_crossed_seeds_come_through_to_their_variances(tmp_path):
    config = edited(tiny_study(), "ladder.scales", [16, 32])
    config["seeds"] = {"crossed": {"subset": [1, 2], "training": [1, 2]}}
    del config["arms"]["lora"]
    assert planned_jobs(snakemake(tmp_path, config, "--dry-run").stdout)["subset"] == 4
    snakemake(tmp_path, config)
    results = tmp_path / "results" / "tiny"
    variances = pd.read_csv(results / "tables" / "seed_variance.csv")
    assert set(variances["component"]) == {"subset", "training", "rest"}
    assert set(variances["scale"]) == {16, 32}
    scores = pd.read_parquet(results / "tables" / "scores.parquet")
    pairs = scores[scores["scale"] > 0][["seed", "subset_seed", "training_seed"]]
    assert sorted(set(pairs.itertuples(index=False, name=None))) == [
        (1, 1, 1),
        (2, 1, 2),
        (3, 2, 1),
        (4, 2, 2),
    ]
    overlap = pd.read_csv(results / "tables" / "subset_overlap.csv")
    assert (overlap["subsets"] == 2).all()
    assert "each of 2 subset seeds" in " ".join((results / "report.html").read_text().split())
