"""Useful tokens per second and memory of fine-tuning BLOOM, against what a user would pick instead.

    python -m benchmarks.finetune [--quick] [--only PART ...]

variants  the same tiny BLOOM (random weights), the same examples, the same global batch, one
          thread each, interleaved step by step:
          packed      this stage: document-exact packing, its DeepSpeed engine (ZeRO-2, one rank)
          pad-1024    a plain loop over batches that are padded to 1,024 tokens (BELLE's first)
          dynamic     transformers.Trainer, each batch padded to its longest example
          grouped     transformers.Trainer, batches of similar length (group_by_length), padded so
          trl         trl.SFTTrainer with packing (its documents see each other on BLOOM)
head      memory and time of the head alone, true vocabulary
flatness  seconds per token with 1,000, 5,000 and 50,000 examples, tokenizing included
overhead  what a step spends outside of its forward and backward passes
startup   from the command to the end of the first step, two ranks
memory    predicted and measured peaks of a step in twelve set-ups

Useful tokens are those of the examples: padding does no work, and counts as none.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.finetune.memory import SET_UPS, memory_table
from benchmarks.finetune.memory import memory as measure_memory
from benchmarks.finetune.parts import (
    measure_flatness,
    measure_head,
    measure_overhead,
    measure_startup,
)
from benchmarks.finetune.variants import VARIANTS, Case, examples_writer
from benchmarks.harness import measure, run_benchmark, spread

TRL = "trl==1.16.0"  # not one of the project's own requirements
GOALS = {"pad-1024": 14.0, "dynamic": 3.0, "grouped": 1.15, "trl": 3.5}
HEAD_GOAL, STARTUP_GOAL = 8, 8.0  # times less memory; seconds

CASES = (
    Case("small vocabulary", 8192, 128, 4, 4, 32, 8, 6),
    Case("true vocabulary", 250_880, 64, 2, 4, 8, 2, 3),
)
QUICK = (Case("quick", 2048, 64, 2, 4, 32, 8, 2),)


def case_of(quick: bool) -> Case:
    """The shape of the parts that take one."""
    return QUICK[0] if quick else CASES[0]


def compare_variants(quick: bool, scratch: Path) -> dict[str, Any]:
    """Every variant on every case."""
    if not importlib.util.find_spec("trl"):
        print(f"trl is missing and left out: pip install {TRL}", file=sys.stderr)
    found: dict[str, Any] = {"cases": []}
    for case in QUICK if quick else CASES:
        folder = scratch / case.name
        write, found["data"] = examples_writer(case.vocabulary)
        write(folder)
        variants = {
            name: (variant, (case, folder))
            for name, variant in VARIANTS.items()
            if name != "trl" or importlib.util.find_spec("trl")
        }
        measured = measure(variants, case.rounds).as_json("packed")
        found["cases"].append({**asdict(case), **measured})
    return found


def head(quick: bool, scratch: Path) -> dict[str, Any]:
    """The head on a row of supervised tokens."""
    return measure_head(256 if quick else 2048)


def flatness(quick: bool, scratch: Path) -> dict[str, Any]:
    """Cost per token over the size of the subset."""
    counts = (200, 1000) if quick else (1000, 5000, 50_000)
    return measure_flatness(replace(case_of(quick), rounds=3 if quick else 9), counts, scratch)


def overhead(quick: bool, scratch: Path) -> dict[str, Any]:
    """Where the time of a step goes."""
    examples_writer(case_of(quick).vocabulary)[0](scratch / "examples")
    return measure_overhead(case_of(quick), scratch / "examples")


def startup(quick: bool, scratch: Path) -> dict[str, Any]:
    """From the command to the first step."""
    return measure_startup(scratch, 1 if quick else 5)


def memory(quick: bool, scratch: Path) -> list[dict[str, Any]]:
    """Predicted and measured peaks."""
    return measure_memory(scratch, SET_UPS[:1] if quick else SET_UPS)


def with_scratch(part: Callable[[bool, Path], Any], quick: bool) -> Any:
    """A part in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as scratch:
        return part(quick, Path(scratch))


PARTS = {
    "variants": compare_variants,
    "head": head,
    "flatness": flatness,
    "overhead": overhead,
    "startup": startup,
    "memory": memory,
}


def tables(results: dict[str, Any]) -> str:
    """A table or a line for each part that was measured."""
    shown = {
        "variants": variants_table,
        "head": head_line,
        "flatness": flatness_table,
        "overhead": overhead_table,
        "startup": startup_line,
        "memory": memory_table,
    }
    return "\n\n".join(show(results[part]) for part, show in shown.items() if part in results)


def variants_table(found: dict[str, Any]) -> str:
    """Speed and peak memory of every variant and case."""
    lines = ["| case | variant | useful tokens/s | packed is faster by | goal | peak memory |"]
    lines.append("|---|---|---|---|---|---|")
    for case in found["cases"]:
        for name, speed in case["per_second"].items():
            goal = f"{GOALS[name]:g}x" if name in GOALS else ""
            memory = case["peak_memory_bytes"][name] / 1e9
            lines.append(
                f"| {case['name']} | {name} | {speed:,.0f} | {spread(case['ratio'][name], 'x')} "
                f"| {goal} | {memory:.2f} GB |"
            )
    return "\n".join(lines)


def head_line(found: dict[str, Any]) -> str:
    """Memory of the head alone."""
    fused, logits = found["fused"], found["logits"]
    return (
        f"head, {found['supervised_tokens']:,} tokens, 250,880 pieces: "
        f"{fused['extra_bytes'] / 1e9:.2f} GB and {fused['seconds']:.1f} s against "
        f"{logits['extra_bytes'] / 1e9:.2f} GB and {logits['seconds']:.1f} s "
        f"({found['memory_ratio']:.1f}x less memory; goal {HEAD_GOAL}x at 2,048 tokens)"
    )


def flatness_table(found: dict[str, Any]) -> str:
    """Cost per token by number of examples."""
    lines = ["| examples | training | tokenizing | ordering an epoch |", "|---|---|---|---|"]
    for count, seconds in found["seconds_per_token"].items():
        parts = (seconds[part] for part in ("training", "tokenizing", "ordering"))
        costs = " | ".join(f"{1e6 * part:.2f}" for part in parts)
        lines.append(f"| {int(count):,} | {costs} |")
    largest = spread(found["training_largest_over_smallest"], "x")
    return "\n".join([*lines, f"\nmicroseconds per token; training, last over first: {largest}"])


def overhead_table(found: dict[str, Any]) -> str:
    """Parts of a step."""
    lines = ["| loop | forward and backward | optimizer | the loop's own | its share |"]
    lines.append("|---|---|---|---|---|")
    for name, parts in found.items():
        lines.append(
            f"| {name} | {parts['passes_ms']:,.0f} ms | {parts['optimizer_ms']:.1f} ms "
            f"| {parts['loop_ms']:.1f} ms | {parts['loop_share']:.1%} |"
        )
    return "\n".join(lines)


def startup_line(found: dict[str, Any]) -> str:
    """Seconds until the first step is over."""
    return f"command to first step: {spread(found, ' s')}; goal {STARTUP_GOAL:g} s"


if __name__ == "__main__":
    run_benchmark(
        "finetune",
        __doc__.split("\n")[0],
        {name: partial(with_scratch, part) for name, part in PARTS.items()},
        tables,
        packages=("torch", "transformers", "deepspeed", "trl", "datasets"),
        quick_parts=("variants", "head"),
    )
