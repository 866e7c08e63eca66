"""Useful tokens per second and memory of fine-tuning BLOOM, against what a user would pick instead.

    python -m benchmarks.finetune [--quick]

The same tiny BLOOM (random weights), the same examples, the same global batch, one thread each.
Every way lives in a process of its own and is asked for one optimiser step in turn, round after
round, so that the machine's moods hit all alike; ratios are medians over the rounds.

packed      this stage: document-exact packing, its DeepSpeed engine (ZeRO-2, one rank)
pad-1024    a plain loop over batches that are all padded to 1,024 tokens (BELLE's first script)
dynamic     transformers.Trainer, each batch padded to its longest example
grouped     transformers.Trainer, batches of similar length (group_by_length), padded so
trl         trl.SFTTrainer with packing (its documents see each other on BLOOM)

Useful tokens are those of the examples: padding does no work, and counts as none. Writes
benchmarks/results/finetune.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "finetune.json"
MAX_LENGTH = 1024
GOALS = {"pad-1024": 14.0, "dynamic": 3.0, "grouped": 1.15, "trl": 3.5}


@dataclass(frozen=True)
class Case:
    """One model and batch."""

    name: str
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    batch: int  # examples per optimiser step
    micro_batch: int  # examples per padded forward pass
    rounds: int


CASES = (
    Case("small vocabulary", 8192, 128, 4, 4, 32, 8, 4),
    Case("true vocabulary", 250_880, 64, 2, 4, 8, 2, 3),
)
QUICK = (Case("quick", 2048, 64, 2, 4, 32, 8, 2),)


# --- data ------------------------------------------------------------------------------------


def texts() -> tuple[list[tuple[str, str]], str]:
    """(prompt, answer) pairs and where they come from."""
    data = Path(os.environ.get("INSTRUCT_SCALING_DATA", ROOT.parent / "shared" / "data"))
    path = data / "alpaca_zh_demo.json"
    if path.exists():
        rows = json.loads(path.read_text("utf-8"))
        pairs = [(f"{row['instruction']}\n{row['input']}", row["output"]) for row in rows]
        return pairs, path.name
    from instruct_scaling.embedded.generate import generate_records

    records = generate_records(1000, seed=0)
    return [(record.prompt, record.output) for record in records], "embedded generator"


def write_examples_of(folder: Path, vocabulary: int) -> str:
    """Tokenise the texts with a BPE trained on them (at most 8,192 pieces); returns the source."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    from instruct_scaling.finetune.examples import encode, write_examples

    pairs, source = texts()
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=min(vocabulary, 8192),
        special_tokens=["<unk>", "<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator((text for pair in pairs for text in pair), trainer)
    encoded = (
        encode(
            bpe.encode(f"Human: {prompt}\n\nAssistant: ").ids,
            bpe.encode(answer).ids,
            end=2,
            start=1,
            max_length=MAX_LENGTH,
        )
        for prompt, answer in pairs
    )
    write_examples(folder, [str(number) for number in range(len(pairs))], encoded)
    return source


# --- the ways, each a generator that does one optimiser step per `next` ------------------------

Steps = Iterator[int]  # useful tokens of each step


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


def packed(case: Case, folder: Path) -> Steps:
    """The stage's own trainer on its own engine."""
    import torch

    from instruct_scaling.config.recipe import Recipe
    from instruct_scaling.finetune.bloom import pack_model
    from instruct_scaling.finetune.board import Board
    from instruct_scaling.finetune.checkpoint import Checkpoints
    from instruct_scaling.finetune.deepspeed_config import deepspeed_config
    from instruct_scaling.finetune.examples import load_examples
    from instruct_scaling.finetune.hardware import Costs
    from instruct_scaling.finetune.job import Rank
    from instruct_scaling.finetune.launch import rank_environments
    from instruct_scaling.finetune.memory import Setup
    from instruct_scaling.finetune.metrics import Progress
    from instruct_scaling.finetune.model import Tuned, start_engine
    from instruct_scaling.finetune.order import Order, Plan
    from instruct_scaling.finetune.peers import join_peers
    from instruct_scaling.finetune.train import RowShape, SaveEvery, Trainer

    os.environ.update(rank_environments(1)[0])
    join_peers(Rank(0, 0, 1))
    recipe = Recipe(batch_size=case.batch, epochs=1000, learning_rate=1e-4, precision="fp32")
    model = make_model(case)
    size = sum(parameter.numel() for parameter in model.parameters())
    pack_model(model, "sdpa")
    settings = deepspeed_config(recipe, Setup(2, 4096), 1, size)
    engine = start_engine(Tuned(model, None, "sdpa", size, size), recipe, settings)
    examples = load_examples(folder)
    costs = Costs.of(model.config, size, size, torch.device("cpu"))
    trainer = Trainer(
        engine,
        examples,
        Order(examples.ids, 0, Plan.make(len(examples), recipe)),
        recipe,
        RowShape(4096),
        SaveEvery(minutes=1e9),
        Checkpoints(folder / "unused", frozen=False),
        Board(folder / "unused", steps=1, ranks=1, costs=costs, silent=True),
    )
    progress = Progress()
    assert torch.get_num_threads() == 1
    while True:
        before = progress.tokens
        trainer.step(progress)
        yield progress.tokens - before


def rows(folder: Path) -> list[dict[str, list[int]]]:
    """Examples as the libraries want them."""
    from instruct_scaling.finetune.examples import load_examples

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
    """A plain loop; the loss of a step is the mean of its micro-batches' means."""
    import torch

    model, data = make_model(case), rows(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    rng = np.random.default_rng(0)
    count = case.batch // case.micro_batch
    while True:
        chosen = [data[place] for place in rng.choice(len(data), case.batch, replace=False)]
        for first in range(0, case.batch, case.micro_batch):
            batch = collate(chosen[first : first + case.micro_batch], MAX_LENGTH)
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


# --- measuring -------------------------------------------------------------------------------


def worker(name: str, case: Case, folder: Path, pipe: Connection) -> None:
    """Do one step for each message; answer (tokens, seconds), at the end peak memory in bytes."""
    import warnings

    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - progress bars of the libraries
    steps = WAYS[name](case, folder)
    while pipe.recv():
        began = time.perf_counter()
        tokens = next(steps)
        pipe.send((tokens, time.perf_counter() - began))
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    os._exit(0)  # the libraries' threads wait for a step that will not come


def measure(case: Case, folder: Path) -> dict[str, Any]:
    """Rounds of one step each; the first step of every way warms up."""
    names = [name for name in WAYS if name != "trl" or importlib.util.find_spec("trl")]
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    for name in names:
        mine, theirs = context.Pipe()
        context.Process(target=worker, args=(name, case, folder, theirs), daemon=True).start()
        theirs.close()
        pipes[name] = mine
        _ask(pipes[name])
    speeds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(case.rounds):
        for name in names:
            tokens, seconds = _ask(pipes[name])
            speeds[name].append(tokens / seconds)
    result: dict[str, Any] = {**asdict(case), "tokens_per_second": {}, "ratio": {}}
    for name in names:
        result["tokens_per_second"][name] = statistics.median(speeds[name])
        pairs = zip(speeds["packed"], speeds[name], strict=True)
        ratios = sorted(ours / other for ours, other in pairs)
        result["ratio"][name] = {
            "median": statistics.median(ratios),
            "low": ratios[0],
            "high": ratios[-1],
        }
    result["peak_memory_bytes"] = {name: _finish(pipe) for name, pipe in pipes.items()}
    return result


def _ask(pipe: Connection) -> tuple[int, float]:
    pipe.send(True)
    return pipe.recv()


def _finish(pipe: Connection) -> int:
    pipe.send(False)
    return pipe.recv()


def head_worker(way: str, tokens: int, pipe: Connection) -> None:
    """Peak extra memory and time of one head, forward and backward, true vocabulary."""
    import torch
    from torch.nn import functional as F

    from instruct_scaling.finetune.head import SummedCrossEntropy, chunk_rows

    torch.manual_seed(0)
    hidden = torch.randn(tokens, 64, requires_grad=True)
    weight = torch.randn(250_880, 64, requires_grad=True)
    targets = torch.randint(250_880, (tokens,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    if way == "fused":
        SummedCrossEntropy.apply(
            hidden, weight, targets, chunk_rows(250_880, hidden.device)
        ).backward()
    else:  # transformers' ForCausalLMLoss: logits in fp32, shifted, mean over the tokens
        F.cross_entropy((hidden @ weight.t()).float(), targets).backward()
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send({"extra_bytes": (after - before) * 1024, "seconds": seconds})


def measure_head(tokens: int) -> dict[str, Any]:
    """Fused head against logits and cross-entropy, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    found: dict[str, Any] = {"supervised_tokens": tokens}
    for way in ("fused", "logits"):
        mine, theirs = context.Pipe()
        process = context.Process(target=head_worker, args=(way, tokens, theirs))
        process.start()
        found[way] = mine.recv()
        process.join()
    found["memory_ratio"] = found["logits"]["extra_bytes"] / found["fused"]["extra_bytes"]
    return found


def versions() -> dict[str, str]:
    found = {}
    for name in ("torch", "transformers", "deepspeed", "trl", "datasets"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def table(results: dict[str, Any]) -> str:
    """The measurements as Markdown."""
    lines = ["| case | way | useful tokens/s | packed is faster by | goal | peak memory |"]
    lines.append("|---|---|---|---|---|---|")
    for case in results["cases"]:
        for name, speed in case["tokens_per_second"].items():
            ratio = case["ratio"][name]
            goal = f"{GOALS[name]:g}x" if name in GOALS else ""
            memory = case["peak_memory_bytes"][name] / 1e9
            lines.append(
                f"| {case['name']} | {name} | {speed:,.0f} | {ratio['median']:.2f}x "
                f"({ratio['low']:.2f} to {ratio['high']:.2f}) | {goal} | {memory:.2f} GB |"
            )
    head = results["head"]
    lines.append(
        f"\nhead, {head['supervised_tokens']} tokens, 250,880 pieces: "
        f"{head['fused']['extra_bytes'] / 1e9:.2f} GB against "
        f"{head['logits']['extra_bytes'] / 1e9:.2f} GB ({head['memory_ratio']:.1f}x less)"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one toy case, under a minute")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    results: dict[str, Any] = {
        "quick": options.quick,
        "machine": {"cpu": platform.processor(), "cores": os.cpu_count()},
        "python": platform.python_version(),
        "versions": versions(),
        "cases": [],
    }
    results["head"] = measure_head(256 if options.quick else 2048)
    for case in QUICK if options.quick else CASES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "examples"
            results["data"] = write_examples_of(folder, case.vocabulary)
            results["cases"].append(measure(case, folder))
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
