"""The ways to fine-tune that are compared, each an iterator that does one optimizer step per
`next` and gives the step's useful tokens."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.finetune.data import MAX_LENGTH, Case
from benchmarks.interleaved import Steps


def make_model(case: Case) -> Any:
    import torch
    from transformers import BloomConfig, BloomForCausalLM

    torch.manual_seed(0)
    config = BloomConfig(
        vocab_size=case.vocabulary,
        hidden_size=case.hidden,
        n_layer=case.layers,
        n_head=case.heads,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=3,
        use_cache=False,
    )
    return BloomForCausalLM(config).float().train()


def stage_trainer(case: Case, folder: Path) -> Any:
    """The stage's own trainer on its own engine, one rank."""
    import torch

    from instruct_scaling.config.recipe import Recipe
    from instruct_scaling.models.packed.bloom import pack_model
    from instruct_scaling.training.allocator import keep_freed_memory
    from instruct_scaling.training.checkpoints import Checkpoints
    from instruct_scaling.training.deepspeed_config import deepspeed_config
    from instruct_scaling.training.distributed import init_distributed
    from instruct_scaling.training.examples import load_examples
    from instruct_scaling.training.hardware import Costs
    from instruct_scaling.training.job import Rank
    from instruct_scaling.training.launch import rank_environments
    from instruct_scaling.training.loop import RowShape, SaveEvery, Trainer
    from instruct_scaling.training.memory import Setup
    from instruct_scaling.training.metrics_logger import MetricsLogger
    from instruct_scaling.training.model import Tuned, start_engine
    from instruct_scaling.training.order import Order

    os.environ.update(rank_environments(1)[0])
    init_distributed(Rank(0, 0, 1))
    keep_freed_memory()
    recipe = Recipe(batch_size=case.batch, epochs=1000, learning_rate=1e-4, precision="fp32")
    model = make_model(case)
    size = sum(parameter.numel() for parameter in model.parameters())
    pack_model(model, "sdpa")
    settings = deepspeed_config(recipe, Setup(2, 4096), 1, size)
    engine = start_engine(Tuned(model, None, "sdpa", size, size), recipe, settings)
    examples = load_examples(folder)
    costs = Costs.of(model.config, size, size, torch.device("cpu"))
    return Trainer(
        engine,
        examples,
        Order.make(examples.ids, examples.lengths, 0, recipe),
        recipe,
        RowShape(4096),
        SaveEvery(minutes=1e9),
        Checkpoints(folder / "unused", frozen=False),
        MetricsLogger(folder / "unused", steps=1, ranks=1, costs=costs, silent=True),
    )


def packed(case: Case, folder: Path) -> Steps:
    """This stage."""
    from instruct_scaling.training.metrics import Progress

    trainer, progress = stage_trainer(case, folder), Progress()
    while True:
        before = progress.tokens
        trainer.step(progress)
        yield progress.tokens - before


def rows(folder: Path) -> list[dict[str, list[int]]]:
    """Examples as the libraries want them."""
    from instruct_scaling.training.examples import load_examples

    examples = load_examples(folder)
    made = []
    for place in range(len(examples)):
        tokens, prompt = examples.sequence(place)
        ids = tokens.tolist()
        made.append({"input_ids": ids, "labels": [-100] * prompt + ids[prompt:]})
    return made


def collate(batch: list[dict[str, list[int]]], length: int | None = None) -> dict[str, Any]:
    """Pad to the longest of the batch, or to `length`."""
    import torch

    width = length or max(len(row["input_ids"]) for row in batch)
    shape = (len(batch), width)
    ids, mask = torch.full(shape, 3), torch.zeros(shape, dtype=torch.int64)
    labels = torch.full(shape, -100)
    for place, row in enumerate(batch):
        size = len(row["input_ids"])
        ids[place, :size], mask[place, :size] = torch.tensor(row["input_ids"]), 1
        labels[place, :size] = torch.tensor(row["labels"])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def pad_1024(case: Case, folder: Path) -> Steps:
    """A plain loop over batches padded to 1,024 tokens."""
    return plain_loop(case, folder, MAX_LENGTH)


