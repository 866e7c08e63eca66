"""Other architectures than BLOOM, from two ranks to the exported model."""

from __future__ import annotations

import json
import shutil

import pytest
from transformers import AutoModelForCausalLM

from instruct_scaling.data.tokens.stage import tokens
from tests.models.packed.families import tiny

from .conftest import RECIPE, TEMPLATE, run_ranks

# Of each rank's row, in `family_ranks.uneven`.
SUPERVISED = [(0, 320), (64, 0), (320, 64), (64, 320)]


def with_base(run, name, **changes):
    """The run with a base of a family and a token store for it; the tokenizer stays."""
    inputs = run.folder / "inputs"
    shutil.copytree(
        run.inputs, inputs, ignore=shutil.ignore_patterns("tokens", "model.safetensors")
    )
    tiny(name, scale=1.0, **changes).save_pretrained(inputs / "base")
    length = RECIPE["max_length"]
    tokens(inputs / "records", inputs / "base", TEMPLATE, length, inputs / "tokens")
    run.inputs = inputs
    return run


@pytest.mark.parametrize(
    ("name", "attention", "tuning"),
    [
        ("qwen2", "sdpa", {"method": "full"}),
        ("gpt2", "sdpa", {"method": "lora", "rank": 4}),
        ("llama", "sdpa", {"method": "lora", "rank": 4, "targets": ["q_proj", "up_proj"]}),
        ("llama", "sdpa", {"method": "frozen_embedding"}),
        ("gptj", "stock, padded", {"method": "full"}),
    ],
)
def test_a_run_ends_in_a_stock_model_with_the_same_loss(group, run, name, attention, tuning):
    one = with_base(run(tuning=tuning, epochs=1, learning_rate=1e-2), name)
    train = one.tune(group, observation={"validation": one.inputs / "validation_set.parquet"})
    assert train["execution"]["attention"] == attention
    assert train["export"]["reloaded_probe_loss"] == pytest.approx(
        train["export"]["probe_loss"], rel=1e-5
    )
    first, *_, last = train["validation"]["evaluations"]
    assert last["loss"]["cot"] < first["loss"]["cot"]
    tuned = AutoModelForCausalLM.from_pretrained(one.model)
    base = AutoModelForCausalLM.from_pretrained(one.inputs / "base")
    assert type(tuned) is type(base)
    same = [
        left.equal(right) for left, right in zip(tuned.parameters(), base.parameters(), strict=True)
    ]
    if tuning["method"] == "full":
        assert not any(same)
    if tuning["method"] == "frozen_embedding":
        assert same[0] and same[-1] and not any(same[1:-1])  # input and output layer


def test_adapters_want_names_that_are_there(group, run):
    for number, (targets, message) in enumerate(
        [
            (["q_proj", "query_key_value"], "no linear layer named query_key_value"),
            (["lm_head"], "no linear layer named lm_head"),
        ]
    ):
        one = run(str(number), tuning={"method": "lora", "targets": targets})
        refusal = with_base(one, "llama").refused(group)
        assert message in refusal
        assert "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj" in refusal


def test_a_text_that_changes_its_neighbors_rotation_is_refused(group, run):
    dynamic = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    one = with_base(run(), "llama", rope_parameters=dynamic, max_position_embeddings=32)
    assert "set it to 32 or less" in one.refused(group)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    from .family_ranks import make_bases  # imports DeepSpeed, which takes seconds

    out = tmp_path_factory.mktemp("families")
    make_bases(out)
    run_ranks("tests.training.family_ranks", [out], 2)
    return json.loads((out / "result.json").read_text("utf-8"))


@pytest.mark.slow
def test_two_ranks_have_the_gradients_of_stock_one_by_one(result):
    assert len(result["errors"]) == 13
    for name, errors in result["errors"].items():
        assert errors["gradient"] < 1e-5, name
        assert errors["loss"] < 1e-5, name


@pytest.mark.slow
def test_ranks_may_fill_different_numbers_of_the_heads_chunks(result):
    """A rank that asked for the head's weight once for each chunk would wait for the other one."""
    losses = result["uneven"]
    assert len(losses) == 2 * len(SUPERVISED)
    for (first, _), (trained, measured) in zip(2 * SUPERVISED, losses, strict=True):
        assert measured == pytest.approx(trained, rel=1e-6)
        assert (measured == 0) == (first == 0)
