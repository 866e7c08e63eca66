"""The plan's figures are right and say whether they are measured or assumed."""

from __future__ import annotations

import pytest
from transformers import BloomConfig, BloomForCausalLM

from instruct_scaling.common.files import write_json
from instruct_scaling.config.bases import TinyBase
from instruct_scaling.config.load import load_study
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.config.study import Study
from instruct_scaling.reporting.budget import (
    base_parameters,
    device_hours,
    jobs,
    plan_lines,
    plan_text,
    tokens_seen,
)
from tests.studies import tiny_study


@pytest.fixture
def paper(root):
    return load_study(root / "studies" / "bloomz-7b1-mt.yaml")


def test_tiny_parameters_are_those_of_the_real_model():
    base = TinyBase(type="tiny", vocab_size=500, hidden_size=32, layers=3, heads=4)
    model = BloomForCausalLM(BloomConfig(vocab_size=500, hidden_size=32, n_layer=3, n_head=4))
    assert base_parameters(base) == sum(weight.numel() for weight in model.parameters())


def test_the_papers_study_needs_what_a_hand_calculation_says(paper, tmp_path):
    text = plan_text(paper, tmp_path)
    tokens = 2 * 3_800_000 * 250
    assert f"{tokens:,}" in text
    hours = 6 * 7.069e9 * tokens / (312e12 * 0.4) / 3600
    assert f"{hours:,.1f}" in text
    assert "assumed 312 TFLOP/s peak at MFU 0.4" in text


def test_finished_runs_replace_the_assumption(paper, tmp_path):
    train = tmp_path / "runs" / "full" / "n200000" / "s1" / "train.json"
    write_json(train, {"tokens": {"total": 1000}, "examples_seen": 10})
    lines = {line.what: line for line in plan_lines(paper, tmp_path)}
    assert (lines["tokens per example"].amount, lines["tokens per example"].basis) == (
        "100",
        "measured on finished runs",
    )


def test_what_is_unknown_is_said_to_be(paper, tmp_path):
    bases = {"bloomz-7b1-mt": paper.bases["bloomz-7b1-mt"].model_copy(update={"parameters": None})}
    budget = paper.budget.model_copy(update={"eval_items": None})
    unknown = paper.model_copy(update={"bases": bases, "budget": budget})
    lines = {line.what: line for line in plan_lines(unknown, tmp_path)}
    assert lines["training FLOPs"].amount == "?"
    assert lines["eval items"].amount == "?"


def test_fixed_steps_see_the_same_examples_at_every_scale():
    recipe = Recipe(epochs=None, steps=10, batch_size=8)
    assert tokens_seen(recipe, 100, 10) == tokens_seen(recipe, 1000, 10) == 800
    assert tokens_seen(Recipe(epochs=3), 100, 10) == 3000
    of_tokens = Recipe(epochs=None, steps=10, batch_size=None, batch_tokens=500)
    assert tokens_seen(of_tokens, 100, 10) == tokens_seen(of_tokens, 100, 20) == 5000


def test_device_hours():
    assert device_hours(3600 * 1e12, 1, 0.5) == pytest.approx(2)


def test_intermediate_checkpoints_answer_and_are_judged_too(paper, tmp_path):
    chosen = paper.intermediate_checkpoints.model_copy(update={"fractions": [0.25, 0.5]})
    study = paper.model_copy(update={"intermediate_checkpoints": chosen})
    lines = {line.what: line for line in plan_lines(study, tmp_path)}
    answers = paper.budget.eval_items * (5 + 4 * 2)
    assert lines["intermediate checkpoints that answer it"].amount == "8"
    assert lines["responses"].amount == f"{answers:,}"
    assert lines["judge chatgpt"].amount == f"{answers * 3:,} calls"
    bare = {line.what for line in plan_lines(paper, tmp_path)}
    assert "intermediate checkpoints that answer it" not in bare


def test_judge_calls_are_items_by_runs_by_repeats(paper, tmp_path):
    lines = {line.what: line for line in plan_lines(paper, tmp_path)}
    assert lines["judge chatgpt"].amount == f"{paper.budget.eval_items * 5 * 3:,} calls"
    assert lines["judge chatgpt"].basis.startswith("assumed")


def test_jobs_of_the_tiny_study():
    study = Study(**tiny_study())
    assert jobs(study) == {
        "evalset": 1,
        "pool": 1,
        "validation_set": 1,
        "subset": 2,
        "base": 1,
        "finetune": 4,
        "generate": 5,
        "judge": 5,
        "runs": 1,
        "scores": 1,
        "validation_loss": 1,
        "curves": 1,
        "costs": 1,
        "figures": 1,
        "report": 1,
    }
