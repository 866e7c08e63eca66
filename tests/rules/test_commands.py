"""What the rules print: commands that the stages read, with seeds and sections of the config."""

from __future__ import annotations

import json
import re
import resource
import shlex
from pathlib import Path

import pytest
import yaml

from instruct_scaling.cli import STAGES, command
from instruct_scaling.config.identity import identity_json
from instruct_scaling.config.load import load_study
from instruct_scaling.config.runs import all_runs, read_runs, seed_for, validation_seed, write_runs
from tests.studies import planned_jobs, printed_commands, snakemake, tiny_study

LONGEST_ARGUMENT = 131_072  # bytes; Linux's MAX_ARG_STRLEN


def wide_study():
    """A study whose every section reaches a command, with quotes, braces and Chinese in it."""
    config = tiny_study()
    recipe = config["arms"]["full"]["recipe"]
    config["arms"]["lora"]["template"] = '问：{prompt}\n"it\'s" {not a wildcard} $HOME 答：'
    config["arms"]["full"]["recipe"] = recipe | {"zero_stage": 1}
    config["arms"]["lora"]["recipe"] |= {"precision": "bf16"}
    config["arms"]["lora"]["by_scale"] = {"reference": 16, "learning_rate_exponent": -0.5}
    config["seeds"] = {"study": 5, "replicates": [3, 8], "vary": ["subset", "order", "judge"]}
    config["ladder"]["few_shot"] = 2
    config["generate"] |= {"temperature": 0.5}
    config["intermediate_checkpoints"] = {"fractions": [0.5]}
    config["judges"]["gpt"] = {"type": "llm", "model": "some model", "concurrency": 2}
    config["execution"] = {"save_minutes": 3}
    config["pools"]["own"]["annotations"] = {
        "loss": {"type": "base_loss", "base": "small", "max_length": 96, "precision": "fp32"},
        "length": {"type": "length", "of": "prompt"},
    }
    short = {"type": "filter", "tag_bounds": {"length": {"max": 1000}}}
    config["pools"]["short"] = {"sources": [{"type": "pool", "pool": "own"}], "steps": [short]}
    config["arms"]["lora"]["pool"] = "short"
    config["models"] = "none"
    config["analysis"] = {"interval": 0.8}
    config["tracking"] = {"tool": "wandb", "project": "my project"}
    config["pools"]["spare"] = {"sources": [{"type": "synthetic", "records": 120}]}
    return config


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The wide study and the commands of all its jobs: stage -> options of each job."""
    folder = tmp_path_factory.mktemp("wide")
    printed = snakemake(folder, wide_study(), "--dry-run", "--printshellcmds").stdout
    return load_study(folder / "study.yaml"), parsed(printed)


def parsed(printed):
    """Stage -> the options of each of its jobs, read by the stage's own command line."""
    known = {name: command(stage) for name, stage in STAGES.items()}
    jobs = {}
    for text in printed_commands(printed):
        words = shlex.split(text)
        stage, arguments = words[3], words[4 : words.index("2>&1")]
        context = known[stage].make_context(stage, arguments)
        jobs.setdefault(stage, []).append(context.params)
    return jobs


def test_every_stage_is_called_and_reads_its_command(study):
    assert study[1].keys() == STAGES.keys() - {"budget"}


def test_curves_read_costs_and_overlap_and_keep_looks_beside_the_tables(study):
    (job,) = study[1]["curves"]
    results = Path("results/tiny")
    assert (job["costs"], job["overlap"]) == (
        results / "tables/costs.csv",
        results / "tables/subset_overlap.csv",
    )
    assert job["looks"] == results / "looks.jsonl"
    (report,) = study[1]["report"]
    assert report["config_out"] == results / "config.json"


@pytest.mark.parametrize(
    ("stage", "option", "purpose"),
    [
        ("subset", "seed", "subset"),
        ("finetune", "order_seed", "order"),
        ("finetune", "init_seed", "init"),
        ("generate", "generation_seed", "generation"),
        ("judge", "seed", "judge"),
    ],
)
def test_every_job_has_the_seed_of_its_replicate_and_purpose(study, stage, option, purpose):
    config, jobs = study
    seen = set()
    for job in jobs[stage]:
        replicate = int(re.search(r"/s(\d+)[./]", str(job.get("out") or job["out_model"]))[1])
        assert job[option] == seed_for(config, replicate, purpose)
        seen.add(replicate)
    assert seen == {3, 8}


