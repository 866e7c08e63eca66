"""One rank of a run, from its inputs to the exported model."""

from __future__ import annotations

import random
import time
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from instruct_scaling.files import atomic_path, sha256_file, write_json
from instruct_scaling.finetune.card import model_card
from instruct_scaling.finetune.checkpoint import Checkpoints, only_one, remove_work
from instruct_scaling.finetune.deepspeed_config import deepspeed_config
from instruct_scaling.finetune.examples import (
    Examples,
    encode_records,
    load_examples,
    read_subset,
    write_examples,
)
from instruct_scaling.finetune.export import (
    check_export,
    gathered_weights,
    probe_loss,
    write_model,
)
from instruct_scaling.finetune.job import Job, Rank
from instruct_scaling.finetune.model import (
    Tuned,
    count_parameters,
    prepare_model,
    read_config,
    read_tokenizer,
    start_engine,
)
from instruct_scaling.finetune.order import Order, Plan
from instruct_scaling.finetune.peers import join_peers, leave_peers, on_first_rank, quieten
from instruct_scaling.finetune.summary import train_summary
from instruct_scaling.finetune.train import Trainer
from instruct_scaling.provenance import provenance


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
    _seed_everything(job.init_seed)
    examples = _shared_examples(job)
    plan = Plan.make(len(examples), job.recipe)
    settings = deepspeed_config(job.recipe, rank.world_size, count_parameters(config))
    zero3 = announce_zero3(settings)
    checkpointing = job.execution.checkpointing
    tuned = prepare_model(
        job.base,
        job.recipe,
        device,
        job.execution.attention,
        device.type == "cuda" if checkpointing is None else checkpointing,
    )
    # Adapters start alike on all ranks; dropout then differs.
    _seed_everything(job.init_seed + rank.rank)
    engine = start_engine(tuned, job.recipe, settings)
    del zero3
    checkpoints = Checkpoints(job.work / "checkpoints", frozen=tuned.trainable < tuned.parameters)
    order = Order(examples.ids, job.order_seed, plan)
    trainer = Trainer(
        engine, examples, order, job.recipe, job.execution, checkpoints, tuned.attention
    )
    startup = time.monotonic() - began
    progress = trainer.run()
    summary = train_summary(job, rank, tuned, examples, plan, progress, startup, device)
    _export(job, engine, tuned, examples, summary)


def _seed_everything(seed: int) -> None:
    """Seed every generator that a library may draw from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _shared_examples(job: Job) -> Examples:
    """Rank 0 tokenises once, into the work folder; all ranks map the result."""
    folder = job.work / "examples"

    def tokenise() -> None:
        if folder.exists():
            return
        records = read_subset(job.records, job.subset)
        encoded = encode_records(
            records, read_tokenizer(job.base), job.template, job.recipe.max_length
        )
        write_examples(folder, [record.id for record in records], encoded)

    on_first_rank(tokenise)
    return load_examples(folder)


def announce_zero3(settings: dict[str, Any]) -> Any:
    """Tell transformers to partition weights as it loads them; alive while the object is."""
    if settings["zero_optimization"]["stage"] != 3:
        return None
    from transformers.integrations import HfDeepSpeedConfig

    return HfDeepSpeedConfig(settings)


def _export(
    job: Job,
    engine: Any,
    tuned: Tuned,
    examples: Examples,
    summary: dict[str, Any],
) -> None:
    """Write, reload, compare, and only then move into place."""
    expected = probe_loss(engine, examples)
    weights = gathered_weights(engine, trainable_only=tuned.adapter is not None)

    def write() -> None:
        assert weights is not None
        inputs = {"base": sha256_file(job.base), "subset": summary["data"]["subset_sha256"]}
        summary["provenance"] = provenance("finetune", job.identity, inputs)
        with atomic_path(job.out_model) as folder:
            card = model_card(job, summary["provenance"], summary)
            write_model(folder, tuned, weights, job.base, job.recipe, card)
            found = check_export(folder, examples, expected, job.recipe)
        summary["export"] = {"probe_loss": expected, "reloaded_probe_loss": found}
        write_json(job.out_train, summary)

    on_first_rank(write)
    leave_peers()
