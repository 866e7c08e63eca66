"""How much memory a set-up takes on each GPU, the fastest set-up that fits, and its DeepSpeed
configuration.

Every figure is arithmetic on sizes, in bytes, for one GPU; N weights, T of them trained, W GPUs:

weights      2 N (bf16, fp16), 4 N (fp32); ZeRO-3 holds 1/W and gathers the largest layer whole
states       16 T: fp32 gradient, master weights and two moments; ZeRO 1 shares out all but the
             gradient (of which it has 2 T more), ZeRO 2 and 3 all of it; with the optimizer on the
             CPU the gradient stays in ZeRO-2
step         what the optimizer step adds at its peak, over W as the states are: 4 T, of a
             sub-group alone where ZeRO-3 has small ones; none on the CPU
buckets      2 bytes for each gradient on its way, at most 2e8 of them, and 4 more where it goes
             between ranks, which is in fp32; in ZeRO-3 the bucket itself is in that type: 4
activations  32 width bytes for each token of a row and layer (what BLOOM's block saves for its
             backward pass: two layer-norm inputs and outputs, query-key-value, attention output,
             and 4 width twice in the MLP); recomputed: 2 width a layer, and one layer's 32 width
head         the fp32 gradient of the embedding and its 16-bit copies (8 bytes a weight), where
             it is trained, and two chunks of fp32 logits
overhead     1.5 GB for CUDA itself, and 5% for gaps between blocks

The peak is weights + states + buckets + overhead and the larger of `step` and `activations` +
`head`, which are never there together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from instruct_scaling.common.errors import InputError
from instruct_scaling.models.packed.head import GPU_CHUNK_BYTES

if TYPE_CHECKING:  # the benchmark on a GPU has no pydantic
    from instruct_scaling.config.execution import Execution
    from instruct_scaling.config.recipe import Precision, Recipe

SUB_GROUP_ELEMENTS = 100_000_000
BUCKET_ELEMENTS = 200_000_000  # DeepSpeed's default of 5e8 reserves 2 GB even for a tiny model
CPU_ROW_TOKENS = (4096, 2048, 1024)
CPU_ROW_BYTES = 2e9  # of a row's activations on a CPU, where every rank has rows of its own
GPU_ROW_TOKENS = (8192, 4096, 2048)  # longer rows keep a GPU busier
GAPS = 1.05
CUDA_BYTES = 1.5e9
USABLE = 0.97  # of a GPU's memory


@dataclass(frozen=True)
class Sizes:
    """What is trained. `head_trained` says whether the embedding is."""

    parameters: int
    trainable: int
    layers: int
    width: int
    vocabulary: int
    head_trained: bool = True
    weight_bytes: int = 2


@dataclass(frozen=True)
class Machine:
    """Where it is trained; `gpu_bytes` is the memory of each GPU, None on a CPU."""

    gpus: int
    gpu_bytes: float | None


@dataclass(frozen=True)
class Setup:
    """How it is trained: ZeRO stage, its sub-groups, where the optimizer lives, rows."""

    stage: int
    row_tokens: int
    checkpointing: bool = False
    sub_groups: bool = False
    offload: bool = False

    def __str__(self) -> str:
        parts = [f"ZeRO-{self.stage}", f"rows of {self.row_tokens} tokens"]
        parts += ["small sub-groups"] * self.sub_groups
        parts += ["optimizer on the CPU"] * self.offload
        parts += ["recomputed activations"] * self.checkpointing
        return ", ".join(parts)


def measure(config: Any, recipe: Recipe) -> Sizes:
    """Sizes of a model in training, from its transformers configuration, without memory for it."""
    from transformers import AutoModelForCausalLM

    from instruct_scaling.models.packed.tuning import apply_tuning

    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config)
        apply_tuning(module, recipe.tuning)
    return Sizes(
        parameters=sum(p.numel() for p in module.parameters()),
        trainable=sum(p.numel() for p in module.parameters() if p.requires_grad),
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        vocabulary=config.vocab_size,
        head_trained=module.get_input_embeddings().weight.requires_grad,
        weight_bytes=4 if recipe.precision == "fp32" else 2,
    )


def predict(sizes: Sizes, machine: Machine, setup: Setup) -> dict[str, float]:
    """Bytes on each GPU by part (see the module's text), and their peak as `total`."""
    share = 1 / machine.gpus
    largest = sizes.vocabulary * sizes.width
    weights = float(sizes.weight_bytes * sizes.parameters)
    if setup.stage == 3:
        weights = weights * share + sizes.weight_bytes * largest * (machine.gpus > 1)
    block = 32.0 * sizes.width * setup.row_tokens
    saved = 2.0 * sizes.width * setup.row_tokens * sizes.layers + block
    parts = {
        "weights": weights,
        **_optimizer(sizes.trainable, setup, share),
        "buckets": _bucket_bytes(setup.stage, machine.gpus) * min(BUCKET_ELEMENTS, sizes.trainable),
        "activations": saved if setup.checkpointing else block * sizes.layers,
        "head": 8.0 * largest * sizes.head_trained + 2.0 * GPU_CHUNK_BYTES,
    }
    peak = parts["weights"] + parts["states"] + parts["buckets"]
    peak += max(parts["step"], parts["activations"] + parts["head"])
    overhead = CUDA_BYTES + (GAPS - 1) * peak
    return {**parts, "overhead": overhead, "total": peak + overhead}


def _bucket_bytes(stage: int, ranks: int) -> float:
    """Bytes for each 16-bit gradient on its way: in its bucket, and in fp32 between ranks."""
    if ranks == 1:
        return 2.0
    return 4.0 if stage == 3 else 6.0


def _optimizer(trainable: int, setup: Setup, share: float) -> dict[str, float]:
    """Bytes of gradients, master weights and moments, and what the step adds to them."""
    if setup.offload:  # ZeRO-3 sums its gradients on the CPU too
        return {"states": 4.0 * trainable * share * (setup.stage < 3), "step": 0.0}
    if setup.stage == 3:
        step = 0.1 if setup.sub_groups else 4.0
        return {"states": 16.0 * trainable * share, "step": step * trainable * share}
    # DeepSpeed's bf16 optimizer of stage 1 also keeps the last row's gradient.
    whole, shared = {0: (16.0, 0.0), 1: (6.0, 12.0), 2: (0.0, 16.0)}[setup.stage]
    states = trainable * (whole + shared * share)
    return {"states": states, "step": 4.0 * trainable * (share if setup.stage else 1.0)}


def cpu_peak(sizes: Sizes, setup: Setup, *, ranks: int, passes: int) -> dict[str, float]:
    """Bytes of each rank on a CPU by part, and their peak as `total`: ZeRO-2 in fp32. `buckets` are
    the gradients of the last pass, in their bucket and in this rank's share, beside the sum.

    Args:
        sizes: of the model.
        setup: stage 2.
        ranks: data-parallel ranks.
        passes: what a row's forward and backward pass take, with the bucket, by
            `pass_memory.pass_bytes`.
    """
    parts = {
        "weights": float(sizes.weight_bytes * sizes.parameters),
        **_optimizer(sizes.trainable, setup, 1 / ranks),
        "buckets": sizes.weight_bytes
        * (min(BUCKET_ELEMENTS, sizes.trainable) + sizes.trainable / ranks),
        "passes": float(passes),
    }
    peak = parts["weights"] + parts["states"] + max(parts["step"], parts["buckets"], passes)
    return {**parts, "total": peak}


def fits(sizes: Sizes, machine: Machine, setup: Setup) -> bool:
    """Whether the predicted peak leaves a little of a GPU's memory free."""
    assert machine.gpu_bytes is not None
    return predict(sizes, machine, setup)["total"] <= USABLE * machine.gpu_bytes


def candidates(stage: int | None, longest: int) -> list[Setup]:
    """Set-ups from the fastest to the most frugal one.

    A higher stage costs communication, recomputing a third more work, the CPU's optimizer most
    of all; short rows come before each of these is given up.

    Args:
        stage: fixed ZeRO stage, or None for any.
        longest: tokens of the longest example, which a row has to hold.
    """
    rows = [tokens for tokens in GPU_ROW_TOKENS if tokens >= longest] or [longest]
    memory = [(2, False, False), (3, False, False), (3, True, False), (3, True, True)]
    if stage in (0, 1):
        memory = [(stage, False, False)]
    elif stage == 2:
        memory = [(2, False, False), (2, False, True)]
    elif stage == 3:
        memory = memory[1:]
    return [
        Setup(zero, tokens, recompute, groups, offload)
        for (zero, groups, offload), recompute, tokens in product(memory, (False, True), rows)
    ]


def choose(sizes: Sizes, machine: Machine, *, stage: int | None, longest: int) -> Setup:
    """The first candidate that fits; on a CPU always ZeRO-2 (or `stage`) with long rows.

    Raises:
        InputError: nothing fits; it names the nearest machine or method that would.
    """
    if machine.gpu_bytes is None:
        return Setup(2 if stage is None else stage, cpu_row_tokens(sizes, longest))
    for setup in candidates(stage, longest):
        if fits(sizes, machine, setup):
            return setup
    smallest = min(candidates(stage, longest), key=lambda s: predict(sizes, machine, s)["total"])
    needed = predict(sizes, machine, smallest)["total"]
    raise InputError(
        f"tuning {sizes.trainable / 1e9:.2f} of {sizes.parameters / 1e9:.2f} billion weights "
        f"needs {needed / 1e9:.0f} GB on each of {machine.gpus} GPUs ({smallest}); there are "
        f"{machine.gpu_bytes / 1e9:.0f} GB",
        where="recipe",
        fix=nearest(sizes, machine, stage=stage, longest=longest),
    )


def cpu_row_tokens(sizes: Sizes, longest: int) -> int:
    """Tokens of a row on a CPU: as many as `CPU_ROW_BYTES` of activations allow, and the longest
    example in any case."""
    token = 16.0 * sizes.weight_bytes * sizes.width * sizes.layers
    fitting = [tokens for tokens in CPU_ROW_TOKENS if tokens * token <= CPU_ROW_BYTES]
    return max(longest, next(iter(fitting), CPU_ROW_TOKENS[-1]))


def nearest(sizes: Sizes, machine: Machine, *, stage: int | None, longest: int) -> str:
    """What would fit: another stage, more of the same GPUs, a larger GPU, or adapters."""
    changes = []
    if stage is not None:
        free = next((s for s in candidates(None, longest) if fits(sizes, machine, s)), None)
        if free:
            changes.append(f"set recipe.zero_stage to auto ({free})")
    for gpus in (2, 4, 8, 16, 32, 64):
        more = replace(machine, gpus=gpus)
        setup = next((s for s in candidates(stage, longest) if fits(sizes, more, s)), None)
        if gpus > machine.gpus and setup:
            changes.append(f"use {gpus} such GPUs ({setup})")
            break
    low_rank = replace(sizes, trainable=max(1, sizes.parameters // 400), head_trained=False)
    if sizes.trainable > low_rank.trainable:
        setup = next((s for s in candidates(stage, longest) if fits(low_rank, machine, s)), None)
        if setup:
            changes.append(f"set recipe.tuning to lora ({setup})")
    return "; or ".join(changes) or "use a smaller base or a lower recipe.max_length"


def choose_setup(
    recipe: Recipe, execution: Execution, sizes: Sizes, machine: Machine, longest: int
) -> Setup:
    """The set-up by memory, with what the execution options or the user's own DeepSpeed
    configuration fix; `longest` is the number of tokens of the longest example.

    Raises:
        InputError: nothing fits.
    """
    if recipe.deepspeed != "auto":
        setup = Setup(zero_stage(recipe.deepspeed), cpu_row_tokens(sizes, longest))
    else:
        stage = None if recipe.zero_stage == "auto" else recipe.zero_stage
        setup = choose(sizes, machine, stage=stage, longest=longest)
    if execution.row_tokens is not None:
        setup = replace(setup, row_tokens=execution.row_tokens)
    if execution.checkpointing is not None:
        setup = replace(setup, checkpointing=execution.checkpointing)
    return setup


def deepspeed_config(recipe: Recipe, setup: Setup, ranks: int, sizes: Sizes) -> dict[str, Any]:
    """DeepSpeed's configuration for a recipe, or the user's own, completed.

    Accumulation is driven by the training loop (rows per step vary): DeepSpeed is configured for
    one micro-batch per step and given the boundaries by the loop. Precision and clipping are the
    recipe's in either case; the recipe refuses a user's configuration that contradicts them.

    Args:
        recipe: precision, clipping, and the user's own configuration.
        setup: stage, sub-groups and offload.
        ranks: data-parallel ranks.
        sizes: of the model; they bound the communication buckets.
    """
    own = {} if recipe.deepspeed == "auto" else recipe.deepspeed
    precisions = ("fp16", "bf16", "bfloat16")  # DeepSpeed takes both names of the latter
    config: dict[str, Any] = {
        "zero_optimization": {"stage": 0} if own else zero_section(setup, sizes),
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 2**31,
        "wall_clock_breakdown": False,
        **fp32_sums(recipe.precision, setup.stage, ranks),
        **{key: value for key, value in own.items() if key not in precisions},
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "train_batch_size": ranks,
        "gradient_clipping": recipe.max_grad_norm,
    }
    if recipe.precision == "bf16":
        config["bf16"] = {**own.get("bfloat16", {}), **own.get("bf16", {}), "enabled": True}
    if recipe.precision == "fp16":
        scaling = {"loss_scale": 0, "initial_scale_power": 16}
        config["fp16"] = {**scaling, **own.get("fp16", {}), "enabled": True}
    return config


def fp32_sums(precision: Precision, stage: int, ranks: int) -> dict[str, Any]:
    """DeepSpeed's settings with which 16-bit gradients are summed in fp32, over rows and ranks.

    Stage 0 refuses the first one; there the gradients themselves are fp32 (`start_engine`). Stages
    0 and 1 round the sum to the type of communication, even of a single rank.

    Args:
        precision: of the weights.
        stage: of ZeRO.
        ranks: data-parallel ranks.
    """
    if precision == "fp32":
        return {}
    settings: dict[str, Any] = {} if stage == 0 else {"data_types": {"grad_accum_dtype": "fp32"}}
    if ranks > 1 or stage < 2:
        settings["communication_data_type"] = "fp32"
    return settings


def zero_section(setup: Setup, sizes: Sizes) -> dict[str, Any]:
    """The `zero_optimization` section of a set-up."""
    bucket = min(BUCKET_ELEMENTS, sizes.parameters)
    zero: dict[str, Any] = {
        "stage": setup.stage,
        "reduce_bucket_size": min(BUCKET_ELEMENTS, sizes.trainable),
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
