"""The whole study runs, and an edit of the config re-runs what depends on it and nothing else."""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import yaml

from tests.studies import PROFILE, ROOT, planned_jobs, snakemake, tiny_study

pytestmark = pytest.mark.slow

AGGREGATES = {"scores": 1, "curves": 1, "figures": 1, "report": 1}
COSTS = {"costs": 1, "validation_loss": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the tiny study has run from start to end."""
    folder = tmp_path_factory.mktemp("study")
    snakemake(folder, tiny_study())
    return folder


def results(folder):
    return folder / "results" / "tiny"


def edited(path, value):
    """The tiny study with the value at a dotted path replaced (or removed, if None)."""
    config = copy.deepcopy(tiny_study())
    *parents, last = path.split(".")
    node = config
    for key in parents:
        node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
    node[last] = value
    return config


def test_a_finished_study_has_nothing_to_do(finished):
    assert planned_jobs(finished, tiny_study()) == {}


# The edit -> the jobs it costs. Two arms, scales 16 and 32, one seed, one judge.
EDITS = {
    "a scale is added": (
        "ladder.scales",
        [16, 32, 64],
        {"subset": 2, "finetune": 2, "generate": 2, "judge": 2} | AGGREGATES | COSTS,
    ),
    "a scale is removed": ("ladder.scales", [16], AGGREGATES | COSTS),
    "a seed is added": (
        "seeds.replicates",
        [1, 2],
        {"subset": 4, "finetune": 4, "generate": 4, "judge": 4} | AGGREGATES | COSTS,
    ),
    "one arm's learning rate": (
        "arms.lora.recipe.learning_rate",
        2e-3,
        {"finetune": 2, "generate": 2, "judge": 2} | AGGREGATES | COSTS,
    ),
    "a law of the scale": (
        "arms.lora.by_scale",
        {"reference": 16, "learning_rate_exponent": -0.5},
        {"finetune": 1, "generate": 1, "judge": 1} | AGGREGATES | COSTS,
    ),
    "one arm's template": (
        "arms.lora.template",
        "Q: {prompt} A: ",
        {"finetune": 2, "generate": 3, "judge": 3} | AGGREGATES | COSTS,
    ),
    "how many records are held out": (
        "validation.records",
        12,
        {"validation_set": 1, "subset": 4, "finetune": 4, "generate": 4, "judge": 4}
        | AGGREGATES
        | COSTS,
    ),
    "nothing is held out": (
        "validation.records",
        0,
        {"subset": 4, "finetune": 4, "generate": 4, "judge": 4} | AGGREGATES | COSTS,
    ),
    "intermediate checkpoints": (
        "intermediate_checkpoints.fractions",
        [0.25, 0.5],
        {
            "finetune": 4,
            "generate_intermediate": 8,
            "judge_intermediate": 8,
            "intermediate_scores": 1,
        }
        | {"generate": 4, "judge": 4}
        | AGGREGATES
        | COSTS,
    ),
    "the answers' length": (
        "generate.max_new_tokens",
        9,
        {"generate": 6, "judge": 6} | AGGREGATES,
    ),
    "a judge's limit": (
        "judges.metric.code_timeout_seconds",
        4,
        {"judge": 6} | AGGREGATES,
    ),
    "an analysis option": (
        "analysis.bootstrap_replicates",
        500,
        {"curves": 1, "figures": 1, "report": 1},
    ),
    "a figure option": ("figures.formats", ["png"], {"figures": 1, "report": 1}),
    "an experiment tracker": ("tracking", {"tool": "wandb"}, {}),
    "a default written out": ("generate.temperature", 0.0, {}),
    "a number written otherwise": ("arms.full.recipe.epochs", 1.0, {}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_costs_exactly_these_jobs(finished, edit):
    path, value, jobs = EDITS[edit]
    assert planned_jobs(finished, edited(path, value)) == jobs


def test_a_second_study_leaves_the_first_alone(finished):
    other = tiny_study() | {"study": "other"}
    assert planned_jobs(finished, other)["finetune"] == 4
    assert planned_jobs(finished, tiny_study()) == {}


def test_more_ranks_or_memory_train_nothing_anew(finished):
    done = snakemake(
        finished,
        tiny_study(),
        "--dry-run",
        "--set-resources",
        "finetune:ranks=1",
        "finetune:mem_mb=9999",
        "--set-threads",
        "finetune=1",
    )
    assert "Nothing to be done" in done.stdout + done.stderr


def test_a_pool_rebuilt_to_the_same_records_trains_nothing_anew(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder, symlinks=True)
    config = edited("pools.own.filters", {"max_output_chars": 100_000})
    snakemake(folder, config, "--until", "subset")
    assert "finetune" not in planned_jobs(folder, config)


def test_every_run_answers_every_item_and_the_table_holds_each_judgement(finished):
    table = pd.read_parquet(results(finished) / "tables" / "scores.parquet")
    assert set(table.groupby("arm").scale.unique().map(tuple)) == {(0, 16, 32)}
    assert table.groupby(["arm", "scale", "seed"]).item.nunique().unique().tolist() == [24]
    assert len(table) == 2 * 3 * 24
    judged = table[table.status == "ok"]
    assert judged.score.between(0, 1).all()
    assert table[table.status != "ok"].score.isna().all()


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


def test_no_run_trains_on_what_is_held_out(finished):
    held = pd.read_parquet(results(finished) / "pools" / "own" / "validation_set.parquet")
    assert len(held) == 24
    assert set(held.category.value_counts()) == {2}
    for subset in results(finished).glob("runs/*/*/*/subset.parquet"):
        assert not set(pd.read_parquet(subset).id) & set(held.id)
    losses = pd.read_csv(results(finished) / "tables" / "validation_loss.csv")
    assert set(losses.groupby(["arm", "scale", "seed"]).fraction.unique().map(tuple)) == {
        (0.0, 0.5, 1.0)
    }
    assert losses[losses.fraction == 0].groupby(["arm", "category"]).loss.std().max() < 1e-4


def test_subsets_of_one_seed_are_nested(finished):
    runs = results(finished) / "runs" / "full"
    small, large = (
        pd.read_parquet(runs / f"n{scale}" / "s1" / "subset.parquet").id for scale in (16, 32)
    )
    assert small.tolist() == large.tolist()[:16]


def test_points_along_the_way_have_a_table_of_their_own_and_cost_nothing_to_remove(
    finished, tmp_path
):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder, symlinks=True)
    config = tiny_study() | {
        "ladder": {"scales": [16]},
        "intermediate_checkpoints": {"fractions": [0.5]},
    }
    del config["arms"]["lora"]
    snakemake(folder, config, "--until", "figures")
    table = pd.read_csv(results(folder) / "tables" / "intermediate_scores.csv")
    assert set(table[["arm", "scale", "seed", "fraction", "step"]].itertuples(index=False)) == {
        ("full", 16, 1, 0.5, 1)
    }
    assert table.category.nunique() == 13
    assert set(table.noise) == {"one run along its way: items only"}
    scores = pd.read_parquet(results(folder) / "tables" / "scores.parquet")
    assert len(scores) == 2 * 24  # the base and the run, no snapshot
    assert (results(folder) / "figures" / "figure11_along.metric.png").exists()
    del config["intermediate"]
    assert planned_jobs(folder, config) == {"figures": 1, "report": 1}


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


def test_snakemakes_own_report_can_be_made(finished):
    snakemake(finished, tiny_study(), "--report", str(finished / "snakemake-report.html"))
    assert (finished / "snakemake-report.html").stat().st_size > 10_000


def test_a_broken_config_is_one_clear_line_and_no_traceback(tmp_path):
    config = tiny_study()
    config["arms"]["full"]["recipe"]["learing_rate"] = 1
    done = snakemake(tmp_path, config, "--dry-run", check=False)
    assert done.returncode != 0
    assert "unknown key; did you mean 'learning_rate'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_results_folder_that_cannot_be_written_is_said_to_be(tmp_path):
    (tmp_path / "results").write_text("a file where the folder should be")
    done = snakemake(tmp_path, tiny_study(), check=False)
    assert done.returncode != 0
    assert f"{tmp_path / 'results'}: not a folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_loses_nothing_and_the_same_command_goes_on(finished, tmp_path):
    """Interrupt the study in the middle of a fine-tuning and start it again."""
    folder = tmp_path / "stopped"
    shutil.copytree(finished, folder, symlinks=True)
    config = tiny_study() | {"ladder": {"scales": [32]}}
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
    assert planned_jobs(folder, config)["finetune"] == 1
    snakemake(folder, config)
    assert planned_jobs(folder, config) == {}
    train = json.loads((results(folder) / "runs/full/n32/s1/train.json").read_text("utf-8"))
    assert train["execution"]["starts"] == 2
    assert train["examples_seen"] == 60 * 32
