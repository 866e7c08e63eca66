"""What two ranks compute and hold: `python -m tests.training.two_ranks OUT`, RANK etc. set.

`gradients`: for ZeRO stage x rows per rank x recomputation x LoRA, the gradient that DeepSpeed
would step with, against that of the same global batch by stock transformers, one example at a
time.

`resident`: for ZeRO stage x tuning, bytes per parameter of all tensors that are alive between two
backward passes of a step, when weights, gradients, master weights and moments are there and no
activation.

`sums`: what `gradient_sums.py` compares, with the rows shared out.
"""

from __future__ import annotations

import gc
import itertools
import json
import sys
import zlib
from pathlib import Path
from typing import Any

import deepspeed
import numpy as np
import torch
from deepspeed.utils import safe_get_full_grad

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.data.encoding import Encoded
from instruct_scaling.models.packed.engine import restore
from instruct_scaling.models.packed.packing import one_answer, packed_batch
from instruct_scaling.models.packed.tuning import apply_tuning
from instruct_scaling.training.checkpoints import Checkpoints, SaveEvery
from instruct_scaling.training.distributed import (
    Rank,
    destroy_process_group,
    init_distributed,
    rank_process,
    silence_warnings,
)
from instruct_scaling.training.loop import RowShape, Trainer
from instruct_scaling.training.memory import Machine, Setup, deepspeed_config, measure, predict
from instruct_scaling.training.metrics import Stopwatch
from instruct_scaling.training.model import load_engine, load_weights, read_config
from instruct_scaling.training.order import Order

from . import gradient_sums
from .conftest import load_examples, tiny_model, write_examples

CPU = torch.device("cpu")
LORA = {"method": "lora", "rank": 4, "targets": ["query_key_value", "dense_h_to_4h"]}
FULL = {"method": "full"}
FROZEN = {"method": "frozen_embedding"}
LENGTHS = [23, 5, 2, 40, 31, 17, 2, 9, 28, 12, 35, 6, 19, 3, 26, 14]  # one far beyond a row
ROW_TOKENS = {1: 200, 2: 70, 4: 39}  # rows per rank -> token budget


def make_bases(out: Path) -> None:
    """A base without dropout, and one that is large beside DeepSpeed's own tensors."""
    # DeepSpeed reads the model at every combination; dropout would make them differ.
    tiny_model(hidden_dropout=0.0, attention_dropout=0.0).save_pretrained(out / "tiny")
    shape = {"hidden_size": 256, "n_layer": 4, "n_head": 4, "vocab_size": 4096}
    tiny_model(**shape).save_pretrained(out / "wide")
    rng = np.random.default_rng(3)
    encoded = [  # some answers are one token long
        Encoded(
            *one_answer(rng.integers(4, 300, length).astype(np.int32), max(1, length // 3)),
            False,
            False,
        )
        for length in LENGTHS
    ]
    write_examples(out / "examples", encoded)


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


def wanted(base: Path, recipe: Recipe, examples: Any, batch: list[int]) -> dict:
    """Gradients by stock transformers in float64, example by example, over the token count."""
    module = load_weights(base, torch.float64)
    apply_tuning(module, recipe.tuning)
    fixed_adapters(module)
    total, count = 0.0, 0
    for position in batch:
        tokens, ((prompt, _),) = examples.sequence(position)
        ids = torch.from_numpy(tokens.astype(np.int64))
        logits = module(input_ids=ids[None]).logits[0, prompt - 1 : -1]
        loss = torch.nn.functional.cross_entropy(logits, ids[prompt:], reduction="sum")
        loss.backward()
        total, count = total + loss.item(), count + len(ids) - prompt
    grads = {n: p.grad / count for n, p in module.named_parameters() if p.requires_grad}
    return {"loss": total, "grads": grads}


def found(base: Path, recipe: Recipe, rows: int, checkpointing: bool, examples: Any) -> dict:
    """Loss of this rank and full gradients of one combination."""
    setup = Setup(recipe.zero_stage, ROW_TOKENS[rows], checkpointing)
    settings = deepspeed_config(recipe, setup, 2, measure(read_config(base), recipe))
    tuned, engine = load_engine(base, recipe, settings, CPU, checkpointing=checkpointing)
    fixed_adapters(tuned.module)
    order = Order.make(examples, 5, recipe)
    never = Checkpoints(base / "unused", {}, frozen=False)
    trainer = Trainer(
        *(engine, examples, order, recipe, RowShape(setup.row_tokens), SaveEvery(99.0), never),
        logger=None,
        clock=Stopwatch(),
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


def gradients(base: Path, examples: Any) -> dict[str, dict[str, float]]:
    """Relative errors of gradient and loss of every combination."""
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
            result = found(base, recipe, rows, checkpointing, examples)
            if reference is None:
                reference = wanted(base, recipe, examples, result["batch"])
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
    return errors


def resident_bytes() -> int:
    """Bytes of the storages of all living tensors."""
    while gc.collect():  # an engine's hooks hold tensors that only a second pass finds free
        pass
    tensors = [item for item in gc.get_objects() if isinstance(item, torch.Tensor)]
    storages = [tensor.untyped_storage() for tensor in tensors]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def accumulate(engine: Any) -> None:
    """A step, for the optimizer's states; then half of the next one."""
    tokens = np.random.default_rng(0).integers(4, 300, 32).astype(np.int32)
    row = packed_batch([one_answer(tokens, 8)], engine.device)
    for last in (True, False):
        engine.set_gradient_accumulation_boundary(last)
        engine.backward(engine(batch=row) / 24)
        if last:
            engine.step()


def resident(base: Path, ranks: int) -> dict[str, dict[str, float]]:
    """Measured bytes per parameter, and the predicted parts."""
    result = {}
    for tuning, stage in itertools.product((FULL, FROZEN), (1, 2, 3)):
        recipe = Recipe(precision="bf16", zero_stage=stage, tuning=tuning)
        sizes = measure(read_config(base), recipe)
        setup = Setup(stage, 512)
        settings = deepspeed_config(recipe, setup, ranks, sizes)
        before = resident_bytes()
        tuned, engine = load_engine(base, recipe, settings, CPU)
        accumulate(engine)
        parts = predict(sizes, Machine(ranks, None), setup)
        result[f"{tuning['method']} zero{stage}"] = {
            "measured": (resident_bytes() - before) / sizes.parameters,
            **{name: parts[name] / sizes.parameters for name in ("weights", "states", "buckets")},
            "embedding": sizes.vocabulary * sizes.width / sizes.parameters,
        }
        engine.destroy()
        del engine, tuned
    return result


def main(out: Path) -> None:
    rank = Rank.from_environment()
    with rank_process(rank):
        silence_warnings()
        init_distributed(rank)
        memory = resident(out / "wide", rank.world_size)
        sums = {stage: gradient_sums.errors(out / "tiny", stage) for stage in range(4)}
        errors = gradients(out / "tiny", load_examples(out / "examples"))
        if rank.is_first:
            result = {"gradients": errors, "resident": memory, "sums": sums}
            (out / "result.json").write_text(json.dumps(result), "utf-8")
        destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
