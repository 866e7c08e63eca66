"""One rank of a run, from its inputs to the exported model."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file, write_json
from instruct_scaling.common.provenance import provenance
from instruct_scaling.training.allocator import keep_freed_memory
from instruct_scaling.training.checkpoints import Checkpoints, exclusive_lock, remove_work
from instruct_scaling.training.deepspeed_config import deepspeed_config, zero_stage
from instruct_scaling.training.distributed import (
    destroy_process_group,
    init_distributed,
    run_on_rank_zero,
    silence_warnings,
)
from instruct_scaling.training.examples import (
    Examples,
    encode_records,
    load_examples,
    read_subset,
    write_examples,
)
from instruct_scaling.training.export import export_model, gathered_weights, probe_loss
from instruct_scaling.training.hardware import Costs, gpu_memory
from instruct_scaling.training.intermediate_checkpoints import Snapshots
from instruct_scaling.training.job import Job, Rank
from instruct_scaling.training.loop import RowShape, SaveEvery, Trainer
from instruct_scaling.training.memory import (
    CPU_ROW_TOKENS,
    Machine,
    Setup,
    Sizes,
    choose,
    predict,
)
from instruct_scaling.training.metrics import Progress
from instruct_scaling.training.metrics_logger import MetricsLogger
from instruct_scaling.training.model import (
    Tuned,
    prepare_model,
    read_config,
    read_tokenizer,
    start_engine,
)
from instruct_scaling.training.model_card import model_card
from instruct_scaling.training.order import Order
from instruct_scaling.training.summary import train_summary
from instruct_scaling.training.trackers import Tracker
from instruct_scaling.training.tuning import measure
from instruct_scaling.training.validation import (
    ValidationLoss,
    ValidationSet,
    read_categories,
    validation_summary,
)

log = logging.getLogger(__name__)


def run_rank(job: Job, rank: Rank) -> None:
    """Do this rank's part of the run; rank 0 writes the model and train.json.

    Raises:
        InputError: bad input, or a run that cannot go on.
        Interrupted: asked to stop; a checkpoint was written.
    """
    silence_warnings()
    with exclusive_lock(job.work_root) if rank.is_first else nullcontext():
        _run(job, rank, time.monotonic())
        if rank.is_first:
            remove_work(job.work_root)


def _run(job: Job, rank: Rank, began: float) -> None:
    config = read_config(job.base)
    device = init_distributed(rank)
    if device.type == "cpu":
        keep_freed_memory()
    if job.recipe.precision == "fp16" and device.type == "cpu":
        raise InputError(
            "fp16 needs a GPU", where="recipe.precision", fix="use bf16 or fp32 on a CPU"
        )
    _seed_everything(job.init_seed)
    examples = _shared_examples(job, job.subset, "examples")
    validation = _shared_validation(job)
    loaded = _load(job, rank, device, config, examples.counts.longest)
    tuned, engine = loaded.tuned, loaded.engine
    order = Order.make(examples.ids, examples.lengths, job.order_seed, job.recipe)
    costs = Costs.of(config, tuned.parameters, tuned.trainable, device)
    board = MetricsLogger(
        job.out_train.parent / "tensorboard",
        steps=order.steps,
        ranks=rank.world_size,
        costs=costs,
        silent=not rank.is_first,
        tracker=partial(open_tracker, job) if job.execution.tracking else None,
    )
    shape = RowShape(loaded.setup.row_tokens, fixed=tuned.attention == "flex")
    startup = time.monotonic() - began

    def summarize(progress: Progress) -> dict[str, Any]:
        return train_summary(job, rank, tuned, examples, order, progress, costs, startup, device)

    snapshots = Snapshots(engine, job, tuned, examples, order.steps, summarize)
    callbacks: list[Callable[[Progress], None]] = [snapshots]
    if validation is not None:
        evaluations = job.watched.evaluations
        callbacks.append(ValidationLoss(engine, validation, order.steps, evaluations, shape, board))
    trainer = Trainer(
        engine,
        examples,
        order,
        job.recipe,
        shape,
        SaveEvery(job.execution.save_minutes, job.execution.save_steps),
        Checkpoints(job.work / "checkpoints", frozen=tuned.trainable < tuned.parameters),
        board,
        callbacks,
    )
    progress = trainer.run()
    summary = summarize(progress)
    summary["validation"] = validation_summary(validation, progress)
    summary["intermediate"] = progress.intermediate
    summary["execution"] |= loaded.summary(rank.world_size)
    _export(job, engine, tuned, examples, summary, snapshots)


@dataclass(frozen=True)
class Loaded:
    """The model in its engine, and how it was set up."""

    tuned: Tuned
    engine: Any
    sizes: Sizes
    setup: Setup
    settings: dict[str, Any]

    def summary(self, ranks: int) -> dict[str, Any]:
        """What train.json says of the set-up; the prediction is for GPUs only."""
        memory = gpu_memory()
        predicted = predict(self.sizes, Machine(ranks, memory), self.setup) if memory else None
        return {
            "setup": str(self.setup),
            "deepspeed": self.settings,
            "predicted_memory_bytes": predicted,
        }


def _load(job: Job, rank: Rank, device: torch.device, config: Any, longest: int) -> Loaded:
    """Choose a set-up for examples of up to `longest` tokens, and load the base into it."""
    sizes = measure(config, job.recipe)
    setup = choose_setup(job, sizes, rank.world_size, longest)
    settings = deepspeed_config(job.recipe, setup, rank.world_size, sizes.parameters)
    zero3 = announce_zero3(settings)
    tuned = prepare_model(
        job.base, job.recipe, device, job.execution.attention, setup.checkpointing
    )
    # Adapters start alike on all ranks; dropout then differs.
    _seed_everything(job.init_seed + rank.rank)
    engine = start_engine(tuned, job.recipe, settings)
    del zero3
    return Loaded(tuned, engine, sizes, setup, settings)


def open_tracker(job: Job) -> Tracker:
    """The run in the study's tracker, under its place in the study."""
    assert job.execution.tracking is not None
    keys = ("study", "arm", "scale", "seed")
    place = "-".join(str(job.identity[key]) for key in keys if key in job.identity)
    return Tracker(
        job.execution.tracking,
        name=place or job.out_train.parent.name,
        key=job.key,
        config=job.recipe.model_dump(mode="json"),
        folder=job.out_train.parent,
    )