def test_the_validation_records_of_a_pool_have_a_seed_of_their_own(study):
    config, jobs = study
    assert {job["seed"] for job in jobs["validation-set"]} == {validation_seed(config)}


def test_a_pool_that_no_arm_uses_is_not_built(study):
    config, jobs = study
    assert set(config.pools) == {"own", "short", "spare"}
    assert {job["out_records"].parent.name for job in jobs["pool"]} == {"own", "short"}


def test_a_pool_made_of_another_reads_its_records_and_annotations(study):
    _, jobs = study
    own, short = (
        next(job for job in jobs["pool"] if job["out_audit"].parts[-2] == name)
        for name in ("own", "short")
    )
    folder = "results/tiny/pools/own"
    assert own["records_of"] == own["annotation_of"] == []
    assert "annotations" not in own["pool"]  # the pool does not depend on them
    assert short["records_of"] == [f"own={folder}/records"]
    assert short["annotation_of"] == [
        f"own={folder}/annotations/{name}.parquet" for name in ("length", "loss")
    ]
    by_name = {job["out"].stem: job for job in jobs["annotation"]}
    assert {str(job["records"]) for job in by_name.values()} == {f"{folder}/records"}
    assert str(by_name["loss"]["base"]) == "results/tiny/bases/small"
    assert by_name["length"]["base"] is None
    assert json.loads(by_name["length"]["annotation"]) == {"type": "length", "of": "prompt"}


def test_sections_reach_their_stages_split_into_identity_and_execution(study):
    _, jobs = study
    by_judge = {job["name"]: job for job in jobs["judge"]}
    assert json.loads(by_judge["gpt"]["judge"]) == {"type": "llm", "model": "some model"}
    assert json.loads(by_judge["gpt"]["execution"]) == {"concurrency": 2}
    assert json.loads(by_judge["metric"]["execution"]) == {}
    assert int(by_judge["metric"]["workers"]) > int(by_judge["gpt"]["workers"]) == 1
    by_arm = {json.loads(job["identity_json"])["arm"]: job for job in jobs["finetune"]}
    assert json.loads(by_arm["full"]["execution"]) == {"zero_stage": 1, "save_minutes": 3}
    assert json.loads(by_arm["lora"]["execution"]) == {"save_minutes": 3}
    assert "zero_stage" not in by_arm["full"]["recipe"]
    assert by_arm["lora"]["tracker"] == "wandb"
    assert by_arm["lora"]["tracker_project"] == "my project"


def test_a_template_reaches_training_and_answers_as_it_is_written(study):
    wanted = {arm: section.template for arm, section in study[0].arms.items()}
    for job in study[1]["generate"]:
        assert job["template"] == wanted[job["arm"]]
    for job in study[1]["finetune"]:
        assert job["template"] == wanted[json.loads(job["identity_json"])["arm"]]


def test_every_run_is_trained_by_the_recipe_of_its_scale_and_answers_in_its_precision(study):
    config, jobs = study
    for job in jobs["finetune"]:
        run = json.loads(job["identity_json"])
        recipe = config.arms[run["arm"]].recipe_at(run["scale"])
        assert job["recipe"] == identity_json(recipe)
        assert run["recipe"] == json.loads(job["recipe"])
    assert len({job["recipe"] for job in jobs["finetune"]}) == 3  # one arm has a law of the scale
    for job in jobs["generate"]:
        assert job["precision"] == config.arms[job["arm"]].recipe.precision
    assert {job["precision"] for job in jobs["generate"]} == {"fp32", "bf16"}


def test_joining_stages_are_given_every_judge_and_percent(study):
    _, jobs = study
    assert jobs["scores"][0]["judge"] == ["metric", "gpt"]
    assert jobs["intermediate-scores"][0]["judge"] == ["metric", "gpt"]
    assert jobs["intermediate-scores"][0]["percent"] == [50]
    assert not jobs["figures"][0]["without"]
    assert jobs["figures"][0]["title"] == jobs["scores"][0]["study"] == "tiny"


def test_all_that_show_intervals_are_given_the_same(study):
    _, jobs = study
    assert json.loads(jobs["curves"][0]["options"]) == {"interval": 0.8}
    assert jobs["figures"][0]["interval"] == jobs["intermediate-scores"][0]["interval"] == 0.8


def test_models_are_removed_once_they_and_their_checkpoints_have_answered(study):
    jobs = study[1]["remove-models"]
    assert len(jobs) == len(study[1]["finetune"])
    for job in jobs:
        folder = job["out"].parent
        assert job["model"] == [folder / "intermediate" / "50" / "model", folder / "model"]


