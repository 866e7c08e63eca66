"""Causal-language-model training of a small model on plain text, on the CPU."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import (
    BloomForCausalLM,
    PreTrainedTokenizerFast,
    get_cosine_with_min_lr_schedule_with_warmup,
)

from instruct_scaling.config.bases import TinyBase

WARMUP_SHARE = 0.05
FINAL_LEARNING_RATE_SHARE = 0.1
WEIGHT_DECAY = 0.1
BETAS = (0.9, 0.95)
MAX_GRAD_NORM = 1.0


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training run saw: tokens, loss of its last steps (nats per token), seconds."""

    tokens: int
    loss: float | None
    seconds: float


def pack_rows(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, row_tokens: int
) -> torch.Tensor:
    """Documents with an end token after each, as rows [n, row_tokens] int64 without padding.

    The tokens that do not fill the last row are left out.
    """
    pieces = tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
    end = tokenizer.eos_token_id
    stream = np.array([token for ids in pieces for token in (*ids, end)], dtype=np.int64)
    rows = len(stream) // row_tokens
    return torch.from_numpy(stream[: rows * row_tokens].reshape(rows, row_tokens))


def train(model: BloomForCausalLM, rows: torch.Tensor, config: TinyBase) -> Trained:
    """Train in place with AdamW, linear warm-up and cosine decay.

    Rows are drawn in a new order in every pass, by a generator seeded with `config.seed`.
    """
    model.train()
    optimizer = torch.optim.AdamW(
        _parameter_groups(model), lr=config.learning_rate, betas=BETAS, weight_decay=WEIGHT_DECAY
    )
    schedule = get_cosine_with_min_lr_schedule_with_warmup(
        optimizer,
        num_warmup_steps=max(1, round(WARMUP_SHARE * config.steps)),
        num_training_steps=config.steps,
        min_lr_rate=FINAL_LEARNING_RATE_SHARE,
    )
    batch_rows = max(1, config.batch_tokens // rows.shape[1])
    batches = _batches(rows, batch_rows, config.seed)
    start, losses = time.perf_counter(), []
    with tqdm(range(config.steps), unit="step", mininterval=1.0, desc="base") as bar:
        for _ in bar:
            loss = next_token_loss(model, next(batches))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            seen = len(losses) * batch_rows * rows.shape[1]
            rate = seen / (time.perf_counter() - start)
            bar.set_postfix_str(f"loss {losses[-1]:.3f}, {rate:,.0f} tokens/s", refresh=False)
    seconds = time.perf_counter() - start
    last = losses[-max(1, len(losses) // 20) :]
    mean = sum(last) / len(last) if last else None
    return Trained(len(losses) * batch_rows * rows.shape[1], mean, seconds)


def next_token_loss(model: BloomForCausalLM, rows: torch.Tensor) -> torch.Tensor:
    """Mean -log p of each row's tokens after its first, in nats; rows [n, length] int64."""
    logits = model(input_ids=rows[:, :-1]).logits
    return cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(model: BloomForCausalLM, rows: torch.Tensor, batch_rows: int = 32) -> float:
    """`next_token_loss` over rows that were not trained on."""
    model.eval()
    losses = [next_token_loss(model, part).item() * len(part) for part in rows.split(batch_rows)]
    return sum(losses) / len(rows)


def unigram_loss(train_rows: torch.Tensor, held_out: torch.Tensor, vocab_size: int) -> float:
    """Loss of token frequencies (add-one smoothed) on validation rows, in nats per token."""
    counts = torch.bincount(train_rows.flatten(), minlength=vocab_size).double() + 1
    return -(counts / counts.sum()).log()[held_out[:, 1:].flatten()].mean().item()


def _parameter_groups(model: BloomForCausalLM) -> list[dict]:
    """Matrices decay, biases and layer norms do not."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    return [{"params": matrices}, {"params": others, "weight_decay": 0.0}]


def _batches(rows: torch.Tensor, batch_rows: int, seed: int) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        for chosen in torch.randperm(len(rows), generator=generator).split(batch_rows):
            if len(chosen) == min(batch_rows, len(rows)):
                yield rows[chosen]
