"""Causal attention inside each document of a packed row, with relative ALiBi: `attend`.

BLOOM as transformers runs it adds slope * j to every score. softmax does not change when a whole
row is shifted, so slope * (j - i) gives the same weights; but it stays near 0 where the weights
are large, which keeps bf16 exact (at j = 840 the spacing of bf16 numbers is 4).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal, NamedTuple

import torch
from torch.nn import functional as F

from instruct_scaling.common.errors import InputError

Backend = Literal["sdpa", "flash", "flex"]
BACKENDS: tuple[Backend, ...] = ("flash", "flex", "sdpa")  # in order of preference on a GPU


class Bucket(NamedTuple):
    """Documents of similar length as one padded batch. `index` [documents, length] int64 gives
    positions in the row; `valid` is True where a document has a token."""

    index: torch.Tensor
    valid: torch.Tensor


@dataclass(frozen=True)
class Documents:
    """Lengths of the documents of one row, in order; they fill the row without gaps."""

    lengths: tuple[int, ...]
    device: torch.device

    @property
    def longest(self) -> int:
        """Tokens of the longest document."""
        return max(self.lengths)

    @cached_property
    def offsets(self) -> torch.Tensor:
        """Cumulated lengths, [documents + 1] int32, as variable-length kernels take them."""
        return torch.tensor(
            [0, *torch.tensor(self.lengths).cumsum(0).tolist()],
            dtype=torch.int32,
            device=self.device,
        )

    @cached_property
    def numbers(self) -> torch.Tensor:
        """The document that each token belongs to, [total] int32."""
        lengths = torch.tensor(self.lengths, device=self.device)
        numbers = torch.arange(len(self.lengths), dtype=torch.int32, device=self.device)
        return numbers.repeat_interleave(lengths)

    @cached_property
    def buckets(self) -> list[Bucket]:
        """Documents grouped so that padding to the longest of a group stays below 30%: lengths
        between two powers of the square root of 2 go together."""
        starts = self.offsets.tolist()
        groups: dict[int, list[int]] = {}
        for number, length in enumerate(self.lengths):
            groups.setdefault(math.ceil(2 * math.log2(length)), []).append(number)
        buckets = []
        for _, numbers in sorted(groups.items()):
            lengths = torch.tensor([self.lengths[number] for number in numbers])
            first = torch.tensor([starts[number] for number in numbers])
            column = torch.arange(int(lengths.max()))
            valid = column < lengths[:, None]
            index = torch.where(valid, first[:, None] + column, 0)
            buckets.append(Bucket(index.to(self.device), valid.to(self.device)))
        return buckets

    @cached_property
    def unbucket(self) -> torch.Tensor:
        """[total] int64: for each token its position in the buckets' concatenated valid tokens."""
        flat = torch.cat([bucket.index[bucket.valid] for bucket in self.buckets])
        return torch.empty_like(flat).scatter_(0, flat, torch.arange(len(flat), device=self.device))


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


def installed(backend: Backend, device: torch.device) -> bool:
    """Whether a back-end can run, forward and backward, on a device."""
    if backend == "sdpa":
        return True
    if device.type != "cuda":
        return False
    if backend == "flash":
        return importlib.util.find_spec("flash_attn") is not None
    return importlib.util.find_spec("triton") is not None


