"""Where the documents of a packed row lie."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch


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
    def positions(self) -> torch.Tensor:
        """The position of each token in its document, [1, total] int64."""
        starts = self.offsets.long()[self.numbers.long()]
        return (torch.arange(len(starts), device=self.device) - starts)[None]

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