def choose_setup(job: Job, sizes: Sizes, ranks: int, longest: int) -> Setup:
    """The set-up by memory, with what the execution options or the user's own DeepSpeed
    configuration fix.

    Raises:
        InputError: nothing fits.
    """
    recipe, options = job.recipe, job.execution
    stage = None if recipe.zero_stage == "auto" else recipe.zero_stage
    machine = Machine(ranks, gpu_memory())
    if recipe.deepspeed != "auto":
        setup = Setup(zero_stage(recipe.deepspeed), max(CPU_ROW_TOKENS, longest))
    else:
        setup = choose(sizes, machine, stage=stage, longest=longest)
    if options.row_tokens is not None:
        setup = replace(setup, row_tokens=options.row_tokens)
    if options.checkpointing is not None:
        setup = replace(setup, checkpointing=options.checkpointing)
    if distributed.get_rank() == 0:
        log.info("set-up: %s", setup)
        if machine.gpu_bytes is not None:
            parts = predict(sizes, machine, setup)
            log.info(
                "predicted memory of each GPU: %s",
                ", ".join(f"{name} {size / 1e9:.1f} GB" for name, size in parts.items()),
            )
    return setup


def _seed_everything(seed: int) -> None:
    """Seed every generator that a library may draw from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _shared_examples(job: Job, chosen: Path, name: str) -> Examples:
    """Rank 0 tokenizes the chosen records once, into the work folder; all ranks map the result."""
    folder = job.work / name

    def tokenize() -> None:
        if folder.exists():
            return
        records = read_subset(job.records, chosen)
        encoded = encode_records(
            records, read_tokenizer(job.base), job.template, job.recipe.max_length
        )
        write_examples(folder, [record.id for record in records], encoded)

    run_on_rank_zero(tokenize)
    return load_examples(folder)


def _shared_validation(job: Job) -> ValidationSet | None:
    path = job.watched.validation
    if path is None:
        return None
    sha256 = sha256_file(path)
    examples = _shared_examples(job, path, f"validation-{sha256[:16]}")
    return ValidationSet(examples, read_categories(path), sha256)


def announce_zero3(settings: dict[str, Any]) -> Any:
    """Tell transformers to partition weights as it loads them; alive while the object is."""
    if zero_stage(settings) != 3:
        return None
    from transformers.integrations import HfDeepSpeedConfig

    return HfDeepSpeedConfig(settings)


def _export(
    job: Job,
    engine: Any,
    tuned: Tuned,
    examples: Examples,
    summary: dict[str, Any],
    snapshots: Snapshots,
) -> None:
    """Export the finished model, and put the snapshots beside it."""
    expected = probe_loss(engine, examples)
    weights = gathered_weights(engine, trainable_only=tuned.adapter is not None)

    def write() -> None:
        assert weights is not None
        inputs = {"base": sha256_file(job.base), "subset": summary["data"]["subset_sha256"]}
        summary["provenance"] = provenance("finetune", job.identity, inputs)
        card = model_card(job, summary["provenance"], summary)
        found = export_model(job.out_model, job, tuned, weights, examples, expected, card)
        snapshots.publish()
        summary["export"] = {"probe_loss": expected, "reloaded_probe_loss": found}
        write_json(job.out_train, summary)

    run_on_rank_zero(write)
    destroy_process_group()