def plain_loop(case: Case, folder: Path, length: int | None) -> Steps:
    """PyTorch alone; the loss of a step is the mean of its micro-batches' means."""
    import torch

    model, data = make_model(case), rows(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    rng = np.random.default_rng(0)
    count = case.batch // case.micro_batch
    while True:
        chosen = [data[place] for place in rng.choice(len(data), case.batch, replace=False)]
        for first in range(0, case.batch, case.micro_batch):
            batch = collate(chosen[first : first + case.micro_batch], length)
            (model(**batch).loss / count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        yield sum(len(row["input_ids"]) for row in chosen)


def _arguments(kind: Any, case: Case, folder: Path, **more: Any) -> Any:
    return kind(
        output_dir=str(folder / "out"),
        per_device_train_batch_size=case.micro_batch,
        gradient_accumulation_steps=case.batch // case.micro_batch,
        learning_rate=1e-4,
        lr_scheduler_type="constant",
        max_steps=10_000,
        save_strategy="no",
        report_to=[],
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
        seed=0,
        **more,
    )


def _driven(make: Callable[[Any, Callable[[int], None]], Any]) -> Steps:
    """Turn a Trainer's own loop into one step per `next`: it runs in a thread and waits at the
    end of every step. `make` gets a callback class and a function that counts tokens."""
    import queue
    import threading

    from transformers import TrainerCallback

    go: queue.Queue[None] = queue.Queue()
    done: queue.Queue[int] = queue.Queue()
    seen = [0]

    def count(tokens: int) -> None:
        seen[0] += tokens

    class Wait(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            done.put(seen[0])
            go.get()

    trainer = make(Wait(), count)
    threading.Thread(target=trainer.train, daemon=True).start()
    before = 0
    while True:
        total = done.get()
        yield total - before
        before = total
        go.put(None)


def _hf_trainer(case: Case, folder: Path, strategy: str) -> Steps:
    from datasets import Dataset
    from transformers import Trainer, TrainingArguments

    data = rows(folder)
    dataset = Dataset.from_list([{**row, "length": len(row["input_ids"])} for row in data])

    def make(callback: Any, count: Callable[[int], None]) -> Any:
        def counted(batch: list[dict[str, list[int]]]) -> dict[str, Any]:
            count(sum(len(row["input_ids"]) for row in batch))
            return collate(batch)

        arguments = _arguments(TrainingArguments, case, folder, train_sampling_strategy=strategy)
        return Trainer(
            model=make_model(case),
            args=arguments,
            train_dataset=dataset,
            data_collator=counted,
            callbacks=[callback],
        )

    return _driven(make)


def dynamic(case: Case, folder: Path) -> Steps:
    return _hf_trainer(case, folder, "random")


def grouped(case: Case, folder: Path) -> Steps:
    return _hf_trainer(case, folder, "group_by_length")


def trl(case: Case, folder: Path) -> Steps:
    """Rows of 1,024 packed tokens, one per forward pass; as many rows a step as the batch fills."""
    from datasets import Dataset
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer

    data = rows(folder)
    mean = statistics.mean(len(row["input_ids"]) for row in data)
    row_count = max(1, round(case.batch * mean / MAX_LENGTH))
    shaped = Case(**{**asdict(case), "micro_batch": 1, "batch": row_count})
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<pad>": 3, "</s>": 2}, unk_token="<pad>")),
        eos_token="</s>",
        pad_token="<pad>",
    )

    def make(callback: Any, count: Callable[[int], None]) -> Any:
        trainer = SFTTrainer(
            model=make_model(case),
            args=_arguments(
                SFTConfig, shaped, folder, packing=True, max_length=MAX_LENGTH, padding_free=False
            ),
            train_dataset=Dataset.from_list(data),
            processing_class=tokenizer,
            callbacks=[callback],
        )
        inner = trainer.data_collator

        def counted(batch: list[dict[str, Any]]) -> dict[str, Any]:
            count(sum(len(row["input_ids"]) for row in batch))
            return inner(batch)

        trainer.data_collator = counted
        return trainer

    return _driven(make)


WAYS: dict[str, Callable[[Case, Path], Steps]] = {
    "packed": packed,
    "pad-1024": pad_1024,
    "dynamic": dynamic,
    "grouped": grouped,
    "trl": trl,
}
