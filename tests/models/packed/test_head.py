"""The fused head gives the loss and gradients of cross-entropy on full logits."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from instruct_scaling.models.packed.head import (
    FusedHead,
    LogitShape,
    SummedCrossEntropy,
    chunk_rows,
    fuse_head,
    unfuse_head,
)


def both(tokens, rows, dtype=torch.float32, width=16, vocabulary=50):
    torch.manual_seed(tokens)
    hidden = torch.randn(tokens, width).to(dtype).requires_grad_()
    weight = torch.randn(vocabulary, width).to(dtype).requires_grad_()
    targets = torch.randint(vocabulary, (tokens,))
    found = SummedCrossEntropy.apply(hidden, weight, targets, rows)
    wanted = F.cross_entropy(hidden.double() @ weight.double().t(), targets, reduction="sum")
    return (hidden, weight), found, wanted


@pytest.mark.parametrize("tokens", [1, 7, 8, 9, 40])
def test_loss_and_gradients_match_across_chunk_borders(tokens):
    leaves, found, wanted = both(tokens, rows=8)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-6, atol=1e-6)
    expected = torch.autograd.grad(3.0 * wanted, leaves)
    for left, right in zip(torch.autograd.grad(3.0 * found, leaves), expected, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [LogitShape(0.3), LogitShape(cap=2.0), LogitShape(1.7, 2.0)])
@pytest.mark.parametrize("rows", [4, 64])
def test_scaled_capped_and_biased_logits_have_exact_gradients(rows, shape, bias):
    torch.manual_seed(0)
    head = nn.Linear(16, 50, bias=bias)
    hidden = torch.randn(9, 16).requires_grad_()
    targets = torch.randint(50, (9,))
    logits = head.double()(hidden.double()) * shape.scale
    if shape.cap:
        logits = shape.cap * torch.tanh(logits / shape.cap)
    leaves = [hidden, *head.parameters()]
    per_token = F.cross_entropy(logits, targets, reduction="none")
    expected = torch.autograd.grad(3.0 * per_token.sum(), leaves)
    fuse_head(head.float(), shape)
    found = SummedCrossEntropy.apply(
        hidden, head.weight, targets, rows, head.bias, head.logit_shape
    )
    torch.testing.assert_close(found.double(), per_token.sum(), rtol=1e-6, atol=1e-6)
    leaves = [hidden, *head.parameters()]
    for left, right in zip(torch.autograd.grad(3.0 * found, leaves), expected, strict=True):
        torch.testing.assert_close(left.double(), right.double(), rtol=1e-5, atol=1e-5)
    losses = head.token_losses(hidden, targets)
    torch.testing.assert_close(losses.double(), per_token, rtol=1e-5, atol=1e-5)
    unfuse_head(head)
    assert type(head) is nn.Linear and "logit_shape" not in vars(head)


def test_bf16_keeps_the_loss_in_fp32_over_many_chunks():
    (_, weight), found, wanted = both(4096, rows=8, dtype=torch.bfloat16)
    assert found.dtype == torch.float32
    assert abs(found.item() / wanted.item() - 1) < 1e-5
    (gradient,) = torch.autograd.grad(found, weight)
    (expected,) = torch.autograd.grad(wanted, weight)
    assert (gradient.double() - expected.double()).norm() / expected.double().norm() < 0.01


@pytest.mark.parametrize("rows", [4, 64])
def test_fp16_gradients_meet_the_loss_scale_before_they_are_rounded(rows):
    """fp16 has nothing below 6e-8; most tokens of a large vocabulary are less probable."""
    torch.manual_seed(0)
    hidden, weight = torch.randn(12, 16), torch.randn(300, 16) * 0.1
    hidden[:, 0], weight[:, 0], weight[:2, 0] = 18.0, 0.0, 1.0  # two tokens share all but 1e-8 each
    half = [part.half().requires_grad_() for part in (hidden, weight)]
    exact = [part.detach().double().requires_grad_() for part in half]
    targets = torch.arange(12) % 2
    scale = torch.tensor(2.0**16 / 128)  # DeepSpeed's first one, for a mean over 128 tokens
    found = SummedCrossEntropy.apply(*half, targets, rows)
    wanted = F.cross_entropy(exact[0] @ exact[1].t(), targets, reduction="sum")
    gradients = torch.autograd.grad(found, half, scale)
    expected = torch.autograd.grad(wanted, exact, scale.double())
    assert {gradient.dtype for gradient in gradients} == {torch.float16}
    of_rare_tokens = gradients[1][2:], expected[1][2:]
    for gradient, right in (*zip(gradients, expected, strict=True), of_rare_tokens):
        assert (gradient - right).norm() < 0.003 * right.norm()


def test_no_supervised_token_means_zero_loss_and_zero_gradient():
    hidden = torch.randn(0, 8).requires_grad_()
    head = FusedHead(8, 20, bias=False)
    loss = head(hidden, torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(head.weight.grad, torch.zeros(20, 8))


def test_a_frozen_head_gets_no_gradient_and_passes_one_down():
    head = FusedHead(8, 20, bias=False).requires_grad_(False)
    hidden = torch.randn(5, 8).requires_grad_()
    head(hidden, torch.arange(5)).backward()
    assert head.weight.grad is None
    assert hidden.grad.abs().sum() > 0


@pytest.mark.parametrize(("device", "limit"), [("cpu", 2**27), ("cuda", 2**30)])
def test_chunks_stay_within_their_size_for_the_true_vocabulary(device, limit):
    rows = chunk_rows(250_880, torch.device(device))
    assert rows * 250_880 * 4 <= limit < (rows + 1) * 250_880 * 4
