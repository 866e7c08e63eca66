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

from instruct_scaling.errors import InputError
from instruct_scaling.files import sha256_file, write_json
from instruct_scaling.finetune.allocator import keep_freed_memory
from instruct_scaling.finetune.along import Snapshots
from instruct_scaling.finetune.board import Board
from instruct_scaling.finetune.card import model_card
from instruct_scaling.finetune.checkpoint import Checkpoints, only_one, remove_work
from instruct_scaling.finetune.deepspeed_config import deepspeed_config, zero_stage
from instruct_scaling.finetune.examples import (
    Examples,
    encode_records,
    load_examples,
    read_subset,
    write_examples,
)
from instruct_scaling.finetune.export import export_model, gathered_weights, probe_loss
from instruct_scaling.finetune.hardware import Costs, gpu_memory
from instruct_scaling.finetune.heldout import (
    HeldoutLoss,
    HeldoutRecords,
    heldout_summary,
    read_categories,
)
from instruct_scaling.finetune.job import Job, Rank
from instruct_scaling.finetune.memory import (
    CPU_ROW_TOKENS,
    Machine,
    Setup,
    Sizes,
    choose,
    predict,
)
from instruct_scaling.finetune.metrics import Progress
from instruct_scaling.finetune.model import (
    Tuned,
    prepare_model,
    read_config,
    read_tokenizer,
    start_engine,
)
from instruct_scaling.finetune.order import Order
from instruct_scaling.finetune.peers import join_peers, leave_peers, on_first_rank, quieten
from instruct_scaling.finetune.summary import train_summary
from instruct_scaling.finetune.tracker import Tracker
from instruct_scaling.finetune.train import RowShape, SaveEvery, Trainer
from instruct_scaling.finetune.tuning import measure
from instruct_scaling.provenance import provenance

log = logging.getLogger(__name__)


def run_rank(job: Job, rank: Rank) -> None:
    """Do this rank's part of the run; rank 0 writes the model and train.json.

    Raises:
        InputError: bad input, or a run that cannot go on.
        Interrupted: asked to stop; a checkpoint was written.
    """
    quieten()
    with only_one(job.work_root) if rank.is_first else nullcontext():
        _run(job, rank, time.monotonic())
        if rank.is_first:
            remove_work(job.work_root)


def _run(job: Job, rank: Rank, began: float) -> None:
    config = read_config(job.base)
    device = join_peers(rank)
    if device.type == "cpu":
        keep_freed_memory()
    if job.recipe.precision == "fp16" and device.type == "cpu":
        raise InputError(
            "fp16 needs a GPU", where="recipe.precision", fix="use bf16 or fp32 on a CPU"
        )
    _seed_everything(job.init_seed)
    examples = _shared_examples(job, job.subset, "examples")
    heldout = _shared_heldout(job)
    loaded = _load(job, rank, device, config, examples.counts.longest)
    tuned, engine = loaded.tuned, loaded.engine
    order = Order.make(examples.ids, examples.lengths, job.order_seed, job.recipe)
    costs = Costs.of(config, tuned.parameters, tuned.trainable, device)
    board = Board(
        job.out_train.parent / "tensorboard",
        steps=order.steps,
        ranks=rank.world_size,
        costs=costs,
        silent=not rank.is_first,
        tracker=partial(open_tracker, job) if job.execution.tracking else None,
    )
    shape = RowShape(loaded.setup.row_tokens, fixed=tuned.attention == "flex")
    startup = time.monotonic() - began

    def summarise(progress: Progress) -> dict[str, Any]:
        return train_summary(job, rank, tuned, examples, order, progress, costs, startup, device)

    snapshots = Snapshots(engine, job, tuned, examples, order.steps, summarise)
    watchers: list[Callable[[Progress], None]] = [snapshots]
    if heldout is not None:
        evaluations = job.watched.evaluations
        watchers.append(HeldoutLoss(engine, heldout, order.steps, evaluations, shape, board))
    trainer = Trainer(
        engine,
        examples,
        order,
        job.recipe,
        shape,
        SaveEvery(job.execution.save_minutes, job.execution.save_steps),
        Checkpoints(job.work / "checkpoints", frozen=tuned.trainable < tuned.parameters),
        board,
        watchers,
    )
    progress = trainer.run()
    summary = summarise(progress)
    summary["heldout"] = heldout_summary(heldout, progress)
    summary["along"] = progress.along
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
    """Rank 0 tokenises the chosen records once, into the work folder; all ranks map the result."""
    folder = job.work / name

    def tokenise() -> None:
        if folder.exists():
            return
        records = read_subset(job.records, chosen)
        encoded = encode_records(
            records, read_tokenizer(job.base), job.template, job.recipe.max_length
        )
        write_examples(folder, [record.id for record in records], encoded)

    on_first_rank(tokenise)
    return load_examples(folder)


def _shared_heldout(job: Job) -> HeldoutRecords | None:
    path = job.watched.heldout
    if path is None:
        return None
    sha256 = sha256_file(path)
    examples = _shared_examples(job, path, f"heldout-{sha256[:16]}")
    return HeldoutRecords(examples, read_categories(path), sha256)


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

    on_first_rank(write)
    leave_peers()
