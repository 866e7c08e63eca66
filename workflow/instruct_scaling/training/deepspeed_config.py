"""The DeepSpeed configuration of a run."""

from __future__ import annotations

from typing import Any

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.training.memory import BUCKET_ELEMENTS, SUB_GROUP_ELEMENTS, Setup


def deepspeed_config(recipe: Recipe, setup: Setup, ranks: int, parameters: int) -> dict[str, Any]:
    """DeepSpeed's configuration for a recipe, or the user's own with the batch filled in.

    Accumulation is driven by the training loop (rows per step vary), so DeepSpeed is told of one
    micro-batch per step and given its boundaries by hand.

    Args:
        recipe: precision, clipping, and the user's own configuration.
        setup: stage, sub-groups and offload.
        ranks: data-parallel ranks.
        parameters: of the whole model; bounds the communication buckets.
    """
    batch = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "train_batch_size": ranks,
    }
    if recipe.deepspeed != "auto":
        return {**recipe.deepspeed, **batch}
    config: dict[str, Any] = {
        **batch,
        "gradient_clipping": recipe.max_grad_norm,
        "zero_optimization": zero_section(setup, parameters),
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 2**31,
        "wall_clock_breakdown": False,
    }
    if recipe.precision == "bf16":
        config["bf16"] = {"enabled": True}
    if recipe.precision == "fp16":
        config["fp16"] = {"enabled": True, "loss_scale": 0, "initial_scale_power": 16}
    return config


def zero_section(setup: Setup, parameters: int) -> dict[str, Any]:
    """The `zero_optimization` section of a set-up."""
    bucket = min(BUCKET_ELEMENTS, max(parameters, 1))
    zero: dict[str, Any] = {
        "stage": setup.stage,
        "reduce_bucket_size": bucket,
        "allgather_bucket_size": bucket,
    }
    if setup.stage == 3:
        zero |= {
            "stage3_prefetch_bucket_size": bucket,
            "stage3_param_persistence_threshold": 100_000,
            "sub_group_size": SUB_GROUP_ELEMENTS if setup.sub_groups else 10**9,
        }
    if setup.offload:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    return zero


def zero_stage(config: dict[str, Any]) -> int:
    """ZeRO stage of a DeepSpeed configuration."""
    return config.get("zero_optimization", {}).get("stage", 0)
