"""transformers' BLOOM, generating with the attention of its training.

`generate()` itself, its sampling, stopping and caches stay transformers' own: only classes of the
loaded modules are swapped, as in training (`packed.bloom`). The prompts of a batch run as one
packed row, so padding costs nothing and no [batch, heads, length, length] scores exist; each later
token takes scaled_dot_product_attention over the cache. ALiBi is relative in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch.nn import functional as F
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions
from transformers.models.bloom.modeling_bloom import BloomAttention, BloomModel

from instruct_scaling.models.packed.attention import Scores, alibi_slopes, attend
from instruct_scaling.models.packed.backends import Backend, installed
from instruct_scaling.models.packed.bloom import FusedBloomGelu
from instruct_scaling.models.packed.documents import Documents
from instruct_scaling.models.packed.linear import swap_linears


@dataclass(frozen=True)
class Prompts:
    """Padded prompts as documents of one packed row; `valid` [batch, length] marks their tokens."""

    valid: torch.Tensor

    @classmethod
    def of(cls, attention_mask: torch.Tensor) -> Prompts:
        """From a mask [batch, length]; in a row without any token the last counts."""
        valid = attention_mask.bool()
        empty = ~valid.any(1, keepdim=True)
        return cls(torch.cat([valid[:, :-1], valid[:, -1:] | empty], 1))

    @cached_property
    def documents(self) -> Documents:
        """Where the prompts are in the row."""
        return Documents(tuple(self.valid.sum(1).tolist()), self.valid.device)

    @cached_property
    def positions(self) -> torch.Tensor:
        """[tokens] int64: each token's position in the flattened batch."""
        return self.valid.flatten().nonzero()[:, 0]

    def spread(self, row: torch.Tensor) -> torch.Tensor:
        """[tokens, ...] -> [batch, length, ...], zero where there is padding."""
        flat = row.new_zeros((self.valid.numel(), *row.shape[1:]))
        return flat.index_copy_(0, self.positions, row).unflatten(0, self.valid.shape)


class GeneratingBloomAttention(BloomAttention):
    """Fills the cache from a packed row of prompts, then attends to it. The parameter `alibi` takes
    the `Prompts` in the first pass, then a step's bias [batch or 1, heads, queries, keys]."""

    backend: Backend

    def forward(
        self,
        hidden_states: torch.Tensor,
        residual: torch.Tensor,
        alibi: Prompts | torch.Tensor,
        layer_past: Cache | None = None,
        **_: Any,
    ) -> tuple[torch.Tensor, None]:
        """hidden_states and residual [1, tokens, width] or [batch, queries, width]; returns
        the same shape and None."""
        fused = self.query_key_value(hidden_states)
        query, key, value = fused.unflatten(-1, (self.num_heads, 3, self.head_dim)).unbind(-2)
        if isinstance(alibi, Prompts):
            query, key, value = query[0], key[0], value[0]
            scores = Scores(slopes=alibi_slopes(self.num_heads, query.device))
            context = attend(query, key, value, scores, alibi.documents, backend=self.backend)
            if layer_past is not None:
                key, value = (alibi.spread(part).transpose(1, 2) for part in (key, value))
                layer_past.update(key, value, self.layer_idx)
        else:
            key, value = key.transpose(1, 2), value.transpose(1, 2)
            if layer_past is not None:
                key, value = layer_past.update(key, value, self.layer_idx)
            context = F.scaled_dot_product_attention(
                query.transpose(1, 2), key, value, attn_mask=alibi
            ).transpose(1, 2)
        return residual + self.dense(context.reshape(hidden_states.shape)), None


class GeneratingBloomModel(BloomModel):
    """Runs prompts packed, and everything after them against the cache."""

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        use_cache: bool | None = None,
        **_: Any,
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        """As BloomModel's, for inference: hidden states [batch, length, width] (zero where a
        prompt is padded) and the cache."""
        embedded = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        if past_key_values is None and (self.config.use_cache if use_cache is None else use_cache):
            past_key_values = DynamicCache(config=self.config)
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        batch, length, _ = embedded.shape
        if attention_mask is None:
            attention_mask = embedded.new_ones((batch, past + length), dtype=torch.int64)
        if past == 0:
            prompts = Prompts.of(attention_mask[:, :length])
            row = embedded.flatten(0, 1)[prompts.positions][None]
            hidden = prompts.spread(self._run(row, prompts, past_key_values)[0])
        else:
            bias = step_bias(attention_mask, self.num_heads, past, length, embedded.dtype)
            hidden = self._run(embedded, bias, past_key_values)
        return BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=hidden, past_key_values=past_key_values
        )

    def _run(
        self, embedded: torch.Tensor, alibi: Prompts | torch.Tensor, cache: Cache | None
    ) -> torch.Tensor:
        hidden = self.word_embeddings_layernorm(embedded)
        for block in self.h:
            hidden = block(hidden, alibi=alibi, attention_mask=None, layer_past=cache)[0]
        return self.ln_f(hidden)


def step_bias(
    attention_mask: torch.Tensor, heads: int, past: int, length: int, dtype: torch.dtype
) -> torch.Tensor:
    """Bias of the queries at positions past .. past + length - 1: slope * (j - i) for the keys they
    may see, the lowest number for the others (padding, later positions, unused cache).

    Args:
        attention_mask: [batch, keys], 0 where there is padding or nothing yet.
        heads: whose slopes are taken.
        past: positions already in the cache.
        length: queries.
        dtype: of the queries.

    Returns:
        [batch, heads, length, keys]; with one query and no padding [1, heads, 1, keys].
    """
    position = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    distance = position - position[past : past + length, None]
    slopes = alibi_slopes(heads, attention_mask.device)
    bias = slopes[:, None, None] * distance
    seen = attention_mask[:, None, None, :].bool() & (distance <= 0)
    return bias.masked_fill(~seen, torch.finfo(dtype).min).to(dtype)


def patch_for_generation(model: PreTrainedModel) -> None:
    """Swap the classes of a loaded BLOOM for generation, in place; of other models the linear
    layers alone, which are faster on a CPU."""
    swap_linears(model)
    if model.config.model_type != "bloom":
        return
    half = model.dtype in (torch.float16, torch.bfloat16)
    backend: Backend = "flash" if half and installed("flash", model.device) else "sdpa"
    model.transformer.__class__ = GeneratingBloomModel
    for block in model.transformer.h:
        block.self_attention.__class__ = GeneratingBloomAttention
        block.self_attention.backend = backend
        block.mlp.gelu_impl.__class__ = FusedBloomGelu
