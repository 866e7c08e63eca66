"""What two ranks compute with other architectures than BLOOM: `python -m
tests.training.family_ranks OUT`, RANK etc. set.

`gradients`: for architecture x ZeRO stage x tuning, the gradient that DeepSpeed would step with
against that of the same documents by stock transformers, one at a time. `uneven`: rows whose
supervised tokens fill another number of the head's chunks on each rank.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deepspeed.utils import safe_get_full_grad
from torch import distributed

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.models.packed import head, padded
from instruct_scaling.models.packed.packing import one_answer, packed_batch
from instruct_scaling.models.packed.tuning import apply_tuning
from instruct_scaling.training.distributed import (
    Rank,
    destroy_process_group,
    init_distributed,
    rank_process,
    silence_warnings,
)
from instruct_scaling.training.memory import Setup, deepspeed_config, measure
from instruct_scaling.training.model import load_engine, load_weights, read_config
from tests.models.packed.documents import VOCABULARY, documents, error, one_by_one
from tests.models.packed.families import tiny

from .test_families import SUPERVISED
from .two_ranks import fixed_adapters

CPU = torch.device("cpu")
FULL = {"method": "full"}
LORA = {"method": "lora", "rank": 4}
# Documents of each rank's two rows. The second row of rank 1 is empty.
ROWS = [
    [documents((40, 20), (33, 1), (9, 8)), documents((23, 5), (2, 1))],
    [documents((90, 60), (12, 5)), []],
]
LLAMA = "llama, tied, biases, llama3 rotary"
# Architecture, tuning, ZeRO stages, recomputation; the last one is padded.
COMBINATIONS = [
    (LLAMA, FULL, (1, 2, 3), False),
    (LLAMA, FULL, (3,), True),
    ("gemma2", FULL, (1, 3), False),
    ("gpt2", FULL, (2,), False),
    ("mixtral", FULL, (3,), False),
    ("qwen3", LORA, (3,), False),
    ("gpt2", LORA, (2,), False),
    ("gptj", FULL, (2, 3), False),
    ("gptj", FULL, (3,), True),
]
CHUNK = 64  # tokens of the head at a time, in `uneven`


def make_bases(out: Path) -> None:
    """Save every architecture that is used."""
    for name in {name for name, *_ in COMBINATIONS} | {"llama"}:
        tiny(name).save_pretrained(out / name)


def start(base: Path, tuning: dict, stage: int, checkpointing: bool) -> Any:
    """A DeepSpeed engine of a base."""
    recipe = Recipe(tuning=tuning, precision="fp32", max_grad_norm=0, zero_stage=stage)
    settings = deepspeed_config(recipe, Setup(stage, 512), 2, measure(read_config(base), recipe))
    tuned, engine = load_engine(base, recipe, settings, CPU, checkpointing=checkpointing)
    fixed_adapters(tuned.module)
    return engine


def full_gradients(engine: Any) -> dict[str, torch.Tensor]:
    return {
        name: safe_get_full_grad(parameter).clone().double()
        for name, parameter in engine.module.named_parameters()
        if parameter.requires_grad
    }


def wanted(base: Path, tuning: dict) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of all documents, by stock transformers."""
    model = load_weights(base, torch.float32)
    apply_tuning(model, Recipe(tuning=tuning).tuning)
    fixed_adapters(model)
    every = [one for rank in ROWS for row in rank for one in row]
    experts = "experts" in "".join(name for name, _ in model.named_parameters())
    losses, gradients = one_by_one(model, every, torch.float32 if experts else torch.float64)
    return float(losses.sum()), gradients


def gradients(out: Path, rank: int) -> dict[str, dict[str, float]]:
    """Relative errors of loss and gradient of every combination."""
    errors = {}
    padded.PADDED_TOKENS = 64  # rank 0 has more batches of documents than rank 1
    every = [
        (name, tuning, stage, checkpointing)
        for name, tuning, stages, checkpointing in COMBINATIONS
        for stage in stages
    ]
    for name, tuning, stage, checkpointing in every:
        engine = start(out / name, tuning, stage, checkpointing)
        total = torch.zeros((), dtype=torch.float64)
        for number, row in enumerate(ROWS[rank]):
            engine.set_gradient_accumulation_boundary(number == 1)
            loss = engine(batch=packed_batch(row, CPU))
            engine.backward(loss * 2)  # DeepSpeed takes the mean over the ranks
            total += loss.detach()
        distributed.all_reduce(total)
        found = full_gradients(engine)
        engine.destroy()
        loss, reference = wanted(out / name, tuning)
        key = f"{name} {tuning['method']} zero{stage} checkpointing={checkpointing}"
        errors[key] = {
            "gradient": error(found, reference),
            "loss": abs(float(total) / loss - 1),
        }
    return errors


def with_supervised(count: int) -> list[Any]:
    """Documents of which so many tokens are supervised."""
    tokens = np.random.default_rng(count).integers(4, VOCABULARY, 81).astype(np.int32)
    return [one_answer(tokens, 1)] * (count // 80) + [one_answer(tokens, 81 - count % 80)]


def uneven(out: Path, rank: int) -> list[list[float]]:
    """This rank's losses: tied and untied heads, trained and measured."""
    head.chunk_rows = lambda vocabulary, device: CHUNK
    losses = []
    for name in ("llama", LLAMA):
        engine = start(out / name, FULL, 3, False)
        for counts in SUPERVISED:
            row = packed_batch(with_supervised(counts[rank]), CPU)
            assert len(row.targets) == counts[rank]
            loss = engine(batch=row)
            engine.backward(loss / 384)
            engine.eval()
            with torch.no_grad():
                losses.append([loss.item(), engine(batch=row).item()])
            engine.train()
        engine.destroy()
    return losses


def main(out: Path) -> None:
    rank = Rank.from_environment()
    with rank_process(rank):
        silence_warnings()
        init_distributed(rank)
        errors = gradients(out, rank.rank)
        losses = uneven(out, rank.rank)
        if rank.is_first:
            (out / "result.json").write_text(json.dumps({"errors": errors, "uneven": losses}))
        destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
