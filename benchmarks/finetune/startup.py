"""Seconds from the command to the end of the first optimizer step, by launcher."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

LAUNCHERS = ("local", "torchrun", "deepspeed")
RANKS = 2
RECORDS = 64


def measure_startup(folder: Path, rounds: int, launchers: tuple[str, ...] = LAUNCHERS) -> Any:
    """Start the stage with each launcher in turn, two ranks on a tiny base. DeepSpeed's ops are
    built, and files are in the page cache, before anything is counted."""
    prepare(folder)
    start(folder, "local", "warm")
    seconds: dict[str, list[float]] = {name: [] for name in launchers}
    for number in range(rounds):
        for name in launchers:
            seconds[name].append(start(folder, name, f"{name}-{number}"))
    return {
        name: {"median": statistics.median(found), "low": min(found), "high": max(found)}
        for name, found in seconds.items()
    }


def prepare(folder: Path) -> None:
    """A base of two layers, a pool and its subset."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from transformers import BloomConfig, BloomForCausalLM

    from instruct_scaling.data.synthetic.generate import generate_records
    from instruct_scaling.models.base.tokenizer import train_tokenizer

    records = list(generate_records(RECORDS, seed=0))
    tokenizer = train_tokenizer([record.output for record in records], 400)
    config = BloomConfig(vocab_size=len(tokenizer), hidden_size=32, n_layer=2, n_head=2)
    BloomForCausalLM(config).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    (folder / "records").mkdir()
    rows = [asdict(record) for record in records]
    pq.write_table(pa.Table.from_pylist(rows), folder / "records" / "part-00000.parquet")
    pq.write_table(pa.table({"id": [row["id"] for row in rows]}), folder / "subset.parquet")


def start(folder: Path, launcher: str, name: str) -> float:
    """Run the stage; its TensorBoard events say when the first step was over."""
    out = folder / name
    recipe = {"batch_size": 16, "epochs": 1, "precision": "fp32", "max_length": 128}
    command = [
        *(sys.executable, "-m", "instruct_scaling", "finetune"),
        *("--base", str(folder / "base"), "--records", str(folder / "records")),
        *("--subset", str(folder / "subset.parquet"), "--recipe", json.dumps(recipe)),
        *("--template", "Human: {prompt}\n\nAssistant: ", "--order-seed", "1", "--init-seed", "2"),
        *("--work", str(out / "work"), "--out-model", str(out / "model")),
        *("--out-train", str(out / "train.json")),
        *("--ranks", str(RANKS), "--launcher", launcher),
    ]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    began = time.time()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PATH": path})
    return first_step(out / "tensorboard") - began


def first_step(events: Path) -> float:
    """When the first step was logged, in seconds since the epoch."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(events))
    accumulator.Reload()
    return accumulator.Scalars("train/loss")[0].wall_time
