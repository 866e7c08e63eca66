"""fp32 matrix products on a CPU by oneDNN. torch takes MKL for them, which reaches less than half
of oneDNN's speed on CPUs of other makers than Intel; the results differ in the last bits of a sum.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

ONEDNN_ROWS = 16  # with fewer, its set-up costs more than it gains


@cache
def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def fits_onednn(tensor: torch.Tensor) -> bool:
    """Whether products of such tensors go through oneDNN here."""
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu" and _has_onednn()


def product(
    left: torch.Tensor, right: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """left [..., k] @ right [n, k].T + bias [n]; no gradient. Strides may be any."""
    if left.numel() >= ONEDNN_ROWS * left.shape[-1] > 0 and fits_onednn(left):
        return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return F.linear(left, right, bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        rows, inputs = grad.flatten(0, -2), x.flatten(0, -2)
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            product(grad, weight.t()) if needs_x else None,
            product(rows.t(), inputs.t()) if needs_weight else None,
            rows.sum(0) if needs_bias else None,
        )


class FastLinear(nn.Linear):
    """nn.Linear whose fp32 products on a CPU go through oneDNN."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out]."""
        if not torch.is_grad_enabled():
            return product(input, self.weight, self.bias)
        if not input.numel() or not fits_onednn(input):
            return super().forward(input)
        return _Linear.apply(input, self.weight, self.bias)


def swap_linears(model: nn.Module) -> None:
    """Make every plain linear layer a fast one, in place."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = FastLinear


def restore_linears(model: nn.Module) -> None:
    """Undo `swap_linears`."""
    for module in model.modules():
        if type(module) is FastLinear:
            module.__class__ = nn.Linear
