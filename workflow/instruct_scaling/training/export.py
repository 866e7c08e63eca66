"""The finished model as a folder that stock transformers loads, checked against the engine."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path
from instruct_scaling.config.recipe import LoraTuning, Recipe
from instruct_scaling.models.packed.packing import packed_batch
from instruct_scaling.training.examples import Examples
from instruct_scaling.training.job import Job
from instruct_scaling.training.model import (
    DTYPES,
    Tuned,
    load_weights,
    read_tokenizer,
    stock_classes,
)

log = logging.getLogger(__name__)

PROBE_EXAMPLES = 8
PROBE_TOKENS = 4096
# Relative difference allowed between the engine's loss and the exported model's: rounding only.
TOLERANCE = {"fp32": 1e-3, "bf16": 3e-2, "fp16": 1e-2}


def gathered_weights(engine: Any, *, trainable_only: bool) -> dict[str, torch.Tensor] | None:
    """Weights in the precision of training, on the CPU of rank 0; None on other ranks.

    All ranks call it together (ZeRO-3 gathers one parameter after the other).
    """
    rank = distributed.get_rank()
    weights: dict[str, torch.Tensor] = {}
    for name, parameter in engine.module.named_parameters():
        if trainable_only and not parameter.requires_grad:
            continue
        with _whole(parameter):
            if rank == 0:
                weights[name] = parameter.detach().cpu().clone()
    return weights if rank == 0 else None


@contextmanager
def _whole(parameter: torch.Tensor) -> Iterator[None]:
    """The parameter's full value, where ZeRO-3 has partitioned it."""
    if not hasattr(parameter, "ds_id"):
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters([parameter]):
        yield


def probe_loss(engine: Any, examples: Examples) -> float:
    """Mean loss of the engine's model on the first examples; all ranks compute the same."""
    engine.eval()
    with torch.no_grad():
        batch = packed_batch(_probe(examples), engine.device)
        loss = float(engine(batch=batch)) / max(1, len(batch.targets))
    engine.train()
    return loss


def _probe(examples: Examples) -> list[Any]:
    """The first examples, as many as `PROBE_TOKENS` holds, at least one."""
    chosen, total = [], 0
    for index in range(min(PROBE_EXAMPLES, len(examples))):
        tokens, prompt = examples.sequence(index)
        total += len(tokens)
        if chosen and total > PROBE_TOKENS:
            break
        chosen.append((tokens, prompt))
    return chosen


def stock_loss(folder: Path, examples: Examples) -> float:
    """Mean loss of the exported model on the same examples, one by one, by transformers alone."""
    model = load_weights(folder, torch.float32).eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for tokens, prompt in _probe(examples):
            ids = torch.from_numpy(tokens.astype("int64"))
            logits = model(input_ids=ids[None]).logits[0, prompt - 1 : -1]
            total += float(torch.nn.functional.cross_entropy(logits, ids[prompt:], reduction="sum"))
            count += len(ids) - prompt
    return total / max(1, count)


def write_model(
    folder: Path,
    tuned: Tuned,
    weights: dict[str, torch.Tensor],
    base: Path,
    recipe: Recipe,
    card: str,
) -> None:
    """Write weights, tokenizer, generation config and model card (rank 0 only).

    The module can go on training afterwards. Adapters are merged into a fresh fp32 copy of the
    base and also written to `adapter/`.
    """
    folder.mkdir(parents=True)
    with stock_classes(tuned, recipe):
        if isinstance(recipe.tuning, LoraTuning):
            _merge(folder, tuned, weights, base, DTYPES[recipe.precision])
        else:
            tuned.module.save_pretrained(folder, state_dict=weights)
    read_tokenizer(base).save_pretrained(folder)
    (folder / "README.md").write_text(card, "utf-8")


def _merge(
    folder: Path,
    tuned: Tuned,
    weights: dict[str, torch.Tensor],
    base: Path,
    dtype: torch.dtype,
) -> None:
    from peft import PeftModel

    assert tuned.adapter is not None
    named = {f"base_model.model.{name}": value for name, value in weights.items()}
    tuned.adapter.save_pretrained(folder / "adapter", state_dict=named)
    # PEFT writes a template card without content; the model's own card stands beside it.
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    merged = PeftModel.from_pretrained(load_weights(base, torch.float32), folder / "adapter")
    merged.merge_and_unload().to(dtype).save_pretrained(folder)


def export_model(
    target: Path,
    job: Job,
    tuned: Tuned,
    weights: dict[str, torch.Tensor],
    examples: Examples,
    expected: float,
    card: str,
) -> float:
    """Write, reload, compare, and only then move into place (rank 0 only).

    Args:
        target: folder of the model.
        expected: the engine's loss on the probe examples.

    Returns:
        The reloaded model's loss.

    Raises:
        InputError: see `check_export`.
    """
    with atomic_path(target) as folder:
        write_model(folder, tuned, weights, job.base, job.recipe, card)
        return check_export(folder, examples, expected, job.recipe)


def check_export(folder: Path, examples: Examples, expected: float, recipe: Recipe) -> float:
    """Reload the export and compare its loss with the engine's.

    Returns:
        The reloaded model's loss.

    Raises:
        InputError: the losses differ by more than rounding explains.
    """
    found = stock_loss(folder, examples)
    if not math.isclose(found, expected, rel_tol=TOLERANCE[recipe.precision], abs_tol=1e-3):
        raise InputError(
            f"the exported model's loss is {found:.5f}, the trained one's {expected:.5f}",
            where=folder,
            fix="the checkpoint is kept: check disk and memory, then run the same command again",
        )
    return found
