"""A tiny BLOOM and a pool; the pipeline in this process, the stage as the workflow starts it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file
from instruct_scaling.common.records import Record
from instruct_scaling.config.execution import Execution
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.data.pool.store import write_records
from instruct_scaling.data.tokens.stage import tokens
from instruct_scaling.data.tokens.store import Chunk, open_store, write_store
from instruct_scaling.training.examples import Examples
from instruct_scaling.training.launch import rank_environments
from tests.models.packed.families import enlarged
from tests.tokenizers import small_tokenizer

ROOT = Path(__file__).parents[2]

VOCABULARY = 320


def tiny_config(**changes):
    from transformers import BloomConfig

    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 48,
        "n_layer": 2,
        "n_head": 3,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 3,
    }
    return BloomConfig(**{**shape, **changes})


def tiny_model(seed=0, scale=4.0, **changes):
    """Random weights, larger than the usual initial ones, so that attention is not uniform."""
    from transformers import BloomForCausalLM

    torch.manual_seed(seed)
    return enlarged(BloomForCausalLM(tiny_config(**changes)).float(), scale)


def run_ranks(module, arguments, ranks):
    """Start a module of the tests as so many ranks and wait for them."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, **environment, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for environment in rank_environments(ranks)
    ]
    for process in processes:
        _, stderr = process.communicate(timeout=400)
        assert process.returncode == 0, stderr[-3000:]


@pytest.fixture(scope="session")
def group():
    """A process group of this process alone; returns the device."""
    from instruct_scaling.training.distributed import Rank, init_distributed, silence_warnings

    silence_warnings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_RANK", "0")  # read by every engine
        with pytest.MonkeyPatch.context() as meeting:  # not for processes that tests start
            for name, value in rank_environments(1)[0].items():
                meeting.setenv(name, value)
            device = init_distributed(Rank(0, 0, 1))
        yield device


@pytest.fixture(scope="session")
def tokenizer():
    return small_tokenizer((record.prompt for record in make_records(200)), VOCABULARY)


def make_records(count):
    rng = np.random.default_rng(0)
    records = []
    for number in range(count):
        noise = " ".join(str(word) for word in rng.integers(0, 50, rng.integers(1, 12)))
        records.append(Record.make(f"Repeat: {noise}", f"{noise} ({number})", category="cot"))
    return records


def write_pool(folder: Path, records) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "records", records)
    return folder / "records"


def write_subset(path: Path, ids) -> Path:
    ids = list(ids)
    columns = {"id": ids, "repeats": [1] * len(ids), "phase": [0] * len(ids)}
    pq.write_table(pa.table(columns), path)
    return path


def write_examples(folder: Path, encoded) -> None:
    """A token store of some examples, with ids of their own."""
    examples = list(encoded)
    numbers = np.arange(len(examples), dtype=np.uint64)
    chunk = Chunk.of(np.stack([numbers * 7 % 5, numbers], axis=1), examples)
    write_store(folder, [chunk], np.dtype(np.int32), {})


def load_examples(folder: Path) -> Examples:
    """All examples of a token store, in its order."""
    store = open_store(folder)
    rows = np.arange(len(store))
    ids = np.empty((len(store), 2), np.uint64)
    ids[store.rows] = store.ids.T
    return Examples(store, ids, rows, repeats=rows * 0 + 1, phases=rows * 0)


