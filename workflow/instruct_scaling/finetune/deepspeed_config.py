"""The DeepSpeed configuration of a run."""

from __future__ import annotations

from typing import Any

from instruct_scaling.config.recipe import Recipe

BUCKET_ELEMENTS = 200_000_000  # DeepSpeed's default of 5e8 reserves 2 GB even for a tiny model


def deepspeed_config(recipe: Recipe, ranks: int, parameters: int) -> dict[str, Any]:
    """DeepSpeed's configuration for a recipe.

    Accumulation is driven by the training loop (rows per step vary), so DeepSpeed is told of one
    micro-batch per step and given its boundaries by hand.

    Args:
        recipe: precision, clipping and ZeRO stage.
        ranks: data-parallel ranks.
        parameters: of the whole model; bounds the communication buckets.
    """
    bucket = min(BUCKET_ELEMENTS, max(parameters, 1))
    zero: dict[str, Any] = {
        "stage": recipe.zero_stage,
        "reduce_bucket_size": bucket,
        "allgather_bucket_size": bucket,
    }
    if recipe.zero_stage == 3:
        zero |= {
            "stage3_prefetch_bucket_size": bucket,
            "stage3_param_persistence_threshold": 100_000,
            "stage3_gather_16bit_weights_on_model_save": True,
        }
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "train_batch_size": ranks,
        "gradient_clipping": recipe.max_grad_norm,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 2**31,
        "wall_clock_breakdown": False,
    }
    if recipe.precision == "bf16":
        config["bf16"] = {"enabled": True}
        config["data_types"] = {"grad_accum_dtype": "fp32"}
    return config
