"""The pool and the tokenizer that are measured: Chinese records of BELLE's lengths, no real text.

Characters are drawn by Zipf's law from 3,000 ideographs with punctuation between them, so that a
tokenizer's cache of words helps as little as it does on real Chinese text. Lengths are log-normal
with means of 83 characters (instruction) and 210 (output), those of BELLE's half million records.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

MEANS, SPREADS, LONGEST = (83.0, 210.0), (0.8, 0.9), 4000
IDEOGRAPHS, FIRST = 3000, 0x4E00
PUNCTUATION, CLAUSE = "，。", 12  # one of them after so many characters on average
BLOCK = 10_000  # records drawn at a time
PIECES = 8192


def make_pool(folder: Path, count: int) -> None:
    """Write the records to `folder`/records and a base with a tokenizer to `folder`/base."""
    from instruct_scaling.data.pool.store import write_records

    folder.mkdir(parents=True)
    write_records(folder / "records", draw_records(count))
    make_base(folder / "base")


def draw_records(count: int) -> Iterator:
    """So many records, the same for the same number."""
    from instruct_scaling.common.records import Record

    rng = np.random.default_rng(0)
    for first in range(0, count, BLOCK):
        size = min(BLOCK, count - first)
        prompts, outputs = (texts(rng, size, *of) for of in zip(MEANS, SPREADS, strict=True))
        for number, (prompt, output) in enumerate(zip(prompts, outputs, strict=True), first):
            yield Record.make(f"{number}{prompt}", output, language="zh")


def texts(rng: np.random.Generator, count: int, mean: float, spread: float) -> list[str]:
    """So many texts with log-normal lengths."""
    drawn = rng.lognormal(np.log(mean) - spread**2 / 2, spread, count)
    ends = np.cumsum(np.clip(drawn, 1, LONGEST).astype(int))
    shares = np.cumsum(1 / np.arange(1, IDEOGRAPHS + 1))
    ranks = np.searchsorted(shares, rng.uniform(0, shares[-1], ends[-1]))
    codes = (FIRST + np.minimum(ranks, IDEOGRAPHS - 1)).astype("<u4")
    marks = rng.random(len(codes)) < 1 / CLAUSE
    codes[marks] = np.array([ord(mark) for mark in PUNCTUATION])[rng.integers(0, 2, marks.sum())]
    whole = codes.tobytes().decode("utf-32-le")
    return [whole[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def make_base(folder: Path) -> None:
    """A tiny BLOOM with a byte-level BPE of 8,192 pieces, trained on the same kind of text."""
    from transformers import BloomConfig, BloomForCausalLM

    from benchmarks.finetune.cases import tokenizer_for

    sample = texts(np.random.default_rng(1), 3000, MEANS[1], SPREADS[1])
    tokenizer = tokenizer_for([(text, "") for text in sample], PIECES)
    config = BloomConfig(vocab_size=PIECES, hidden_size=32, n_layer=2, n_head=2)
    BloomForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
