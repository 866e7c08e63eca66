"""The variants of fine-tuning that are compared. A variant does one optimizer step per `next` and
gives the step's useful tokens; before each update it tells its observer (see `gradients`). None
clips its gradient, so that it can be compared."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.finetune.cases import MAX_LENGTH, PAD, Case, every_example, make_model, rows
from benchmarks.finetune.gradients import Document, Observe, documents_of, gradients_of, ignore
from benchmarks.harness import Steps

ROW_TOKENS = 4096  # of the stage on a CPU

# --- this stage ------------------------------------------------------------------------------


def stage_trainer(case: Case, folder: Path) -> Any:
    """The stage's own trainer on its own engine, one rank."""
    from instruct_scaling.config.recipe import Recipe
    from instruct_scaling.models.packed.engine import pack_model
    from instruct_scaling.training.checkpoints import Checkpoints, SaveEvery
    from instruct_scaling.training.distributed import Rank, init_distributed
    from instruct_scaling.training.launch import rank_environments
    from instruct_scaling.training.loop import RowShape, Trainer
    from instruct_scaling.training.memory import Setup, deepspeed_config, measure
    from instruct_scaling.training.metrics import FlopCounter, MetricsLogger, Stopwatch
    from instruct_scaling.training.model import TunedModel, start_engine
    from instruct_scaling.training.order import Order

    os.environ.update(rank_environments(1)[0])
    device = init_distributed(Rank(0, 0, 1))
    recipe = Recipe(
        batch_size=case.batch,
        epochs=1000,
        learning_rate=1e-4,
        precision="fp32",
        max_grad_norm=0,
    )
    model = make_model(case)
    sizes = measure(model.config, recipe)
    pack_model(model)
    tuned = TunedModel(model, None, "sdpa", sizes.parameters, sizes.trainable)
    settings = deepspeed_config(recipe, Setup(2, ROW_TOKENS), 1, sizes)
    examples = every_example(folder)
    unused = folder / "unused"
    flops = FlopCounter.of(model.config, tuned, device)
    return Trainer(
        start_engine(tuned, recipe, settings),
        examples,
        Order.make(examples, 0, recipe),
        recipe,
        RowShape(ROW_TOKENS),
        SaveEvery(minutes=1e9),
        Checkpoints(unused, {}, frozen=False),
        MetricsLogger(unused, steps=1, ranks=1, flops=flops, silent=True),
        Stopwatch(),
    )


def packed(case: Case, folder: Path, observe: Observe = ignore) -> Steps:
    """This stage."""
    from instruct_scaling.training.metrics import Progress

    trainer, progress = stage_trainer(case, folder), Progress()
    update = trainer.engine.step

    def observed_update() -> None:
        observe(lambda: engine_gradients(trainer.engine), lambda: step_documents(trainer, progress))
        update()

    trainer.engine.step = observed_update
    while True:
        before = progress.tokens
        trainer.step(progress)
        yield progress.tokens - before


def engine_gradients(engine: Any) -> dict[str, Any]:
    """What a DeepSpeed engine is about to give to its optimizer."""
    from deepspeed.utils import safe_get_full_grad

    return {
        name: safe_get_full_grad(parameter).clone()
        for name, parameter in engine.module.named_parameters()
    }


def step_documents(trainer: Any, progress: Any) -> list[Document]:
    """The examples of the trainer's current step."""
    documents = []
    for position in trainer.order.batch(progress.step):
        tokens, ((prompt, _),) = trainer.examples.sequence(position)
        ids = tokens.tolist()
        documents.append((ids, [-100] * prompt + ids[prompt:]))
    return documents


# --- PyTorch alone ---------------------------------------------------------------------------


def collate(batch: list[dict[str, list[int]]], length: int | None = None) -> dict[str, Any]:
    """Pad to the longest of the batch, or to `length`."""
    import torch

    width = length or max(len(row["input_ids"]) for row in batch)
    shape = (len(batch), width)
    ids, mask = torch.full(shape, PAD), torch.zeros(shape, dtype=torch.int64)
    labels = torch.full(shape, -100)
    for index, row in enumerate(batch):
        size = len(row["input_ids"])
        ids[index, :size], mask[index, :size] = torch.tensor(row["input_ids"]), 1
        labels[index, :size] = torch.tensor(row["labels"])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def pad_1024(case: Case, folder: Path, observe: Observe = ignore) -> Steps:
    """A plain loop over batches padded to 1,024 tokens; one by one where the logits of more would
    need gigabytes."""
    if case.vocabulary > 40_000:
        case = replace(case, micro_batch=1)
    return plain_loop(case, folder, MAX_LENGTH, observe)


