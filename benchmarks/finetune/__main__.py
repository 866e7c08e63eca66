"""Useful tokens per second, memory and exactness of fine-tuning, against what a user would pick.

    python -m benchmarks.finetune [--quick] [--only PART ...]

A part for each model of `cases.CASES` (random weights): speed, memory and the error of the first
gradient of these variants, on the same examples and the same global batch, one thread each,
each in turn with packed, step by step:

    packed            this stage: document-exact packing, its DeepSpeed engine (ZeRO-2, one rank)
    pad-1024          a plain loop over batches that are padded to 1,024 tokens (BELLE's first)
    dynamic           transformers.Trainer, each batch padded to its longest example
    grouped           transformers.Trainer, batches of similar length (group_by_length)
    flattening        transformers.Trainer with DataCollatorWithFlattening
    trl packing       trl.SFTTrainer with packing
    trl padding-free  trl.SFTTrainer with padding_free
    llama-factory     LLaMA-Factory with neat_packing

head      memory and time of the head alone, BLOOM's vocabulary
flatness  seconds per token with 1,000, 5,000 and 50,000 examples, tokenizing included
overhead  what a step spends outside of its forward and backward passes
startup   from the command to the end of the first step, two ranks
memory    predicted and measured peaks of a step in twelve set-ups

Useful tokens are those of the examples: padding does no work, and counts as none. Errors are
against stock transformers that runs the same examples one by one in fp32.

TRL is measured where it is installed. BENCHMARK_LLAMA_FACTORY and BENCHMARK_CUT_CROSS_ENTROPY name
folders of those packages (pip install --no-deps --target FOLDER): LLaMA-Factory 0.9.5 wants
transformers 5.6.0 or older, cut-cross-entropy 25.1.1 wants triton.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.finetune.cases import CASES, Case, examples_writer
from benchmarks.finetune.gradients import EQUAL, Saved, prepare_errors
from benchmarks.finetune.head import HEADS, measure_head
from benchmarks.finetune.memory import SET_UPS, memory_table
from benchmarks.finetune.memory import memory as measure_memory
from benchmarks.finetune.parts import measure_flatness, measure_overhead, measure_startup
from benchmarks.finetune.peers import PEERS, there
from benchmarks.finetune.variants import OWN
from benchmarks.harness import (
    Variant,
    measure_once,
    measure_pairs,
    run_benchmark,
    spread,
)

VARIANTS = OWN | PEERS
QUICK_VARIANTS = ("packed", "dynamic", "flattening", "trl packing")
GOALS = {"dynamic": 3.0}  # times faster; ahead of all others
HEAD_GOAL, STARTUP_GOAL = 8, 8.0  # times less memory; seconds
MISSING = "{} is missing and left out: see python -m benchmarks.finetune --help"


def case_of(quick: bool) -> Case:
    """The shape of the parts that take one."""
    return CASES["quick"] if quick else CASES["bloom"]


def compare_variants(case: Case, quick: bool, scratch: Path) -> dict[str, Any]:
    """Every variant that is here on one case."""
    write, source = examples_writer(case)
    write(scratch)
    chosen: dict[str, Variant] = {}
    saved: dict[str, Path] = {}
    for name in QUICK_VARIANTS if quick else VARIANTS:
        if there(name):
            saved[name] = scratch / f"{name}.pt"
            chosen[name] = (VARIANTS[name], (case, scratch, Saved(saved[name])))
        else:
            print(MISSING.format(name), file=sys.stderr)
    measured = measure_pairs(chosen, case.rounds, "packed")
    errors = measure_once(prepare_errors, case, saved)["result"]
    return {**asdict(case), "data": source, **measured, "gradient_error": errors}


def head(quick: bool, scratch: Path) -> dict[str, Any]:
    """The head on a row of supervised tokens."""
    return measure_head(256 if quick else 2048)


def flatness(quick: bool, scratch: Path) -> dict[str, Any]:
    """Cost per token over the size of the subset."""
    counts = (200, 1000) if quick else (1000, 5000, 50_000)
    return measure_flatness(replace(case_of(quick), rounds=3 if quick else 9), counts, scratch)


def overhead(quick: bool, scratch: Path) -> dict[str, Any]:
    """Where the time of a step goes."""
    examples_writer(case_of(quick))[0](scratch / "examples")
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


PARTS: dict[str, Callable[[bool, Path], Any]] = {
    **{name: partial(compare_variants, case) for name, case in CASES.items()},
    "head": head,
    "flatness": flatness,
    "overhead": overhead,
    "startup": startup,
    "memory": memory,
}
WHOLE = [name for name in PARTS if name != "quick"]


def tables(results: dict[str, Any]) -> str:
    """A table or a line for each part that was measured."""
    shown = {
        **dict.fromkeys(CASES, variants_table),
        "head": head_lines,
        "flatness": flatness_table,
        "overhead": overhead_table,
        "startup": startup_line,
        "memory": memory_table,
    }
    return "\n\n".join(show(results[part]) for part, show in shown.items() if part in results)


def variants_table(found: dict[str, Any]) -> str:
    """Speed, peak memory and gradient error of every variant on one case."""
    lines = [f"{found['name']}:\n"]
    lines.append(
        "| variant | useful tokens/s | packed is faster by | peak memory | gradient error |"
    )
    lines.append("|---|---|---|---|---|")
    for name in VARIANTS:
        if name not in found["per_second"]:
            continue
        error = found["gradient_error"][name]
        lines.append(
            f"| {name} | {found['per_second'][name]:,.0f} | {lead(name, found['ratio'].get(name))} "
            f"| {found['peak_memory_bytes'][name] / 1e9:.2f} GB "
            f"| {'equal' if error < EQUAL else 'other'}, {error:.1e} |"
        )
    return "\n".join(lines)


def lead(name: str, figure: dict[str, float] | None) -> str:
    """How much faster packed is, and whether that is the goal."""
    if figure is None:
        return ""
    missed = figure["median"] < GOALS.get(name, 1.0)
    return spread(figure, "x") + (", goal missed" if missed else "")


def head_lines(found: dict[str, Any]) -> str:
    """Memory of the head alone."""
    lines = [f"head, {found['supervised_tokens']:,} tokens, 250,880 pieces:\n"]
    lines.append("| head | memory | time | gradient error |")
    lines.append("|---|---|---|---|")
    for name in HEADS:
        if name in found:
            one = found[name]
            lines.append(
                f"| {name} | {one['extra_bytes'] / 1e9:.2f} GB | {one['seconds']:.1f} s "
                f"| {one['gradient_error']:.1e} |"
            )
    lines.append(
        f"\n{found['memory_ratio']:.1f}x less memory than logits; goal {HEAD_GOAL}x at 2,048 tokens"
    )
    return "\n".join(lines)


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
        quick_parts=("quick", "head"),
        whole_parts=WHOLE,
    )
