"""A tiny BLOOM, a pool, and a way to start the stage as the workflow does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from instruct_scaling.common.records import Record
from instruct_scaling.training.launch import rank_environments

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
    model = BloomForCausalLM(tiny_config(**changes)).float()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(scale)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def run_ranks(module, arguments, ranks):
    """Start a module of the tests as so many ranks and wait for them."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
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
def tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<unk>", "<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([record.instruction for record in make_records(200)], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
    )


def make_records(count):
    rng = np.random.default_rng(0)
    records = []
    for number in range(count):
        noise = " ".join(str(word) for word in rng.integers(0, 50, rng.integers(1, 12)))
        records.append(Record.make(f"Repeat: {noise}", f"{noise} ({number})", category="cot"))
    return records


def write_pool(folder: Path, records) -> Path:
    (folder / "records").mkdir(parents=True)
    table = pa.Table.from_pylist([asdict(record) for record in records])
    pq.write_table(table, folder / "records" / "part-00000.parquet")
    return folder / "records"


def write_subset(path: Path, ids) -> Path:
    pq.write_table(pa.table({"id": list(ids)}), path)
    return path


@dataclass
class Stage:
    """The stage's command line over inputs in one folder."""

    folder: Path
    recipe: dict = field(
        default_factory=lambda: {
            "batch_size": 8,
            "epochs": 2,
            "learning_rate": 1e-3,
            "precision": "fp32",
            "max_length": 64,
        }
    )
    base: str = "base"
    ranks: int = 2

    def command(self, name, *extra, **recipe):
        out = self.folder / name
        return [
            *(sys.executable, "-m", "instruct_scaling", "finetune"),
            *("--base", str(self.folder / self.base)),
            *("--records", str(self.folder / "records")),
            *("--subset", str(self.folder / "subset.parquet")),
            *("--recipe", json.dumps({**self.recipe, **recipe})),
            *("--template", "Human: {prompt}\n\nAssistant: "),
            *("--order-seed", "1", "--init-seed", "2"),
            *("--identity-json", json.dumps({"arm": "full", "base": "tiny"})),
            *("--work", str(out / "work")),
            *("--out-model", str(out / "model"), "--out-train", str(out / "train.json")),
            *("--ranks", str(self.ranks)),
            *extra,
        ]

    def start(self, name, *extra, **recipe):
        return subprocess.Popen(
            self.command(name, *extra, **recipe),
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )

    def kill(self, process):
        """kill -9 to the launcher and its ranks at one instant."""
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def run(self, name, *extra, **recipe):
        process = self.start(name, *extra, **recipe)
        _, stderr = process.communicate(timeout=300)
        return process.returncode, stderr

    def train(self, name):
        return json.loads((self.folder / name / "train.json").read_text("utf-8"))


@pytest.fixture
def stage(tmp_path, tokenizer):
    records = make_records(60)
    write_pool(tmp_path, records)
    write_subset(tmp_path / "subset.parquet", [record.id for record in records[:48]])
    model = tiny_model(scale=1.0, hidden_dropout=0.1, attention_dropout=0.1)
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return Stage(tmp_path)
