"""Tokens per second and memory of answering, against stock transformers.

    python -m benchmarks.generate [--quick]

The same BLOOM with random weights, the same prompts, `generate()` with greedy decoding to a fixed
number of new tokens, one thread. Both variants live in processes of their own and answer one batch
in turn.

ours    the stage's model: packed prompts, relative ALiBi, scaled_dot_product_attention
stock   transformers' BLOOM as it is loaded

Also states how much of a batch is padding, sorted by length as the stage does it and unsorted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.harness import measure, run_benchmark, spread

VOCABULARY = 2048


@dataclass(frozen=True)
class Case:
    """A model's shape, the prompts and the answers."""

    name: str
    hidden: int
    layers: int
    heads: int
    batch: int
    shortest: int  # tokens of a prompt
    longest: int
    answer: int  # tokens
    rounds: int


CASES = (
    Case("demo", 160, 4, 5, 80, 12, 90, 48, 12),
    Case("one at a time", 160, 4, 5, 1, 12, 90, 48, 12),
    Case("long prompts", 160, 4, 5, 16, 256, 1024, 48, 8),
)
QUICK = (Case("quick", 64, 2, 4, 8, 4, 64, 16, 3),)


def batches(case: Case) -> Iterator[list[int]]:
    """Lengths of the prompts of each batch, from twenty batches that were sorted by length."""
    lengths = lengths_of(case)
    sorted_ = [[lengths[i] for i in batch] for batch in sorted_batches(case)]
    rng = np.random.default_rng(1)
    while True:
        yield sorted_[rng.integers(len(sorted_))]


def sorted_batches(case: Case) -> list[list[int]]:
    """Indices of the prompts of each batch, as the stage makes them."""
    from instruct_scaling.config.evaluation import Generate
    from instruct_scaling.evaluation.decoding import batches_by_length

    options = Generate(batch_size=case.batch, max_new_tokens=case.answer, batch_tokens=sys.maxsize)
    return batches_by_length(lengths_of(case), options)


def lengths_of(case: Case) -> list[int]:
    """Tokens of the prompts of twenty batches."""
    rng = np.random.default_rng(0)
    return rng.integers(case.shortest, case.longest + 1, 20 * case.batch).tolist()


def answering(case: Case, ours: bool) -> Iterator[float]:
    """Answer a batch for each `next`; gives its new tokens."""
    import torch
    from transformers import BloomConfig, BloomForCausalLM

    from instruct_scaling.models.packed.generation import patch_for_generation

    torch.manual_seed(0)
    config = BloomConfig(
        vocab_size=VOCABULARY, hidden_size=case.hidden, n_layer=case.layers, n_head=case.heads
    )
    model = BloomForCausalLM(config).float().eval()
    model.generation_config.eos_token_id = None  # every answer has the same length
    if ours:
        patch_for_generation(model)
    for lengths in batches(case):
        width = max(lengths)
        mask = (torch.arange(width) >= width - torch.tensor(lengths)[:, None]).long()
        ids = torch.randint(4, VOCABULARY, mask.shape)
        with torch.inference_mode():
            model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=case.answer,
                do_sample=False,
                pad_token_id=3,
            )
        yield float(len(lengths) * case.answer)


def padding(case: Case) -> dict[str, float]:
    """Share of the prompts' positions that is padding, sorted by length and as they come."""
    lengths = lengths_of(case)

    def share(groups: list[list[int]]) -> float:
        padded = sum(len(group) * max(lengths[i] for i in group) for group in groups)
        return 1 - sum(lengths) / padded

    every, size = list(range(len(lengths))), case.batch
    as_they_come = [every[first : first + size] for first in range(0, len(every), size)]
    return {"sorted": share(sorted_batches(case)), "as they come": share(as_they_come)}


def measure_cases(quick: bool) -> list[dict[str, Any]]:
    """Speed, memory and padding of every case."""
    found = []
    for case in QUICK if quick else CASES:
        variants = {name: (answering, (case, name == "ours")) for name in ("ours", "stock")}
        measured = measure(variants, case.rounds).as_json("ours")
        found.append({**asdict(case), "padding": padding(case), **measured})
    return found


def table(results: dict[str, Any]) -> str:
    """The measurements as Markdown."""
    lines = ["| case | variant | new tokens/s | ours is faster by | peak memory | padding |"]
    lines.append("|---|---|---|---|---|---|")
    for case in results["cases"]:
        for name, speed in case["per_second"].items():
            memory, shares = case["peak_memory_bytes"][name] / 1e9, case["padding"]
            lines.append(
                f"| {case['name']} | {name} | {speed:,.0f} | {spread(case['ratio'][name], 'x')} "
                f"| {memory:.2f} GB "
                f"| {shares['sorted']:.0%}, unsorted {shares['as they come']:.0%} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    run_benchmark(
        "generate",
        __doc__.split("\n")[0],
        {"cases": measure_cases},
        table,
        packages=("torch", "transformers"),
    )
