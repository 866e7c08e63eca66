"""The variants of fine-tuning that are compared, the model and the examples that all of them train
on. A variant does one optimizer step per `next` and gives the step's useful tokens."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Steps

ROOT = Path(__file__).resolve().parents[2]
MAX_LENGTH = 1024
TEMPLATE = "Human: {prompt}\n\nAssistant: "


@dataclass(frozen=True)
class Case:
    """One model and batch."""

    name: str
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    batch: int  # examples per optimizer step
    micro_batch: int  # examples per padded forward pass
    rounds: int


def texts() -> tuple[list[tuple[str, str]], str]:
    """(prompt, answer) pairs and where they come from."""
    data = Path(os.environ.get("INSTRUCT_SCALING_DATA", ROOT.parent / "shared" / "data"))
    path = data / "alpaca_zh_demo.json"
    if path.exists():
        rows = json.loads(path.read_text("utf-8"))
        pairs = [(f"{row['instruction']}\n{row['input']}", row["output"]) for row in rows]
        return pairs, path.name
    from instruct_scaling.data.synthetic.generate import generate_records

    records = generate_records(1000, seed=0)
    return [(record.prompt, record.output) for record in records], "synthetic generator"


def tokenizer_for(pairs: Sequence[tuple[str, str]], vocabulary: int) -> Any:
    """A byte-level BPE trained on the texts, of at most 8,192 pieces."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=min(vocabulary, 8192),
        special_tokens=["<unk>", "<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator((text for pair in pairs for text in pair), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def examples_writer(
    vocabulary: int, count: int | None = None
) -> tuple[Callable[[Path], None], str]:
    """What tokenizes `count` examples into a token store as the stage does (default: every text
    once; more repeat them), and where the texts come from."""
    from instruct_scaling.common.records import Record
    from instruct_scaling.data.encoding import encode_records
    from instruct_scaling.data.tokens.store import Chunk, write_store

    pairs, source = texts()
    tokenizer = tokenizer_for(pairs, vocabulary)
    records = [Record.make(prompt, answer) for prompt, answer in pairs]
    count = count or len(records)
    repeated = [records[index % len(records)] for index in range(count)]
    ids = np.stack([np.zeros(count, np.uint64), np.arange(count, dtype=np.uint64)], axis=1)

    def write(folder: Path) -> None:
        encoded = encode_records(repeated, tokenizer, TEMPLATE, MAX_LENGTH)
        write_store(folder, [Chunk.of(ids, encoded)], np.dtype(np.uint16), {})

    return write, source


def every_example(folder: Path) -> Any:
    """All examples of a store that `examples_writer` made, in its order."""
    from instruct_scaling.data.tokens.store import open_store
    from instruct_scaling.training.examples import Examples

    store = open_store(folder)
    rows = np.arange(len(store))
    return Examples(store, store.ids.T, rows, repeats=rows * 0 + 1, phases=rows * 0)


def make_model(case: Case) -> Any:
    """A BLOOM with random weights, the same for every variant."""
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
    recipe = Recipe(batch_size=case.batch, epochs=1000, learning_rate=1e-4, precision="fp32")
    model = make_model(case)
    sizes = measure(model.config, recipe)
    pack_model(model)
    tuned = TunedModel(model, None, "sdpa", sizes.parameters, sizes.trainable)
    settings = deepspeed_config(recipe, Setup(2, 4096), 1, sizes)
    examples = every_example(folder)
    unused = folder / "unused"
    flops = FlopCounter.of(model.config, tuned, device)
    return Trainer(
        start_engine(tuned, recipe, settings),
        examples,
        Order.make(examples, 0, recipe),
        recipe,
        RowShape(4096),
        SaveEvery(minutes=1e9),
        Checkpoints(unused, {}, frozen=False),
        MetricsLogger(unused, steps=1, ranks=1, flops=flops, silent=True),
        Stopwatch(),
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

    examples = every_example(folder)
    made = []
    for index in range(len(examples)):
        tokens, ((prompt, _),) = examples.sequence(index)
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
    for index, row in enumerate(batch):
        size = len(row["input_ids"])
        ids[index, :size], mask[index, :size] = torch.tensor(row["input_ids"]), 1
        labels[index, :size] = torch.tensor(row["labels"])
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
        chosen = [data[index] for index in rng.choice(len(data), case.batch, replace=False)]
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
    """transformers.Trainer, each batch padded to its longest example."""
    return _hf_trainer(case, folder, "random")


def grouped(case: Case, folder: Path) -> Steps:
    """transformers.Trainer, batches of similar length."""
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


VARIANTS: dict[str, Callable[[Case, Path], Steps]] = {
    "packed": packed,
    "pad-1024": pad_1024,
    "dynamic": dynamic,
    "grouped": grouped,
    "trl": trl,
}
