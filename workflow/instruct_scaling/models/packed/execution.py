"""How packed rows are run, whatever the architecture."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from instruct_scaling.models.packed.backends import Backend
from instruct_scaling.models.packed.documents import Documents


@dataclass(frozen=True)
class PackedExecution:
    """Attention back-end, whether its backward pass must repeat bit for bit, and NEFTune's
    strength in training."""

    backend: Backend = "sdpa"
    deterministic: bool = True
    neftune_alpha: float = 0.0


def neftune_noise(embedded: torch.Tensor, documents: Documents, alpha: float) -> torch.Tensor:
    """Uniform noise in +-alpha / sqrt(length * width), the length being the document's own
    (Jain et al. 2023, arXiv 2310.05914); shape and type of `embedded` [1, tokens, width]."""
    lengths = torch.tensor(documents.lengths, device=embedded.device)[documents.numbers.long()]
    bound = alpha / (lengths * embedded.shape[-1]).float().sqrt()
    noise = torch.empty_like(embedded, dtype=torch.float32).uniform_(-1, 1)
    return (noise * bound[None, :, None]).to(embedded.dtype)
