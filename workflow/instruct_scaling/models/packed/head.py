"""The language-model head on supervised tokens only, chunk by chunk, gradient in the forward.

The logits of all tokens never exist at once: a chunk's logits become its loss and its gradient
and are dropped. Loss and weight gradient accumulate in fp32. In fp16 the gradients stay in fp32
until the backward pass has applied the loss scale, which is there to keep them from underflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

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


@dataclass(frozen=True)
class LogitShape:
    """What a model does to logits after the product: cap * tanh(scale * logit / cap)."""

    scale: float = 1.0
    cap: float | None = None

    @classmethod
    def of(cls, config: Any) -> LogitShape:
        """As a transformers configuration states it: Cohere multiplies, Granite divides, Gemma
        caps."""
        scale = getattr(config, "logit_scale", None) or 1.0
        scale /= getattr(config, "logits_scaling", None) or 1.0
        return cls(scale, getattr(config, "final_logit_softcapping", None))

    def apply_(self, logits: torch.Tensor) -> torch.Tensor:
        """Change logits in place; returns them."""
        if self.scale != 1.0:
            logits.mul_(self.scale)
        if self.cap is not None:
            logits.div_(self.cap).tanh_().mul_(self.cap)
        return logits

    def chain_(self, grad: torch.Tensor, logits: torch.Tensor | None) -> torch.Tensor:
        """Turn the gradient of changed logits into that of the products, in place.

        Args:
            grad: gradient of the changed logits.
            logits: the changed logits, where there is a cap.
        """
        if self.cap is not None:
            assert logits is not None
            grad.mul_(logits.div_(self.cap).square_().neg_().add_(1.0))  # tanh' = 1 - tanh^2
        if self.scale != 1.0:
            grad.mul_(self.scale)
        return grad


PLAIN = LogitShape()


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
    """Sum over tokens of -log softmax(shape(hidden @ weight.T + bias))[target]."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        rows: int,
        bias: torch.Tensor | None = None,
        shape: LogitShape = PLAIN,
    ) -> torch.Tensor:
        """Loss as an fp32 scalar; hidden [tokens, width], weight [vocabulary, width], bias
        [vocabulary]; `rows` tokens are one chunk."""
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        needs_bias = bias is not None and ctx.needs_input_grad[4]
        half = hidden.dtype == torch.float16
        total = hidden.new_zeros((), dtype=torch.float32)
        held = torch.float32 if half else hidden.dtype
        grad_hidden = torch.empty_like(hidden, dtype=held) if needs_hidden else None
        # A single chunk accumulates inside its one product; more of them need an fp32 sum.
        summed = half or len(hidden) > rows
        grad_type = torch.float32 if summed else weight.dtype
        grad_weight = torch.zeros_like(weight, dtype=grad_type) if needs_weight else None
        grad_bias = torch.zeros_like(bias, dtype=torch.float32) if needs_bias else None
        for first in range(0, len(hidden), rows):
            part = slice(first, first + rows)
            chunk, targeted = hidden[part], targets[part, None]
            logits = _logits(chunk, weight, bias, shape)
            capped = logits.clone() if shape.cap is not None else None
            largest = logits.amax(1, keepdim=True)
            chosen = logits.gather(1, targeted) - largest
            # In place and once: exp serves the loss and the gradient.
            grad = logits.sub_(largest).exp_()
            normalizer = grad.sum(1, keepdim=True)
            total += (normalizer.log() - chosen).sum()
            if not (needs_hidden or needs_weight or needs_bias):
                continue
            grad.div_(normalizer)
            grad.scatter_add_(1, targeted, grad.new_full(targeted.shape, -1.0))
            shape.chain_(grad, capped)
            if half:
                grad.mul_(FP16_SCALE)
            if grad_bias is not None:
                grad_bias += grad.sum(0)
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
        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        ctx.scale, ctx.dtype = (FP16_SCALE if half else 1.0), hidden.dtype
        return total

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Scale the stored gradients."""
        factor = upstream / ctx.scale
        hidden, weight, bias = (
            None if grad is None else grad.mul_(factor.to(grad.dtype)).to(ctx.dtype)
            for grad in ctx.saved_tensors
        )
        return hidden, weight, None, None, bias, None


def _logits(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, shape: LogitShape
) -> torch.Tensor:
    """fp32 logits [tokens, vocabulary] as the model makes them; no gradient."""
    logits = _matmul_fp32(hidden, weight.t())
    if bias is not None:
        logits.add_(bias)
    return shape.apply_(logits)


class FusedHead(nn.Linear):
    """A language-model head that returns the summed loss instead of logits.

    The weight is used inside this module's forward, which is where ZeRO-3 gathers it, once for
    however many chunks: ranks with more supervised tokens than others ask for nothing more.
    """

    logit_shape: LogitShape = PLAIN

    def forward(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Summed loss, fp32 scalar; hidden [tokens, width], targets [tokens] int64."""
        rows = chunk_rows(self.weight.shape[0], hidden.device)
        return SummedCrossEntropy.apply(
            hidden, self.weight, targets, rows, self.bias, self.logit_shape
        )

    @torch.no_grad()
    def token_losses(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """-log p of each target, [tokens] fp32, without gradients; the weight must be whole (no
        ZeRO-3)."""
        rows = chunk_rows(self.weight.shape[0], hidden.device)
        losses = [
            F.cross_entropy(
                _logits(chunk, self.weight, self.bias, self.logit_shape), wanted, reduction="none"
            )
            for chunk, wanted in zip(hidden.split(rows), targets.split(rows), strict=True)
        ]
        return torch.cat(losses)


def fuse_head(head: nn.Linear, shape: LogitShape) -> None:
    """Make a linear output layer a fused head, in place."""
    head.__class__ = FusedHead
    head.logit_shape = shape


def unfuse_head(head: nn.Linear) -> None:
    """Undo `fuse_head`."""
    del head.logit_shape
    head.__class__ = nn.Linear
