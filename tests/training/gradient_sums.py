"""How a sum of bf16 gradients over rows (and ranks) differs from what it should be.

Two comparisons, both of the sum alone. A row's gradient itself has 8 bits, so rows that are packed
otherwise differ by a part in a few hundred, whatever the sum is kept in.

`copies`: one row, against 32 copies of it at a 32nd of the scale each. bf16 gives a power of two
exactly, so the gradients of the copies are those of the row, divided by 32 exactly.

`rows`: 32 rows, against the float64 sum of the gradients of each. Stage 0 gets them in fp32: of an
embedding that is also the output layer, both uses are added without rounding in between.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from deepspeed.utils import safe_get_full_grad
from torch import distributed

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.models.packed.packing import PackedBatch, one_answer, packed_batch
from instruct_scaling.training.memory import Setup, deepspeed_config, measure
from instruct_scaling.training.model import load_engine, prepare_model, read_config

ROWS = 32
CPU = torch.device("cpu")
Gradients = dict[str, torch.Tensor]


def make_rows() -> list[PackedBatch]:
    """Rows of 12 to 60 tokens, the same on every rank."""
    rng = np.random.default_rng(0)
    lengths = (int(length) for length in rng.integers(12, 60, ROWS))
    sequences = [one_answer(rng.integers(4, 300, n).astype(np.int32), n // 3) for n in lengths]
    return [packed_batch([sequence], CPU) for sequence in sequences]


def recipe_of(stage: int) -> Recipe:
    return Recipe(precision="bf16", zero_stage=stage, max_grad_norm=0)


def summed(base: Path, stage: int, rows: list[PackedBatch], scale: float) -> Gradients:
    """What a DeepSpeed engine would step with after these rows of this rank."""
    recipe, ranks = recipe_of(stage), distributed.get_world_size()
    settings = deepspeed_config(recipe, Setup(stage, 64), ranks, measure(read_config(base), recipe))
    tuned, engine = load_engine(base, recipe, settings, CPU)
    for number, row in enumerate(rows, 1):
        engine.set_gradient_accumulation_boundary(number == len(rows))
        engine.backward(engine(batch=row) * scale)
    gradients = {name: full_gradient(p, stage) for name, p in tuned.module.named_parameters()}
    engine.destroy()
    return gradients


def full_gradient(parameter: torch.nn.Parameter, stage: int) -> torch.Tensor:
    gradient = parameter.grad if stage == 0 else safe_get_full_grad(parameter)
    return gradient.double().clone()


def expected(base: Path, stage: int, rows: list[PackedBatch], scale: float) -> Gradients:
    """The float64 sum of the gradients of each row, without DeepSpeed."""
    module = prepare_model(base, recipe_of(stage), CPU, None, True, False).module
    for parameter in module.parameters():
        parameter.grad_dtype = torch.float32 if stage == 0 else torch.bfloat16
    total: Gradients = {}
    for row in rows:
        module.zero_grad()
        (module(batch=row) * scale).backward()
        for name, parameter in module.named_parameters():
            total[name] = total.get(name, 0.0) + parameter.grad.double()
    return total


def error(found: Gradients, wanted: Gradients) -> float:
    """Relative difference of two sets of gradients, in the Euclidean norm over all weights."""
    off = sum(float((found[name] - wanted[name]).square().sum()) for name in wanted)
    return (off / sum(float(each.square().sum()) for each in wanted.values())) ** 0.5


def errors(base: Path, stage: int) -> dict[str, float]:
    """Both comparisons; the ranks share the rows."""
    rank, ranks, rows = distributed.get_rank(), distributed.get_world_size(), make_rows()
    one = summed(base, stage, rows[:1], 1 / 16)
    copies = summed(base, stage, rows[:1] * (ROWS // ranks), ranks / 16 / ROWS)
    all_rows = summed(base, stage, rows[rank::ranks], ranks / 16 / ROWS)
    return {
        "copies": error(copies, one),
        "rows": error(all_rows, expected(base, stage, rows, 1 / 16 / ROWS)),
    }


def without_dropout(folder: Path) -> Path:
    """A base of which two passes over a row give the same."""
    from .conftest import tiny_model

    tiny_model(hidden_dropout=0.0, attention_dropout=0.0).save_pretrained(folder)
    return folder
