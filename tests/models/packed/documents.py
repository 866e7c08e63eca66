"""Documents, and what stock transformers computes of them one by one."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from instruct_scaling.models.packed.packing import one_answer, packed_batch

CPU = torch.device("cpu")
VOCABULARY = 320


def documents(*shapes):
    """Of so many tokens each, the first of which are the prompt."""
    rng = np.random.default_rng(0)
    return [
        one_answer(rng.integers(4, VOCABULARY, n).astype(np.int32), prompt) for n, prompt in shapes
    ]


MIXED = documents((40, 20), (33, 1), (90, 89), (12, 5), (9, 9), (2, 1))


def gradients(model):
    """The gradients of all parameters that have one, by name; they are cleared."""
    found = {name: p.grad.double() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def one_by_one(model, sequences, dtype=torch.float64):
    """Losses of the supervised tokens and gradients, document by document, by stock transformers;
    the model has another type meanwhile."""
    losses = []
    model.to(dtype)
    for tokens, spans in sequences:
        prompt = int(spans[0, 0]) if len(spans) else len(tokens)
        ids = torch.from_numpy(tokens.astype(np.int64))
        logits = model(input_ids=ids[None], use_cache=False).logits[0, prompt - 1 : -1]
        loss = F.cross_entropy(logits, ids[prompt:], reduction="none")
        loss.sum().backward()
        losses.append(loss.detach())
    model.float()
    return torch.cat(losses).double(), gradients(model)


def packed(model, sequences, **options):
    """Losses of the supervised tokens and gradients, from one row."""
    batch = packed_batch(sequences, CPU, **options)
    with torch.no_grad():
        losses = model.target_losses(batch)
    loss = model(batch=batch)
    torch.testing.assert_close(loss.detach(), losses.sum(), rtol=1e-5, atol=1e-4)
    loss.backward()
    return losses.double(), gradients(model)


def error(found, wanted):
    """Relative error of gradients by name, or of a tensor."""
    if isinstance(wanted, dict):
        assert set(found) == set(wanted)
        found, wanted = (
            torch.cat([part[name].flatten() for name in sorted(part)]) for part in (found, wanted)
        )
    return float((found - wanted).norm() / wanted.norm())
