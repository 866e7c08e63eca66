"""An edit of the config or a raised stage version re-runs what depends on it and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import time

import pytest

from instruct_scaling.common.versions import STAGE_VERSIONS
from tests.studies import (
    ROOT,
    DryRun,
    dry_runs,
    edited,
    planned_jobs,
    pretend_finished,
    snakemake,
    tiny_study,
)

TINY = tiny_study() | {"judges": {"metric": {"type": "metric"}, "other": {"type": "metric"}}}
CURVES = {"curves": 1, "figures": 1, "report": 1}
SCORES = {"scores": 1} | CURVES
TRAINED = {"costs": 1, "validation_loss": 1} | SCORES
OVERLAP = {"subset_overlap": 1}
RUNS = {"runs": 1} | OVERLAP
BY_CATEGORY = {"type": "stratified", "by": "category", "shares": "equal"}


def tuned(number: int) -> dict[str, int]:
    """The jobs of so many fine-tunings and what follows from them."""
    return {"finetune": number, "generate": number, "judge": 2 * number} | TRAINED


# The edit -> the jobs it costs. Two arms on one pool and base, scales 16 and 32, one seed, two
# judges; the base answers once for both arms.
EDITS = {
    "nothing": ("study", "tiny", {}),
    "a scale is added": ("ladder.scales", [16, 32, 64], {"subset": 1} | tuned(2) | RUNS),
    "a scale is removed": ("ladder.scales", [16], TRAINED | RUNS),
    "a seed is added": ("seeds.replicates", [1, 2], {"subset": 2} | tuned(4) | RUNS),
    "one arm's learning rate": ("arms.lora.recipe.learning_rate", 2e-3, tuned(2)),
    "a law of the scale": (
        "arms.lora.by_scale",
        {"reference": 16, "learning_rate_exponent": -0.5},
        tuned(1),
    ),
    "one arm's template: the bases no longer answer alike": (
        "arms.lora.template",
        "Q: {prompt} A: ",
        tuned(2) | {"tokens": 1, "generate": 3, "judge": 6} | RUNS,
    ),
    "one arm's longest example": (
        "arms.lora.recipe.max_length",
        80,
        tuned(2) | {"tokens": 1},
    ),
    "which turns are trained": (
        "arms.full.recipe.supervise",
        "last",
        tuned(2) | {"tokens": 1},
    ),
    "the rate of a phase": (
        "arms.full.recipe.phases",
        [{"learning_rate": 2e-3}],
        tuned(2),
    ),
    "more validation records": (
        "validation.records",
        12,
        {"validation_set": 1, "subset": 2} | tuned(4) | OVERLAP,
    ),
    "no validation records": ("validation.records", 0, {"subset": 2} | tuned(4) | OVERLAP),
    "one arm's selection": ("arms.lora.selection", BY_CATEGORY, {"subset": 2} | tuned(2) | RUNS),
    "a selection that both arms have in common": (
        "arms",
        {name: arm | {"selection": BY_CATEGORY} for name, arm in TINY["arms"].items()},
        {"subset": 2} | tuned(4) | RUNS,
    ),
    "the selection that is the default": ("arms.lora.selection", {"type": "uniform"}, {}),
    "crossed seeds: runs of one subset seed share its subsets": (
        "seeds",
        {"crossed": {"subset": [1, 2], "training": [1, 2]}},
        {"subset": 2} | tuned(12) | RUNS,
    ),
    "how often the validation loss is measured": ("validation.evaluations", 3, tuned(4)),
    "intermediate checkpoints": (
        "intermediate_checkpoints.fractions",
        [0.25, 0.5],
        tuned(4) | {"generate_intermediate": 8, "judge_intermediate": 16, "intermediate_scores": 1},
    ),
    "answers of the base after examples": (
        "ladder.few_shot",
        2,
        {"few_shot": 1, "generate_few_shot": 1, "judge_few_shot": 2} | TRAINED | RUNS,
    ),
    "the answers' length": ("generate.max_new_tokens", 9, {"generate": 5, "judge": 10} | SCORES),
    "one judge's limit": ("judges.metric.code_timeout_seconds", 4, {"judge": 5} | SCORES),
    "a judge is removed": ("judges", {"metric": {"type": "metric"}}, SCORES),
    "an analysis option": ("analysis.fit_draws", 500, CURVES),
    "a figure option": ("figures.formats", ["png"], {"figures": 1, "report": 1}),
    "an experiment tracker": ("tracking", {"tool": "wandb"}, {}),
    "how training is carried out": ("execution.save_minutes", 3, {}),
    "the ZeRO stage": ("arms.full.recipe.zero_stage", 1, {}),
    "a default written out": ("generate.temperature", 0.0, {}),
    "a number written otherwise": ("arms.full.recipe.epochs", 1.0, {}),
    "the order of the arms": ("arms", dict(reversed(TINY["arms"].items())), {}),
    "another study": (
        "study",
        "other",
        {"evalset": 1, "pool": 1, "validation_set": 1, "subset": 2, "base": 1, "tokens": 1}
        | tuned(4)
        | {"generate": 5, "judge": 10}
        | RUNS,
    ),
}
# Only in a study with intermediate checkpoints, annotations, or a few-shot base.
OPTIONAL = {"intermediate_scores", "annotation", "few_shot"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the tiny study looks finished."""
    folder = tmp_path_factory.mktemp("study")
    pretend_finished(folder, TINY)
    return folder


