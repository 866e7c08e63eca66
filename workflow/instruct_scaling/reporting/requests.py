"""What a job asks of a cluster: minutes and memory, as functions of scale, base and attempt.

Too little ends the job, too much makes it wait; a second attempt asks for twice as much. The
figures are those of the plan (`budget`: tokens, peak, MFU) with margins that are stated here.
Where a base's size is not known, the limits are asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from instruct_scaling.config.bases import PretrainedBase, TinyBase
from instruct_scaling.config.runs import Run
from instruct_scaling.config.study import Study
from instruct_scaling.reporting.budget import (
    FLOPS_PER_PARAMETER,
    base_parameters,
    device_hours,
    phase_shares,
    tokens_seen,
)

START_MINUTES = 60  # reading the base, building kernels, saving the model
MARGIN = 2.0  # another machine, other lengths, a busy file system
DECODING_MFU = 0.01  # of the peak, where a model writes token by token
ASSUMED_ITEMS = 2_000  # of an eval set that is neither counted nor assumed
PROCESS_MB = 4_000  # torch, CUDA's context, the examples
LOADING_BYTES = 6  # per weight and rank: the file's tensors and the model's, of 2 to 4 bytes
OPTIMIZER_BYTES = 16  # per weight: gradient, master weight, two moments, where no GPU holds them
TINY_MB = 8_000


@dataclass(frozen=True)
class Limits:
    """What a job may ask for at most: a partition's time, a node's memory."""

    minutes: int
    memory_mb: int


def finetune_minutes(study: Study, run: Run, ranks: int, attempt: int, limits: Limits) -> int:
    """Time limit of a fine-tuning.

    Args:
        ranks: GPUs that train; 0 is counted as one.
    """
    arm = study.arms[run.arm]
    parameters = base_parameters(study.bases[arm.base])
    if parameters is None:
        return limits.minutes
    budget, recipe = study.budget, arm.recipe_at(run.scale)
    seen = tokens_seen(recipe, run.scale, budget.tokens_per_example, phase_shares(arm))
    flops = FLOPS_PER_PARAMETER[recipe.tuning.method] * parameters * seen
    hours = device_hours(flops, budget.device_peak_tflops, budget.mfu) / max(1, ranks)
    return _within(attempt * (START_MINUTES + MARGIN * 60 * hours), limits.minutes)


def finetune_memory(
    study: Study, run: Run, ranks_per_node: int, attempt: int, limits: Limits
) -> int:
    """MB of main memory on each node: every rank reads the base, and one set of optimizer states
    may be there (no GPU, or DeepSpeed's offload)."""
    parameters = base_parameters(study.bases[study.arms[run.arm].base])
    if parameters is None:
        return limits.memory_mb
    ranks = max(1, ranks_per_node)
    megabytes = ranks * PROCESS_MB + parameters * (ranks * LOADING_BYTES + OPTIMIZER_BYTES) / 1e6
    return _within(attempt * max(TINY_MB, megabytes), limits.memory_mb)


def generate_minutes(study: Study, arm: str, attempt: int, limits: Limits) -> int:
    """Time limit of a model's answers to the eval set, on one GPU."""
    parameters = base_parameters(study.bases[study.arms[arm].base])
    if parameters is None:
        return limits.minutes
    budget = study.budget
    tokens = study.generate.max_new_tokens * (budget.eval_items or ASSUMED_ITEMS)
    hours = device_hours(2 * parameters * tokens, budget.device_peak_tflops, DECODING_MFU)
    return _within(attempt * (START_MINUTES + MARGIN * 60 * hours), limits.minutes)


def model_memory(base: TinyBase | PretrainedBase, attempt: int, limits: Limits) -> int:
    """MB of main memory to read, write or run one model."""
    parameters = base_parameters(base)
    if parameters is None:
        return limits.memory_mb
    return _within(attempt * (PROCESS_MB + parameters * LOADING_BYTES / 1e6), limits.memory_mb)


def _within(amount: float, most: int) -> int:
    return min(most, math.ceil(amount))
