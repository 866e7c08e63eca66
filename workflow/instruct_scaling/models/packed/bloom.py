"""transformers' BLOOM on packed rows: its classes swapped, its weights kept.

transformers refuses every attention but its eager one for BLOOM. Swapping the class of the
loaded modules keeps names, hooks and weights, so DeepSpeed, PEFT and `save_pretrained` see the
model they know; `restore_bloom` swaps back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F
from transformers.models.bloom.modeling_bloom import (
    BloomAttention,
    BloomForCausalLM,
    BloomGelu,
    BloomModel,
)

from instruct_scaling.models.packed.attention import Scores, alibi_slopes, attend
from instruct_scaling.models.packed.documents import Documents
from instruct_scaling.models.packed.execution import PackedExecution, neftune_noise
from instruct_scaling.models.packed.head import PLAIN, fuse_head, unfuse_head
from instruct_scaling.models.packed.linear import restore_linears, swap_linears
from instruct_scaling.models.packed.packing import PackedBatch


class PackedBloomAttention(BloomAttention):
    """Attention inside each document; the parameter `alibi` takes the row's `Documents`."""

    execution: PackedExecution

    def forward(
        self, hidden_states: torch.Tensor, residual: torch.Tensor, alibi: Documents, **_: Any
    ) -> tuple[torch.Tensor, None]:
        """hidden_states and residual [1, tokens, width] -> ([1, tokens, width], None)."""
        fused = self.query_key_value(hidden_states)
        query, key, value = fused.view(-1, self.num_heads, 3, self.head_dim).unbind(2)
        context = attend(
            query,
            key,
            value,
            Scores(slopes=alibi_slopes(self.num_heads, fused.device)),
            alibi,
            backend=self.execution.backend,
            dropout=self.attention_dropout.p if self.training else 0.0,
            deterministic=self.execution.deterministic,
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
        return self.lm_head.token_losses(hidden[batch.positions], batch.targets)


def pack_bloom(model: BloomForCausalLM, execution: PackedExecution) -> None:
    """Let a loaded BLOOM (also with LoRA layers inside it) take packed rows, in place."""
    model.__class__ = PackedBloomForCausalLM
    model.transformer.__class__ = PackedBloomModel
    model.transformer.neftune_alpha = execution.neftune_alpha
    fuse_head(model.lm_head, PLAIN)
    swap_linears(model)
    for block in model.transformer.h:
        block.self_attention.__class__ = PackedBloomAttention
        block.self_attention.execution = execution
        block.mlp.gelu_impl.__class__ = FusedBloomGelu


def restore_bloom(model: BloomForCausalLM) -> None:
    """Undo `pack_bloom`."""
    model.__class__ = BloomForCausalLM
    model.transformer.__class__ = BloomModel
    del model.transformer.neftune_alpha
    unfuse_head(model.lm_head)
    restore_linears(model)
    for block in model.transformer.h:
        block.self_attention.__class__ = BloomAttention
        del block.self_attention.execution
        block.mlp.gelu_impl.__class__ = BloomGelu
