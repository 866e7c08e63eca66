"""One rank of the memory check: `python -m tests.training.residents BASE OUT`, RANK etc. set.

For every ZeRO stage, in bytes per parameter: all tensors that are alive between two backward
passes of a step, when weights, gradients, master weights and moments are there and no activation.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.models.packed.packing import packed_batch
from instruct_scaling.training.deepspeed_config import deepspeed_config
from instruct_scaling.training.distributed import (
    destroy_process_group,
    init_distributed,
    silence_warnings,
)
from instruct_scaling.training.job import Rank
from instruct_scaling.training.memory import Machine, Setup, predict
from instruct_scaling.training.model import prepare_model, read_config, start_engine
from instruct_scaling.training.run import announce_zero3
from instruct_scaling.training.tuning import measure

STAGES = (1, 2, 3)


def resident_bytes() -> int:
    """Bytes of the storages of all living tensors."""
    gc.collect()
    tensors = [item for item in gc.get_objects() if isinstance(item, torch.Tensor)]
    storages = [tensor.untyped_storage() for tensor in tensors]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def accumulate(engine: Any) -> None:
    """A step, for the optimizer's states; then half of the next one."""
    tokens = np.random.default_rng(0).integers(4, 300, 32).astype(np.int32)
    row = packed_batch([(tokens, 8)], engine.device)
    for last in (True, False):
        engine.set_gradient_accumulation_boundary(last)
        engine.backward(engine(batch=row) / 24)
        if last:
            engine.step()


def main(base: Path, out: Path) -> None:
    rank = Rank.from_environment()
    silence_warnings()
    device = init_distributed(rank)
    found = {}
    for stage in STAGES:
        recipe = Recipe(precision="bf16", zero_stage=stage)
        sizes = measure(read_config(base), recipe)
        setup = Setup(stage, 512)
        settings = deepspeed_config(recipe, setup, rank.world_size, sizes.parameters)
        before = resident_bytes()
        zero3 = announce_zero3(settings)
        tuned = prepare_model(base, recipe, device, None, False)
        del zero3
        engine = start_engine(tuned, recipe, settings)
        accumulate(engine)
        parts = predict(sizes, Machine(rank.world_size, None), setup)
        found[stage] = {
            "measured": (resident_bytes() - before) / sizes.parameters,
            **{name: parts[name] / sizes.parameters for name in ("weights", "states", "buckets")},
            "embedding": sizes.vocabulary * sizes.width / sizes.parameters,
        }
        engine.destroy()
        del engine, tuned
    if rank.is_first:
        (out / "residents.json").write_text(json.dumps(found), "utf-8")
    destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
