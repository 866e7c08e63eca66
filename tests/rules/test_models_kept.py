"""Which models stay on the disk, and what it costs to need one again."""

from __future__ import annotations

import shutil

import pytest

from instruct_scaling.config.runs import Run, removed_models
from instruct_scaling.config.study import Study
from instruct_scaling.evaluation.remove_models import remove_models
from tests.studies import DryRun, dry_runs, edited, planned_jobs, pretend_finished, tiny_study

TINY = tiny_study()


@pytest.mark.parametrize(
    ("models", "small", "large"),
    [
        ("keep", [], []),
        ("last", ["intermediate/50/model", "model"], ["intermediate/50/model"]),
        ("none", ["intermediate/50/model", "model"], ["intermediate/50/model", "model"]),
    ],
)
def test_what_is_removed_follows_from_the_key(models, small, large):
    study = Study(**TINY | {"models": models, "intermediate_checkpoints": {"fractions": [0.5]}})
    for scale, names in ((16, small), (32, large)):
        run = Run("full", scale, 1)
        assert removed_models(study, run) == [f"{run.folder}/{name}" for name in names]


def test_the_stage_removes_folders_and_says_how_much(tmp_path, capsys):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"x" * 7)
    for _ in range(2):  # the second time it is gone
        remove_models(model=[tmp_path / "model"], out=tmp_path / "removed.json")
        assert not (tmp_path / "model").exists()
    assert "removed 1 models, 7 bytes" in capsys.readouterr().out


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """What a finished study plans once its models are gone, by edit."""
    folder = tmp_path_factory.mktemp("gone")
    pretend_finished(folder, TINY)
    for path in (folder / "results" / "tiny" / "runs").glob("*/n*/s*/model"):
        shutil.rmtree(path)
    edits = {
        "nothing": TINY,
        "last": TINY | {"models": "last"},
        "none": TINY | {"models": "none"},
        "another judge": edited(TINY, "judges.again", {"type": "metric"}),
        "new answers": edited(TINY, "generate.max_new_tokens", 9),
    }
    return dry_runs(folder, {name: DryRun(each) for name, each in edits.items()})


@pytest.mark.parametrize(("edit", "removals"), [("nothing", 0), ("last", 2), ("none", 4)])
def test_a_removed_model_is_no_reason_to_run_anything(plans, edit, removals):
    assert planned_jobs(plans[edit]) == ({"remove_models": removals} if removals else {})


def test_another_judge_needs_no_model(plans):
    planned = planned_jobs(plans["another judge"])
    assert planned["judge"] == 5
    assert "finetune" not in planned


def test_new_answers_need_it_and_train_it_again(plans):
    planned = planned_jobs(plans["new answers"])
    assert (planned["finetune"], planned["generate"]) == (4, 5)
