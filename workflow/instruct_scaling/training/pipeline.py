"""What each rank of a run does, from top to bottom: inputs, examples, model, loop, export."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import distributed

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file, write_json
from instruct_scaling.common.provenance import identity_hash, provenance
from instruct_scaling.common.versions import STAGE_VERSIONS
from instruct_scaling.config.execution import Execution
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.config.study import Tracking
from instruct_scaling.data.tokens.store import TokenStore
from instruct_scaling.training.checkpoints import (
    Checkpoints,
    SaveEvery,
    checkpoint_layout,
    remove_work,
)
from instruct_scaling.training.distributed import (
    Rank,
    destroy_process_group,
    gather,
    init_distributed,
    rank_process,
    run_on_rank_zero,
    silence_warnings,
)
from instruct_scaling.training.examples import find_examples, fitting_store, subset_examples
from instruct_scaling.training.export import (
    Exporter,
    cost_summary,
    device_name,
    model_card,
    train_summary,
)
from instruct_scaling.training.intermediate_checkpoints import Snapshots
from instruct_scaling.training.loop import RowShape, Trainer
from instruct_scaling.training.memory import (
    Machine,
    Setup,
    choose_setup,
    deepspeed_config,
    measure,
    predict,
)
from instruct_scaling.training.metrics import (
    FlopCounter,
    MetricsLogger,
    Progress,
    Stopwatch,
    gpu_memory,
    open_wandb,
    peak_memory_bytes,
)
from instruct_scaling.training.model import base_hashes, load_engine, read_config
from instruct_scaling.training.order import Order
from instruct_scaling.training.run_lock import exclusive_lock
from instruct_scaling.training.validation import (
    ValidationLoss,
    ValidationSet,
    read_categories,
    validation_summary,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """What decides the weights of a run, and where it comes from in the study (`identity`)."""

    base: Path
    tokens: Path
    subset: Path
    recipe: Recipe
    template: str
    order_seed: int
    init_seed: int
    identity: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outputs:
    """What a run writes. Work in progress lies in a folder of `work` that the run's key names:
    what an edited recipe or base left behind lies beside it."""

    model: Path
    train: Path
    work: Path


@dataclass(frozen=True)
class Observation:
    """What is measured and kept during a run; it changes no weight and is no part of the key."""

    validation: Path | None = None  # validation_set.parquet
    evaluations: int = 4
    snapshots: dict[int, Path] = field(default_factory=dict)  # percent of the steps -> model folder
    tracking: Tracking | None = None


def run_rank(
    inputs: Inputs, outputs: Outputs, observation: Observation, execution: Execution
) -> None:
    """Be one rank of a run; rank 0 writes the model and train.json.

    Raises:
        InputError: bad input, or a run that cannot go on.
        Interrupted: stopped by a signal; a checkpoint was written.
    """
    clock = Stopwatch(already=time.time() - psutil.Process().create_time())
    rank = Rank.from_environment()
    with rank_process(rank, outputs.work), ExitStack() as stack:
        silence_warnings()
        device = init_distributed(rank)
        run_on_rank_zero(lambda: stack.enter_context(exclusive_lock(outputs.work)))
        tune(inputs, outputs, observation, execution, device, clock)
        destroy_process_group()
        if rank.is_first:
            remove_work(outputs.work)


def tune(
    inputs: Inputs,
    outputs: Outputs,
    observation: Observation,
    execution: Execution,
    device: torch.device,
    clock: Stopwatch,
) -> None:
    """The pipeline; all ranks of the process group call it together.

    Raises:
        InputError: bad input, or a run that cannot go on.
        Interrupted: stopped by a signal; a checkpoint was written.
    """
    base, recipe, ranks = inputs.base, inputs.recipe, distributed.get_world_size()
    if recipe.precision == "fp16" and device.type == "cpu":
        raise InputError("fp16 needs a GPU", where="recipe.precision", fix="set bf16 or fp32")

    # Inputs
    config = read_config(base)
    hashes = run_on_rank_zero(lambda: base_hashes(base) | {"subset": sha256_file(inputs.subset)})

    # Examples
    store = fitting_store(inputs.tokens, base, inputs.template, recipe.max_length, recipe.supervise)
    examples = subset_examples(store, inputs.subset)
    validation = validation_examples(store, observation.validation)
    order = Order.make(examples, inputs.order_seed, recipe)
    key = run_key(inputs, hashes, examples.digest)
    work = outputs.work / key
    clock.lap("startup")

    # Model
    sizes, machine = measure(config, recipe), Machine(ranks, gpu_memory())
    setup = choose_setup(recipe, execution, sizes, machine, examples.counts.longest)
    settings = deepspeed_config(recipe, setup, ranks, sizes)
    predicted = predict(sizes, machine, setup) if machine.gpu_bytes else None
    log_setup(setup, predicted)
    tuned, engine = load_engine(
        base,
        recipe,
        settings,
        device,
        attention=execution.attention,
        deterministic=execution.deterministic,
        checkpointing=setup.checkpointing,
        seed=inputs.init_seed,
    )

    # Loop
    flops = FlopCounter.of(config, tuned, device)
    logger = MetricsLogger(
        outputs.train.parent / "tensorboard",
        steps=order.steps,
        ranks=ranks,
        flops=flops,
        silent=distributed.get_rank() > 0,
        open_tracker=partial(open_tracker, inputs, outputs, observation.tracking, key),
    )

    def card(progress: Progress, percent: int | None = None, note: str = "") -> str:
        summary = train_summary(base_name(inputs), hashes, examples, tuned, progress)
        identity = inputs.identity | ({"intermediate_percent": percent} if percent else {})
        origin = provenance("finetune", identity, hashes)
        return model_card(summary, origin, recipe, inputs.template, note)

    shape = RowShape(setup.row_tokens, fixed=tuned.attention == "flex")
    exporter = Exporter(engine, tuned, base, recipe, inputs.template, examples)
    staging = work / "intermediate"
    snapshots = Snapshots(observation.snapshots, order.steps, staging, exporter, card, clock)
    callbacks: list[Callable[[Progress], None]] = [snapshots]
    if validation is not None:
        times = observation.evaluations
        loss = ValidationLoss(engine, validation, order.steps, times, shape, logger, clock)
        callbacks.append(loss)
    trainer = Trainer(
        engine,
        examples,
        order,
        recipe,
        shape,
        SaveEvery(execution.save_minutes, execution.save_steps),
        Checkpoints(
            work / "checkpoints",
            checkpoint_layout(settings, ranks),
            frozen=tuned.trainable < tuned.parameters,
        ),
        logger,
        clock,
        callbacks,
    )
    progress = trainer.run()

    # Export
    memory = gather(peak_memory_bytes())
    losses = exporter.write(outputs.model, lambda: card(progress))
    clock.lap("export")

    def finish() -> None:
        snapshots.publish()
        summary = train_summary(base_name(inputs), hashes, examples, tuned, progress)
        summary |= cost_summary(progress, flops, memory, device)
        summary["validation"] = validation_summary(validation, progress)
        summary["intermediate"] = progress.intermediate
        summary["export"] = losses
        summary["execution"] = {
            "ranks": ranks,
            "device": device_name(device),
            "threads_per_rank": torch.get_num_threads(),
            "rows": progress.rows,
            "attention": tuned.attention,
            "starts": progress.starts,
            "setup": str(setup),
            "deepspeed": settings,
            "predicted_memory_bytes": predicted,
        }
        summary["provenance"] = provenance("finetune", inputs.identity, hashes)
        write_json(outputs.train, summary)

    run_on_rank_zero(finish)


def run_key(inputs: Inputs, hashes: dict[str, str], examples: str) -> str:
    """Hash of everything that decides the weights; work in progress belongs to one key.

    The token store is not part of it: what of it a run sees is decided by the base's tokenizer,
    the recipe, the template, the version of the stage tokens, and the ids of the subset. So a pool
    that grows leaves the key as it was.

    Args:
        inputs: recipe, template and seeds.
        hashes: SHA-256 of each file of the base and of the subset, of which the base's count.
        examples: `Examples.digest` of the subset.
    """
    return identity_hash(
        {
            "stage_version": [STAGE_VERSIONS["tokens"], STAGE_VERSIONS["finetune"]],
            "inputs": hashes | {"subset": examples},
            "recipe": inputs.recipe.identity(),
            "template": inputs.template,
            "order_seed": inputs.order_seed,
            "init_seed": inputs.init_seed,
        }
    )


def validation_examples(store: TokenStore, path: Path | None) -> ValidationSet | None:
    """The validation records as rows of the store; None where the pool keeps none."""
    if path is None:
        return None
    return ValidationSet(find_examples(store, path), read_categories(path), sha256_file(path))


def log_setup(setup: Setup, predicted: dict[str, float] | None) -> None:
    """Print the set-up, and the memory that it is predicted to take on each GPU."""
    if distributed.get_rank() > 0:
        return
    log.info("set-up: %s", setup)
    if predicted is not None:
        parts = ", ".join(f"{name} {size / 1e9:.1f} GB" for name, size in predicted.items())
        log.info("predicted memory of each GPU: %s", parts)


def base_name(inputs: Inputs) -> str:
    """Name of the base in the study; of its folder outside of one."""
    return str(inputs.identity.get("base", inputs.base.name))


def open_tracker(inputs: Inputs, outputs: Outputs, tracking: Tracking | None, key: str) -> Any:
    """The run in the study's tracker, under its position in the study; None without a tracker."""
    if tracking is None:
        return None
    keys = ("study", "arm", "scale", "seed")
    name = "-".join(str(inputs.identity[key]) for key in keys if key in inputs.identity)
    folder = outputs.train.parent
    config = inputs.recipe.identity()
    return open_wandb(
        tracking.project, name=name or folder.name, key=key, config=config, folder=folder
    )
