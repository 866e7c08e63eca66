"""Useful tokens per second and memory of fine-tuning BLOOM, against what a user would pick instead.

    python -m benchmarks.finetune [--quick] [--only PART ...]

ways      the same tiny BLOOM (random weights), the same examples, the same global batch, one thread
          each, interleaved step by step:
          packed      this stage: document-exact packing, its DeepSpeed engine (ZeRO-2, one rank)
          pad-1024    a plain loop over batches that are padded to 1,024 tokens (BELLE's first)
          dynamic     transformers.Trainer, each batch padded to its longest example
          grouped     transformers.Trainer, batches of similar length (group_by_length), padded so
          trl         trl.SFTTrainer with packing (its documents see each other on BLOOM)
head      memory and time of the head alone, true vocabulary
flatness  seconds per token with 1,000, 5,000 and 50,000 examples, tokenizing included
overhead  what a step spends outside of its forward and backward passes
startup   from the command to the end of the first step, two ranks, by launcher

Useful tokens are those of the examples: padding does no work, and counts as none. A part that is
measured alone is merged into benchmarks/results/finetune.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.finetune.data import ROOT, Case, write_examples_of
from benchmarks.finetune.flatness import measure_flatness
from benchmarks.finetune.head import measure_head
from benchmarks.finetune.overhead import measure_overhead
from benchmarks.finetune.startup import measure_startup
from benchmarks.finetune.tables import tables
from benchmarks.finetune.variants import WAYS
from benchmarks.interleaved import machine, measure, one_thread, versions

RESULT = ROOT / "benchmarks" / "results" / "finetune.json"
PARTS = ("ways", "head", "flatness", "overhead", "startup")
TRL = "trl==1.16.0"  # not one of the project's own requirements

CASES = (
    Case("small vocabulary", 8192, 128, 4, 4, 32, 8, 6),
    Case("true vocabulary", 250_880, 64, 2, 4, 8, 2, 3),
)
QUICK = (Case("quick", 2048, 64, 2, 4, 32, 8, 2),)


def compare_ways(cases: tuple[Case, ...], scratch: Path) -> dict[str, Any]:
    """Every way on every case."""
    if not importlib.util.find_spec("trl"):
        print(f"trl is missing and left out: pip install {TRL}", file=sys.stderr)
    found: dict[str, Any] = {"cases": []}
    for case in cases:
        folder = scratch / case.name
        found["data"] = write_examples_of(folder, case.vocabulary)
        ways = {
            name: (way, (case, folder))
            for name, way in WAYS.items()
            if name != "trl" or importlib.util.find_spec("trl")
        }
        measured = measure(ways, case.rounds).as_json("packed")
        found["cases"].append({**asdict(case), **measured})
    return found


def measure_part(part: str, quick: bool, scratch: Path) -> dict[str, Any]:
    """One part's figures."""
    case = QUICK[0] if quick else CASES[0]
    if part == "ways":
        return compare_ways(QUICK if quick else CASES, scratch)
    if part == "head":
        return measure_head(256 if quick else 2048)
    if part == "flatness":
        counts = (200, 1000) if quick else (1000, 5000, 50_000)
        return measure_flatness(replace(case, rounds=3 if quick else 9), counts, scratch)
    if part == "overhead":
        write_examples_of(scratch / "overhead", case.vocabulary)
        return measure_overhead(case, scratch / "overhead")
    launchers = ("local",) if quick else ("local", "torchrun", "deepspeed")
    return measure_startup(scratch, 1 if quick else 3, launchers)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one toy case, under a minute")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, help="default: all, or the first two of a quick run"
    )
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    one_thread()
    results = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    results |= {
        "quick": options.quick,
        "machine": machine(),
        "versions": versions("torch", "transformers", "deepspeed", "trl", "datasets"),
    }
    for part in options.only or PARTS[: 2 if options.quick else None]:
        with tempfile.TemporaryDirectory() as scratch:
            results[part] = measure_part(part, options.quick, Path(scratch))
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    print(tables(results))


if __name__ == "__main__":
    main()
