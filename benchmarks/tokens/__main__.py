"""Time and memory of the stage tokens, of a run's start-up on its store, and of an epoch's order.

    python -m benchmarks.tokens [--quick] [--only PART ...]

stage     the command `tokens` with two workers, memory of all its processes together
datasets  what a user would pick instead: datasets.map with two processes, then save_to_disk
startup   what a rank does before it loads its model: store, subset of 10,000, validation records,
          order, the first batch; and with all records as the subset
order     the order of one epoch in numpy, and by Python's sort with a keyed hash of each id

At 20,000, 200,000 and 2,000,000 records of BELLE's lengths; --quick leaves out the last. Making
the pool is not counted (it takes minutes and 1.5 GB of disk at 2,000,000 records).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.harness import run_benchmark
from benchmarks.tokens.parts import datasets, order, stage, startup

SIZES = (20_000, 200_000, 2_000_000)
GOALS = "goals at 2,000,000: stage 15 minutes and 2 GB, start-up 5 s and 0.5 GB"

PARTS: dict[str, Callable[[int], Any]] = {
    "stage": stage,
    "datasets": datasets,
    "startup": startup,
    "order": order,
}


def at_every_size(part: Callable[[int], Any], quick: bool) -> dict[str, Any]:
    """A part at 20,000 and 200,000 records, and at 2,000,000 unless it is to be quick."""
    return {str(count): part(count) for count in (SIZES[:2] if quick else SIZES)}


def tables(results: dict[str, Any]) -> str:
    """A table for each part that was measured."""
    shown = {"stage": stage_table, "startup": startup_table, "order": order_table}
    parts = [show(results) for part, show in shown.items() if part in results]
    return "\n\n".join([*parts, GOALS])


def stage_table(results: dict[str, Any]) -> str:
    """The stage beside `datasets`, where that was measured."""
    lines = ["| records | tokens | seconds | memory | on disk | datasets | memory |"]
    lines.append("|---|---|---|---|---|---|---|")
    for count, ours in results["stage"].items():
        other = results.get("datasets", {}).get(count)
        beside = f"{other['seconds']:.0f} s | {gigabytes(other['peak_bytes'])}" if other else "|"
        lines.append(
            f"| {int(count):,} | {ours['tokens']:,} | {ours['seconds']:.0f} s "
            f"| {gigabytes(ours['peak_bytes'])} | {gigabytes(ours['disk_bytes'])} | {beside} |"
        )
    return "\n".join(lines)


def startup_table(results: dict[str, Any]) -> str:
    """Start-up by size of the store."""
    lines = [
        "| records in the store | examples of the run | seconds | memory |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {int(count):,} | {found['examples']:,} | {found['seconds']:.2f} s "
        f"| {gigabytes(found['extra_bytes'])} |"
        for count, both in results["startup"].items()
        for found in both.values()
    ]
    return "\n".join(lines)


def order_table(results: dict[str, Any]) -> str:
    """An epoch's order, both ways."""
    lines = ["| examples | numpy | Python's sort | faster by |", "|---|---|---|---|"]
    for count, found in results["order"].items():
        ours, other = found["numpy"], found["python"]
        lines.append(
            f"| {int(count):,} | {ours['seconds']:.3f} s, {gigabytes(ours['extra_bytes'])} "
            f"| {other['seconds']:.2f} s, {gigabytes(other['extra_bytes'])} "
            f"| {other['seconds'] / ours['seconds']:.0f}x |"
        )
    return "\n".join(lines)


def gigabytes(size: float) -> str:
    """Bytes as GB."""
    return f"{size / 1e9:.2f} GB"


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    run_benchmark(
        "tokens",
        __doc__.split("\n")[0],
        {name: partial(at_every_size, part) for name, part in PARTS.items()},
        tables,
        packages=("transformers", "tokenizers", "datasets", "numpy", "pyarrow"),
    )
