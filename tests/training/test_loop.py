"""The training loop in this process: where it stops, what it saves, and how exactly it goes on."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from instruct_scaling.common.errors import Interrupted
from instruct_scaling.training import model
from instruct_scaling.training.checkpoints import Checkpoints, SaveEvery, checkpoint_layout
from instruct_scaling.training.loop import explosion_limit
from instruct_scaling.training.memory import Setup, Sizes, deepspeed_config
from instruct_scaling.training.metrics import MetricsLogger
from instruct_scaling.training.model import load_engine
from instruct_scaling.training.validation import ValidationLoss

from .conftest import copy_base

SIZES = Sizes(72_000, 72_000, 2, 48, 320)
LORA = {"method": "lora", "rank": 4, "dropout": 0.1, "targets": ["query_key_value", "dense"]}


@pytest.fixture
def interrupt(monkeypatch):
    """Sends SIGTERM to the process, once, so that the run stops after a step."""
    shown = MetricsLogger.show

    def after(step):
        def show(logger, progress, *rest):
            shown(logger, progress, *rest)
            if progress.step == step - 1:  # the ranks agree during the next step
                os.kill(os.getpid(), signal.SIGTERM)
                monkeypatch.setattr(MetricsLogger, "show", shown)

        monkeypatch.setattr(MetricsLogger, "show", show)

    return after


def test_a_loss_that_is_not_finite_stops_with_step_examples_and_advice(group, run):
    broken = run(learning_rate=1e30, max_grad_norm=0)
    message = broken.refused(group)
    assert "at step 2; examples of the batch: " in message
    assert "more" not in message  # all eight are named
    assert "lower recipe.learning_rate" in message
    assert not broken.model.exists()


def test_a_finite_explosion_stops_too(group, run):
    message = run(learning_rate=3.0, max_grad_norm=0).refused(group)
    assert "the loss has exploded" in message
    assert "lower recipe.learning_rate" in message


def test_an_explosion_is_half_of_guessing_above_the_start():
    assert explosion_limit(2.0, 1000) == pytest.approx(2.0 + 3.4538776)


def test_every_token_is_counted_and_the_newest_two_checkpoints_are_kept(group, run):
    one = run()
    train = one.tune(group, save_steps=3)
    for kind, counted in (("total", "tokens"), ("supervised", "supervised_tokens")):
        assert train["tokens"][kind] == 2 * train["data"][counted]  # two epochs
    assert one.checkpoints() == [12, 9]
    (folder,) = one.work.glob("*/checkpoints")
    assert {path.name for path in folder.glob("step-*")} == {"step-12", "step-9"}


@pytest.mark.parametrize(
    ("step", "last", "waited", "due"),
    [
        (6, False, 0.0, True),
        (7, False, 599.0, False),
        (7, False, 600.0, True),
        (11, True, 59.0, False),
        (11, True, 60.0, True),
    ],
)
def test_checkpoints_are_due_by_steps_and_by_minutes(step, last, waited, due):
    assert SaveEvery(minutes=10, steps=3).due(step, last=last, waited=waited) is due
    if step == 6:
        assert not SaveEvery(minutes=10).due(step, last=last, waited=waited)


def test_a_stopped_run_goes_on_bit_equal(group, run, interrupt):
    """With dropout, and for what is measured on the way: nothing is lost, nothing done twice."""
    calm, stopped = run("calm"), run("stopped")
    validation = {"validation": calm.inputs / "validation_set.parquet"}
    calm.tune(group, observation=validation)
    interrupt(7)
    with pytest.raises(Interrupted, match="stopped after step 7 of 12, saved"):
        stopped.tune(group, observation=validation)
    assert stopped.checkpoints() == [7]
    assert not stopped.model.exists()
    # Another number of evaluations is the same run: what was measured is kept.
    train = stopped.tune(group, observation={**validation, "evaluations": 2})
    assert stopped.weights == calm.weights
    assert train["loss"] == calm.train["loss"]
    assert train["execution"]["starts"] == 2
    points = train["validation"]["evaluations"]
    assert [point["step"] for point in points] == [0, 3, 6, 12]
    assert points == [p for p in calm.train["validation"]["evaluations"] if p["step"] != 9]
    assert len(list((stopped.folder / "tensorboard").glob("events.*"))) == 2


def test_a_signal_while_saving_stops_the_run_there(group, run, monkeypatch):
    """The checkpoint that is being written is the last one, not one more step and another save."""
    calm, stopped = run("calm"), run("stopped")
    calm.tune(group)
    save = Checkpoints.save

    def signaled(checkpoints, engine, step, state):
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        save(checkpoints, engine, step, state)

    monkeypatch.setattr(Checkpoints, "save", signaled)
    with pytest.raises(Interrupted, match="stopped after step 3 of 12, saved"):
        stopped.tune(group, save_steps=3)
    assert stopped.checkpoints() == [3]
    stopped.tune(group)
    assert stopped.weights == calm.weights


def test_a_stop_measures_after_the_resume(group, run, interrupt, monkeypatch):
    """The time between SIGTERM and SIGKILL is for the checkpoint."""
    one = run()
    validation = {"validation": one.inputs / "validation_set.parquet"}
    interrupt(6)  # an evaluation is due there
    measured = []
    measure = ValidationLoss.measure
    monkeypatch.setattr(ValidationLoss, "measure", lambda loss: measured.append(1) or measure(loss))
    with pytest.raises(Interrupted, match="stopped after step 6 of 12, saved"):
        one.tune(group, observation=validation)
    assert len(measured) == 2  # steps 0 and 3
    points = one.tune(group, observation=validation)["validation"]["evaluations"]
    assert [point["step"] for point in points] == [0, 3, 6, 9, 12]


def test_an_edited_base_starts_again(group, run, interrupt):
    """Neither the checkpoint nor the tokens of the base before are taken."""
    edited, fresh = run("edited"), run("fresh")
    base = copy_base(edited)
    interrupt(4)
    with pytest.raises(Interrupted):
        edited.tune(group)
    from transformers import BloomForCausalLM

    changed = BloomForCausalLM.from_pretrained(base)
    with torch.no_grad():
        changed.transformer.word_embeddings.weight.add_(0.01)
    changed.save_pretrained(base)
    fresh.base = base
    fresh.tune(group)
    assert edited.tune(group)["execution"]["starts"] == 1
    assert edited.weights == fresh.weights


def test_another_zero_stage_is_the_same_run_but_cannot_read_its_checkpoint(group, run, interrupt):
    one = run(zero_stage=1)
    interrupt(4)
    with pytest.raises(Interrupted):
        one.tune(group)
    one.recipe = {"zero_stage": 2}
    message = one.refused(group)
    assert "was written with recipe.zero_stage 1, not 2" in message
    assert "go on with recipe.zero_stage 1, or remove" in message
    one.recipe = {"zero_stage": 1}
    assert one.tune(group)["execution"]["starts"] == 2


def test_sub_groups_cut_the_checkpoints_of_zero_3_alone():
    """Another stage ignores the key, so that it must not keep a run from going on."""

    def layout(stage, size):
        return checkpoint_layout({"zero_optimization": {"stage": stage, "sub_group_size": size}}, 2)

    assert layout(3, 100) != layout(3, 200)
    assert layout(2, 100) == layout(2, 200)


def test_the_engine_clips_as_the_recipe_says(group, run):
    one = run(max_grad_norm=0.3).pipeline_inputs()
    settings = deepspeed_config(one.recipe, Setup(2, 512), 1, SIZES)
    assert load_engine(one.base, one.recipe, settings, group)[1].gradient_clipping() == 0.3


def test_ranks_start_alike_and_draw_different_dropout(group, run, monkeypatch):
    one = run(tuning=LORA).pipeline_inputs()
    monkeypatch.setattr(model, "start_engine", lambda *_: None)
    adapters, states = [], []
    for rank in (0, 1):
        monkeypatch.setattr(model.distributed, "get_rank", lambda rank=rank: rank)
        tuned, _ = load_engine(one.base, one.recipe, {}, group, seed=3)
        states.append(torch.get_rng_state())
        named = tuned.module.named_parameters()
        adapters.append({name: value for name, value in named if "lora_A" in name})
        assert tuned.adapter.peft_config["default"].lora_dropout == 0.1
    assert not torch.equal(*states)
    assert len(adapters[0]) == 4
    assert all(torch.equal(adapters[0][name], adapters[1][name]) for name in adapters[0])
