"""The language-model head on supervised tokens only, chunk by chunk, gradient in the forward.

The logits of all tokens never exist at once: a chunk's logits become its loss and its gradient
and are dropped. Loss and weight gradient accumulate in fp32. In fp16 the gradients stay in fp32
until the backward pass has applied the loss scale, which is there to keep them from underflow.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from instruct_scaling.models.packed.linear import fits_onednn, product

# Of fp32 logits held at once. A GPU needs larger products; beyond these sizes none gets faster.
CPU_CHUNK_BYTES = 2**27
GPU_CHUNK_BYTES = 2**30
CPU_CHUNK_ROWS = 1024  # with few pieces a smaller chunk stays nearer to the CPU's caches
SLICE_ROWS = 32_768  # of the weight's gradient, while a chunk is added to it
# fp16 has no number below 6e-8, but probabilities of a large vocabulary are smaller: they enter a
# product multiplied by this, the largest power of two that keeps 1 within fp16's range.
FP16_SCALE = 2.0**15
MIXED_MATMUL = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 8)


def chunk_rows(vocabulary: int, device: torch.device) -> int:
    """Tokens per chunk, so that its fp32 logits stay within the device's chunk size."""
    if device.type == "cuda":
        return max(16, GPU_CHUNK_BYTES // (4 * vocabulary))
    return max(16, min(CPU_CHUNK_ROWS, CPU_CHUNK_BYTES // (4 * vocabulary)))


def _matmul_fp32(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """left @ right with an fp32 result, without rounding to bf16 where the device can do so."""
    if left.dtype == torch.float32:
        return product(left, right.t())
    if left.is_cuda and MIXED_MATMUL:
        return torch.mm(left, right, out_dtype=torch.float32)
    return left.float() @ right.float()


def _add_product(total: torch.Tensor, grad: torch.Tensor, chunk: torch.Tensor) -> None:
    """total += grad.T @ chunk in fp32, slice by slice where the product needs room of its own."""
    if grad.dtype == torch.float32 and not fits_onednn(grad):
        total.addmm_(grad.t(), chunk)
        return
    for first in range(0, len(total), SLICE_ROWS):
        part = slice(first, first + SLICE_ROWS)
        total[part] += _matmul_fp32(grad[:, part].t(), chunk)


class SummedCrossEntropy(torch.autograd.Function):
    """Sum over tokens of -log softmax(hidden @ weight.T)[target]."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, rows: int
    ) -> torch.Tensor:
        """Loss as an fp32 scalar; hidden [tokens, width], weight [vocabulary, width]."""
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        half = hidden.dtype == torch.float16
        total = hidden.new_zeros((), dtype=torch.float32)
        held = torch.float32 if half else hidden.dtype
        grad_hidden = torch.empty_like(hidden, dtype=held) if needs_hidden else None
        # A single chunk accumulates inside its one product; more of them need an fp32 sum.
        summed = half or len(hidden) > rows
        grad_type = torch.float32 if summed else weight.dtype
        grad_weight = torch.zeros_like(weight, dtype=grad_type) if needs_weight else None
        for first in range(0, len(hidden), rows):
            part = slice(first, first + rows)
            chunk, targeted = hidden[part], targets[part, None]
            logits = _matmul_fp32(chunk, weight.t())
            largest = logits.amax(1, keepdim=True)
            chosen = logits.gather(1, targeted) - largest
            # In place and once: exp serves the loss and the gradient.
            grad = logits.sub_(largest).exp_()
            normalizer = grad.sum(1, keepdim=True)
            total += (normalizer.log() - chosen).sum()
            if grad_hidden is None and grad_weight is None:
                continue
            grad.div_(normalizer)
            grad.scatter_add_(1, targeted, grad.new_full(targeted.shape, -1.0))
            if half:
                grad.mul_(FP16_SCALE)
            grad = grad.to(hidden.dtype)
            if grad_hidden is not None:
                grad_hidden[part] = (
                    _matmul_fp32(grad, weight) if half else product(grad, weight.t())
                )
            if grad_weight is not None and summed:
                _add_product(grad_weight, grad, chunk)
            elif grad_weight is not None:
                grad_weight = product(grad.t(), chunk.t())
        if grad_weight is not None and not half:
            grad_weight = grad_weight.to(weight.dtype)
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.scale, ctx.dtype = (FP16_SCALE if half else 1.0), hidden.dtype
        return total

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Scale the stored gradients."""
        factor = upstream / ctx.scale
        grads = [
            None if grad is None else grad.mul_(factor.to(grad.dtype)).to(ctx.dtype)
            for grad in ctx.saved_tensors
        ]
        return grads[0], grads[1], None, None


class FusedHead(nn.Linear):
    """A language-model head that returns the summed loss instead of logits.

    The weight is used inside this module's forward, which is where ZeRO-3 gathers it.
    """

    def forward(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Summed loss, fp32 scalar; hidden [tokens, width], targets [tokens] int64."""
        return SummedCrossEntropy.apply(
            hidden, self.weight, targets, chunk_rows(self.weight.shape[0], hidden.device)
        )
