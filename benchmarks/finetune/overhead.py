"""Where the time of a step goes: forward and backward pass, optimizer, and the loop around them."""

from __future__ import annotations

import functools
import multiprocessing
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.finetune.data import Case
from benchmarks.finetune.variants import grouped, packed, plain_loop

WAYS: dict[str, Callable[[Case, Path], Iterator[float]]] = {
    "packed": packed,
    "plain loop": functools.partial(plain_loop, length=None),
    "HF Trainer": grouped,
}


def measure_overhead(case: Case, folder: Path) -> dict[str, Any]:
    """Medians over steps of each way: milliseconds of a step's parts, and the loop's share.

    What DeepSpeed does in its gradient hooks counts as backward pass, as it does elsewhere."""
    context = multiprocessing.get_context("spawn")
    found = {}
    for name in WAYS:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            found[name] = pool.submit(parts_of, name, case, folder).result()
    return found


def parts_of(name: str, case: Case, folder: Path) -> dict[str, float]:
    """One way alone in this process; its first step warms up."""
    import torch
    from transformers import BloomForCausalLM

    from instruct_scaling.models.packed.bloom import PackedBloomForCausalLM

    torch.set_num_threads(1)
    clock: Counter[str] = Counter()
    for owner, method, part in (
        (BloomForCausalLM, "forward", "passes"),
        (PackedBloomForCausalLM, "forward", "passes"),
        (torch.Tensor, "backward", "passes"),
        (torch.optim.AdamW, "step", "optimizer"),
    ):
        setattr(owner, method, timed(getattr(owner, method), clock, part))
    steps, rounds = WAYS[name](case, folder), []
    next(steps)
    for _ in range(2 * case.rounds):
        clock.clear()
        began = time.perf_counter()
        next(steps)
        rounds.append(Counter(clock, step=time.perf_counter() - began))
    parts = {part: statistics.median(r[part] for r in rounds) for part in rounds[0]}
    rest = statistics.median(r["step"] - r["passes"] - r["optimizer"] for r in rounds)
    return {
        **{f"{part}_ms": 1000 * seconds for part, seconds in parts.items()},
        "loop_ms": 1000 * rest,
        "loop_share": rest / parts["step"],
    }


def timed(function: Callable[..., Any], clock: Counter[str], part: str) -> Callable[..., Any]:
    """`function`, its seconds added to a part of the clock."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            clock[part] += time.perf_counter() - began

    return wrapper