@pytest.fixture(scope="module")
def plans(finished):
    """The jobs that each edit and each raised version plans."""
    runs = {edit: DryRun(edited(TINY, path, value)) for edit, (path, value, _) in EDITS.items()}
    runs |= {f"version of {stage}": DryRun(TINY, raised=stage) for stage in STAGE_VERSIONS}
    more = ("--set-resources", "finetune:ranks=1", "finetune:mem_mb=9999")
    runs["ranks and memory"] = DryRun(TINY, arguments=(*more, "--set-threads", "finetune=2"))
    return {name: planned_jobs(printed) for name, printed in dry_runs(finished, runs).items()}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_costs_exactly_these_jobs(plans, edit):
    assert plans[edit] == EDITS[edit][2]


@pytest.mark.parametrize("stage", sorted(STAGE_VERSIONS.keys() - OPTIONAL))
def test_a_raised_version_reruns_the_stage(plans, stage):
    assert plans[f"version of {stage}"].get(stage), f"{stage}: no version in its params"


def test_a_raised_version_of_the_tokens_trains_again(plans):
    """The training takes the store as ancient; the version is part of the store's name."""
    assert plans["version of tokens"] == tuned(4) | {"tokens": 1}


def test_ranks_threads_and_memory_rerun_nothing(plans):
    assert plans["ranks and memory"] == {}


def test_runs_from_a_tiny_base_take_one_thread_and_others_two(tmp_path):
    """Two runs of a small model, each on one core, are done sooner than one after the other."""
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}", "utf-8")
    pretrained = edited(TINY, "bases.small", {"type": "pretrained", "model": "./base"})
    cores = ("--cores", "4")
    runs = {"tiny": DryRun(TINY, arguments=cores), "other": DryRun(pretrained, arguments=cores)}
    printed = dry_runs(tmp_path, runs)
    job = re.compile(r"^rule finetune:\n(?: {4}.*\n)*? {4}threads: (\d)$", re.MULTILINE)
    assert job.findall(printed["tiny"]) == []  # one is not printed
    assert job.findall(printed["other"]) == ["2"] * 4


def test_intermediate_checkpoints_cost_nothing_to_remove_and_their_version_counts(tmp_path):
    config = edited(TINY, "intermediate_checkpoints.fractions", [0.25, 0.5])
    pretend_finished(tmp_path, config)
    fewer = edited(TINY, "intermediate_checkpoints.fractions", [0.5])
    runs = {
        "none": DryRun(TINY),
        "fewer": DryRun(fewer),
        "version": DryRun(config, raised="intermediate_scores"),
    }
    plans = {name: planned_jobs(printed) for name, printed in dry_runs(tmp_path, runs).items()}
    drawn = {"figures": 1, "report": 1}
    assert plans["none"] == drawn
    assert plans["fewer"] == {"intermediate_scores": 1} | drawn
    assert plans["version"] == {"intermediate_scores": 1} | drawn


