"""What the hardware could do and what the model needs of it: peaks, operations, memory."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from typing import Any

import torch

from instruct_scaling.training.metrics import Progress

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
    sum_squared_lengths: int,
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
        sum_squared_lengths: sum over documents of length^2.
    """
    weights = body * tokens + head * supervised
    return (4.0 + 2.0 * trained) * weights + 6.0 * layers * width * sum_squared_lengths


def gpu_memory() -> float | None:
    """Bytes of this process's GPU; None without a GPU."""
    if not torch.cuda.is_available():
        return None
    return float(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)


def peak_memory_bytes() -> int:
    """Peak of this process: device memory on a GPU, resident memory on a CPU."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@dataclass(frozen=True)
class Costs:
    """What one run needs of its devices, and what each could do (None where not known)."""

    body: int
    head: int
    trained: float
    layers: int
    width: int
    peak: float | None

    @classmethod
    def of(cls, config: Any, parameters: int, trainable: int, device: torch.device) -> Costs:
        """For a transformers configuration, its parameters, and the device of this rank."""
        head = config.vocab_size * config.hidden_size
        known = device.type == "cuda"
        return cls(
            body=parameters - head,
            head=head,
            trained=trainable / parameters,
            layers=config.num_hidden_layers,
            width=config.hidden_size,
            peak=device_peak(torch.cuda.get_device_name(device)) if known else None,
        )

    def flops(self, progress: Progress) -> float:
        """Operations of all steps so far."""
        return training_flops(
            body=self.body,
            head=self.head,
            trained=self.trained,
            layers=self.layers,
            width=self.width,
            tokens=progress.tokens,
            supervised=progress.supervised,
            sum_squared_lengths=progress.sum_squared_lengths,
        )

    def mfu(self, progress: Progress, ranks: int) -> float | None:
        """Share of the devices' peak, all steps so far; None where no peak is known."""
        if self.peak is None:
            return None
        return self.flops(progress) / (progress.seconds * ranks * self.peak)
