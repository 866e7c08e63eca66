"""What identifies a run, which parameters decay, and which bases are refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.versions import STAGE_VERSIONS
from instruct_scaling.config.identity import identity_json
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.data.tokens.store import open_store
from instruct_scaling.data.tokens.tokenizer import read_tokenizer
from instruct_scaling.training.model import (
    base_hashes,
    load_weights,
    parameter_groups,
    read_config,
)
from instruct_scaling.training.pipeline import run_key, validation_examples

from .conftest import copy_base, tiny_model, write_validation_set


def key_of(inputs):
    return run_key(inputs, base_hashes(inputs.base), "ab")


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("model.safetensors", True),
        ("tokenizer.json", True),
        ("tokenizer_config.json", True),
        ("chat_template.jinja", True),
        ("config.json", True),
        ("base.json", False),  # says when and by which commit the base was made
        ("README.md", False),
    ],
)
def test_a_run_is_identified_by_all_of_its_base(run, file, counts):
    one = run()
    base = copy_base(one)
    before = key_of(one.pipeline_inputs())
    with (base / file).open("ab") as handle:
        handle.write(b" ")
    assert (key_of(one.pipeline_inputs()) != before) is counts


def test_a_run_is_identified_by_what_decides_its_weights(run, monkeypatch):
    inputs = run().pipeline_inputs()
    before = key_of(inputs)
    same = {"zero_stage": 3}, {"deepspeed": {"zero_optimization": {"stage": 1}}}
    for execution in same:
        recipe = inputs.recipe.model_copy(update=execution)
        assert key_of(replace(inputs, recipe=recipe)) == before
    others = [
        replace(inputs, recipe=inputs.recipe.model_copy(update={"weight_decay": 0.1})),
        replace(inputs, template="Q: {prompt}"),
        replace(inputs, order_seed=9),
        replace(inputs, init_seed=9),
    ]
    assert len({before, *map(key_of, others)}) == 5
    assert run_key(inputs, base_hashes(inputs.base), "cd") != before
    grown = base_hashes(inputs.base) | {"subset": "file"}  # it states the size of the pool
    assert run_key(inputs, grown, "ab") == before
    for stage in ("finetune", "tokens"):
        with monkeypatch.context() as patch:
            patch.setitem(STAGE_VERSIONS, stage, STAGE_VERSIONS[stage] + 1)
            assert key_of(inputs) != before


def test_validation_records_are_rows_of_the_store(run, tmp_path):
    inputs = run().pipeline_inputs()
    store = open_store(inputs.tokens)
    first = validation_examples(store, run().inputs / "validation_set.parquet")
    ids = [first.examples.id(index) for index in range(4)]
    fewer = validation_examples(store, write_validation_set(tmp_path / "fewer.parquet", ids))
    assert len(first.examples) == 12
    assert (fewer.examples.rows == first.examples.rows[:4]).all()
    assert fewer.categories == ["cot", "unlabeled"] * 2
    assert fewer.sha256 != first.sha256
    assert validation_examples(store, None) is None


def test_zero_is_execution_and_no_part_of_a_recipes_identity():
    recipe = Recipe(zero_stage=2, deepspeed={"zero_optimization": {"stage": 1}}, max_length=64)
    assert json.loads(identity_json(recipe)) == {"max_length": 64}
    assert not {"zero_stage", "deepspeed"} & set(recipe.identity())
    assert recipe.identity() == Recipe(max_length=64).identity()


def test_biases_and_layer_norms_do_not_decay():
    model = tiny_model()
    decaying, exempt = parameter_groups(model.named_parameters(), 0.1)
    assert decaying["weight_decay"] == 0.1
    assert exempt["weight_decay"] == 0.0
    assert {p.dim() for p in decaying["params"]} == {2}
    assert {p.dim() for p in exempt["params"]} == {1}
    counted = len(decaying["params"]) + len(exempt["params"])
    assert counted == len(list(model.parameters()))


def test_frozen_parameters_are_left_out():
    model = tiny_model()
    model.transformer.word_embeddings.requires_grad_(False)
    groups = parameter_groups(model.named_parameters(), 0.1)
    kept = {id(p) for group in groups for p in group["params"]}
    assert id(model.transformer.word_embeddings.weight) not in kept


def test_a_folder_without_model_weights_or_tokenizer_is_refused(inputs, tmp_path):
    with pytest.raises(InputError, match=r"config\.json is missing"):
        read_config(tmp_path)
    shutil.copy(inputs / "base" / "config.json", tmp_path)
    with pytest.raises(InputError, match="the model cannot be loaded"):
        load_weights(tmp_path, torch.float32)
    with pytest.raises(InputError, match="cannot read a tokenizer"):
        read_tokenizer(tmp_path)


def test_what_a_cpu_or_a_base_cannot_do_is_refused(group, run):
    assert "fp16 needs a GPU" in run(precision="fp16").refused(group)
    targets = {"method": "lora", "targets": ["no_such_layer"]}
    assert "recipe.tuning.targets" in run("targets", tuning=targets).refused(group)


def test_a_language_model_inside_a_larger_one_is_refused(tmp_path):
    from transformers import Gemma3Config

    Gemma3Config().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="gemma3 is a language model inside a larger one"):
        read_config(tmp_path)
