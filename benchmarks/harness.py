"""The harness of all benchmarks: several variants of doing the same thing, each in a process of its
own, asked for one step in turn; and the command line, the machine and the result file.

Round after round, so that what else the machine does hits all variants alike; ratios are medians
over the rounds. A variant is a function that returns an iterator: each `next` does one step and
gives the units of work that it did. Its first step warms up and is not counted.

Every benchmark is called as `python -m benchmarks.NAME [--quick] [--only PART ...] [--out FILE]`,
prints a table, and writes benchmarks/results/NAME.json.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
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
Variant = tuple[Callable[..., Steps], tuple[Any, ...]]  # a module's function and its arguments

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Measured:
    """Units per second of every round, and the peak memory, of each variant."""

    speeds: dict[str, list[float]]
    peak_bytes: dict[str, int]

    def as_json(self, ours: str) -> dict[str, Any]:
        """Medians, and how much faster `ours` is than each variant."""
        return {
            "per_second": {name: statistics.median(found) for name, found in self.speeds.items()},
            "ratio": {name: ratio(self.speeds[ours], found) for name, found in self.speeds.items()},
            "peak_memory_bytes": self.peak_bytes,
        }


def ratio(ours: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest of the rounds' ratios."""
    return summary([mine / theirs for mine, theirs in zip(ours, other, strict=True)])


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest value."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def spread(figure: Mapping[str, float], unit: str = "", digits: int = 2) -> str:
    """Median and range of a `summary`, for a table."""
    middle, low, high = (f"{figure[key]:.{digits}f}" for key in ("median", "low", "high"))
    return f"{middle}{unit} ({low} to {high})"


def measure(variants: Mapping[str, Variant], rounds: int) -> Measured:
    """Run every variant for `rounds` rounds of one step."""
    pipes = {name: _start(_serve, make, arguments) for name, (make, arguments) in variants.items()}
    for pipe in pipes.values():
        _next(pipe)
    speeds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, pipe in pipes.items():
            speeds[name].append(_speed(pipe))
    return Measured(speeds, {name: _end(pipe) for name, pipe in pipes.items()})


def measure_pairs(variants: Mapping[str, Variant], rounds: int, ours: str) -> dict[str, Any]:
    """`Measured.as_json` of variants that do not fit into memory all at once: the others come one
    after the other beside ours, and a ratio is of the rounds of its own pair."""
    mine = _warm(variants[ours])
    all_mine: list[float] = []
    found: dict[str, Any] = {"per_second": {}, "ratio": {}, "peak_memory_bytes": {}}
    for name in variants:
        if name == ours:
            continue
        theirs = _warm(variants[name])
        pairs = [(_speed(mine), _speed(theirs)) for _ in range(rounds)]
        speeds = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        all_mine += speeds[0]
        found["per_second"][name] = statistics.median(speeds[1])
        found["ratio"][name] = ratio(*speeds)
        found["peak_memory_bytes"][name] = _end(theirs)
    found["per_second"][ours] = statistics.median(all_mine)
    found["peak_memory_bytes"][ours] = _end(mine)
    return found


def _warm(variant: Variant) -> Connection:
    pipe = _start(_serve, *variant)
    _next(pipe)
    return pipe


def _speed(pipe: Connection) -> float:
    units, seconds = _next(pipe)
    return units / seconds


def measure_once(prepare: Callable[..., Callable[[], Any]], *arguments: Any) -> dict[str, Any]:
    """One action in a process of its own: its `seconds`, the process's `peak_bytes`, the
    `extra_bytes` that the action added to that peak, and its `result`.

    Args:
        prepare: imports and makes data, which is not counted, and returns the action.
        arguments: of `prepare`.
    """
    return _start(_act, prepare, arguments).recv()


def _start(target: Callable[..., None], *arguments: Any) -> Connection:
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    context.Process(target=target, args=(*arguments, theirs), daemon=True).start()
    theirs.close()
    return mine


def _next(pipe: Connection) -> tuple[float, float]:
    pipe.send(True)
    return pipe.recv()


def _end(pipe: Connection) -> int:
    pipe.send(False)
    return pipe.recv()


def _serve(make: Callable[..., Steps], arguments: tuple[Any, ...], pipe: Connection) -> None:
    """Do one step for each message; answer (units, seconds), at the end peak memory in bytes."""
    warnings.filterwarnings("ignore")
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - progress bars of the libraries
    steps = make(*arguments)
    while pipe.recv():
        gc.collect()
        began = time.perf_counter()
        units = next(steps)
        pipe.send((units, time.perf_counter() - began))
    pipe.send(peak_bytes())
    os._exit(0)  # a library's threads may wait for a step that will not come


def _act(
    prepare: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...], pipe: Connection
) -> None:
    action = prepare(*arguments)
    before, began = peak_bytes(), time.perf_counter()
    result = action()
    seconds, peak = time.perf_counter() - began, peak_bytes()
    pipe.send(
        {"seconds": seconds, "peak_bytes": peak, "extra_bytes": peak - before, "result": result}
    )


def peak_bytes() -> int:
    """Peak resident memory of this process. Linux hands `ru_maxrss` of the parent on to a child,
    so its own mark is read there."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(status.read_text("utf-8").partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


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


def run_benchmark(
    name: str,
    purpose: str,
    parts: Mapping[str, Callable[[bool], Any]],
    table: Callable[[dict[str, Any]], str],
    *,
    packages: Sequence[str] = (),
    quick_parts: Sequence[str] | None = None,
    whole_parts: Sequence[str] | None = None,
    arguments: Sequence[str] | None = None,
) -> None:
    """The command line of a benchmark: measure its parts, write the result file, print the table.

    Args:
        name: of the module and the result file.
        purpose: first line of `--help`.
        parts: part -> what measures it, given whether to be quick (under a minute in all).
        table: the result as text; a part that was not measured may be missing.
        packages: those whose versions are stated.
        quick_parts: parts of a quick run, all of them if None.
        whole_parts: parts of a whole run, all of them if None.
        arguments: the command line; sys.argv's if None.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=purpose)
    parser.add_argument("--quick", action="store_true", help="toy sizes, under a minute")
    parser.add_argument("--only", nargs="+", choices=list(parts), help="measure these parts alone")
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}.json")
    options = parser.parse_args(arguments)
    one_thread()
    # A part that is measured alone stands beside what the file has of the others.
    results = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    results |= {"quick": options.quick, "machine": machine(), "versions": versions(*packages)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    chosen = options.only or (quick_parts if options.quick else whole_parts) or list(parts)
    for part in chosen:
        results[part] = parts[part](options.quick)
        options.out.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    print(table(results))
