"""Seconds per token as the subset grows: training at three places of the epoch, and tokenizing."""

from __future__ import annotations

import statistics
import time
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.finetune.data import Case, examples_writer
from benchmarks.finetune.variants import stage_trainer
from benchmarks.interleaved import Steps, measure, ratio

PLACES = (0.0, 0.5, 1.0)  # start, middle and end of an epoch
STEPS = 4  # at each place


def steps_over(case: Case, folder: Path) -> Steps:
    """A few steps of the stage's trainer at the epoch's start, middle and end in turn, with the
    mapping of the examples and the packing of the rows, but not the order, which is made once."""
    from instruct_scaling.training.metrics import Progress

    trainer = stage_trainer(case, folder)
    last = len(trainer.examples) // case.batch - STEPS
    for place in cycle(PLACES):
        progress = Progress(step=round(place * last))
        for _ in range(STEPS):
            trainer.step(progress)
        yield progress.tokens


def measure_flatness(case: Case, counts: tuple[int, ...], scratch: Path) -> dict[str, Any]:
    """Cost per useful token with each number of examples, and the largest against the smallest."""
    ways, before = {}, {}
    for count in counts:
        folder = scratch / str(count)
        before[str(count)] = prepare(folder, case, count)
        ways[str(count)] = (steps_over, (case, folder))
    speeds = measure(ways, case.rounds).speeds
    smallest, largest = speeds[str(counts[0])], speeds[str(counts[-1])]
    return {
        "seconds_per_token": {
            name: {"training": 1 / statistics.median(found), **before[name]}
            for name, found in speeds.items()
        },
        "training_largest_over_smallest": ratio(smallest, largest),
    }


def prepare(folder: Path, case: Case, count: int) -> dict[str, float]:
    """Write the examples; seconds per token of tokenizing them and of ordering one epoch."""
    from instruct_scaling.training.examples import load_examples
    from instruct_scaling.training.order import epoch_order

    write, _ = examples_writer(case.vocabulary, count)
    began = time.perf_counter()
    write(folder)
    tokenized = time.perf_counter()
    examples = load_examples(folder)
    epoch_order(examples.ids, 0, 0)
    ordered = time.perf_counter()
    tokens = examples.counts.tokens
    return {"tokenizing": (tokenized - began) / tokens, "ordering": (ordered - tokenized) / tokens}
