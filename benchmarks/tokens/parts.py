"""The parts of the benchmark: the stage, what a user would pick instead, start-up and order."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.harness import measure_once

WORKERS = 2
SUBSET, VALIDATION = 10_000, 240
TEMPLATE, MAX_LENGTH = "Human: {prompt}\n\nAssistant: ", 1024
RECIPE = {"batch_size": 64, "epochs": 2, "max_length": MAX_LENGTH}

_scratch = tempfile.TemporaryDirectory(prefix="tokens-")


@cache
def pool(count: int) -> Path:
    """A folder with records and a base, made once; the disk of the temporary folder holds it."""
    folder = Path(_scratch.name) / str(count)
    subprocess.run([sys.executable, "-c", MAKE_POOL, str(folder), str(count)], check=True)
    return folder


MAKE_POOL = """
import sys
from pathlib import Path
from benchmarks.tokens.pool import make_pool
make_pool(Path(sys.argv[1]), int(sys.argv[2]))
"""


@cache
def tokenized(count: int) -> tuple[Path, dict[str, float]]:
    """The folder of `pool` with its store, and what the stage took."""
    folder = pool(count)
    command = [
        *(sys.executable, "-m", "instruct_scaling", "tokens", "--workers", str(WORKERS)),
        *("--records", str(folder / "records"), "--base", str(folder / "base")),
        *("--template", TEMPLATE, "--max-length", str(MAX_LENGTH)),
        *("--out", str(folder / "tokens")),
    ]
    return folder, watched(command)


def watched(command: Sequence[str]) -> dict[str, float]:
    """Seconds of a command, and the peak memory of all its processes together: what they share
    is counted once (proportional set size), looked at ten times a second."""
    peak, done = [0], threading.Event()
    began = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def watch() -> None:
        while not done.wait(0.1):
            peak[0] = max(peak[0], family_bytes(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, stderr = process.communicate()
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    if process.returncode:
        raise RuntimeError(stderr.decode()[-3000:])
    return {"seconds": seconds, "peak_bytes": peak[0]}


def family_bytes(process: psutil.Process) -> int:
    """Memory of a process and all below it."""
    total = 0
    try:
        for member in [process, *process.children(recursive=True)]:
            memory = member.memory_full_info()
            total += getattr(memory, "pss", memory.rss)
    except psutil.Error:  # one of them has just ended
        pass
    return total


def stage(count: int) -> dict[str, Any]:
    """The stage itself."""
    folder, found = tokenized(count)
    tokens = np.load(folder / "tokens" / "tokens.npy", mmap_mode="r")
    size = sum(path.stat().st_size for path in (folder / "tokens").iterdir())
    return {**found, "tokens": len(tokens), "disk_bytes": size}


def datasets(count: int) -> dict[str, Any]:
    """The same tokens by Hugging Face datasets."""
    folder = pool(count)
    write_messages(folder)
    command = [sys.executable, "-c", WITH_DATASETS]
    return watched([*command, str(folder), str(WORKERS), TEMPLATE, str(MAX_LENGTH)])


def write_messages(folder: Path) -> None:
    """The pool's messages alone: datasets knows no Arrow maps, which the tags are."""
    import pyarrow.parquet as pq

    (folder / "messages").mkdir()
    for part in (folder / "records").iterdir():
        pq.write_table(pq.read_table(part, columns=["messages"]), folder / "messages" / part.name)