def choose_backend(device: torch.device, forced: str | None = None) -> Backend:
    """The forced back-end, or the first of `BACKENDS` that can run on the device.

    Raises:
        InputError: the forced one is unknown or cannot run here.
    """
    if forced is None:
        return next(backend for backend in BACKENDS if installed(backend, device))
    if forced not in BACKENDS:
        raise InputError(
            f"unknown attention back-end {forced!r}", fix=f"choose one of {', '.join(BACKENDS)}"
        )
    if not installed(forced, device):
        raise InputError(
            f"attention back-end {forced!r} cannot run on {device.type} here",
            fix="flash needs a GPU and the package flash-attn, flex a GPU and triton; use sdpa",
        )
    return forced


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    slopes: torch.Tensor,
    documents: Documents,
    *,
    backend: Backend,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Causal attention within each document; scores get slope * (j - i), scale 1/sqrt(dim).

    Args:
        query, key, value: [tokens, heads, dim], the documents one after the other.
        slopes: [heads] float32.
        documents: their lengths; they sum to `tokens`.
        backend: see `choose_backend`.
        dropout: probability on the attention weights (not available with flex).

    Returns:
        [tokens, heads, dim] in the type of `query`.
    """
    return _ATTEND[backend](query, key, value, slopes, documents, dropout)


def _attend_sdpa(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    slopes: torch.Tensor,
    documents: Documents,
    dropout: float,
) -> torch.Tensor:
    """Documents of similar length as one batch. Padding is on the right, behind the causal mask,
    so no valid query sees it; what padded queries compute is dropped."""
    outputs = []
    for index, valid in documents.buckets:
        bias = relative_bias(slopes, index.shape[1], query.dtype)
        q, k, v = (t[index].transpose(1, 2) for t in (query, key, value))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
        outputs.append(out.transpose(1, 2)[valid])
    return torch.cat(outputs)[documents.unbucket]


def relative_bias(slopes: torch.Tensor, length: int, dtype: torch.dtype) -> torch.Tensor:
    """[1, heads, length, length]: slope * (j - i) for j <= i, -inf above the diagonal."""
    position = torch.arange(length, device=slopes.device)
    distance = (position[None, :] - position[:, None]).to(torch.float32)
    bias = slopes[:, None, None] * distance
    return bias.masked_fill(distance > 0, -math.inf).to(dtype)[None]


def _attend_flash(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    slopes: torch.Tensor,
    documents: Documents,
    dropout: float,
) -> torch.Tensor:
    from flash_attn import flash_attn_varlen_func

    offsets, longest = documents.offsets, documents.longest
    return flash_attn_varlen_func(
        query,
        key,
        value,
        cu_seqlens_q=offsets,
        cu_seqlens_k=offsets,
        max_seqlen_q=longest,
        max_seqlen_k=longest,
        dropout_p=dropout,
        causal=True,
        alibi_slopes=slopes,
    )


@cache
def _compiled_flex() -> Callable[..., Any]:
    """Compiled once for each shape, which is why rows are filled up to one length for flex."""
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=False)


def _flex_mask(documents: Documents) -> Any:
    """The row's block mask, made once and shared by all layers."""
    from torch.nn.attention.flex_attention import create_block_mask

    stored = documents.__dict__.get("flex_mask")
    if stored is None:
        numbers = documents.numbers

        def same_document(b: Any, h: Any, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
            return (i >= j) & (numbers[i] == numbers[j])

        size = len(numbers)
        stored = create_block_mask(same_document, None, None, size, size, numbers.device)
        documents.__dict__["flex_mask"] = stored
    return stored


def _attend_flex(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    slopes: torch.Tensor,
    documents: Documents,
    dropout: float,
) -> torch.Tensor:
    if dropout:
        raise InputError(
            "flex attention has no dropout", fix="set the base's attention_dropout to 0"
        )

    def alibi(
        score: torch.Tensor, b: Any, h: torch.Tensor, i: torch.Tensor, j: torch.Tensor
    ) -> torch.Tensor:
        return score + slopes[h] * (j - i)

    q, k, v = (t.transpose(0, 1)[None] for t in (query, key, value))
    out = _compiled_flex()(q, k, v, score_mod=alibi, block_mask=_flex_mask(documents))
    return out[0].transpose(0, 1)


_ATTEND: dict[str, Callable[..., torch.Tensor]] = {
    "sdpa": _attend_sdpa,
    "flash": _attend_flash,
    "flex": _attend_flex,
}
