"""The plan's figures are right and say whether they are counted, measured or assumed."""

from __future__ import annotations

import time

import pytest

from instruct_scaling.common.files import write_json, write_jsonl
from instruct_scaling.config.bases import TinyBase
from instruct_scaling.config.load import load_study
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.config.runs import tuned_runs
from instruct_scaling.config.study import Study
from instruct_scaling.reporting.budget import (
    again_lines,
    base_parameters,
    device_hours,
    jobs,
    plan_lines,
    plan_text,
    tokens_seen,
)
from tests.studies import planned_jobs, snakemake, tiny_study

PARAMETERS = 512 * 32 + 4 * 32 + 2 * (12 * 32**2 + 13 * 32)  # of the tiny study's base


@pytest.fixture
def paper(root):
    return load_study(root / "studies" / "bloomz-7b1-mt.yaml")


@pytest.fixture
def tiny():
    """The tiny study; keyword arguments replace its sections."""
    return lambda **sections: Study(**tiny_study() | sections)


def amounts(study, results):
    return {line.what: line.amount for line in plan_lines(study, results)}


def with_arm(recipe):
    return {"full": {"base": "small", "pool": "own", "recipe": recipe}}


def test_tiny_parameters_are_those_of_the_real_model():
    from transformers import BloomConfig, BloomForCausalLM

    base = TinyBase(type="tiny", vocab_size=500, hidden_size=32, layers=3, heads=4)
    model = BloomForCausalLM(BloomConfig(vocab_size=500, hidden_size=32, n_layer=3, n_head=4))
    assert base_parameters(base) == sum(weight.numel() for weight in model.parameters())


def test_the_papers_study_needs_what_a_hand_calculation_says(paper, tmp_path):
    text = " ".join(plan_text(paper, tmp_path).split())
    tokens = 2 * 3_800_000 * 250
    assert f"tokens to train on {tokens:,} (assumed)" in text
    hours = 6 * 7.069e9 * tokens / (312e12 * 0.4) / 3600
    assert f"training {hours:,.1f} (assumed 312 TFLOP/s peak at MFU 0.4;" in text


@pytest.mark.parametrize(
    ("method", "flops"), [("full", 6), ("frozen_embedding", 6), ("lora", 4), ("embedding", 4)]
)
def test_flops_follow_from_what_is_trained(tiny, tmp_path, method, flops):
    study = tiny(arms=with_arm({"epochs": 2, "tuning": {"method": method}}))
    tokens = 2 * (16 + 32) * 250
    assert amounts(study, tmp_path)["training FLOPs"] == f"{flops * PARAMETERS * tokens:.3g}"


def test_finished_runs_replace_the_assumption(paper, tmp_path):
    train = tmp_path / "runs" / "full" / "n200000" / "s1" / "train.json"
    write_json(train, {"tokens": {"total": 1000}, "examples_seen": 10})
    lines = {line.what: line for line in plan_lines(paper, tmp_path)}
    assert (lines["tokens per example"].amount, lines["tokens per example"].basis) == (
        "100",
        "measured on finished runs",
    )


def test_the_eval_set_is_counted_once_it_is_built(paper, tmp_path):
    write_jsonl(tmp_path / "evalset" / "items.jsonl", [{}] * 7)
    lines = {line.what: line for line in plan_lines(paper, tmp_path)}
    assert (lines["eval items"].amount, lines["eval items"].basis) == ("7", "counted")
    assert lines["responses"].amount == "35"


def test_a_synthetic_eval_set_is_counted_before_it_is_built(tiny, tmp_path):
    source = {"type": "synthetic", "items_per_category": 3}
    assert amounts(tiny(evalset={"sources": [source]}), tmp_path)["eval items"] == "36"
    two = {"sources": [source, source | {"seed": 1}], "categories": ["math", "code"]}
    assert amounts(tiny(evalset=two), tmp_path)["eval items"] == "12"


def test_what_is_unknown_is_said_to_be(paper, tmp_path):
    bases = {"bloomz-7b1-mt": paper.bases["bloomz-7b1-mt"].model_copy(update={"parameters": None})}
    budget = paper.budget.model_copy(update={"eval_items": None})
    found = amounts(paper.model_copy(update={"bases": bases, "budget": budget}), tmp_path)
    assert {found[what] for what in ("training FLOPs", "eval items", "disk: models")} == {"?"}
    assert not {"device hours of training", "responses", "disk: responses, judgements"} & set(found)


def test_fixed_steps_see_the_same_examples_at_every_scale():
    recipe = Recipe(epochs=None, steps=10, batch_size=8)
    assert tokens_seen(recipe, 100, 10) == tokens_seen(recipe, 1000, 10) == 800
    assert tokens_seen(Recipe(epochs=3), 100, 10) == 3000
    of_tokens = Recipe(epochs=None, steps=10, batch_size=None, batch_tokens=500)
    assert tokens_seen(of_tokens, 100, 10) == tokens_seen(of_tokens, 100, 20) == 5000


