"""Attention inside documents by the kernels of a GPU, with the arguments of `attention.attend`.

Windows: transformers counts the query's own position, these kernels the keys to its left.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from instruct_scaling.models.packed.documents import Documents

if TYPE_CHECKING:
    from instruct_scaling.models.packed.attention import Scores


def flash_arguments(scores: Scores, documents: Documents, dropout: float) -> dict[str, Any]:
    """Keyword arguments of flash_attn_varlen_func for one row."""
    return {
        "cu_seqlens_q": documents.offsets,
        "cu_seqlens_k": documents.offsets,
        "max_seqlen_q": documents.longest,
        "max_seqlen_k": documents.longest,
        "dropout_p": dropout,
        "softmax_scale": scores.scale,
        "causal": True,
        "window_size": _left(scores, documents, everything=-1),
        "softcap": scores.softcap or 0.0,
        "alibi_slopes": scores.slopes,
    }


def varlen_arguments(scores: Scores, documents: Documents) -> dict[str, Any]:
    """Arguments of torch.nn.attention.varlen.varlen_attn for one row, by name."""
    return {
        "cu_seq_q": documents.offsets,
        "cu_seq_k": documents.offsets,
        "max_q": documents.longest,
        "max_k": documents.longest,
        "scale": scores.scale,
        "window_size": _left(scores, documents, everything=-1),
    }


def _left(scores: Scores, documents: Documents, *, everything: int) -> tuple[int, int]:
    """(keys to the left, keys to the right) of a query."""
    if scores.window is None or scores.window >= documents.longest:
        return everything, 0
    return scores.window - 1, 0


def attend_flash(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scores: Scores,
    documents: Documents,
    dropout: float,
    deterministic: bool,
) -> torch.Tensor:
    """flash-attn 2; its versions 3 and 4 have no ALiBi. Its backward pass adds in the order in
    which threads come, unless `deterministic`."""
    from flash_attn import flash_attn_varlen_func

    arguments = flash_arguments(scores, documents, dropout)
    return flash_attn_varlen_func(query, key, value, deterministic=deterministic, **arguments)


def attend_varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scores: Scores,
    documents: Documents,
    dropout: float,
) -> torch.Tensor:
    """torch's own variable-length kernel: no ALiBi, no cap, no dropout (`backends` sees to it)."""
    from torch.nn.attention.varlen import varlen_attn

    grouped = query.shape[1] != key.shape[1]
    return varlen_attn(query, key, value, **varlen_arguments(scores, documents), enable_gqa=grouped)


def attend_flex(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scores: Scores,
    documents: Documents,
    dropout: float,
) -> torch.Tensor:
    """Compiled flex attention; no dropout (`backends` sees to it)."""
    q, k, v = (t.transpose(0, 1)[None] for t in (query, key, value))
    out = _flex(query.device.type)(
        q,
        k,
        v,
        score_mod=flex_scores(scores),
        block_mask=_flex_mask(documents, scores.window),
        scale=scores.scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return out[0].transpose(0, 1)


@cache
def _flex(device: str) -> Callable[..., Any]:
    """Compiled once for each shape, which is why rows are filled up to one length for flex; a CPU
    runs it as it is."""
    from torch.nn.attention.flex_attention import flex_attention

    if device == "cpu":
        return flex_attention
    return torch.compile(flex_attention, dynamic=False)


def flex_scores(scores: Scores) -> Callable[..., torch.Tensor] | None:
    """flex attention's score_mod: the cap, then ALiBi; None where there is neither."""
    slopes, softcap = scores.slopes, scores.softcap
    if slopes is None and softcap is None:
        return None

    def changed(
        score: torch.Tensor, b: Any, h: torch.Tensor, i: torch.Tensor, j: torch.Tensor
    ) -> torch.Tensor:
        if softcap is not None:
            score = softcap * torch.tanh(score / softcap)
        return score if slopes is None else score + slopes[h] * (j - i)

    return changed


def _flex_mask(documents: Documents, window: int | None) -> Any:
    """The row's block mask, made once for each window and shared by the layers that have it."""
    from torch.nn.attention.flex_attention import create_block_mask

    stored = documents.__dict__.setdefault("flex_masks", {})
    if window not in stored:
        numbers = documents.numbers

        def seen(b: Any, h: Any, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
            inside = (i >= j) & (numbers[i] == numbers[j])
            return inside if window is None else inside & (i - j < window)

        size = len(numbers)
        stored[window] = create_block_mask(seen, None, None, size, size, numbers.device)
    return stored[window]