def test_work_folders_are_one_for_each_job_and_outside_its_outputs(study):
    works = [str(job["work"]) for stage in ("finetune", "judge") for job in study[1][stage]]
    assert len(set(works)) == len(works)
    for job in study[1]["finetune"]:
        assert not str(job["work"]).startswith(str(job["out_model"]))


def large(arms, scales, seeds):
    """The tiny study with so many arms on one pool and base, scales and seeds."""
    config = tiny_study()
    arm = config["arms"]["full"]
    config["arms"] = {
        f"a{i}": arm | {"recipe": arm["recipe"] | {"learning_rate": 1e-3 * (i + 1)}}
        for i in range(arms)
    }
    config["pools"]["own"]["sources"][0]["records"] = 100_000
    config["ladder"] = {"scales": [50 * (i + 1) for i in range(scales)]}
    config["seeds"] = {"replicates": list(range(1, seeds + 1))}
    return config


@pytest.fixture(scope="module")
def six_arms(tmp_path_factory):
    """The plan of six arms without validation records, and the seconds of computing it took."""
    config = large(6, 8, 5) | {"validation": {"records": 0, "evaluations": 3}}
    folder = tmp_path_factory.mktemp("large")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    printed = snakemake(folder, config, "--dry-run", "--printshellcmds").stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return printed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_six_arms_on_one_pool_and_base_share_subsets_and_base_answers_and_plan_quickly(six_arms):
    printed, seconds = six_arms
    assert seconds < 10
    jobs = planned_jobs(printed)
    assert (jobs["subset"], jobs["finetune"]) == (40, 240)
    assert (jobs["generate"], jobs["judge"]) == (241, 241)
    bases = [job for job in parsed(printed)["generate"] if job["scale"] == 0]
    assert [job["arm"] for job in bases] == ["a0"]
    assert [str(job["model"]) for job in bases] == ["results/tiny/bases/small"]
    assert parsed(printed)["figures"][0]["without"] == ["intermediate_scores"]


def test_how_often_nothing_is_measured_reaches_no_fine_tuning(six_arms):
    """Without validation records an edit of the number would train every run again."""
    jobs = parsed(six_arms[0])
    assert "validation-set" not in jobs
    assert {job["validation_evaluations"] for job in jobs["finetune"]} == {1}
    assert {job["validation"] for job in jobs["finetune"]} == {None}


@pytest.mark.slow
def test_two_thousand_runs_fit_on_every_command_line(tmp_path):
    printed = snakemake(tmp_path, large(5, 20, 20), "--dry-run", "--printshellcmds").stdout
    assert planned_jobs(printed)["finetune"] == 2000
    longest = max(len(text.encode()) for text in printed_commands(printed))
    assert longest < LONGEST_ARGUMENT / 8
    study = load_study(tmp_path / "study.yaml")
    write_runs(tmp_path / "runs.csv", study)
    rows = read_runs(tmp_path / "runs.csv")
    assert {(row.arm, row.scale, row.seed) for row in rows} == {
        (run.arm, run.scale, run.seed) for run in all_runs(study)
    }
    assert {row.folder for row in rows if row.scale == 0} == {tmp_path / "runs/a0/n0/s1"}


def test_a_config_that_is_given_is_the_whole_study(tmp_path):
    """Snakemake would merge it over config.yaml, whose second arm would then run as well."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny_study()), "utf-8")
    one = tiny_study()
    del one["arms"]["lora"]
    assert planned_jobs(snakemake(tmp_path, one, "--dry-run").stdout)["finetune"] == 2
    assert planned_jobs(snakemake(tmp_path, None, "--dry-run").stdout)["finetune"] == 4


def test_a_config_with_a_mistake_is_one_line_and_no_traceback(tmp_path):
    config = tiny_study()
    config["arms"]["full"]["recipe"]["learing_rate"] = 1
    done = snakemake(tmp_path, config, "--dry-run", check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "WorkflowError" in said
    assert "unknown key; did you mean 'learning_rate'?" in said
    assert "Traceback" not in said


def test_a_results_folder_that_cannot_be_written_is_said_to_be(tmp_path):
    (tmp_path / "results").write_text("a file where the folder should be")
    done = snakemake(tmp_path, tiny_study(), check=False)
    assert done.returncode != 0
    assert f"{tmp_path / 'results'}: not a folder" in done.stderr
    assert "Traceback" not in done.stderr
