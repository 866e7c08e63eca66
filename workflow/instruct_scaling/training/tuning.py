"""Which weights are trained: all, adapters beside frozen ones, all but the embedding, only it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.recipe import (
    EmbeddingTuning,
    FrozenEmbeddingTuning,
    LoraTuning,
    Recipe,
)
from instruct_scaling.training.memory import Sizes


def apply_tuning(module: nn.Module, recipe: Recipe) -> Any | None:
    """Freeze what is not trained, in place; returns PEFT's wrapper where there are adapters."""
    tuning = recipe.tuning
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


def measure(config: Any, recipe: Recipe) -> Sizes:
    """Sizes of a model in training, from its transformers configuration, without memory for it."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config)
        apply_tuning(module, recipe)
    return Sizes(
        parameters=sum(p.numel() for p in module.parameters()),
        trainable=sum(p.numel() for p in module.parameters() if p.requires_grad),
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        vocabulary=config.vocab_size,
        head_trained=module.get_input_embeddings().weight.requires_grad,
        weight_bytes=4 if recipe.precision == "fp32" else 2,
    )
