"""Models that run packed rows: transformers' BLOOM with its classes swapped, its weights kept.

transformers refuses every attention but its eager one for BLOOM. Swapping the class of the
loaded modules keeps names, hooks and weights, so DeepSpeed, PEFT and `save_pretrained` see the
model they know; `restore` swaps back. A model of another architecture gets the same interface and
runs the documents of a row as a padded batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.models.bloom.modeling_bloom import (
    BloomAttention,
    BloomForCausalLM,
    BloomGelu,
    BloomModel,
)

from instruct_scaling.models.packed.attention import Backend, Documents, alibi_slopes, attend
from instruct_scaling.models.packed.head import FusedHead, chunk_rows
from instruct_scaling.models.packed.linear import restore_linears, swap_linears
from instruct_scaling.models.packed.packing import PackedBatch


class PackedBloomAttention(BloomAttention):
    """Attention inside each document; the parameter `alibi` takes the row's `Documents`."""

    backend: Backend

    def forward(
        self, hidden_states: torch.Tensor, residual: torch.Tensor, alibi: Documents, **_: Any
    ) -> tuple[torch.Tensor, None]:
        """hidden_states and residual [1, tokens, width] -> ([1, tokens, width], None)."""
        fused = self.query_key_value(hidden_states)
        query, key, value = fused.view(-1, self.num_heads, 3, self.head_dim).unbind(2)
        slopes = alibi_slopes(self.num_heads, fused.device)
        context = attend(
            query,
            key,
            value,
            slopes,
            alibi,
            backend=self.backend,
            dropout=self.attention_dropout.p if self.training else 0.0,
        )
        output = self.dense(context.reshape(hidden_states.shape))
        dropped = F.dropout(output, p=self.hidden_dropout, training=self.training)
        return residual + dropped, None


class FusedBloomGelu(BloomGelu):
    """The same tanh approximation in one kernel, where transformers' takes nine."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """GELU, tanh approximation."""
        return F.gelu(x, approximate="tanh")


class PackedBloomModel(BloomModel):
    """Runs one packed row."""

    neftune_alpha: float

    def forward(self, input_ids: torch.Tensor, documents: Documents) -> torch.Tensor:
        """input_ids [1, tokens] -> hidden states [1, tokens, width] after the last layer norm."""
        embedded = self.word_embeddings(input_ids)
        if self.training and self.neftune_alpha:
            embedded = embedded + neftune_noise(embedded, documents, self.neftune_alpha)
        hidden = self.word_embeddings_layernorm(embedded)
        for block in self.h:
            hidden = block(hidden, alibi=documents, attention_mask=None)[0]
        return self.ln_f(hidden)


class PackedBloomForCausalLM(BloomForCausalLM):
    """Returns the summed loss of a packed row's supervised tokens."""

    def forward(self, *, batch: PackedBatch) -> torch.Tensor:
        """Sum of -log p over the supervised tokens, fp32 scalar."""
        hidden = self.transformer(batch.input_ids, documents=batch.documents)
        return self.lm_head(hidden[0].index_select(0, batch.positions), batch.targets)

    def target_losses(self, batch: PackedBatch) -> torch.Tensor:
        """-log p of each supervised token, [supervised] fp32; without gradients."""
        hidden = self.transformer(batch.input_ids, documents=batch.documents)[0]
        weight = self.lm_head.weight
        rows = chunk_rows(weight.shape[0], hidden.device)
        chunks = zip(batch.positions.split(rows), batch.targets.split(rows), strict=True)
        losses = [
            F.cross_entropy((hidden[at] @ weight.t()).float(), targets, reduction="none")
            for at, targets in chunks
        ]
        return torch.cat(losses)


class PaddedForCausalLM:
    """Mixed into any other causal language model's class: unpacks the row into a padded batch."""

    def forward(self, *args: Any, batch: PackedBatch | None = None, **kwargs: Any) -> Any:
        """Sum of -log p over the supervised tokens; without `batch` the model's own forward."""
        if batch is None:
            return super().forward(*args, **kwargs)
        return self.target_losses(batch).sum()

    def target_losses(self, batch: PackedBatch) -> torch.Tensor:
        """-log p of each supervised token, [supervised] fp32."""
        lengths = torch.tensor(batch.documents.lengths, device=batch.input_ids.device)
        valid = torch.arange(batch.documents.longest, device=lengths.device) < lengths[:, None]
        padded = batch.input_ids.new_zeros(valid.shape)
        padded[valid] = batch.input_ids[0]
        logits = super().forward(padded, attention_mask=valid.long(), use_cache=False).logits
        return F.cross_entropy(
            logits[valid][batch.positions].float(), batch.targets, reduction="none"
        )


def neftune_noise(embedded: torch.Tensor, documents: Documents, alpha: float) -> torch.Tensor:
    """Uniform noise in +-alpha / sqrt(length * width), the length being the document's own
    (Jain et al. 2023, arXiv 2310.05914); shape and type of `embedded` [1, tokens, width]."""
    lengths = torch.tensor(documents.lengths, device=embedded.device)[documents.numbers.long()]
    bound = alpha / (lengths * embedded.shape[-1]).float().sqrt()
    noise = torch.empty_like(embedded, dtype=torch.float32).uniform_(-1, 1)
    return (noise * bound[None, :, None]).to(embedded.dtype)


def pack_model(model: PreTrainedModel, backend: Backend, neftune_alpha: float = 0.0) -> None:
    """Let a loaded model (also with LoRA layers inside it) take packed rows, in place.

    Args:
        backend: attention of a BLOOM; other architectures keep their own.
        neftune_alpha: strength of NEFTune's noise in training; a BLOOM's only.
    """
    if model.config.model_type != "bloom":
        original = type(model)
        model.__class__ = type(original.__name__, (PaddedForCausalLM, original), {})
        return
    model.__class__ = PackedBloomForCausalLM
    model.transformer.__class__ = PackedBloomModel
    model.transformer.neftune_alpha = neftune_alpha
    model.lm_head.__class__ = FusedHead
    swap_linears(model)
    for block in model.transformer.h:
        block.self_attention.__class__ = PackedBloomAttention
        block.self_attention.backend = backend
        block.mlp.gelu_impl.__class__ = FusedBloomGelu


def restore(model: PreTrainedModel) -> None:
    """Undo `pack_model`."""
    if isinstance(model, PaddedForCausalLM):
        model.__class__ = type(model).__mro__[2]
        return
    model.__class__ = BloomForCausalLM
    model.transformer.__class__ = BloomModel
    del model.transformer.neftune_alpha
    model.lm_head.__class__ = nn.Linear
    restore_linears(model)
    for block in model.transformer.h:
        block.self_attention.__class__ = BloomAttention
        del block.self_attention.backend
        block.mlp.gelu_impl.__class__ = BloomGelu
