"""Which weights are trained: all, adapters beside frozen ones, all but the embedding, only it."""

from __future__ import annotations

from typing import Any

from torch import nn

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.recipe import (
    EmbeddingTuning,
    FrozenEmbeddingTuning,
    LoraTuning,
    Tuning,
)


def apply_tuning(module: nn.Module, tuning: Tuning) -> Any | None:
    """Freeze what is not trained, in place; returns PEFT's wrapper where there are adapters."""
    if isinstance(tuning, LoraTuning):
        return _add_adapters(module, tuning)
    if isinstance(tuning, FrozenEmbeddingTuning | EmbeddingTuning):
        only = isinstance(tuning, EmbeddingTuning)
        module.requires_grad_(not only)
        module.get_input_embeddings().requires_grad_(only)
    return None


def _add_adapters(module: nn.Module, tuning: LoraTuning) -> Any:
    """Lay LoRA layers into `module` and freeze the rest.

    Raises:
        InputError: the model has no layer of a target's name.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=tuning.rank,
        lora_alpha=tuning.alpha,
        lora_dropout=tuning.dropout,
        target_modules=list(tuning.targets),
    )
    try:
        return get_peft_model(module, config)
    except ValueError as error:
        raise InputError(
            str(error), where="recipe.tuning.targets", fix="name linear layers of the base"
        ) from error