WITH_DATASETS = """
import sys
from datasets import disable_caching, load_dataset
from transformers import AutoTokenizer
folder, workers, template, longest = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
tokenizer = AutoTokenizer.from_pretrained(folder + "/base")
before, after = template.split("{prompt}")

def tokenize(batch):
    prompts = [before + turns[0]["content"] + after for turns in batch["messages"]]
    answers = [turns[1]["content"] for turns in batch["messages"]]
    heads = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    tails = tokenizer(answers, add_special_tokens=False)["input_ids"]
    rows = {"input_ids": [], "labels": []}
    for head, tail in zip(heads, tails):
        ids = (head + tail + [tokenizer.eos_token_id])[:longest]
        rows["input_ids"].append(ids)
        rows["labels"].append(([-100] * len(head) + ids[len(head):])[:longest])
    return rows

disable_caching()
data = load_dataset("parquet", data_files=folder + "/messages/*.parquet", split="train",
                    cache_dir=folder + "/cache")
data = data.map(tokenize, batched=True, num_proc=workers, remove_columns=data.column_names)
data.save_to_disk(folder + "/saved")
"""


def startup(count: int) -> dict[str, Any]:
    """A rank's start-up beyond torch and the model."""
    folder, _ = tokenized(count)
    found = {}
    for name, size in (("subset", min(SUBSET, count - VALIDATION)), ("all", count - VALIDATION)):
        write_subsets(folder, size)
        found[name] = {**measure_once(rank_start, folder), "examples": size}
        del found[name]["result"], found[name]["peak_bytes"]
    return found


def write_subsets(folder: Path, size: int) -> None:
    """A subset from all over the pool, and validation records."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from instruct_scaling.data.pool.store import read_ids

    ids = read_ids(folder / "records")
    chosen = np.random.default_rng(0).permutation(len(ids))[: size + VALIDATION]
    drawn = [ids[index] for index in chosen]
    columns = {"id": drawn[:size], "repeats": [1] * size, "phase": [0] * size}
    pq.write_table(pa.table(columns), folder / "subset.parquet")
    labels = {"id": drawn[size:], "category": ["code"] * VALIDATION}
    pq.write_table(pa.table(labels), folder / "validation_set.parquet")


def rank_start(folder: Path) -> Callable[[], None]:
    """What `training/pipeline.py` does from the inputs to the model."""
    import torch
    import transformers  # noqa: F401  (a rank has both, store or no store)

    from instruct_scaling.config.recipe import Recipe
    from instruct_scaling.models.packed.packing import packed_batch
    from instruct_scaling.training.examples import fitting_store, subset_examples
    from instruct_scaling.training.order import Order
    from instruct_scaling.training.pipeline import validation_examples

    recipe = Recipe(**RECIPE)

    def start() -> None:
        fit = (folder / "base", TEMPLATE, recipe.max_length, recipe.supervise)
        store = fitting_store(folder / "tokens", *fit)
        examples = subset_examples(store, folder / "subset.parquet")
        validation = validation_examples(store, folder / "validation_set.parquet")
        assert validation is not None
        assert validation.examples.counts.longest <= MAX_LENGTH >= examples.counts.longest
        order = Order.make(examples, 0, recipe)
        batch = [examples.sequence(position) for position in order.batch(0)]
        packed_batch(batch, torch.device("cpu"))

    return start


def order(count: int) -> dict[str, Any]:
    """One epoch's order of all records, in numpy and by Python's sort."""
    found = {}
    for name in ("numpy", "python"):
        found[name] = measure_once(epoch_order, name, count)
        del found[name]["result"], found[name]["peak_bytes"]
    return found


def epoch_order(variant: str, count: int) -> Callable[[], Any]:
    """Ids as each of them holds them, and its sort."""
    from instruct_scaling.training.order import Stream

    halves = np.random.default_rng(0).integers(0, 2**64, (count, 2), dtype=np.uint64)
    if variant == "numpy":
        zeros = np.zeros(count, np.uint64)
        stream = Stream(np.arange(count), halves, zeros)
        return lambda: stream.order(0, 0)[:1]
    ids = [f"{high:016x}{low:016x}" for high, low in halves.tolist()]
    key = (7).to_bytes(8, "big")

    def rank(position: int) -> bytes:
        return hashlib.blake2b(ids[position].encode(), digest_size=16, key=key).digest()

    return lambda: sorted(range(count), key=rank)[:1]
