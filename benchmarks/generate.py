"""Tokens per second and memory of answering, against stock transformers.

    python -m benchmarks.generate [--quick]

The same BLOOM with random weights, the same prompts, `generate()` with greedy decoding to a fixed
number of new tokens, one thread. Both ways live in processes of their own and answer one batch in
turn.

ours    the stage's model: packed prompts, relative ALiBi, scaled_dot_product_attention
stock   transformers' BLOOM as it is loaded

Also states how much of a batch is padding, sorted by length as the stage does it and unsorted.
Writes benchmarks/results/respond.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.interleaved import machine, measure, one_thread, versions

RESULT = Path(__file__).parent / "results" / "respond.json"
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
    from instruct_scaling.evaluation.generate import batches_by_length

    lengths = lengths_of(case)
    sorted_ = [[lengths[i] for i in batch] for batch in batches_by_length(lengths, case.batch)]
    rng = np.random.default_rng(1)
    while True:
        yield sorted_[rng.integers(len(sorted_))]


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
    """Share of the prompts' places that is padding, sorted by length and as they come."""
    from instruct_scaling.evaluation.generate import batches_by_length

    lengths = lengths_of(case)

    def share(groups: list[list[int]]) -> float:
        padded = sum(len(group) * max(lengths[i] for i in group) for group in groups)
        return 1 - sum(lengths) / padded

    places, size = list(range(len(lengths))), case.batch
    as_they_come = [places[first : first + size] for first in range(0, len(places), size)]
    return {"sorted": share(batches_by_length(lengths, size)), "as they come": share(as_they_come)}


def table(results: dict[str, Any]) -> str:
    """The measurements as Markdown."""
    lines = ["| case | way | new tokens/s | ours is faster by | peak memory | padding |"]
    lines.append("|---|---|---|---|---|---|")
    for case in results["cases"]:
        for name, speed in case["per_second"].items():
            ratio, memory = case["ratio"][name], case["peak_memory_bytes"][name] / 1e9
            shares = case["padding"]
            lines.append(
                f"| {case['name']} | {name} | {speed:,.0f} | {ratio['median']:.2f}x "
                f"({ratio['low']:.2f} to {ratio['high']:.2f}) | {memory:.2f} GB "
                f"| {shares['sorted']:.0%}, unsorted {shares['as they come']:.0%} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one toy case, under a minute")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    one_thread()
    results: dict[str, Any] = {
        "quick": options.quick,
        "machine": machine(),
        "versions": versions("torch", "transformers"),
        "cases": [],
    }
    for case in QUICK if options.quick else CASES:
        ways = {name: (answering, (case, name == "ours")) for name in ("ours", "stock")}
        found = measure(ways, case.rounds).as_json("ours")
        results["cases"].append({**asdict(case), "padding": padding(case), **found})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
