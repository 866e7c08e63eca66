"""Any decoder of transformers on packed rows, through transformers' own seam.

The mask that a model asks for is replaced by a `RowMask`, which says where the documents of the
row lie and how far a query sees; the model hands it to its attention, and ours reads it. So
windows are those that the model itself asks for, and a layer that is recomputed in the backward
pass meets the same documents again. Positions start again with each document. No two-dimensional
mask is passed, for nothing is padded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.models.falcon.modeling_falcon import FalconAttention, apply_rotary_pos_emb

from instruct_scaling.common.errors import InputError
from instruct_scaling.models.packed.attention import Scores, attend
from instruct_scaling.models.packed.documents import Documents
from instruct_scaling.models.packed.execution import PackedExecution, neftune_noise
from instruct_scaling.models.packed.head import LogitShape, fuse_head, unfuse_head
from instruct_scaling.models.packed.linear import restore_linears, swap_linears
from instruct_scaling.models.packed.packing import PackedBatch

ATTENTION = "instruct_scaling_packed"  # its name in transformers' interfaces


@dataclass(frozen=True)
class RowMask:
    """Stands for the mask of a packed row: its documents, how many keys a query sees (itself
    included; None is all of its document's), and how attention is run."""

    documents: Documents
    execution: PackedExecution
    window: int | None = None


_ROW: ContextVar[RowMask] = ContextVar("packed row")


@contextmanager
def packed_row(documents: Documents, execution: PackedExecution) -> Iterator[None]:
    """Models that are called in the body meet the mask of this row."""
    token = _ROW.set(RowMask(documents, execution))
    try:
        yield
    finally:
        _ROW.reset(token)


def row_mask(*_: Any, local_size: int | None = None, **__: Any) -> RowMask:
    """What transformers' mask functions return; `local_size` is a layer's sliding window."""
    row = _ROW.get()
    return RowMask(row.documents, row.execution, local_size)


def row_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: RowMask,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention on one row: query [1, heads, tokens, dim], key and value [1, key
    heads, tokens, dim], after their rotation; returns [1, tokens, heads, dim] and None.

    Raises:
        InputError: the model has attention sinks (`s_aux`).
    """
    if s_aux is not None:
        raise InputError(
            "attention sinks are not packed",
            where="base",
            fix="report the base's model_type: it should have been padded",
        )
    execution = attention_mask.execution
    out = attend(
        *(part[0].transpose(0, 1) for part in (query, key, value)),
        Scores(scale=scaling, window=attention_mask.window, softcap=softcap),
        attention_mask.documents,
        backend=execution.backend,
        dropout=dropout,
        deterministic=execution.deterministic,
    )
    return out[None], None


AttentionInterface.register(ATTENTION, row_attention)
AttentionMaskInterface.register(ATTENTION, row_mask)


class PackedFalconAttention(FalconAttention):
    """Falcon with rotary positions, whose own attention does not ask transformers' interface."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        alibi: None,
        attention_mask: RowMask,
        position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,
        **_: Any,
    ) -> tuple[torch.Tensor, None]:
        """hidden_states [1, tokens, width] -> ([1, tokens, width], None)."""
        parts = self._split_heads(self.query_key_value(hidden_states))
        query, key, value = (part.transpose(1, 2) for part in parts)
        assert position_embeddings is not None
        query, key = apply_rotary_pos_emb(query, key, *position_embeddings)
        context, _ = row_attention(self, query, key, value, attention_mask)
        return self.dense(context.flatten(2)), None


class PackedDecoder:
    """Mixed into a causal language model's class: returns the summed loss of a packed row."""

    packed_execution: PackedExecution
    stock_attention: str

    def forward(self, *, batch: PackedBatch) -> torch.Tensor:
        """Sum of -log p over the supervised tokens, fp32 scalar."""
        return self.get_output_embeddings()(self._supervised(batch), batch.targets)

    def target_losses(self, batch: PackedBatch) -> torch.Tensor:
        """-log p of each supervised token, [supervised] fp32; without gradients."""
        return self.get_output_embeddings().token_losses(self._supervised(batch), batch.targets)

    def _supervised(self, batch: PackedBatch) -> torch.Tensor:
        """Last hidden states [supervised, width] from which the supervised tokens are predicted."""
        documents, execution = batch.documents, self.packed_execution
        inputs: dict[str, Any] = {"input_ids": batch.input_ids}
        if self.training and execution.neftune_alpha:
            embedded = self.get_input_embeddings()(batch.input_ids)
            noise = neftune_noise(embedded, documents, execution.neftune_alpha)
            inputs = {"inputs_embeds": embedded + noise}
        with packed_row(documents, execution):
            output = self.base_model(**inputs, position_ids=documents.positions, use_cache=False)
        return output.last_hidden_state[0].index_select(0, batch.positions)


def pack_decoder(model: PreTrainedModel, execution: PackedExecution) -> None:
    """Let a loaded decoder (also with LoRA layers inside it) take packed rows, in place."""
    original = type(model)
    model.__class__ = type(original.__name__, (PackedDecoder, original), {})
    model.packed_execution = execution
    model.stock_attention = model.config._attn_implementation
    model.config._attn_implementation = ATTENTION
    fuse_head(model.get_output_embeddings(), LogitShape.of(model.config))
    swap_linears(model)
    for module in model.modules():
        if type(module) is FalconAttention:
            module.__class__ = PackedFalconAttention


def restore_decoder(model: PreTrainedModel) -> None:
    """Undo `pack_decoder`."""
    model.config._attn_implementation = model.stock_attention
    del model.packed_execution, model.stock_attention
    model.__class__ = type(model).__mro__[2]
    unfuse_head(model.get_output_embeddings())
    restore_linears(model)
    for module in model.modules():
        if type(module) is PackedFalconAttention:
            module.__class__ = FalconAttention
