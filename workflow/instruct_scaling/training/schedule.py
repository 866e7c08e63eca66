"""The learning rate of each step, and which parameters decay."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from torch import nn

from instruct_scaling.config.recipe import Recipe


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of step `step` (from 0) of `steps`.

    Warm-up rises linearly over ceil(warmup_ratio * steps) steps and reaches the peak at its last
    one; `linear` and `cosine` then fall and would reach 0 one step after the last.
    """
    warmup = math.ceil(recipe.warmup_ratio * steps)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    if recipe.schedule == "linear":
        return recipe.learning_rate * (1 - done)
    if recipe.schedule == "cosine":
        return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    return recipe.learning_rate


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]], weight_decay: float
) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: matrices decay, biases and layer norms do not.

    A parameter that ZeRO-3 has partitioned keeps its true shape in `ds_shape`.
    """
    trainable = [parameter for _, parameter in named if parameter.requires_grad]
    decays = [len(getattr(parameter, "ds_shape", parameter.shape)) > 1 for parameter in trainable]
    groups = [
        {
            "params": [p for p, decay in zip(trainable, decays, strict=True) if decay],
            "weight_decay": weight_decay,
        },
        {
            "params": [p for p, decay in zip(trainable, decays, strict=True) if not decay],
            "weight_decay": 0.0,
        },
    ]
    return [group for group in groups if group["params"]]
