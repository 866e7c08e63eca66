"""Causal-language-model training of a small model on plain text, on the CPU.

Documents run packed, as records do in fine-tuning: none sees another, and nothing is padded.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm
from transformers import BloomForCausalLM, PreTrainedTokenizerFast

from instruct_scaling.config.bases import TinyBase
from instruct_scaling.models.packed.engine import pack_model, restore
from instruct_scaling.models.packed.packing import PackedBatch, one_answer, packed_batch

WARMUP_SHARE = 0.02
FINAL_LEARNING_RATE_SHARE = 0.05
WEIGHT_DECAY = 0.1
BETAS = (0.9, 0.95)
MAX_GRAD_NORM = 1.0
VALIDATION_BATCH = 100  # documents of one forward pass


@dataclass(frozen=True, slots=True)
class Trained:
    """Tokens that were predicted, loss of the last steps (nats per token), seconds."""

    tokens: int
    loss: float | None
    seconds: float


def encode(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast) -> list[np.ndarray]:
    """The tokens of each document with an end token after them, [length] int32."""
    pieces = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return [np.array([*ids, tokenizer.eos_token_id], dtype=np.int32) for ids in pieces]


def train(model: BloomForCausalLM, documents: Sequence[np.ndarray], config: TinyBase) -> Trained:
    """Train in place with AdamW, linear warm-up and cosine decay.

    Documents are drawn in a new order in every pass, by a generator seeded with `config.seed`.

    Args:
        documents: token ids of each document, [length] int32.
    """
    pack_model(model)
    model.train()
    optimizer = torch.optim.AdamW(
        _parameter_groups(model),
        lr=config.learning_rate,
        betas=BETAS,
        weight_decay=WEIGHT_DECAY,
        fused=True,
    )
    schedule = LambdaLR(optimizer, lambda step: learning_rate_share(step, config.steps))
    drawn = batches(documents, config.batch_tokens, config.seed)
    start, losses, seen = time.perf_counter(), [], 0
    with tqdm(range(config.steps), unit="step", mininterval=1.0, desc="base") as bar:
        for _ in bar:
            batch = _pack(next(drawn))
            loss = model(batch=batch) / len(batch.targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            seen += len(batch.targets)
            rate = seen / (time.perf_counter() - start)
            bar.set_postfix_str(f"loss {losses[-1]:.3f}, {rate:,.0f} tokens/s", refresh=False)
    restore(model)
    last = losses[-max(1, len(losses) // 20) :]
    mean = sum(last) / len(last) if last else None
    return Trained(seen, mean, time.perf_counter() - start)


def learning_rate_share(step: int, steps: int) -> float:
    """The share of the peak learning rate at step `step` (from 0) of `steps`."""
    warmup = max(1, round(WARMUP_SHARE * steps))
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return FINAL_LEARNING_RATE_SHARE + (1 - FINAL_LEARNING_RATE_SHARE) * cosine


@torch.no_grad()
def validation_loss(model: BloomForCausalLM, documents: Sequence[np.ndarray]) -> float:
    """Mean -log p of each token after a document's first, in nats."""
    pack_model(model)
    model.eval()
    total, count = 0.0, 0
    for first in range(0, len(documents), VALIDATION_BATCH):
        batch = _pack(documents[first : first + VALIDATION_BATCH])
        total += model(batch=batch).item()
        count += len(batch.targets)
    restore(model)
    return total / count


def unigram_loss(
    documents: Sequence[np.ndarray], validation: Sequence[np.ndarray], vocab_size: int
) -> float:
    """Loss of the token frequencies of `documents` (add-one smoothed) on `validation`: mean -log p
    of each token after a document's first, in nats."""
    counts = np.bincount(np.concatenate(documents), minlength=vocab_size) + 1.0
    tokens = np.concatenate([tokens[1:] for tokens in validation])
    return -float(np.log(counts / counts.sum())[tokens].mean())


def _pack(documents: Sequence[np.ndarray]) -> PackedBatch:
    """One row of documents whose tokens are all supervised but the first."""
    return packed_batch([one_answer(tokens, 1) for tokens in documents], torch.device("cpu"))


def _parameter_groups(model: BloomForCausalLM) -> list[dict]:
    """Matrices decay, biases and layer norms do not."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    return [{"params": matrices}, {"params": others, "weight_decay": 0.0}]


def batches(
    documents: Sequence[np.ndarray], batch_tokens: int, seed: int
) -> Iterator[list[np.ndarray]]:
    """Whole documents until they predict `batch_tokens` tokens, pass after pass, in a new order
    each. The rest of a pass is dropped; a batch needs no more than one pass."""
    generator = np.random.default_rng(seed)
    wanted = min(batch_tokens, sum(len(tokens) - 1 for tokens in documents))
    while True:
        batch, predicted = [], 0
        for index in generator.permutation(len(documents)):
            batch.append(documents[index])
            predicted += len(documents[index]) - 1
            if predicted >= wanted:
                yield batch
                batch, predicted = [], 0