def test_a_batch_that_grows_with_the_scale_sees_more_tokens(tiny, tmp_path):
    arm = with_arm({"epochs": None, "steps": 10, "batch_size": 8})["full"]
    law = {"reference": 16, "batch_exponent": 1}
    found = amounts(tiny(arms={"full": arm | {"by_scale": law}}), tmp_path)
    assert found["tokens to train on"] == f"{10 * (8 + 16) * 250:,}"


def staged(order, shares, *epochs):
    recipe = {"batch_size": 8, "epochs": 1, "phases": [{"epochs": each} for each in epochs]}
    selection = {"type": "staged", "by": "source", "order": order, "shares": shares}
    return with_arm(recipe)["full"] | {"selection": selection}


@pytest.mark.parametrize(
    ("order", "shares", "passes"),
    [
        ("ascending", {"1": 0.25, "2": 0.75}, 0.25 * 1 + 0.75 * 4),
        ("descending", {"1": 0.25, "2": 0.75}, 0.75 * 1 + 0.25 * 4),
        (["2", "1"], {"1": 0.25, "2": 0.75}, 0.75 * 1 + 0.25 * 4),
        ("ascending", "equal", 0.5 * 1 + 0.5 * 4),
        ("mixed", "equal", 1),
    ],
)
def test_each_phase_has_its_own_passes(tiny, tmp_path, order, shares, passes):
    study = tiny(arms={"full": staged(order, shares, 1, 4)})
    found = amounts(study, tmp_path)
    assert found["tokens to train on"] == f"{passes * (16 + 32) * 250:,.0f}"


def test_device_hours():
    assert device_hours(3600 * 1e12, 1, 0.5) == pytest.approx(2)


def test_intermediate_checkpoints_answer_and_are_judged_too(paper, tmp_path):
    chosen = paper.intermediate_checkpoints.model_copy(update={"fractions": [0.25, 0.5]})
    found = amounts(paper.model_copy(update={"intermediate_checkpoints": chosen}), tmp_path)
    answers = paper.budget.eval_items * (5 + 4 * 2)
    assert found["intermediate checkpoints that answer it"] == "8"
    assert found["responses"] == f"{answers:,}"
    assert found["judge chatgpt"] == f"{answers * 3:,} calls"
    assert "intermediate checkpoints that answer it" not in amounts(paper, tmp_path)


def test_judge_calls_tokens_and_money(paper, tmp_path):
    lines = {line.what: line for line in plan_lines(paper, tmp_path)}
    calls = paper.budget.eval_items * 5 * 3
    assert lines["judge chatgpt"].amount == f"{calls:,} calls"
    assert lines["judge chatgpt"].basis.startswith("assumed")
    assert lines["judge chatgpt: tokens"].amount == f"{calls * 800:,}"
    judge = paper.judges["chatgpt"]
    money = calls * 700 * judge.dollars_per_million_prompt_tokens
    money += calls * 100 * judge.dollars_per_million_completion_tokens
    assert judge.dollars_per_million_prompt_tokens != judge.dollars_per_million_completion_tokens
    assert lines["judge chatgpt: dollars"].amount == f"{money / 1e6:,.2f}"
    text = 200 * 4 + 300 + 3 * 300  # the response, its row, a row for each of three judgements
    stored = paper.budget.eval_items * 5 * text
    assert lines["disk: responses, judgements"].amount == f"{stored / 1e6:.3g} MB"


def test_jobs_of_the_tiny_study(tiny):
    everything = tiny(
        intermediate_checkpoints={"fractions": [0.25, 0.5, 0.75]},
        judges={"a": {"type": "metric"}, "b": {"type": "metric"}},
    )
    assert jobs(everything) == {
        "evalset": 1,
        "pool": 1,
        "validation_set": 1,
        "subset": 2,
        "base": 1,
        "tokens": 1,
        "finetune": 4,
        "generate": 5,  # the two arms share the answers of the base
        "judge": 10,
        "generate_intermediate": 12,
        "judge_intermediate": 24,
        "runs": 1,
        "subset_overlap": 1,
        "scores": 1,
        "intermediate_scores": 1,
        "validation_loss": 1,
        "curves": 1,
        "costs": 1,
        "figures": 1,
        "report": 1,
    }


def test_arms_of_equal_pool_and_selection_and_crossed_runs_share_subsets(tiny):
    arms = tiny_study()["arms"]
    ranked = {"selection": {"type": "weighted", "by": "tag:weight"}}
    arms = {"full": arms["full"], **dict.fromkeys(("lora", "again"), arms["lora"] | ranked)}
    crossed = tiny(arms=arms, seeds={"crossed": {"subset": [1, 2, 3], "training": [1, 2]}})
    counted = jobs(crossed)
    assert counted["subset"] == 2 * 2 * 3  # selections, scales, subset seeds
    assert counted["finetune"] == 3 * 2 * 6


