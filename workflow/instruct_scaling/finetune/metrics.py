"""What a run cost and how it went: the figures of train.json."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, field
from typing import Any

import torch

# Dense bf16 peak of the makers' data sheets, FLOP/s, by a part of torch's device name.
DEVICE_PEAKS: dict[str, float] = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H800": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362e12,
    "A40": 150e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
CURVE_POINTS = 200


def device_peak(name: str) -> float | None:
    """Dense bf16 peak of a device in FLOP/s; None where it is not known."""
    return next((peak for part, peak in DEVICE_PEAKS.items() if part in name), None)


def training_flops(
    *,
    body: int,
    head: int,
    trained: float,
    layers: int,
    width: int,
    tokens: int,
    supervised: int,
    squares: int,
) -> float:
    """Floating-point operations of forward and backward pass, without recomputation.

    6 per weight and token (Kaplan et al. 2020, arXiv 2001.08361), of which 2 are the gradient of
    the weight itself, not needed where it is frozen. Body weights see every token, the head only
    supervised ones, the embedding look-up counts nothing. Causal attention adds
    12 * layers * width * length^2 / 2 per document.

    Args:
        body: weights of the transformer blocks.
        head: weights of the output projection.
        trained: share of the weights that is trained.
        layers, width: shape of the model.
        tokens, supervised: tokens seen and tokens trained on.
        squares: sum over documents of length^2.
    """
    weights = body * tokens + head * supervised
    return (4.0 + 2.0 * trained) * weights + 6.0 * layers * width * squares


def peak_memory_bytes() -> int:
    """Peak of this process: device memory on a GPU, resident memory on a CPU."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@dataclass
class Progress:
    """The loop's own state: what has been seen so far, over all starts of the run."""

    step: int = 0
    examples: int = 0
    tokens: int = 0
    supervised: int = 0
    squares: int = 0
    rows: int = 0
    seconds: float = 0.0
    starts: int = 1
    losses: list[float] = field(default_factory=list)  # mean loss per supervised token, per step

    def summary(self) -> dict[str, Any]:
        """First, last and mean loss, and a curve of at most `CURVE_POINTS` points, each the
        mean over the steps since the one before."""
        stride = max(1, -(-len(self.losses) // CURVE_POINTS))
        curve = [
            [min(first + stride, len(self.losses)), _mean(self.losses[first : first + stride])]
            for first in range(0, len(self.losses), stride)
        ]
        return {
            "unit": "nats per supervised token",
            "first": self.losses[0],
            "last": self.losses[-1],
            "mean": _mean(self.losses),
            "curve": curve,
        }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
