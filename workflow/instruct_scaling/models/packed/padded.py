"""The way of last resort for other architectures: documents padded to the longest of a row."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from instruct_scaling.models.packed.batch import PackedBatch


class Padded:
    """Mixed into a causal language model's class: unpacks the row into a padded batch."""

    def forward(self, *args: Any, batch: PackedBatch | None = None, **kwargs: Any) -> Any:
        """Sum of -log p over the supervised tokens; without `batch` the model's own forward."""
        if batch is None:
            return super().forward(*args, **kwargs)
        lengths = torch.tensor(batch.documents.lengths, device=batch.input_ids.device)
        valid = torch.arange(batch.documents.longest, device=lengths.device) < lengths[:, None]
        padded = batch.input_ids.new_zeros(valid.shape)
        padded[valid] = batch.input_ids[0]
        logits = super().forward(padded, attention_mask=valid.long(), use_cache=False).logits
        return F.cross_entropy(
            logits[valid][batch.positions].float(), batch.targets, reduction="sum"
        )


def pad_model(model: nn.Module) -> None:
    """Give a loaded model the packed model's interface, in place."""
    original = type(model)
    model.__class__ = type(original.__name__, (Padded, original), {})


def restore(model: nn.Module) -> None:
    """Undo `pad_model`."""
    model.__class__ = type(model).__mro__[2]
