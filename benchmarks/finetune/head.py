"""Memory, time and exactness of the head alone, against what else makes a loss of hidden states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.finetune.peers import there, use_packages
from benchmarks.harness import measure_once

VOCABULARY, WIDTH = 250_880, 64
TORCH_CHUNK = 256  # tokens; torch's own choice needs several times the memory


def measure_head(tokens: int) -> dict[str, Any]:
    """Every head that is here, in a process of its own; errors are those of the weight's gradient
    against fp64. cut-cross-entropy's kernels need a GPU: what is measured is its `torch_compile`,
    which is compiled before anything is counted."""
    found: dict[str, Any] = {"supervised_tokens": tokens}
    for variant in HEADS:
        if there(variant):
            measured = measure_once(head_passes, variant, tokens)
            found[variant] = {"gradient_error": measured.pop("result"), **measured}
    found["memory_ratio"] = found["logits"]["extra_bytes"] / found["fused"]["extra_bytes"]
    return found


def head_passes(variant: str, tokens: int) -> Callable[[], float]:
    """Forward and backward pass of one head; returns the error of the gradient of the weights of
    the pieces 0 to 99, which is made of few numbers."""
    import torch

    torch.manual_seed(0)
    hidden = torch.randn(tokens, WIDTH, requires_grad=True)
    weight = torch.randn(VOCABULARY, WIDTH, requires_grad=True)
    targets = torch.randint(VOCABULARY, (tokens,))
    wanted = wanted_gradient(hidden.detach(), weight.detach(), targets)
    loss_of = HEADS[variant]()
    if variant == "cut-cross-entropy":  # compiled for any number of tokens
        for few in (tokens // 128, tokens // 64):
            loss_of(hidden[:few], weight, targets[:few]).backward()
        hidden.grad = weight.grad = None

    def action() -> float:
        loss_of(hidden, weight, targets).backward()
        found = weight.grad[: len(wanted)].double()
        return float((found - wanted).norm() / wanted.norm())

    return action


def wanted_gradient(hidden: Any, weight: Any, targets: Any, pieces: int = 100) -> Any:
    """The gradient of the mean loss at the weights of the first pieces, fp64, [pieces, WIDTH];
    block by block, so that little memory has been used before a head is measured."""
    import torch

    found = torch.zeros(pieces, WIDTH, dtype=torch.float64)
    for first in range(0, len(hidden), 256):
        chunk = hidden[first : first + 256].double()
        targeted = targets[first : first + 256, None]
        normalizer = torch.full((len(chunk), 1), -torch.inf, dtype=torch.float64)
        for block in weight.split(2048):
            scores = chunk @ block.double().t()
            normalizer = normalizer.logaddexp(scores.logsumexp(1, keepdim=True))
        share = (chunk @ weight[:pieces].double().t() - normalizer).exp()
        found += (share - (targeted == torch.arange(pieces)).double()).t() @ chunk
    return found / len(hidden)


def fused() -> Callable[..., Any]:
    """This project's."""
    from instruct_scaling.models.packed.head import SummedCrossEntropy, chunk_rows

    def loss(hidden: Any, weight: Any, targets: Any) -> Any:
        rows = chunk_rows(VOCABULARY, hidden.device)
        return SummedCrossEntropy.apply(hidden, weight, targets, rows) / len(targets)

    return loss


def logits() -> Callable[..., Any]:
    """transformers' ForCausalLMLoss: logits in fp32, mean over the tokens."""
    from torch.nn import functional as F

    return lambda hidden, weight, targets: F.cross_entropy((hidden @ weight.t()).float(), targets)


def torch_chunked() -> Callable[..., Any]:
    """torch's own chunked head."""
    from torch.nn import functional as F
    from torch.nn.modules.linear_cross_entropy_options import LinearCrossEntropyOptions

    options = LinearCrossEntropyOptions(batch_chunk_size=TORCH_CHUNK, chunking_method=None)
    return lambda hidden, weight, targets: F.linear_cross_entropy(
        hidden, weight, targets, options=options
    )


def cut_cross_entropy() -> Callable[..., Any]:
    """Apple's, by what of it runs without a GPU."""
    use_packages("cut-cross-entropy")
    from cut_cross_entropy import linear_cross_entropy

    return lambda hidden, weight, targets: linear_cross_entropy(
        hidden, weight, targets, impl="torch_compile"
    )


HEADS: dict[str, Callable[[], Callable[..., Any]]] = {
    "fused": fused,
    "logits": logits,
    "torch": torch_chunked,
    "cut-cross-entropy": cut_cross_entropy,
}