def plain_loop(case: Case, folder: Path, length: int | None, observe: Observe = ignore) -> Steps:
    """PyTorch alone; the loss of a step is the mean of its micro-batches' means."""
    import torch

    model, data = make_model(case), rows(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    rng = np.random.default_rng(0)
    count = case.batch // case.micro_batch
    while True:
        chosen = [data[index] for index in rng.choice(len(data), case.batch, replace=False)]
        for first in range(0, case.batch, case.micro_batch):
            batch = collate(chosen[first : first + case.micro_batch], length)
            (model(**batch).loss / count).backward()
        observe(
            lambda: gradients_of(model),
            lambda chosen=chosen: [(row["input_ids"], row["labels"]) for row in chosen],
        )
        optimizer.step()
        optimizer.zero_grad()
        yield sum(len(row["input_ids"]) for row in chosen)


# --- transformers' Trainer -------------------------------------------------------------------


def trainer_settings(case: Case, folder: Path) -> dict[str, Any]:
    """Arguments that all descendants of transformers' Trainer share."""
    return {
        "output_dir": str(folder / "out"),
        "per_device_train_batch_size": case.micro_batch,
        "gradient_accumulation_steps": case.batch // case.micro_batch,
        "learning_rate": 1e-4,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.0,
        "max_steps": 10_000,
        "save_strategy": "no",
        "report_to": [],
        "logging_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        "seed": 0,
    }


def driven(train: Callable[[Any], None], observe: Observe) -> Steps:
    """Turn the loop of a descendant of transformers' Trainer into one step per `next`: it runs in a
    thread and waits at the end of every step. `train` gets the callback to add and runs the loop.

    What a step was made of is read where every descendant passes it: at `Trainer.training_step`.
    """
    import queue
    import threading

    from transformers import Trainer, TrainerCallback

    go: queue.Queue[None] = queue.Queue()
    done: queue.Queue[float | Exception] = queue.Queue()
    inputs: list[dict[str, Any]] = []
    inner = Trainer.training_step

    def training_step(
        self: Any, model: Any, batch: dict[str, Any], *rest: Any, **named: Any
    ) -> Any:
        inputs.append(dict(batch))
        return inner(self, model, batch, *rest, **named)

    class Wait(TrainerCallback):
        def on_pre_optimizer_step(self, *_: Any, model: Any, **__: Any) -> None:
            observe(
                lambda: gradients_of(model),
                lambda: [document for batch in inputs for document in documents_of(batch)],
            )

        def on_step_end(self, *_: Any, **__: Any) -> None:
            done.put(sum(int((batch["input_ids"] != PAD).sum()) for batch in inputs))
            inputs.clear()
            go.get()

    def run() -> None:
        try:
            train(Wait())
        except Exception as error:
            done.put(error)

    Trainer.training_step = training_step
    threading.Thread(target=run, daemon=True).start()
    while True:
        found = done.get()
        if isinstance(found, Exception):
            raise found
        yield found
        go.put(None)


def _hf_trainer(case: Case, folder: Path, observe: Observe, strategy: str, collator: Any) -> Steps:
    from datasets import Dataset
    from transformers import Trainer, TrainingArguments

    dataset = Dataset.from_list([{**row, "length": len(row["input_ids"])} for row in rows(folder)])
    settings = trainer_settings(case, folder)

    def train(callback: Any) -> None:
        Trainer(
            model=make_model(case),
            args=TrainingArguments(**settings, train_sampling_strategy=strategy),
            train_dataset=dataset,
            data_collator=collator,
            callbacks=[callback],
        ).train()

    return driven(train, observe)


def dynamic(case: Case, folder: Path, observe: Observe = ignore) -> Steps:
    """transformers.Trainer, each batch padded to its longest example."""
    return _hf_trainer(case, folder, observe, "random", collate)


def grouped(case: Case, folder: Path, observe: Observe = ignore) -> Steps:
    """transformers.Trainer, batches of similar length."""
    return _hf_trainer(case, folder, observe, "group_by_length", collate)


def flattening(case: Case, folder: Path, observe: Observe = ignore) -> Steps:
    """transformers.Trainer with DataCollatorWithFlattening: a micro-batch is one row, its positions
    start again with each document, of which transformers makes a dense mask for SDPA."""
    from transformers import DataCollatorWithFlattening

    return _hf_trainer(case, folder, observe, "random", DataCollatorWithFlattening())


OWN: dict[str, Callable[..., Steps]] = {
    "packed": packed,
    "pad-1024": pad_1024,
    "dynamic": dynamic,
    "grouped": grouped,
    "flattening": flattening,
}
