"""The model in training: loading the base, adapters beside it, and its DeepSpeed engine."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.models.packed.engine import (
    attention_name,
    choose_execution,
    pack_model,
    refuse_longer,
    restore,
)
from instruct_scaling.models.packed.execution import PackedExecution
from instruct_scaling.models.packed.tuning import apply_tuning
from instruct_scaling.training.distributed import seed_everything
from instruct_scaling.training.memory import zero_stage

log = logging.getLogger(__name__)

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Configuration, weights and tokenizer of a transformers model; `base.json` describes them.
BASE_PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
DESCRIPTION = "base.json"


@dataclass(frozen=True)
class TunedModel:
    """The model in training. `adapter` is PEFT's view of `module` when adapters are trained;
    `packed` is how its rows are run, `attention` what train.json says of it."""

    module: nn.Module
    adapter: Any | None
    attention: str
    parameters: int
    trainable: int
    packed: PackedExecution = field(default_factory=PackedExecution)

    @property
    def head_trained(self) -> bool:
        """Whether the output layer is trained."""
        return self.module.get_output_embeddings().weight.requires_grad


def base_hashes(base: Path) -> dict[str, str]:
    """`base/FILE` -> SHA-256 of each file that decides weights, tokens or answers."""
    files = {path for pattern in BASE_PATTERNS for path in base.glob(pattern)}
    chosen = sorted(path for path in files if path.name != DESCRIPTION)
    return {f"base/{path.name}": sha256_file(path) for path in chosen}


def read_config(base: Path) -> Any:
    """The base's transformers configuration.

    Raises:
        InputError: the folder is missing, is no model folder, or holds more than a language model.
    """
    from transformers import AutoConfig

    if not (base / "config.json").is_file():
        raise InputError("no model here (config.json is missing)", where=base)
    try:
        config = AutoConfig.from_pretrained(base)
    except (ValueError, OSError) as error:
        raise InputError(f"transformers cannot read this model: {error}", where=base) from error
    if config.get_text_config() is not config:
        raise InputError(
            f"{config.model_type} is a language model inside a larger one (images, sound)",
            where=base,
            fix="save its language model alone as a base, or take a base for text only",
        )
    return config


def load_weights(base: Path, dtype: torch.dtype) -> nn.Module:
    """The model of a folder, safetensors only.

    Raises:
        InputError: transformers cannot load it.
    """
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(
            base, dtype=dtype, use_safetensors=True, trust_remote_code=False
        )
    except (ValueError, OSError) as error:
        raise InputError(f"the model cannot be loaded: {error}", where=base) from error


def load_engine(
    base: Path,
    recipe: Recipe,
    settings: dict[str, Any],
    device: torch.device,
    *,
    attention: str | None = None,
    deterministic: bool = True,
    checkpointing: bool = False,
    seed: int = 0,
) -> tuple[TunedModel, Any]:
    """Load the base into a DeepSpeed engine; all ranks call it together.

    Args:
        base: folder of the base model.
        recipe: tuning, precision, optimizer.
        settings: DeepSpeed's configuration.
        device: of this rank.
        attention: back-end; None takes the best that is installed.
        deterministic: whether its backward pass must repeat bit for bit.
        checkpointing: recompute activations.
        seed: adapters start alike on all ranks; dropout then draws other numbers on each.

    Raises:
        InputError: the base cannot be loaded, or lacks what the recipe names.
    """
    zero3 = announce_zero3(settings)
    seed_everything(seed)
    tuned = prepare_model(base, recipe, device, attention, deterministic, checkpointing)
    seed_everything(seed + distributed.get_rank())
    engine = start_engine(tuned, recipe, settings)
    del zero3
    return tuned, engine


def prepare_model(
    base: Path,
    recipe: Recipe,
    device: torch.device,
    attention: str | None,
    deterministic: bool,
    checkpointing: bool,
) -> TunedModel:
    """Load the base, add adapters, switch to packed rows where the architecture allows it.

    Raises:
        InputError: the base cannot be loaded, or lacks what the recipe names.
    """
    module = load_weights(base, DTYPES[recipe.precision])
    refuse_longer(module.config, recipe.max_length)
    adapter = apply_tuning(module, recipe.tuning)
    packed = choose_execution(
        module,
        device,
        attention=attention,
        deterministic=deterministic,
        neftune_alpha=recipe.neftune_alpha,
    )
    pack_model(module, packed)
    if checkpointing:
        module.gradient_checkpointing_enable({"use_reentrant": False})
    module.train()
    sizes = [(getattr(p, "ds_numel", p.numel()), p.requires_grad) for p in module.parameters()]
    return TunedModel(
        module,
        adapter,
        attention_name(module, packed),
        parameters=sum(size for size, _ in sizes),
        trainable=sum(size for size, grad in sizes if grad),
        packed=packed,
    )


@contextmanager
def stock_classes(tuned: TunedModel) -> Iterator[None]:
    """Give the model its stock classes for the length of the body."""
    restore(tuned.module)
    try:
        yield
    finally:
        pack_model(tuned.module, tuned.packed)


def announce_zero3(settings: dict[str, Any]) -> Any:
    """Make transformers partition weights as it loads them; in force while the object lives."""
    if zero_stage(settings) != 3:
        return None
    from transformers.integrations import HfDeepSpeedConfig

    return HfDeepSpeedConfig(settings)


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]], weight_decay: float
) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: matrices decay, biases and layer norms do not.

    A parameter that ZeRO-3 has partitioned keeps its true shape in `ds_shape`.
    """
    trainable = [parameter for _, parameter in named if parameter.requires_grad]
    matrices = [p for p in trainable if len(getattr(p, "ds_shape", p.shape)) > 1]
    others = [p for p in trainable if len(getattr(p, "ds_shape", p.shape)) <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def start_engine(tuned: TunedModel, recipe: Recipe, config: dict[str, Any]) -> Any:
    """A DeepSpeed engine with AdamW around the tuned model; its gradients are summed in fp32."""
    import deepspeed

    groups = parameter_groups(tuned.module.named_parameters(), recipe.weight_decay)
    offload = "offload_optimizer" in config.get("zero_optimization", {})
    optimizer = adamw(groups, recipe, offload=offload)
    with redirect_stdout(StringIO()):  # its bf16 optimizer of stage 1 prints memory figures
        engine, *_ = deepspeed.initialize(model=tuned.module, optimizer=optimizer, config=config)
    if zero_stage(config) == 0:  # the other stages do it by configuration: memory.fp32_sums
        for parameter in tuned.module.parameters():
            parameter.grad_dtype = torch.float32
    return engine


def adamw(groups: list[dict[str, Any]], recipe: Recipe, *, offload: bool) -> torch.optim.Optimizer:
    """AdamW: DeepSpeed's fused or CPU kernel on a GPU machine that can build it, else torch's."""
    settings = {"lr": recipe.learning_rate, "betas": recipe.betas, "eps": recipe.epsilon}
    if torch.cuda.is_available():
        from deepspeed.ops.adam import DeepSpeedCPUAdam, FusedAdam

        kernel, name = (DeepSpeedCPUAdam, "adamw_mode") if offload else (FusedAdam, "adam_w_mode")
        try:
            return kernel(groups, **settings, **{name: True})
        except Exception as error:  # whatever the compiler says, torch's own gives the same result
            log.warning("%s cannot be built, using torch's AdamW (%s)", kernel.__name__, error)
    # One kernel; the default takes ten times as long for a small model on a CPU.
    return torch.optim.AdamW(groups, **settings, fused=True)