def write_validation_set(path: Path, ids) -> Path:
    """An even number of ids, of two categories in turn."""
    table = pa.table({"id": list(ids), "category": ["cot", "unlabeled"] * (len(ids) // 2)})
    pq.write_table(table, path)
    return path


TEMPLATE = "Human: {prompt}\n\nAssistant: "
RECIPE = {
    "batch_size": 8,
    "epochs": 2,
    "learning_rate": 1e-3,
    "precision": "fp32",
    "max_length": 64,
}  # 12 steps on the 48 records of the subset


@pytest.fixture(scope="session")
def inputs(tmp_path_factory, tokenizer) -> Path:
    """A folder with a base that has dropout, a pool of 60 records and its token store, a subset of
    48, and the 12 others as validation records."""
    folder = tmp_path_factory.mktemp("inputs")
    records = make_records(60)
    write_pool(folder, records)
    write_subset(folder / "subset.parquet", [record.id for record in records[:48]])
    ids = [record.id for record in records[48:]]
    write_validation_set(folder / "validation_set.parquet", ids)
    model = tiny_model(scale=1.0, hidden_dropout=0.1, attention_dropout=0.1)
    model.save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    tokens(folder / "records", folder / "base", TEMPLATE, RECIPE["max_length"], folder / "tokens")
    return folder


@dataclass
class Run:
    """One run with its own outputs, tuned in this process (`tune`) or by the command (`start`)."""

    inputs: Path
    folder: Path
    recipe: dict[str, Any] = field(default_factory=dict)
    base: Path | None = None
    ranks: int = 2
    seeds: tuple[int, int] = (1, 2)  # of the order and of new weights

    def tune(self, device, *, observation: dict | None = None, **execution) -> dict[str, Any]:
        """Run the pipeline in this process; the content of train.json."""
        from instruct_scaling.training import pipeline
        from instruct_scaling.training.metrics import Stopwatch

        pipeline.tune(
            self.pipeline_inputs(),
            pipeline.Outputs(self.model, self.folder / "train.json", self.work),
            pipeline.Observation(**(observation or {})),
            Execution(**execution),
            device,
            Stopwatch(),
        )
        return self.train

    def refused(self, device, **options) -> str:
        """The message with which `tune` refuses the run."""
        with pytest.raises(InputError) as refusal:
            self.tune(device, **options)
        return str(refusal.value)

    def pipeline_inputs(self):
        from instruct_scaling.training.pipeline import Inputs

        return Inputs(
            self.base or self.inputs / "base",
            self.inputs / "tokens",
            self.inputs / "subset.parquet",
            Recipe(**RECIPE | self.recipe),
            TEMPLATE,
            *self.seeds,
            identity={"arm": "full", "base": "tiny"},
        )

    def command(self, *extra: str) -> list[str]:
        """The command line of the stage."""
        return [
            *(sys.executable, "-m", "instruct_scaling", "finetune"),
            *("--base", str(self.base or self.inputs / "base")),
            *("--tokens", str(self.inputs / "tokens")),
            *("--subset", str(self.inputs / "subset.parquet")),
            *("--recipe", json.dumps(RECIPE | self.recipe)),
            *("--template", TEMPLATE, "--order-seed", "1", "--init-seed", "2"),
            *("--identity-json", json.dumps({"arm": "full", "base": "tiny"})),
            *("--work", str(self.work), "--out-model", str(self.model)),
            *("--out-train", str(self.folder / "train.json"), "--ranks", str(self.ranks)),
            *extra,
        ]

    def start(self, *extra: str, **environment: str) -> subprocess.Popen:
        """Start the command in a process group of its own."""
        return subprocess.Popen(
            self.command(*extra),
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            start_new_session=True,
        )

    def call(self, *extra: str) -> tuple[int, str]:
        """Exit code and standard error of the command."""
        process = self.start(*extra)
        _, stderr = process.communicate(timeout=300)
        return process.returncode, stderr

    def finish(self, *extra: str) -> str:
        """Let the command run to its end; its standard error."""
        code, stderr = self.call(*extra)
        assert code == 0, stderr
        return stderr

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def train(self) -> dict[str, Any]:
        return json.loads((self.folder / "train.json").read_text("utf-8"))

    @property
    def weights(self) -> str:
        return sha256_file(self.model / "model.safetensors")

    def checkpoints(self) -> list[int]:
        """Steps with a finished checkpoint, newest first."""
        found = self.work.glob("*/checkpoints/step-*/manifest.json")
        steps = (int(path.parent.name.removeprefix("step-")) for path in found)
        return sorted(steps, reverse=True)


@pytest.fixture
def run(inputs, tmp_path):
    """Makes runs by name."""

    def make(name="run", **recipe) -> Run:
        return Run(inputs, tmp_path / name, recipe)

    return make


def copy_base(run: Run) -> Path:
    """A base of the run's own, to be edited."""
    run.base = run.folder / "base"
    shutil.copytree(run.inputs / "base", run.base)
    return run.base


def kill(process: subprocess.Popen) -> None:
    """kill -9 to the launcher and its ranks at one instant."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
