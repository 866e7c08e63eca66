"""The way of last resort: the documents of a row as padded batches, by the model's own forward.

It asks nothing of a model but that it is causal: padding is on the right, behind every token of
its document. Memory is that of one batch of documents, whatever the row: each is computed again in
the backward pass, so that the logits and activations of two never exist together.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from instruct_scaling.models.packed.documents import Documents
from instruct_scaling.models.packed.packing import PackedBatch

PADDED_TOKENS = 1024  # of a batch, padding included; a longer document is a batch of its own


class PaddedForCausalLM:
    """Mixed into a causal language model's class: unpacks a row into padded batches."""

    def forward(self, *args: Any, batch: PackedBatch | None = None, **kwargs: Any) -> Any:
        """Sum of -log p over the supervised tokens; without `batch` the model's own forward."""
        if batch is None:
            return super().forward(*args, **kwargs)
        return self.target_losses(batch).sum()

    def target_losses(self, batch: PackedBatch) -> torch.Tensor:
        """-log p of each supervised token, [supervised] fp32."""
        groups = document_batches(batch.documents.lengths, PADDED_TOKENS)
        numbers = batch.documents.numbers[batch.positions]
        found, order = [], []
        for group in groups:
            members = torch.tensor(group, device=numbers.device, dtype=numbers.dtype)
            chosen = torch.isin(numbers, members).nonzero()[:, 0]
            order.append(chosen)
            found.append(self._losses_again(batch, group, chosen))
        for _ in range(common_count(self, len(groups)) - len(groups)):
            found.append(self._losses_again(batch, [0], order[0][:0]))
        return torch.cat(found)[torch.argsort(torch.cat(order))]

    def _losses_again(
        self, batch: PackedBatch, group: list[int], chosen: torch.Tensor
    ) -> torch.Tensor:
        return checkpoint(self._losses, batch, group, chosen, use_reentrant=False)

    def _losses(self, batch: PackedBatch, group: list[int], chosen: torch.Tensor) -> torch.Tensor:
        """-log p of the supervised tokens `chosen`, which are those of the documents `group`."""
        valid, index = padded_index(batch.documents, group)
        # Where a token of the row stands in the padded batch.
        place = torch.zeros_like(batch.input_ids[0])
        place[index[valid]] = valid.flatten().nonzero()[:, 0]
        padded = batch.input_ids[0][index].masked_fill(~valid, 0)
        output = super().forward(padded, attention_mask=valid.long(), use_cache=False)
        logits = output.logits.flatten(0, 1)[place[batch.positions[chosen]]]
        return F.cross_entropy(logits.float(), batch.targets[chosen], reduction="none")


def document_batches(lengths: tuple[int, ...], tokens: int) -> list[list[int]]:
    """Documents, the longest first, in batches of at most so many tokens, padding included."""
    groups: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda n: (-lengths[n], n)):
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= tokens:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def padded_index(documents: Documents, group: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Which places of a padded batch hold a token, and where in the row it is (0 for padding);
    both [documents, longest]."""
    lengths = torch.tensor([documents.lengths[number] for number in group])
    starts = documents.offsets[torch.tensor(group)].cpu()
    column = torch.arange(int(lengths.max()))
    valid = column < lengths[:, None]
    index = torch.where(valid, starts[:, None] + column, 0)
    return valid.to(documents.device), index.to(documents.device)


def common_count(model: PreTrainedModel, count: int) -> int:
    """The largest number of batches of any rank, where ZeRO-3 makes every forward a collective."""
    if not any(hasattr(parameter, "ds_id") for parameter in model.parameters()):
        return count
    device = next(model.parameters()).device
    largest = torch.tensor(count, device=device)
    distributed.all_reduce(largest, distributed.ReduceOp.MAX)
    return int(largest)


def pad_model(model: PreTrainedModel) -> None:
    """Let any loaded model take the rows of packed ones, in place."""
    original = type(model)
    model.__class__ = type(original.__name__, (PaddedForCausalLM, original), {})


def restore_padded(model: PreTrainedModel) -> None:
    """Undo `pad_model`."""
    model.__class__ = type(model).__mro__[2]
