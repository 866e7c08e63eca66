"""Memory and time of the language-model head alone, with BLOOM's true vocabulary."""

from __future__ import annotations

import multiprocessing
import resource
import time
from multiprocessing.connection import Connection
from typing import Any


def head_worker(way: str, tokens: int, pipe: Connection) -> None:
    """Peak extra memory and time of one head, forward and backward, true vocabulary."""
    import torch
    from torch.nn import functional as F

    from instruct_scaling.models.packed.head import SummedCrossEntropy, chunk_rows

    torch.manual_seed(0)
    hidden = torch.randn(tokens, 64, requires_grad=True)
    weight = torch.randn(250_880, 64, requires_grad=True)
    targets = torch.randint(250_880, (tokens,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    if way == "fused":
        SummedCrossEntropy.apply(
            hidden, weight, targets, chunk_rows(250_880, hidden.device)
        ).backward()
    else:  # transformers' ForCausalLMLoss: logits in fp32, shifted, mean over the tokens
        F.cross_entropy((hidden @ weight.t()).float(), targets).backward()
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send({"extra_bytes": (after - before) * 1024, "seconds": seconds})


def measure_head(tokens: int) -> dict[str, Any]:
    """Fused head against logits and cross-entropy, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    found: dict[str, Any] = {"supervised_tokens": tokens}
    for way in ("fused", "logits"):
        mine, theirs = context.Pipe()
        process = context.Process(target=head_worker, args=(way, tokens, theirs))
        process.start()
        found[way] = mine.recv()
        process.join()
    found["memory_ratio"] = found["logits"]["extra_bytes"] / found["fused"]["extra_bytes"]
    return found
