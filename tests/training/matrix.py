"""One rank of the gradient matrix: `python -m tests.training.matrix BASE OUT`, RANK etc. set.

For ZeRO stage x rows per rank x recomputation x LoRA: the gradient that DeepSpeed would step
with, against the gradient of the same global batch computed by stock transformers, one example
after the other.
"""

from __future__ import annotations

import itertools
import json
import sys
import zlib
from pathlib import Path

import deepspeed
import numpy as np
import torch
from deepspeed.utils import safe_get_full_grad

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.training.checkpoints import Checkpoints
from instruct_scaling.training.deepspeed_config import deepspeed_config
from instruct_scaling.training.distributed import (
    destroy_process_group,
    init_distributed,
    silence_warnings,
)
from instruct_scaling.training.examples import Encoded, load_examples, write_examples
from instruct_scaling.training.hardware import Costs
from instruct_scaling.training.job import Rank
from instruct_scaling.training.loop import RowShape, SaveEvery, Trainer
from instruct_scaling.training.memory import Setup
from instruct_scaling.training.metrics_logger import MetricsLogger
from instruct_scaling.training.model import (
    load_weights,
    prepare_model,
    restore,
    start_engine,
)
from instruct_scaling.training.order import Order
from instruct_scaling.training.run import announce_zero3
from instruct_scaling.training.tuning import apply_tuning

LORA = {"method": "lora", "rank": 4, "targets": ["query_key_value", "dense_h_to_4h"]}
FULL = {"method": "full"}
LENGTHS = [23, 5, 2, 40, 31, 17, 2, 9, 28, 12, 35, 6, 19, 3, 26, 14]  # one far beyond a row
ROW_TOKENS = {(1, 1): 400, (1, 2): 140, (1, 4): 70, (2, 1): 200, (2, 2): 70, (2, 4): 39}


def make_examples(folder: Path) -> None:
    """Random examples; some answers are one token long."""
    rng = np.random.default_rng(3)
    encoded = [
        Encoded(rng.integers(4, 300, length).astype(np.int32), max(1, length // 3), False, False)
        for length in LENGTHS
    ]
    write_examples(folder, [str(place) for place in range(len(encoded))], iter(encoded))


def fixed_adapters(module: torch.nn.Module) -> None:
    """Adapters away from their zero start, the same in every model."""
    for name, parameter in module.named_parameters():
        if "lora_" not in name:
            continue
        with (
            deepspeed.zero.GatheredParameters([parameter], modifier_rank=0),
            torch.no_grad(),
        ):
            if not parameter.numel():
                continue
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            values = rng.normal(0, 0.05, tuple(parameter.shape)).astype(np.float32)
            parameter.copy_(torch.from_numpy(values))


def wanted(base: Path, tuning: dict, examples: object, batch: list[int]) -> dict:
    """Gradients by stock transformers in float64, example by example, over the token count."""
    module = load_weights(base, torch.float64)
    if tuning["method"] == "lora":
        apply_tuning(module, Recipe(tuning=tuning))
        fixed_adapters(module)
    total, count = 0.0, 0
    for position in batch:
        tokens, prompt = examples.sequence(position)
        ids = torch.from_numpy(tokens.astype(np.int64))
        logits = module(input_ids=ids[None]).logits[0, prompt - 1 : -1]
        loss = torch.nn.functional.cross_entropy(logits, ids[prompt:], reduction="sum")
        loss.backward()
        total, count = total + loss.item(), count + len(ids) - prompt
    grads = {n: p.grad / count for n, p in module.named_parameters() if p.requires_grad}
    return {"loss": total, "grads": grads}


def found(base: Path, recipe: Recipe, rows: int, checkpointing: bool, examples, out: Path) -> dict:
    """Loss of this rank and full gradients of one combination."""
    world = torch.distributed.get_world_size()
    setup = Setup(recipe.zero_stage, ROW_TOKENS[world, rows], checkpointing)
    settings = deepspeed_config(recipe, setup, world, 100_000)
    zero3 = announce_zero3(settings)
    tuned = prepare_model(base, recipe, torch.device("cpu"), None, checkpointing)
    del zero3
    fixed_adapters(tuned.module)
    engine = start_engine(tuned, recipe, settings)
    order = Order.make(examples.ids, examples.lengths, 5, recipe)
    trainer = Trainer(
        engine,
        examples,
        order,
        recipe,
        RowShape(setup.row_tokens),
        SaveEvery(minutes=99.0),
        Checkpoints(out / "unused", frozen=False),
        silent_board(engine.module.config, out),
    )
    step = trainer.rows(0)
    assert len(step.rows) == rows, (len(step.rows), rows)
    loss = trainer.accumulate(step)
    torch.distributed.all_reduce(loss)
    grads = {
        name: safe_get_full_grad(parameter).clone()
        for name, parameter in engine.module.named_parameters()
        if parameter.requires_grad
    }
    engine.destroy()
    restore(tuned.module)
    return {"loss": loss.item(), "grads": grads, "batch": step.batch}


def silent_board(config, out: Path) -> MetricsLogger:
    costs = Costs.of(config, 1, 1, torch.device("cpu"))
    return MetricsLogger(out / "board", steps=1, ranks=1, costs=costs, silent=True)


def main(base: Path, out: Path) -> None:
    rank = Rank.from_environment()
    silence_warnings()
    init_distributed(rank)
    if rank.is_first:
        make_examples(out / "examples")
    torch.distributed.barrier()
    examples = load_examples(out / "examples")
    errors = {}
    for tuning in (FULL, LORA):
        reference = None
        for stage, rows, checkpointing in itertools.product((1, 2, 3), (1, 2, 4), (False, True)):
            recipe = Recipe(
                tuning=tuning,
                batch_size=len(LENGTHS),
                epochs=1,
                precision="fp32",
                max_grad_norm=0,
                zero_stage=stage,
            )
            result = found(base, recipe, rows, checkpointing, examples, out)
            if reference is None:
                reference = wanted(base, tuning, examples, result["batch"])
            assert set(result["grads"]) == set(reference["grads"])
            off = sum(
                float((result["grads"][n] - g).double().square().sum())
                for n, g in reference["grads"].items()
            )
            size = sum(float(g.double().square().sum()) for g in reference["grads"].values())
            name = f"{tuning['method']} zero{stage} rows{rows} checkpointing={checkpointing}"
            errors[name] = {
                "gradient": (off / size) ** 0.5,
                "loss": abs(result["loss"] / reference["loss"] - 1),
            }
    if rank.is_first:
        (out / "errors.json").write_text(json.dumps(errors), "utf-8")
    destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
