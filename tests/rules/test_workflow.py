"""A whole study, run once for all tests here: what each stage leaves, and an interrupted run."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import pandas as pd
import pytest
import yaml

from tests.check_outputs import check_scores
from tests.studies import (
    PROFILE,
    ROOT,
    DryRun,
    dry_runs,
    edited,
    planned_jobs,
    snakemake,
    tiny_study,
)

pytestmark = pytest.mark.slow

# The default ones, with a bound that no record meets.
STEPS = [
    {"type": "filter", "max_output_chars": 100_000},
    {"type": "deduplicate"},
    {"type": "decontaminate"},
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the tiny study has run from start to end."""
    folder = tmp_path_factory.mktemp("study")
    snakemake(folder, tiny_study())
    return folder


def results(folder):
    return folder / "results" / "tiny"


def jobs(folder, config):
    """The jobs that a dry run plans."""
    return planned_jobs(dry_runs(folder, {"": DryRun(config)})[""])


def test_a_finished_study_has_nothing_to_do(finished):
    assert jobs(finished, tiny_study()) == {}


def test_a_pool_rebuilt_to_the_same_records_trains_nothing_again(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder, symlinks=True)
    config = edited(tiny_study(), "pools.own.steps", STEPS)
    planned = jobs(folder, config)
    assert (planned["subset"], planned["tokens"]) == (2, 1)
    snakemake(folder, config, "--until", "subset", "tokens")
    assert jobs(folder, config) == {"figures": 1, "report": 1}  # which read the pool's audit


def test_every_run_answers_every_item_and_the_table_holds_each_judgement(finished):
    table = pd.read_parquet(results(finished) / "tables" / "scores.parquet")
    assert set(table.groupby("arm").scale.unique().map(tuple)) == {(0, 16, 32)}
    assert table.groupby(["arm", "scale", "seed"]).item.nunique().unique().tolist() == [24]
    assert len(table) == 2 * 3 * 24
    check_scores(table)


def test_both_arms_read_one_token_store(finished):
    (store,) = (path for path in (results(finished) / "tokens" / "own").iterdir() if path.is_dir())
    about = json.loads((store / "tokens.json").read_text("utf-8"))
    assert about["counts"]["records"] > 32 + 24


def test_the_base_answers_once_for_both_arms(finished):
    folders = [path.parent for path in results(finished).glob("runs/*/n0/*/responses.jsonl")]
    assert folders == [results(finished) / "runs" / "full" / "n0" / "s1"]
    with (results(finished) / "runs.csv").open(encoding="utf-8", newline="") as file:
        bases = [(row["arm"], row["folder"]) for row in csv.DictReader(file) if row["scale"] == "0"]
    assert bases == [("full", "runs/full/n0/s1"), ("lora", "runs/full/n0/s1")]
    table = pd.read_parquet(results(finished) / "tables" / "scores.parquet")
    base = table[table.scale == 0]
    columns = ["item", "score", "status"]
    full, lora = (base[base.arm == arm][columns].reset_index(drop=True) for arm in ("full", "lora"))
    pd.testing.assert_frame_equal(full, lora)


def test_the_models_load_as_any_other(finished):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for arm in ("full", "lora"):
        model = results(finished) / "runs" / arm / "n32" / "s1" / "model"
        loaded = AutoModelForCausalLM.from_pretrained(model)
        assert loaded.config.model_type == "bloom"
        assert AutoTokenizer.from_pretrained(model).eos_token_id == loaded.config.eos_token_id
        assert list(model.glob("*.safetensors"))
        assert not list(model.glob("*.bin"))
        assert "base_model" in (model / "README.md").read_text("utf-8")


