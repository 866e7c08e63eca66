"""How hard a record is for an untuned base: mean loss per supervised token of each record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Record
from instruct_scaling.config.annotations import BaseLossAnnotation
from instruct_scaling.data.encoding import Encoded, encode_records
from instruct_scaling.data.tokens.tokenizer import read_tokenizer
from instruct_scaling.models.packed.engine import pack_model, refuse_longer
from instruct_scaling.models.packed.packing import first_fit_decreasing, packed_batch
from instruct_scaling.training.model import DTYPES, load_weights

WINDOW = 2048  # records that are packed together; more fill rows a little better
ROW_TOKENS = {"cuda": 16_384, "cpu": 2_048}


def base_losses(
    records: Iterable[Record], base: Path, config: BaseLossAnnotation, device: torch.device
) -> Iterator[float | None]:
    """Mean -log p per supervised token of each record, in order; None where it has no such token.

    Records are streamed: memory holds `WINDOW` of them.

    Args:
        records: any number of records.
        base: folder of the base model.
        config: template, longest example, precision.
        device: where the model runs.

    Raises:
        InputError: no model or tokenizer can be loaded, or fp16 is asked for on a CPU.
    """
    if config.precision == "fp16" and device.type == "cpu":
        raise InputError(
            "fp16 needs a GPU", where="annotations", fix="use bf16 or fp32 for base_loss on a CPU"
        )
    tokenizer = read_tokenizer(base)
    model = load_weights(base, DTYPES[config.precision]).to(device).eval()
    refuse_longer(model.config, config.max_length)
    pack_model(model)  # sdpa: rows of any length, in every precision
    encoded = encode_records(
        tqdm(records, desc="base loss", unit=" records", mininterval=1),
        tokenizer,
        config.template,
        config.max_length,
    )
    while window := list(islice(encoded, WINDOW)):
        yield from window_losses(model, window, device)


@torch.inference_mode()
def window_losses(model: Any, window: list[Encoded], device: torch.device) -> list[float | None]:
    """The mean losses of some examples, packed into rows, in their order.

    Args:
        model: a model that `pack_model` has prepared, on the device.
        window: the examples.
        device: where the model runs.
    """
    losses: list[float | None] = [None] * len(window)
    lengths = [len(example.tokens) - 1 for example in window]
    for row in first_fit_decreasing(lengths, ROW_TOKENS[device.type]):
        batch = packed_batch([(window[i].tokens, window[i].spans) for i in row], device)
        sizes = [int((window[i].spans[:, 1] - window[i].spans[:, 0]).sum()) for i in row]
        if not sum(sizes):
            continue
        parts = model.target_losses(batch).double().split(sizes)
        for index, part in zip(row, parts, strict=True):
            if len(part):
                losses[index] = float(part.mean())
    return losses
