"""The parts of the benchmark beside variants and head: cost per token over the size of the subset,
the time around a step's passes, and start-up."""

from __future__ import annotations

import functools
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.finetune.cases import TEMPLATE, Case, every_example, examples_writer
from benchmarks.finetune.variants import grouped, packed, plain_loop, stage_trainer
from benchmarks.harness import Steps, measure, measure_once, ratio, summary

# --- flatness --------------------------------------------------------------------------------

POSITIONS = (0.0, 0.5, 1.0)  # start, middle and end of an epoch
STEPS = 4  # at each of them


def steps_over(case: Case, folder: Path) -> Steps:
    """A few steps of the stage's trainer at the epoch's start, middle and end in turn, with the
    mapping of the examples and the packing of the rows, but not the order, which is made once."""
    from instruct_scaling.training.metrics import Progress

    trainer = stage_trainer(case, folder)
    last = len(trainer.examples) // case.batch - STEPS
    for position in cycle(POSITIONS):
        progress = Progress(step=round(position * last))
        for _ in range(STEPS):
            trainer.step(progress)
        yield progress.tokens


def measure_flatness(case: Case, counts: tuple[int, ...], scratch: Path) -> dict[str, Any]:
    """Cost per useful token with each number of examples, and the largest against the smallest."""
    variants, before = {}, {}
    for count in counts:
        folder = scratch / str(count)
        before[str(count)] = prepare(folder, case, count)
        variants[str(count)] = (steps_over, (case, folder))
    speeds = measure(variants, case.rounds).speeds
    smallest, largest = speeds[str(counts[0])], speeds[str(counts[-1])]
    return {
        "seconds_per_token": {
            name: {"training": 1 / statistics.median(found), **before[name]}
            for name, found in speeds.items()
        },
        "training_largest_over_smallest": ratio(smallest, largest),
    }


def prepare(folder: Path, case: Case, count: int) -> dict[str, float]:
    """Write the examples; seconds per token of tokenizing them and of ordering one epoch."""
    from instruct_scaling.training.order import Stream

    write, _ = examples_writer(case, count)
    began = time.perf_counter()
    write(folder)
    tokenized = time.perf_counter()
    examples = every_example(folder)
    Stream.of(examples, phase=0).order(0, 0)
    ordered = time.perf_counter()
    tokens = examples.counts.tokens
    return {"tokenizing": (tokenized - began) / tokens, "ordering": (ordered - tokenized) / tokens}


# --- overhead --------------------------------------------------------------------------------

LOOPS: dict[str, Callable[[Case, Path], Iterator[float]]] = {
    "packed": packed,
    "plain loop": functools.partial(plain_loop, length=None),
    "HF Trainer": grouped,
}


def measure_overhead(case: Case, folder: Path) -> dict[str, Any]:
    """Medians over steps of each loop: milliseconds of a step's parts, and the loop's share.

    What DeepSpeed does in its gradient hooks counts as backward pass, as it does elsewhere."""
    return {name: measure_once(clocked, name, case, folder)["result"] for name in LOOPS}


def clocked(name: str, case: Case, folder: Path) -> Callable[[], dict[str, float]]:
    """One loop alone in this process; its first step warms up."""
    import torch
    from transformers import BloomForCausalLM

    from instruct_scaling.models.packed.bloom import PackedBloomForCausalLM

    clock: Counter[str] = Counter()
    for owner, method, part in (
        (BloomForCausalLM, "forward", "passes"),
        (PackedBloomForCausalLM, "forward", "passes"),
        (torch.Tensor, "backward", "passes"),
        (torch.optim.AdamW, "step", "optimizer"),
    ):
        setattr(owner, method, timed(getattr(owner, method), clock, part))
    steps = LOOPS[name](case, folder)
    next(steps)
    return functools.partial(step_parts, steps, clock, 2 * case.rounds)


def step_parts(steps: Iterator[float], clock: Counter[str], count: int) -> dict[str, float]:
    """Medians over `count` steps of the parts that the clock is given."""
    rounds = []
    for _ in range(count):
        clock.clear()
        began = time.perf_counter()
        next(steps)
        rounds.append(Counter(clock, step=time.perf_counter() - began))
    parts = {part: statistics.median(r[part] for r in rounds) for part in rounds[0]}
    rest = statistics.median(r["step"] - r["passes"] - r["optimizer"] for r in rounds)
    return {
        **{f"{part}_ms": 1000 * seconds for part, seconds in parts.items()},
        "loop_ms": 1000 * rest,
        "loop_share": rest / parts["step"],
    }


def timed(function: Callable[..., Any], clock: Counter[str], part: str) -> Callable[..., Any]:
    """`function`, its seconds added to a part of the clock."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            clock[part] += time.perf_counter() - began

    return wrapper


# --- start-up --------------------------------------------------------------------------------

RECORDS, MAX_LENGTH = 64, 128


def measure_startup(folder: Path, rounds: int) -> dict[str, float]:
    """Seconds from the command to the end of the first optimizer step, two ranks on a tiny base.
    DeepSpeed's ops are built, and files are in the page cache, before anything is counted."""
    make_inputs(folder)
    start(folder, "warm")
    return summary([start(folder, str(number)) for number in range(rounds)])


def make_inputs(folder: Path) -> None:
    """A base of two layers, a pool with its token store, and a subset."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from transformers import BloomConfig, BloomForCausalLM

    from instruct_scaling.data.pool.store import write_records
    from instruct_scaling.data.synthetic.generate import generate_records
    from instruct_scaling.data.tokens.stage import tokens
    from instruct_scaling.models.base.tiny import train_tokenizer

    records = list(generate_records(RECORDS, seed=0))
    tokenizer = train_tokenizer([record.output for record in records], 400)
    config = BloomConfig(vocab_size=len(tokenizer), hidden_size=32, n_layer=2, n_head=2)
    BloomForCausalLM(config).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    write_records(folder / "records", records)
    tokens(folder / "records", folder / "base", TEMPLATE, MAX_LENGTH, folder / "tokens")
    ids = [record.id for record in records]
    columns = {"id": ids, "repeats": [1] * len(ids), "phase": [0] * len(ids)}
    pq.write_table(pa.table(columns), folder / "subset.parquet")


def start(folder: Path, name: str) -> float:
    """Run the stage; its TensorBoard events say when the first step was over."""
    out = folder / name
    recipe = {"batch_size": 16, "epochs": 1, "precision": "fp32", "max_length": MAX_LENGTH}
    command = [
        *(sys.executable, "-m", "instruct_scaling", "finetune"),
        *("--base", str(folder / "base"), "--tokens", str(folder / "tokens")),
        *("--subset", str(folder / "subset.parquet"), "--recipe", json.dumps(recipe)),
        *("--template", TEMPLATE, "--order-seed", "1", "--init-seed", "2"),
        *("--work", str(out / "work"), "--out-model", str(out / "model")),
        *("--out-train", str(out / "train.json"), "--ranks", "2"),
    ]
    began = time.time()
    subprocess.run(command, check=True, capture_output=True)
    return first_step(out / "tensorboard") - began


def first_step(events: Path) -> float:
    """When the first step was logged, in seconds since the epoch."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(events))
    accumulator.Reload()
    return accumulator.Scalars("train/loss")[0].wall_time
