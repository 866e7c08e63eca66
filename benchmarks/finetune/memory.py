"""Memory of a step on a CPU, predicted and measured: twelve set-ups, each its own process."""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import measure_once

M_MMAP_THRESHOLD = -3  # from malloc.h

ANSWER = 0.5  # share of a document's tokens that is supervised
TOKENS = 1536  # of a row
LORA = {"method": "lora", "rank": 8, "targets": "all-linear"}
FULL = {"method": "full"}


@dataclass(frozen=True)
class Shape:
    """A model of random weights; `keys` are transformers'."""

    name: str
    model_type: str
    tied: bool
    keys: dict[str, int]

    def config(self) -> Any:
        """transformers' configuration."""
        from transformers import AutoConfig

        special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
        return AutoConfig.for_model(
            self.model_type, **self.keys, **special, tie_word_embeddings=self.tied
        )


SHAPES = (
    Shape(
        "BLOOM", "bloom", True, {"hidden_size": 512, "n_layer": 6, "n_head": 8, "vocab_size": 16384}
    ),
    Shape(
        "Llama",
        "llama",
        False,
        {
            "hidden_size": 512,
            "intermediate_size": 1408,
            "num_hidden_layers": 6,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "vocab_size": 16384,
        },
    ),
    Shape(
        "Qwen 2",
        "qwen2",
        True,
        {
            "hidden_size": 384,
            "intermediate_size": 1536,
            "num_hidden_layers": 4,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "vocab_size": 65536,
        },
    ),
)


@dataclass(frozen=True)
class SetUp:
    """What is measured."""

    shape: Shape
    lora: bool
    checkpointing: bool

    @property
    def tuning(self) -> dict[str, Any]:
        return LORA if self.lora else FULL


SET_UPS = tuple(
    SetUp(shape, lora, checkpointing)
    for shape, lora, checkpointing in itertools.product(SHAPES, (False, True), (False, True))
)


def document_lengths() -> list[int]:
    """Lengths of instruction examples that fill a row."""
    rng = np.random.default_rng(0)
    lengths: list[int] = []
    while sum(lengths) < TOKENS:
        lengths.append(int(min(rng.integers(40, 400), TOKENS - sum(lengths))))
    return lengths


def status_bytes(name: str) -> int:
    """A figure of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise KeyError(name)


def return_freed_memory() -> None:
    """Hand freed blocks back to the system, so that the process holds what its tensors hold. A run
    keeps them instead (`distributed.keep_freed_memory`), and small ones lie in a heap with gaps."""
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**16)


def measured(set_up: SetUp, scratch: str) -> Any:
    """An action that makes two steps and returns the peak of the second in bytes, over what the
    process had after its imports, and the prediction by part."""
    warnings.filterwarnings("ignore")
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - progress bars of the libraries
    import torch
    from transformers import AutoModelForCausalLM

    from instruct_scaling.config.recipe import Recipe
    from instruct_scaling.training.distributed import Rank, init_distributed, silence_warnings
    from instruct_scaling.training.memory import Setup, cpu_peak, deepspeed_config, measure
    from instruct_scaling.training.model import load_engine
    from instruct_scaling.training.pass_memory import pass_bytes, row_of

    silence_warnings()
    os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    device = init_distributed(Rank(0, 0, 1))
    return_freed_memory()
    config = set_up.shape.config()
    recipe = Recipe(precision="fp32", tuning=set_up.tuning, max_length=1024)
    row = row_of(document_lengths(), ANSWER)
    row.input_ids.random_(config.vocab_size)  # frozen weights lie in a file, read where used
    setup = Setup(2, TOKENS, set_up.checkpointing)
    sizes = measure(config, recipe)
    passes = pass_bytes(
        config, recipe, row, checkpointing=set_up.checkpointing, bucket=sizes.trainable
    )
    predicted = cpu_peak(sizes, setup, ranks=1, passes=passes)
    base = Path(scratch) / set_up.shape.name.replace(" ", "")
    if not base.exists():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(base)

    def action() -> dict[str, Any]:
        gc.collect()
        before = status_bytes("VmRSS")
        settings = deepspeed_config(recipe, setup, 1, sizes)
        _, engine = load_engine(base, recipe, settings, device, checkpointing=set_up.checkpointing)
        for step in range(2):
            if step == 1:
                Path("/proc/self/clear_refs").write_text("5", "ascii")  # a new peak
            for last in (False, True):
                engine.set_gradient_accumulation_boundary(last)
                engine.backward(engine(batch=row) / 1000)
            engine.step()
        return {"measured": status_bytes("VmHWM") - before, "predicted": predicted}

    return action


def memory(scratch: Path, set_ups: tuple[SetUp, ...] = SET_UPS) -> list[dict[str, Any]]:
    """Predicted and measured bytes of each set-up."""
    rows = []
    for set_up in set_ups:
        found = measure_once(measured, set_up, str(scratch))["result"]
        rows.append(
            {
                "model": set_up.shape.name,
                "tied": set_up.shape.tied,
                "tuning": "LoRA" if set_up.lora else "full",
                "recomputed": set_up.checkpointing,
                **found,
                "off": found["predicted"]["total"] / found["measured"] - 1,
            }
        )
    return rows


def memory_table(rows: list[dict[str, Any]]) -> str:
    """Predicted and measured peaks side by side."""
    lines = ["| model | output layer | tuning | recomputed | predicted | measured | off |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in rows:
        lines.append(
            f"| {row['model']} | {'tied' if row['tied'] else 'own'} | {row['tuning']} "
            f"| {'yes' if row['recomputed'] else 'no'} | {row['predicted']['total'] / 1e9:.2f} GB "
            f"| {row['measured'] / 1e9:.2f} GB | {row['off']:+.1%} |"
        )
    return "\n".join(lines)
