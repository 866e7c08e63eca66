"""The set-up that is chosen, what is reported when nothing fits, and DeepSpeed's configuration."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.execution import Execution
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.training.memory import (
    Machine,
    Setup,
    Sizes,
    candidates,
    choose,
    choose_setup,
    deepspeed_config,
    fits,
    measure,
    predict,
)

from .conftest import tiny_config

BLOOM = Sizes(7_069_016_064, 7_069_016_064, 30, 4096, 250_880)
LORA = replace(BLOOM, trainable=15_728_640, head_trained=False)
H200, A100, A100_40 = 141e9, 80e9, 40e9


def chosen(sizes, gpus, gpu_bytes, stage=None):
    return choose(sizes, Machine(gpus, gpu_bytes), stage=stage, longest=1024)


def test_published_memory_of_mixed_precision_adam():
    """16 bytes a weight without activations (Rajbhandari et al. 2020, arXiv 1910.02054, 3.1), and
    2 more for a gradient in fp32."""
    parts = predict(BLOOM, Machine(1, H200), Setup(0, 2048))
    assert parts["weights"] + parts["states"] == 18 * BLOOM.parameters
    sixteen = predict(BLOOM, Machine(16, H200), Setup(2, 2048))
    assert sixteen["states"] == BLOOM.parameters


def test_a_7b_model_on_the_machines_people_have():
    one = chosen(BLOOM, 1, H200)
    assert (one.stage, one.sub_groups, one.offload) == (3, True, True)
    assert chosen(BLOOM, 1, A100).offload
    assert chosen(BLOOM, 2, A100).offload
    for gpus, memory in ((2, H200), (4, A100), (8, A100)):
        assert chosen(BLOOM, gpus, memory).stage == 2
    assert not chosen(BLOOM, 8, A100).checkpointing
    assert chosen(BLOOM, 8, A100_40).stage == 3
    assert chosen(LORA, 1, A100) == Setup(2, 8192)


def test_what_cannot_fit_is_refused_with_what_would():
    with pytest.raises(InputError) as refusal:
        chosen(BLOOM, 1, 24e9)
    text = str(refusal.value)
    assert "7.07 of 7.07 billion" in text
    assert "rows of 2048 tokens" in text  # the most frugal set-up says what is needed
    assert "optimizer on the CPU, recomputed activations); there are" in text
    assert "24 GB" in text
    assert "such GPUs" in text
    assert "lora" in text


def test_a_fixed_stage_that_does_not_fit_names_auto():
    with pytest.raises(InputError, match="zero_stage to auto"):
        chosen(BLOOM, 1, H200, stage=1)


def test_a_cpu_takes_zero_2_and_rows_that_hold_the_longest_example():
    tiny = Sizes(1_600_000, 1_600_000, 4, 128, 8192, weight_bytes=4)
    assert chosen(tiny, 2, None) == Setup(2, 4096)
    assert choose(BLOOM, Machine(2, None), stage=3, longest=9000) == Setup(3, 9000)


def test_rows_on_a_cpu_are_shorter_for_a_larger_model():
    """4,096 tokens of a 135 M-parameter Llama in fp32 would be 6 GB of activations a rank."""
    llama = Sizes(134_515_008, 134_515_008, 30, 576, 49_152, weight_bytes=4)
    assert chosen(llama, 2, None).row_tokens == 1024
    assert chosen(replace(llama, weight_bytes=2), 2, None).row_tokens == 2048
    assert chosen(BLOOM, 2, None).row_tokens == 1024


@given(
    st.sampled_from([1, 2, 4, 8, 64]),
    st.floats(5e9, 200e9),
    st.sampled_from([BLOOM, LORA]),
    st.sampled_from([None, 0, 1, 2, 3]),
    st.integers(2, 20_000),
)
def test_the_choice_fits_and_nothing_faster_does(gpus, memory, sizes, stage, longest):
    machine = Machine(gpus, memory)
    try:
        setup = choose(sizes, machine, stage=stage, longest=longest)
    except InputError:
        assert not any(fits(sizes, machine, s) for s in candidates(stage, longest))
        return
    assert fits(sizes, machine, setup)
    assert setup.row_tokens >= longest
    assert stage is None or setup.stage == stage
    faster = candidates(stage, longest)[: candidates(stage, longest).index(setup)]
    assert not any(fits(sizes, machine, other) for other in faster)


@given(st.integers(1, 64), st.sampled_from(candidates(None, 1024)))
def test_more_gpus_never_need_more_memory_each(gpus, setup):
    one, more = (predict(BLOOM, Machine(n, H200), setup) for n in (gpus + 1, gpus + 2))
    assert more["total"] <= one["total"]


def test_sizes_are_those_of_what_is_trained():
    full = measure(tiny_config(), Recipe(precision="fp32"))
    embedding = full.vocabulary * full.width
    assert (full.trainable, full.head_trained, full.weight_bytes) == (full.parameters, True, 4)
    frozen = measure(tiny_config(), Recipe(tuning={"method": "frozen_embedding"}))
    assert (frozen.trainable, frozen.head_trained) == (full.parameters - embedding, False)
    only = measure(tiny_config(), Recipe(tuning={"method": "embedding"}))
    assert (only.trainable, only.head_trained, only.weight_bytes) == (embedding, True, 2)
    lora = measure(tiny_config(), Recipe(tuning={"method": "lora", "rank": 1}))
    assert 0 < lora.trainable == lora.parameters - full.parameters


def test_execution_options_and_a_users_own_configuration_fix_the_setup():
    machine, recipe = Machine(8, A100), Recipe()
    free = choose_setup(recipe, Execution(), BLOOM, machine, 1024)
    assert free == chosen(BLOOM, 8, A100)
    given = Execution(row_tokens=1000, checkpointing=True)
    fixed = replace(free, row_tokens=1000, checkpointing=True)
    assert choose_setup(recipe, given, BLOOM, machine, 1024) == fixed
    recomputed = chosen(BLOOM, 8, A100_40)
    assert recomputed.checkpointing
    forbidden = Execution(checkpointing=False)
    without = choose_setup(recipe, forbidden, BLOOM, Machine(8, A100_40), 1024)
    assert without == replace(recomputed, checkpointing=False)
    own = Recipe(deepspeed={"zero_optimization": {"stage": 1}})
    assert choose_setup(own, Execution(), BLOOM, machine, 9000) == Setup(1, 9000)


def config_of(setup=Setup(2, 2048), sizes=BLOOM, ranks=8, **recipe):
    return deepspeed_config(Recipe(**recipe), setup, ranks, sizes)


def test_the_configuration_has_the_recipes_clipping_and_precision():
    config = config_of(max_grad_norm=0.3, precision="bf16")
    assert config["gradient_clipping"] == 0.3
    assert config["bf16"] == {"enabled": True}
    assert "fp16" not in config
    assert config["train_batch_size"] == 8
    assert config_of(max_grad_norm=0)["gradient_clipping"] == 0
    assert "bf16" not in config_of(precision="fp32")
    assert config_of(precision="fp16")["fp16"]["enabled"]


def test_the_configuration_has_the_setups_stage_groups_and_offload():
    assert config_of()["zero_optimization"]["stage"] == 2
    setup = Setup(3, 2048, sub_groups=True, offload=True)
    zero = config_of(setup)["zero_optimization"]
    assert (zero["stage"], zero["sub_group_size"]) == (3, 100_000_000)
    assert zero["offload_optimizer"]["device"] == "cpu"
    assert zero["reduce_bucket_size"] == 200_000_000
    adapters = config_of(setup, LORA)["zero_optimization"]
    assert adapters["reduce_bucket_size"] == LORA.trainable  # no room for gradients of the frozen


def test_a_users_own_configuration_is_completed_from_the_recipe():
    own = {
        "zero_optimization": {"stage": 1},
        "gradient_clipping": "auto",
        "bf16": {"enabled": "auto"},
        "fp16": {"enabled": "auto", "hysteresis": 3},
        "train_batch_size": "auto",
        "prescale_gradients": True,
    }
    config = config_of(deepspeed=own, max_grad_norm=0.3, precision="bf16")
    assert config["zero_optimization"] == {"stage": 1}
    assert config["gradient_clipping"] == 0.3
    assert config["bf16"] == {"enabled": True}
    assert "fp16" not in config
    assert (config["train_batch_size"], config["prescale_gradients"]) == (8, True)
    half = config_of(deepspeed=own, precision="fp16")
    assert (half["fp16"]["hysteresis"], half["fp16"]["loss_scale"]) == (3, 0)
    assert config_of(deepspeed={"prescale_gradients": True})["zero_optimization"] == {"stage": 0}


@pytest.mark.parametrize(
    ("own", "complaint"),
    [
        ({"gradient_clipping": 1.0}, "gradient_clipping is 1.0, max_grad_norm 0.3"),
        ({"fp16": {"enabled": True}}, "fp16.enabled is true, precision bf16"),
        ({"bf16": {"enabled": False}}, "bf16.enabled is false, precision bf16"),
        ({"bf16": {"bf16_master_weights_and_grads": True}}, "master weights and moments are fp32"),
        ({"torch_autocast": {"enabled": True}}, "torch_autocast is enabled"),
        ({"optimizer": {"type": "Adam"}}, "optimizer is given"),
        ({"scheduler": {"type": "WarmupLR"}}, "scheduler is given"),
    ],
)
def test_a_configuration_that_contradicts_the_recipe_is_refused(own, complaint):
    with pytest.raises(ValidationError, match=complaint):
        Recipe(max_grad_norm=0.3, deepspeed=own)


def test_a_configuration_that_repeats_the_recipe_is_taken():
    own = {"gradient_clipping": 0.3, "bf16": {"enabled": True}, "fp16": {"enabled": False}}
    assert Recipe(max_grad_norm=0.3, deepspeed=own).deepspeed == own
