"""transformers' BLOOM, taught to run packed rows: its classes are swapped, its weights stay.

transformers refuses every attention but its eager one for BLOOM. Swapping the class of the
loaded modules keeps names, hooks and weights, so DeepSpeed, PEFT and `save_pretrained` see the
model they know; `restore` swaps back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers.models.bloom.modeling_bloom import (
    BloomAttention,
    BloomForCausalLM,
    BloomGelu,
    BloomModel,
)

from instruct_scaling.models.packed.attention import Backend, alibi_slopes, attend
from instruct_scaling.models.packed.batch import PackedBatch
from instruct_scaling.models.packed.documents import Documents
from instruct_scaling.models.packed.head import FusedHead
from instruct_scaling.models.packed.linear import restore_linears, swap_linears


class PackedBloomAttention(BloomAttention):
    """Attention inside each document; the row's `Documents` come in the place of ALiBi."""

    backend: Backend

    def forward(
        self, hidden_states: torch.Tensor, residual: torch.Tensor, alibi: Documents, **_: Any
    ) -> tuple[torch.Tensor, None]:
        """hidden_states and residual [1, places, width] -> ([1, places, width], None)."""
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
        """input_ids [1, places] -> hidden states [1, places, width] after the last layer norm."""
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


def neftune_noise(embedded: torch.Tensor, documents: Documents, alpha: float) -> torch.Tensor:
    """Uniform noise in +-alpha / sqrt(length * width), the length being the document's own
    (Jain et al. 2023, arXiv 2310.05914); shape and type of `synthetic` [1, places, width]."""
    lengths = torch.tensor(documents.lengths, device=embedded.device)[documents.numbers.long()]
    bound = alpha / (lengths * embedded.shape[-1]).float().sqrt()
    noise = torch.empty_like(embedded, dtype=torch.float32).uniform_(-1, 1)
    return (noise * bound[None, :, None]).to(embedded.dtype)


def pack_model(model: BloomForCausalLM, backend: Backend, neftune_alpha: float = 0.0) -> None:
    """Swap the classes of a loaded BLOOM (also with LoRA layers inside it), in place."""
    model.__class__ = PackedBloomForCausalLM
    model.transformer.__class__ = PackedBloomModel
    model.transformer.neftune_alpha = neftune_alpha
    model.lm_head.__class__ = FusedHead
    swap_linears(model)
    for block in model.transformer.h:
        block.self_attention.__class__ = PackedBloomAttention
        block.self_attention.backend = backend
        block.mlp.gelu_impl.__class__ = FusedBloomGelu


def restore(model: BloomForCausalLM) -> None:
    """Undo `pack_model`."""
    model.__class__ = BloomForCausalLM
    model.transformer.__class__ = BloomModel
    del model.transformer.neftune_alpha
    model.lm_head.__class__ = nn.Linear
    restore_linears(model)
    for block in model.transformer.h:
        block.self_attention.__class__ = BloomAttention
        del block.self_attention.backend
        block.mlp.gelu_impl.__class__ = BloomGelu
