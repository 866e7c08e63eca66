"""The way of last resort: the documents of a row as padded batches, by the model's own forward.

It asks nothing of a model but that it is causal: padding is on the right, behind every token of
its document. Memory is that of one batch of documents, whatever the row: each is computed again in
the backward pass, so that the activations of two never exist together. Where the model is seen to
make its logits as `LogitShape` says, the head runs on supervised tokens alone, chunk by chunk.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from instruct_scaling.models.packed.documents import Documents
from instruct_scaling.models.packed.head import LogitShape, SummedCrossEntropy, chunk_rows
from instruct_scaling.models.packed.packing import PackedBatch

PADDED_TOKENS = 1024  # of a batch, padding included; a longer document is a batch of its own
PROBE_TOKENS = 8


class PaddedForCausalLM:
    """Mixed into a causal language model's class: unpacks a row into padded batches.

    `logit_shape` is how it makes logits from its last hidden states; None where that is unknown.
    """

    logit_shape: LogitShape | None

    def forward(self, *args: Any, batch: PackedBatch | None = None, **kwargs: Any) -> Any:
        """Sum of -log p over the supervised tokens; without `batch` the model's own forward."""
        if batch is None:
            return super().forward(*args, **kwargs)
        groups = supervised_by_group(batch, document_batches(batch.documents.lengths))
        empty = (groups[0][0], groups[0][1][:0])
        groups += [empty] * (common_count(self, len(groups)) - len(groups))
        losses = [checkpoint(self._summed, batch, *group, use_reentrant=False) for group in groups]
        return torch.stack(losses).sum()

    @torch.no_grad()
    def target_losses(self, batch: PackedBatch) -> torch.Tensor:
        """-log p of each supervised token, [supervised] fp32; without gradients (no ZeRO-3)."""
        groups = supervised_by_group(batch, document_batches(batch.documents.lengths))
        losses = batch.input_ids.new_zeros(len(batch.targets), dtype=torch.float32)
        for group, chosen in groups:
            losses[chosen] = self._each(batch, group, chosen)
        return losses

    def _summed(self, batch: PackedBatch, group: list[int], chosen: torch.Tensor) -> torch.Tensor:
        """The summed loss of the supervised tokens `chosen`, which the documents `group` hold."""
        if self.logit_shape is None:
            return self._each(batch, group, chosen).sum()
        inputs, places = padded_inputs(batch, group, chosen)
        hidden = self.base_model(**inputs).last_hidden_state.flatten(0, 1)[places]
        head = self.get_output_embeddings()
        rows = chunk_rows(len(head.weight), hidden.device)
        return SummedCrossEntropy.apply(
            hidden, head.weight, batch.targets[chosen], rows, head.bias, self.logit_shape
        )

    def _each(self, batch: PackedBatch, group: list[int], chosen: torch.Tensor) -> torch.Tensor:
        """Like `_summed`, token by token, from the model's own logits."""
        inputs, places = padded_inputs(batch, group, chosen)
        logits = super().forward(**inputs).logits.flatten(0, 1)[places]
        return F.cross_entropy(logits.float(), batch.targets[chosen], reduction="none")


def supervised_by_group(
    batch: PackedBatch, groups: list[list[int]]
) -> list[tuple[list[int], torch.Tensor]]:
    """Each group of documents with the numbers of its supervised tokens."""
    numbers = batch.documents.numbers[batch.positions]
    members = [torch.tensor(group, device=numbers.device, dtype=numbers.dtype) for group in groups]
    return [
        (group, torch.isin(numbers, part).nonzero()[:, 0])
        for group, part in zip(groups, members, strict=True)
    ]


def padded_inputs(
    batch: PackedBatch, group: list[int], chosen: torch.Tensor
) -> tuple[dict[str, Any], torch.Tensor]:
    """A model's arguments for some documents, padded on the right, and where in the flattened batch
    their supervised tokens `chosen` are predicted."""
    valid, index = padded_index(batch.documents, group)
    place = torch.zeros_like(batch.input_ids[0])
    place[index[valid]] = valid.flatten().nonzero()[:, 0]
    padded = batch.input_ids[0][index].masked_fill(~valid, 0)
    inputs = {"input_ids": padded, "attention_mask": valid.long(), "use_cache": False}
    return inputs, place[batch.positions[chosen]]


def document_batches(lengths: tuple[int, ...]) -> list[list[int]]:
    """Documents, the longest first, in batches of at most `PADDED_TOKENS`, padding included."""
    groups: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda n: (-lengths[n], n)):
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= PADDED_TOKENS:
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


def partitioned(model: nn.Module) -> bool:
    """Whether ZeRO-3 has shared out the weights, so that a forward pass is a collective."""
    return any(hasattr(parameter, "ds_id") for parameter in model.parameters())


def common_count(model: nn.Module, count: int) -> int:
    """The largest number of batches of any rank, where every rank has to take part in each."""
    if not partitioned(model):
        return count
    device = next(model.parameters()).device
    largest = torch.tensor(count, device=device)
    distributed.all_reduce(largest, distributed.ReduceOp.MAX)
    return int(largest)


@torch.no_grad()
def seen_logit_shape(model: PreTrainedModel) -> LogitShape | None:
    """How a model makes logits of its last hidden states, where a few tokens show that it does as
    its configuration says; None where they show another way, or the weights are not whole."""
    head = model.get_output_embeddings()
    if partitioned(model) or type(head) is not nn.Linear:
        return None
    shape, training = LogitShape.of(model.config), model.training
    ids = torch.arange(1, 1 + PROBE_TOKENS, device=model.device)[None]
    model.eval()
    try:
        hidden = model.base_model(ids, use_cache=False).last_hidden_state
        logits = model(ids, use_cache=False).logits
    except (AttributeError, TypeError, ValueError):  # not the usual arguments or outputs
        return None
    finally:
        model.train(training)
    if hidden.shape[-1] != head.in_features:
        return None
    tolerance = 8 * torch.finfo(logits.dtype).eps
    found = shape.apply_(head(hidden))
    return shape if torch.allclose(found, logits, rtol=tolerance, atol=tolerance) else None


def pad_model(model: PreTrainedModel) -> None:
    """Let any loaded model take the rows of packed ones, in place."""
    original = type(model)
    model.logit_shape = seen_logit_shape(model)
    model.__class__ = type(original.__name__, (PaddedForCausalLM, original), {})


def restore_padded(model: PreTrainedModel) -> None:
    """Undo `pad_model`."""
    model.__class__ = type(model).__mro__[2]
    del model.logit_shape
