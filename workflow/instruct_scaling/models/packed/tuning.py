"""Which weights are trained: all, adapters beside frozen ones, all but the embedding, only it."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.recipe import (
    EmbeddingTuning,
    FrozenEmbeddingTuning,
    LoraTuning,
    Tuning,
)

ALL_LINEAR = "all-linear"


def apply_tuning(module: nn.Module, tuning: Tuning) -> Any | None:
    """Freeze what is not trained, in place; returns PEFT's wrapper where there are adapters."""
    if isinstance(tuning, LoraTuning):
        return _add_adapters(module, tuning)
    if isinstance(tuning, FrozenEmbeddingTuning | EmbeddingTuning):
        only = isinstance(tuning, EmbeddingTuning)
        module.requires_grad_(not only)
        module.get_input_embeddings().requires_grad_(only)
        module.get_output_embeddings().requires_grad_(only)
    return None


def linear_names(module: nn.Module) -> list[str]:
    """The names that linear layers have, without the output layer's; sorted, each once."""
    head = module.get_output_embeddings()
    return sorted(
        {
            name.rpartition(".")[2]
            for name, part in module.named_modules()
            if isinstance(part, nn.Linear | Conv1D) and part is not head
        }
    )


def _add_adapters(module: nn.Module, tuning: LoraTuning) -> Any:
    """Lay LoRA layers into `module` and freeze the rest.

    Raises:
        InputError: the model has no linear layer of a target's name.
    """
    from peft import LoraConfig, get_peft_model

    known = linear_names(module)
    targets = known if tuning.targets == ALL_LINEAR else sorted(tuning.targets)
    missing = [name for name in targets if name.rpartition(".")[2] not in known]
    if missing or not targets:
        raise InputError(
            f"the base has no linear layer named {', '.join(missing) or 'by recipe.tuning.targets'}"
            "; the output layer takes no adapter",
            where="recipe.tuning.targets",
            fix=f"take names of {', '.join(known)}, or {ALL_LINEAR}",
        )
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=tuning.rank,
        lora_alpha=tuning.alpha,
        lora_dropout=tuning.dropout,
        target_modules=targets,
        fan_in_fan_out=_transposed(module, targets),
    )
    try:
        return get_peft_model(module, config)
    except ValueError as error:
        raise InputError(
            str(error), where="recipe.tuning.targets", fix="name linear layers of the base"
        ) from error


def _transposed(module: nn.Module, targets: list[str]) -> bool:
    """Whether the targets hold their weights as [in, out], as GPT-2 does."""
    ends = {name.rpartition(".")[2] for name in targets}
    return any(
        isinstance(part, Conv1D) and name.rpartition(".")[2] in ends
        for name, part in module.named_modules()
    )