@pytest.mark.slow
def test_jobs_are_those_that_snakemake_plans(tmp_path):
    config = tiny_study() | {"intermediate_checkpoints": {"fractions": [0.5]}}
    printed = snakemake(tmp_path, config, "--dry-run").stdout
    assert planned_jobs(printed) == jobs(Study(**config))


def test_jobs_that_a_study_does_not_need_are_not_counted(tiny, tmp_path):
    study = tiny(validation={"records": 0}, ladder={"scales": [16, 32], "base": False})
    found = jobs(study)
    absent = {"validation_set", "validation_loss", "generate_intermediate", "intermediate_scores"}
    assert not absent & set(found)
    assert found["generate"] == found["finetune"] == 4
    assert amounts(study, tmp_path)["jobs"] == f"{sum(found.values())}"


def test_disk_of_the_tiny_study(tiny, tmp_path):
    found = amounts(tiny(intermediate_checkpoints={"fractions": [0.5]}), tmp_path)
    assert found["disk: models"] == f"{2 * 4 * PARAMETERS * 4 / 1e6:.3g} MB"  # fp32
    assert found["disk: checkpoints"] == f"{2 * PARAMETERS * (4 + 12) / 1e6:.3g} MB"
    assert found["disk: pools"] == f"{(32 + 24) * 250 * 4 / 1e3:.3g} kB"
    responses = 24 * (5 + 4)
    assert found["responses"] == f"{responses}"
    assert found["tokens to generate"] == f"{responses * 8:,}"  # max_new_tokens
    assert found["disk: responses, judgements"] == f"{responses * (8 * 4 + 600) / 1e3:.3g} kB"


def test_disk_depends_on_precision_and_on_what_is_trained(tiny, tmp_path):
    half = amounts(tiny(arms=with_arm({"precision": "bf16"})), tmp_path)
    assert half["disk: models"] == f"{2 * PARAMETERS * 2 / 1e3:.3g} kB"
    assert half["disk: checkpoints"] == f"{2 * PARAMETERS * (2 + 12) / 1e6:.3g} MB"
    lora = amounts(tiny(arms=with_arm({"tuning": {"method": "lora"}})), tmp_path)
    assert lora["disk: models"] == half["disk: models"]  # adapters are merged
    assert lora["disk: checkpoints"] == f"{2 * 0.01 * PARAMETERS * (2 + 12) / 1e3:.3g} kB"


def test_built_pools_are_measured(tiny, tmp_path):
    folder = tmp_path / "pools" / "own"
    (folder / "records").mkdir(parents=True)
    (folder / "audit.json").write_bytes(b"x" * 400)
    (folder / "records" / "part.parquet").write_bytes(b"x" * 600)
    line = next(line for line in plan_lines(tiny(), tmp_path) if line.what == "disk: pools")
    assert (line.amount, line.basis) == ("1 kB", "measured")


def test_the_plan_of_a_large_study_is_quick(tiny, tmp_path):
    arm = with_arm({"epochs": 1})["full"]
    study = tiny(
        arms={f"arm{n}": arm for n in range(6)},
        ladder={"start": 100, "factor": 2, "count": 8},
        seeds={"replicates": [1, 2, 3, 4, 5]},
    )
    began = time.process_time()
    lines = plan_text(study, tmp_path).splitlines()
    assert time.process_time() - began < 0.5
    assert "6 arm(s); 5 seed(s)" in lines[0]
    assert "subset 40" in " ".join(lines)
    assert "finetune 240" in " ".join(lines)
    assert max(map(len, lines[1:])) <= 100


def test_the_plan_says_which_models_stay_and_what_those_that_are_gone_cost(tiny, tmp_path):
    all_of_them, last, none = (
        next(line for line in plan_lines(tiny(models=key), tmp_path) if line.what == "disk: models")
        for key in ("keep", "last", "none")
    )
    one = PARAMETERS * 4
    assert [line.amount for line in (all_of_them, last, none)] == [
        f"{4 * one / 1e3:.3g} kB",
        f"{2 * one / 1e3:.3g} kB",
        "0 B",
    ]
    assert "`models: none`" in none.basis
    study = tiny(models="none")
    (tmp_path / tuned_runs(study)[0].folder / "model").mkdir(parents=True)
    runs, hours = again_lines(study, tmp_path, tuned_runs(study))
    assert (runs.amount, runs.basis) == (
        "4",
        "counted; the models of 3 are not kept (`models: none`)",
    )
    assert hours.amount == amounts(study, tmp_path)["device hours of training"]
    assert again_lines(study, tmp_path, []) == []