def test_training_saw_what_the_config_says(finished):
    for arm in ("full", "lora"):
        for scale in (16, 32):
            path = results(finished) / "runs" / arm / f"n{scale}" / "s1" / "train.json"
            train = json.loads(path.read_text("utf-8"))
            assert (train["examples_seen"], train["steps"]) == (scale, scale // 8)
            assert train["tokens"]["supervised"] < train["tokens"]["total"]


def test_subsets_are_nested_and_hold_no_validation_record(finished):
    validation = pd.read_parquet(results(finished) / "pools" / "own" / "validation_set.parquet")
    assert set(validation.category.value_counts()) == {2}
    folder = results(finished) / "subsets" / "own" / "uniform"
    small, large = (pd.read_parquet(folder / f"n{scale}" / "s1.parquet").id for scale in (16, 32))
    assert small.tolist() == large.tolist()[:16]
    assert not set(large) & set(validation.id)


def test_the_validation_loss_has_every_run_and_starts_alike(finished):
    losses = pd.read_csv(results(finished) / "tables" / "validation_loss.csv")
    assert set(losses.groupby(["arm", "scale", "seed"]).fraction.unique().map(tuple)) == {
        (0.0, 0.5, 1.0)
    }
    assert losses[losses.fraction == 0].groupby(["arm", "category"]).loss.std().max() < 1e-4


def test_every_figure_has_the_table_it_was_drawn_from(finished):
    figures = results(finished) / "figures"
    drawn = {path.stem for path in figures.glob("*.png")}
    assert drawn
    for name in drawn:
        assert (figures / f"{name}.csv").stat().st_size > 0
        assert (figures / f"{name}.pdf").stat().st_size > 0


def test_the_report_stands_alone(finished):
    page = (results(finished) / "report.html").read_text("utf-8")
    assert "data:image/png;base64," in page
    assert 'src="http' not in page


def test_jobs_that_cost_something_have_a_benchmark(finished):
    folder = results(finished) / "benchmarks"
    assert len(list((folder / "finetune").glob("*.tsv"))) == 4
    with (folder / "finetune" / "full-n32-s1.tsv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file, delimiter="\t")
    assert float(row["s"]) > 0


def test_no_work_folder_is_left(finished):
    assert not [path for path in results(finished).rglob(".work") if any(path.rglob("*"))]


def test_snakemake_s_own_report_holds_verdicts_figures_and_page(finished):
    snakemake(finished, tiny_study(), "--report", str(finished / "report.zip"))
    with zipfile.ZipFile(finished / "report.zip") as archive:
        names = {name.rsplit("/", 1)[-1] for name in archive.namelist()}
    figures = {path.name for path in (results(finished) / "figures").glob("*.png")}
    assert {"verdicts.csv", "report.html", *figures} <= names
    snakemake(finished, tiny_study(), "--report", str(finished / "report.html"))
    assert (finished / "report.html").stat().st_size > 10_000


def test_ctrl_c_loses_nothing_and_the_same_command_goes_on(finished, tmp_path):
    """Interrupt a study with an intermediate checkpoint while it fine-tunes, and start it again."""
    folder = tmp_path / "stopped"
    shutil.copytree(finished, folder, symlinks=True)
    config = edited(tiny_study(), "ladder", {"scales": [32]})
    config["intermediate_checkpoints"] = {"fractions": [0.5]}
    del config["arms"]["lora"]
    config["arms"]["full"]["recipe"]["epochs"] = 60
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", str(PROFILE)]
    command += ["-s", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(path)]
    with (tmp_path / "log").open("w") as log:
        study = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 120
        while "tok_s=" not in (tmp_path / "log").read_text("utf-8"):  # until the bar moves
            assert study.poll() is None, (tmp_path / "log").read_text("utf-8")
            assert time.monotonic() < deadline, "fine-tuning did not start"
            time.sleep(0.2)
        os.killpg(study.pid, signal.SIGINT)
        study.wait(timeout=120)
    assert study.returncode != 0
    assert jobs(folder, config)["finetune"] == 1
    snakemake(folder, config)
    assert jobs(folder, config) == {}
    train = json.loads((results(folder) / "runs/full/n32/s1/train.json").read_text("utf-8"))
    assert train["execution"]["starts"] == 2
    assert train["examples_seen"] == 60 * 32
    check_intermediate(results(folder))


def check_intermediate(folder):
    """The intermediate checkpoint has rows of its own and none in the score table."""
    table = pd.read_csv(folder / "tables" / "intermediate_scores.csv")
    assert set(table[["arm", "scale", "seed", "fraction"]].itertuples(index=False)) == {
        ("full", 32, 1, 0.5)
    }
    assert table.category.nunique() == 13
    scores = pd.read_parquet(folder / "tables" / "scores.parquet")
    assert len(scores) == 2 * 24  # the base and the run
    assert list((folder / "figures").glob("figure11_*.png"))
