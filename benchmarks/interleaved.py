"""Several ways of doing the same thing, each in a process of its own, asked for a step in turn.

Round after round, so that the machine's moods hit all alike; ratios are medians over the rounds.
A way is a function that returns an iterator: each `next` does one step and gives the units of
work it did. Its first step warms up and is not counted.
"""

from __future__ import annotations

import gc
import importlib.metadata
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Steps = Iterator[float]  # units of work of each step
Way = tuple[Callable[..., Steps], tuple[Any, ...]]  # a module's function and its arguments


@dataclass(frozen=True)
class Measured:
    """Units per second of every round, and the peak memory, of each way."""

    speeds: dict[str, list[float]]
    peak_bytes: dict[str, int]

    def as_json(self, ours: str) -> dict[str, Any]:
        """Medians, and how much faster `ours` is than each way."""
        return {
            "per_second": {name: statistics.median(found) for name, found in self.speeds.items()},
            "ratio": {name: ratio(self.speeds[ours], found) for name, found in self.speeds.items()},
            "peak_memory_bytes": self.peak_bytes,
        }


def ratio(ours: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest of the rounds' ratios."""
    ratios = sorted(mine / theirs for mine, theirs in zip(ours, other, strict=True))
    return {"median": statistics.median(ratios), "low": ratios[0], "high": ratios[-1]}


def measure(ways: Mapping[str, Way], rounds: int) -> Measured:
    """Run every way for `rounds` rounds of one step."""
    pipes: dict[str, Connection] = {}
    context = multiprocessing.get_context("spawn")
    for name, (make, arguments) in ways.items():
        mine, theirs = context.Pipe()
        context.Process(target=_serve, args=(make, arguments, theirs), daemon=True).start()
        theirs.close()
        pipes[name] = mine
        _ask(mine)
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, pipe in pipes.items():
            units, seconds = _ask(pipe)
            speeds[name].append(units / seconds)
    return Measured(speeds, {name: _end(pipe) for name, pipe in pipes.items()})


def _ask(pipe: Connection) -> tuple[float, float]:
    pipe.send(True)
    return pipe.recv()


def _end(pipe: Connection) -> int:
    pipe.send(False)
    return pipe.recv()


def _serve(make: Callable[..., Steps], arguments: tuple[Any, ...], pipe: Connection) -> None:
    """Do one step for each message; answer (units, seconds), at the end peak memory in bytes."""
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - progress bars of the libraries
    steps = make(*arguments)
    while pipe.recv():
        gc.collect()
        began = time.perf_counter()
        units = next(steps)
        pipe.send((units, time.perf_counter() - began))
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    os._exit(0)  # a library's threads may wait for a step that will not come


def one_thread() -> None:
    """For this process and all that it starts."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {"cpu": _cpu_name(), "cores": os.cpu_count(), "python": platform.python_version()}


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions(*packages: str) -> dict[str, str]:
    """Versions of those that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
