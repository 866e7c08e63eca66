"""The stage's options reach the pipeline; a run is what a plain loop of PyTorch computes."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BloomForCausalLM

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.execution import Execution
from instruct_scaling.config.study import Tracking
from instruct_scaling.data.tokens.store import open_store
from instruct_scaling.training import pipeline
from instruct_scaling.training.examples import subset_examples
from instruct_scaling.training.finetune import finetune, parse_execution
from instruct_scaling.training.order import Stream, learning_rate

from .conftest import copy_base


@pytest.fixture
def called(inputs, tmp_path, monkeypatch):
    """Calls the stage as a rank; what the pipeline is given."""
    taken = []
    monkeypatch.setattr(pipeline, "run_rank", lambda *arguments: taken.append(arguments))
    required = {
        "base": inputs / "base",
        "tokens": inputs / "tokens",
        "subset": inputs / "subset.parquet",
        "template": "Q: {prompt}",
        "order_seed": 11,
        "init_seed": 12,
        "work": tmp_path / "work",
        "out_model": tmp_path / "model",
        "out_train": tmp_path / "train.json",
    }
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(finetune).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }

    def call(**options):
        finetune(**{**defaults, **required, "launcher": "none", "recipe": "{}", **options})
        return taken[-1]

    return call


def test_options_reach_the_pipeline(called, inputs, tmp_path):
    execution = {"zero_stage": 3, "save_minutes": 2.5, "save_steps": 7, "row_tokens": 512}
    given, outputs, observation, taken = called(
        recipe=json.dumps({"max_grad_norm": 0.3}),
        execution=json.dumps(execution),
        identity_json=json.dumps({"arm": "a"}),
        validation=inputs / "validation_set.parquet",
        validation_evaluations=9,
        intermediate="x/25/model",
        tracker="wandb",
        tracker_project="p",
    )
    assert (given.recipe.max_grad_norm, given.recipe.zero_stage) == (0.3, 3)
    assert (given.order_seed, given.init_seed, given.template) == (11, 12, "Q: {prompt}")
    assert given.identity == {"arm": "a"}
    assert (outputs.model, outputs.work) == (tmp_path / "model", tmp_path / "work")
    assert observation.validation == inputs / "validation_set.parquet"
    assert (observation.evaluations, observation.snapshots) == (9, {25: Path("x/25/model")})
    assert observation.tracking == Tracking(tool="wandb", project="p")
    assert taken == Execution(save_minutes=2.5, save_steps=7, row_tokens=512)


def test_execution_is_of_the_recipe_and_of_the_study():
    own = {"zero_optimization": {"stage": 1}}
    text = json.dumps({"deepspeed": own, "zero_stage": 2, "attention": "sdpa"})
    assert parse_execution(text) == (
        {"zero_stage": 2, "deepspeed": own},
        Execution(attention="sdpa"),
    )
    assert parse_execution("{}") == ({}, Execution())
    for wrong in ("{", "[]", '{"save_minute": 1}', '{"save_steps": 0}'):
        with pytest.raises(InputError, match="--execution"):
            parse_execution(wrong)


def test_bad_options_are_refused_before_any_rank_starts(called, tmp_path):
    clip = json.dumps({"deepspeed": {"gradient_clipping": 5}})
    with pytest.raises(InputError, match="gradient_clipping is 5, max_grad_norm 1"):
        called(execution=clip, launcher="local")
    with pytest.raises(InputError, match=r"--recipe: .*epoch"):
        called(recipe='{"epoch": 1}', launcher="local")
    with pytest.raises(InputError, match="no such file or folder"):
        called(base=tmp_path / "absent", launcher="local")


def test_a_run_is_what_a_plain_loop_computes(group, run):
    """Every setting of the recipe's optimizer away from its default, no dropout, stock model."""
    one = run(
        learning_rate=2e-3,
        schedule="linear",
        warmup_ratio=0.25,
        weight_decay=0.1,
        betas=(0.8, 0.95),
        epsilon=1e-4,
        max_grad_norm=0.3,
    )
    base = copy_base(one)
    config = json.loads((base / "config.json").read_text("utf-8"))
    dropout = {"hidden_dropout": 0.0, "attention_dropout": 0.0}
    (base / "config.json").write_text(json.dumps(config | dropout), "utf-8")
    train = one.tune(group)
    recipe = one.pipeline_inputs().recipe
    examples = subset_examples(open_store(one.inputs / "tokens"), one.inputs / "subset.parquet")

    model = BloomForCausalLM.from_pretrained(base)
    split = [[p for p in model.parameters() if (p.dim() > 1) is matrix] for matrix in (True, False)]
    groups = [{"params": split[0], "weight_decay": 0.1}, {"params": split[1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.8, 0.95), eps=1e-4)
    stream = Stream.of(examples, phase=0)
    order = [index for epoch in (0, 1) for index in stream.order(1, epoch).tolist()]
    losses = []
    for step in range(12):
        total, count = 0.0, 0
        for index in order[8 * step : 8 * step + 8]:
            tokens, ((prompt, _),) = examples.sequence(index)
            ids = torch.from_numpy(tokens.astype(np.int64))
            logits = model(input_ids=ids[None]).logits[0, prompt - 1 : -1]
            wanted = ids[prompt:]
            total = total + torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
            count += len(wanted)
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.3)
        for part in optimizer.param_groups:
            part["lr"] = learning_rate(recipe, step, 12)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(total.detach()) / count)
    assert [loss for _, loss in train["loss"]["curve"]] == pytest.approx(losses, rel=1e-5)
    tuned = BloomForCausalLM.from_pretrained(one.model)
    for (name, found), wanted in zip(tuned.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=2e-6, msg=name)


def test_order_and_initial_weights_have_seeds_of_their_own(group, run):
    recipe = {"tuning": {"method": "lora", "rank": 2}, "epochs": 1, "learning_rate": 1e-2}
    runs = []
    for number, seeds in enumerate([(1, 2), (1, 2), (9, 2), (1, 9)]):
        one = run(str(number), **recipe)
        one.seeds = seeds
        one.tune(group)
        runs.append(one.weights)
    assert runs[0] == runs[1]
    assert len(set(runs)) == 3
