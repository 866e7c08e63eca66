"""Causal attention inside each document of a packed row: `attend`.

BLOOM as transformers runs it adds slope * j to every score. softmax does not change when a whole
row is shifted, so slope * (j - i) gives the same weights; but it stays near 0 where the weights
are large, which keeps bf16 exact (at j = 840 the spacing of bf16 numbers is 4).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from instruct_scaling.models.packed.backends import Backend
from instruct_scaling.models.packed.documents import Documents
from instruct_scaling.models.packed.gpu_attention import (
    attend_flash,
    attend_flex,
    attend_varlen,
)


@dataclass(frozen=True)
class Scores:
    """How a query scores a key of its document, softmax's input:
    softcap * tanh(scale * q.k / softcap) + slope * (j - i), for i - window < j <= i.

    Attributes:
        scale: of the products; None is 1 / sqrt(dim).
        slopes: ALiBi's, [heads] float32; None is without.
        window: keys that a query sees, itself included; None is all before it.
        softcap: bound of the products; None is without.
    """

    scale: float | None = None
    slopes: torch.Tensor | None = None
    window: int | None = None
    softcap: float | None = None


@cache
def alibi_slopes(heads: int, device: torch.device) -> torch.Tensor:
    """ALiBi's head slopes, [heads] float32 (Press et al. 2021, arXiv 2108.12409).

    A geometric series for a power of two; else that of the next lower power, followed by every
    second slope of the next higher one.
    """
    lower = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (head + 1) / lower) for head in range(lower)]
    slopes += [2 ** (-4 * (2 * head + 1) / lower) for head in range(heads - lower)]
    return torch.tensor(slopes, dtype=torch.float32, device=device)


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scores: Scores,
    documents: Documents,
    *,
    backend: Backend,
    dropout: float = 0.0,
    deterministic: bool = True,
) -> torch.Tensor:
    """Causal attention within each document.

    Args:
        query: [tokens, heads, dim], the documents one after the other.
        key, value: [tokens, key heads, dim]; a key head serves heads / key heads neighbors.
        scores: how a query scores a key.
        documents: their lengths; they sum to `tokens`.
        backend: see `backends.choose_backend`.
        dropout: probability on the attention weights (sdpa and flash alone).
        deterministic: the same bits in every backward pass, where the back-end offers both.

    Returns:
        [tokens, heads, dim] in the type of `query`.
    """
    if backend == "flash":
        return attend_flash(query, key, value, scores, documents, dropout, deterministic)
    return BACKEND_FUNCTIONS[backend](query, key, value, scores, documents, dropout)


def _attend_sdpa(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scores: Scores,
    documents: Documents,
    dropout: float,
) -> torch.Tensor:
    """Documents of similar length as one batch. Padding is on the right, behind the causal mask,
    so no valid query sees it; what padded queries compute is dropped."""
    outputs = []
    for index, valid in documents.buckets:
        q, k, v = (t[index].transpose(1, 2) for t in (query, key, value))
        if scores.softcap is None:
            out = _uncapped(q, k, v, scores, dropout)
        else:  # its scores are made again in the backward pass, not kept for every layer
            out = checkpoint(_capped, q, k, v, scores, dropout, use_reentrant=False)
        outputs.append(out.transpose(1, 2)[valid])
    return torch.cat(outputs)[documents.unbucket]


def _uncapped(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scores: Scores, dropout: float
) -> torch.Tensor:
    """[documents, heads, length, dim] -> the same shape, by torch's own kernel."""
    mask = _mask(scores, q.shape[2], q.device, q.dtype)
    return F.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=mask,
        dropout_p=dropout,
        is_causal=mask is None,
        scale=scores.scale,
        enable_gqa=q.shape[1] != k.shape[1],
    )


def _capped(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scores: Scores, dropout: float
) -> torch.Tensor:
    """Like `_uncapped`, with a cap on the products, which torch's kernel lacks."""
    assert scores.softcap is not None
    groups = q.shape[1] // k.shape[1]
    k, v = (part.repeat_interleave(groups, 1) for part in (k, v))
    scale = q.shape[-1] ** -0.5 if scores.scale is None else scores.scale
    products = (q @ k.transpose(2, 3)).float() * (scale / scores.softcap)
    mask = _mask(scores, q.shape[2], q.device, torch.float32)
    if mask is None:
        mask = relative_bias(q.new_zeros(1, dtype=torch.float32), q.shape[2], torch.float32)
    elif mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, -math.inf)
    weights = (products.tanh() * scores.softcap + mask).softmax(-1).to(v.dtype)
    return F.dropout(weights, dropout) @ v


def _mask(
    scores: Scores, length: int, device: torch.device, dtype: torch.dtype
) -> torch.Tensor | None:
    """What torch's kernel takes as `attn_mask`; None where its own causal mask suffices."""
    windowed = scores.window is not None and scores.window < length
    if scores.slopes is None and not windowed:
        return None
    bias = None if scores.slopes is None else relative_bias(scores.slopes, length, dtype)
    if not windowed:
        return bias
    position = torch.arange(length, device=device)
    distance = position[:, None] - position[None]
    near = distance < scores.window
    return (distance >= 0) & near if bias is None else bias.masked_fill(~near, -math.inf)


def relative_bias(slopes: torch.Tensor, length: int, dtype: torch.dtype) -> torch.Tensor:
    """[1, heads, length, length]: slope * (j - i) for j <= i, -inf above the diagonal."""
    position = torch.arange(length, device=slopes.device)
    distance = (position[None, :] - position[:, None]).to(torch.float32)
    bias = slopes[:, None, None] * distance
    return bias.masked_fill(distance > 0, -math.inf).to(dtype)[None]


# Takes query, key, value, scores, documents, dropout as `attend` does. Memory is predicted with an
# entry of its own (`training.pass_memory`).
BACKEND_FUNCTIONS: dict[str, Callable[..., torch.Tensor]] = {
    "sdpa": _attend_sdpa,
    "varlen": attend_varlen,
    "flex": attend_flex,
}
