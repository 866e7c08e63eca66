"""One packed row as the tensors of a forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from instruct_scaling.models.packed.documents import Documents

# A token sequence [length] and how many of its first tokens are the prompt.
Sequence_ = tuple[np.ndarray, int]


@dataclass(frozen=True)
class PackedBatch:
    """A row of documents. The last token of a document is only ever a target, so a document of
    n tokens takes n - 1 places in the row.

    `input_ids` [1, places] int64; `positions` [supervised] int64: where a supervised token is
    predicted; `targets` [supervised] int64: which token it is.
    """

    input_ids: torch.Tensor
    documents: Documents
    positions: torch.Tensor
    targets: torch.Tensor


def packed_batch(
    sequences: Sequence[Sequence_], device: torch.device, *, fill_to: int = 1
) -> PackedBatch:
    """Lay documents one after the other.

    Args:
        sequences: tokens and prompt length of each document.
        device: where the tensors go.
        fill_to: the row's places become a multiple of this, by a document without targets;
            for back-ends that are compiled for one shape.

    An empty row gets one place and no target: a rank without examples still has to take part in
    the forward and backward pass.
    """
    if not sequences:
        sequences = [_unsupervised(1)]
    missing = -sum(len(tokens) - 1 for tokens, _ in sequences) % fill_to
    if missing:
        sequences = [*sequences, _unsupervised(missing)]
    starts = np.cumsum([0, *(len(tokens) - 1 for tokens, _ in sequences)])
    positions = [
        np.arange(start + prompt - 1, start + len(tokens) - 1)
        for start, (tokens, prompt) in zip(starts, sequences, strict=False)
    ]
    return PackedBatch(
        input_ids=_int64([tokens[:-1] for tokens, _ in sequences], device)[None],
        documents=Documents(tuple(len(tokens) - 1 for tokens, _ in sequences), device),
        positions=_int64(positions, device),
        targets=_int64([tokens[prompt:] for tokens, prompt in sequences], device),
    )


def _unsupervised(places: int) -> Sequence_:
    """A document that fills places and trains nothing."""
    return np.zeros(places + 1, dtype=np.int32), places + 1


def _int64(parts: Sequence[np.ndarray], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.int64)).to(device)