def test_more_examples_answer_again_and_the_version_of_their_stage_counts(tmp_path):
    config = edited(TINY, "ladder.few_shot", 2)
    pretend_finished(tmp_path, config)
    runs = {
        "more": DryRun(edited(TINY, "ladder.few_shot", 3)),
        "version": DryRun(config, raised="few_shot"),
    }
    plans = {name: planned_jobs(printed) for name, printed in dry_runs(tmp_path, runs).items()}
    again = {"few_shot": 1, "generate_few_shot": 1, "judge_few_shot": 2} | SCORES
    assert plans["version"] == again
    assert plans["more"] == again | TRAINED | RUNS


def test_the_version_of_annotations_builds_the_pool_again_that_is_made_of_them(tmp_path):
    config = edited(TINY, "pools.own.annotations", {"language": {"type": "language"}})
    config["pools"]["new"] = {"sources": [{"type": "pool", "pool": "own"}]}
    config["arms"]["full"]["pool"] = "new"
    pretend_finished(tmp_path, config)
    planned = planned_jobs(dry_runs(tmp_path, {"": DryRun(config, raised="annotation")})[""])
    own = {"annotation": 1, "pool": 1, "validation_set": 1, "subset": 2, "tokens": 1}
    own |= {"subset_overlap": 1}
    assert planned == tuned(2) | own


def test_a_subset_that_changed_is_trained_although_the_tokens_are_to_be_made_first(tmp_path):
    pretend_finished(tmp_path, TINY)
    results = tmp_path / "results" / "tiny"
    now = time.time()
    stamp = results / "pools" / "own" / "records" / ".snakemake_timestamp"
    os.utime(stamp, (now + 10, now + 10))
    later = [*results.glob("subsets/**/*.*"), results / "pools" / "own" / "validation_set.parquet"]
    changed = results / "subsets" / "own" / "uniform" / "n16" / "s1.sha256"
    changed.write_text("another", "utf-8")
    for path in later:
        os.utime(path, (now + 20, now + 20))
    planned = planned_jobs(dry_runs(tmp_path, {"": DryRun(TINY)})[""])
    assert planned["tokens"] == 1
    assert planned["finetune"] >= 2, "both arms at scale 16"


def test_an_edited_local_file_reruns_the_stage_that_reads_it(tmp_path):
    (tmp_path / "base").mkdir()
    files = {"pool": "pool.jsonl", "evalset": "items.jsonl", "base": "base/config.json"}
    for name in files.values():
        (tmp_path / name).write_text("{}", "utf-8")
    config = edited(TINY, "bases.small", {"type": "pretrained", "model": "./base"})
    config["pools"]["own"]["sources"] = [{"type": "file", "path": "pool.jsonl"}]
    config["evalset"]["sources"] = [{"type": "file", "path": "items.jsonl"}]
    pretend_finished(tmp_path, config)
    for stage, name in files.items():
        (tmp_path / name).write_text('{"edited": true}', "utf-8")
        planned = planned_jobs(dry_runs(tmp_path, {"": DryRun(config)})[""])
        assert planned.get(stage) == 1, stage
        assert planned["scores"] == 1
        (tmp_path / name).write_text("{}", "utf-8")  # the content that was read


def test_an_added_shell_option_plans_nothing(finished, tmp_path):
    """Under the profiles' triggers; with Snakemake's own, every fine-tuning would start again."""
    checkout = tmp_path / "checkout"
    for name in ("workflow", "analysis", "envs"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", checkout)
    rules = checkout / "workflow" / "rules" / "training.smk"
    text = rules.read_text("utf-8")
    assert text.count(" --work {params.work:q}") == 1
    rules.write_text(text.replace(" --work", " --verbose --work"), "utf-8")
    with_option = ["--snakefile", str(checkout / "Snakefile"), "--dry-run"]
    for profile in ("local", "slurm"):
        folder = ROOT / "workflow" / "profiles" / profile
        planned = snakemake(finished, TINY, *with_option, "--workflow-profile", str(folder))
        assert planned_jobs(planned.stdout) == {}, profile
    triggered = snakemake(finished, TINY, *with_option, "--rerun-triggers", "code", "mtime")
    assert planned_jobs(triggered.stdout)["finetune"] == 4
