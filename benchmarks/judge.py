"""Programs per second of the judge, its start-up and memory, and what its test sets say.

    python -m benchmarks.judge [--quick] [--only PART ...]

speed    programs judged a second, one at a time and one on each core, beside the way of human-eval:
         fork, exec of program and tests in one process, a limit by the clock. That is no sandbox:
         the program can read and change what the user can, and can decide its own verdict. It is
         the price of isolation that is measured.
startup  seconds until one process stands behind its walls, and until a whole program is judged
memory   resident memory, which must stay flat: over 100,000 judgements of the metric scorers in
         batches of 1,000 as the stage makes them, all categories but code (2,000 with --quick);
         over 5,000 formulas, of the judge and of the process that compares them (200); and over
         1,000 programs, of which 100,000 would take hours (40)
sets     the hostile programs of tests/escapes that are contained, and the agreement with the
         answers of tests/gold, where these folders exist (--quick counts the programs only)
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psutil

from benchmarks.harness import Steps, measure, run_benchmark, spread
from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.common.records import EvalItem, Response, checks_of
from instruct_scaling.config.judges import MetricJudge
from instruct_scaling.data.synthetic.generate import generate_items
from instruct_scaling.evaluation.judge.metric import judge_all
from instruct_scaling.evaluation.judge.programs.judging import Programs, task_of
from instruct_scaling.evaluation.judge.programs.unit_tests import run
from instruct_scaling.evaluation.judge.programs.walls import Walls
from instruct_scaling.evaluation.judge.scorers.math_worker import shared_worker

SECONDS, MEMORY_MB = 5, 512
ROOT = Path(__file__).parent.parent
FLAT_BYTES = 64  # a judgement; 100,000 of them then add 6 MB
BATCH = 1_000
POINTS = (1_000, 10_000, 100_000)


def code_items(count: int) -> list[EvalItem]:
    """Items of the generator, whose references are right programs."""
    items = generate_items(count, 0, categories=("code",))
    return [item for item in items if item.category == "code"][:count]


def ours(count: int, workers: int) -> Steps:
    """Each step judges right answers to `count` items."""
    programs, answers = _programs(count, workers)
    while True:
        outcomes = dict(programs.judge(answers))
        assert {outcome.score for outcome in outcomes.values()} == {1}
        yield len(outcomes)


def _programs(count: int, workers: int) -> tuple[Programs, dict[str, tuple[str, str]]]:
    items = code_items(count)
    checked = {item.id: (item, checks_of(item)) for item in items}
    programs = Programs(Walls(SECONDS, MEMORY_MB), checked, workers)
    return programs, {item.id: (item.id, item.reference or "") for item in items}


def human_eval(count: int) -> Steps:
    """The same programs as human-eval runs them, one at a time."""
    items = code_items(count)
    while True:
        for item in items:
            assert exec_with_limit(f"{item.reference}\n{checks_of(item).tests}", SECONDS)
        yield len(items)


def exec_with_limit(source: str, seconds: float) -> bool:
    """Whether a text runs without an exception in a fork of this process, within a time."""
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            signal.setitimer(signal.ITIMER_REAL, seconds)
            with contextlib.redirect_stdout(io.StringIO()):
                exec(source, {})
            status = 0
        os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def speed(quick: bool) -> dict[str, Any]:
    """Programs per second, in turn."""
    count, rounds = (8, 3) if quick else (40, 7)
    cores = len(os.sched_getaffinity(0))
    found = measure(
        {
            "judge, 1 at a time": (ours, (count, 1)),
            f"judge, {cores} at a time": (ours, (count, cores)),
            "fork and exec, no sandbox": (human_eval, (count,)),
        },
        rounds,
    )
    return found.as_json("judge, 1 at a time") | {
        "spread": {
            name: {"median": statistics.median(own), "low": min(own), "high": max(own)}
            for name, own in found.speeds.items()
        }
    }


def startup(quick: bool) -> dict[str, Any]:
    """Seconds of one process behind walls, and of one program."""
    walls = Walls(SECONDS, MEMORY_MB)
    item = code_items(1)[0]
    task = task_of(item, checks_of(item))
    repeats = 10 if quick else 50
    return {
        "isolation": str(walls.isolation),
        "walls": _seconds(lambda: walls.start("").kill(), repeats),
        "program": _seconds(lambda: run(task, item.reference or "", walls), repeats),
    }


def _seconds(action: Callable[[], Any], repeats: int) -> dict[str, float]:
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        found.append(time.perf_counter() - began)
    return {"median": statistics.median(found), "low": min(found), "high": max(found)}


def memory(quick: bool) -> dict[str, Any]:
    """Resident memory at 1,000, 10,000 and 100,000 judgements or as many as there are."""
    return {
        "metric scorers": metric_memory(2_000 if quick else 100_000),
        "formulas": formula_memory(200 if quick else 5_000),
        "programs": program_memory(40 if quick else 1_000),
    }


def metric_memory(count: int) -> dict[str, Any]:
    """Of this process, which judges new responses to new items in every batch."""
    section = MetricJudge(type="metric")
    sizes: dict[int, int] = {}
    began = time.process_time()
    for number in range(count // BATCH):
        items, responses = batch(number)
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar each
            judgements, _ = judge_all(section, "metric", items, responses)
        assert len(judgements) == BATCH
        del items, responses, judgements
        done = (number + 1) * BATCH
        if done in POINTS or done == count:
            sizes[done] = psutil.Process().memory_info().rss
    return memory_found(sizes) | {"cpu_seconds": time.process_time() - began}


def batch(number: int) -> tuple[dict[str, EvalItem], list[Response]]:
    """Items of all categories but code, and one response to each: right, in a sentence, of another
    item, or in words that no other batch has.
    """
    categories = [name for name in CATEGORIES if name != "code"]
    each = -(-BATCH // len(categories))
    items = list(generate_items(each, number, categories=categories))[:BATCH]
    references = [item.reference or "" for item in items]
    responses = []
    for place, item in enumerate(items):
        own, other = references[place], references[place - 1]
        text = (
            own,
            f"The answer is {own}.",
            other,
            f"{other}, {number * BATCH + place} or so, 一共{number}百{place}个, w{place}x{number}",
        )[(place + number) % 4]
        name = f"{number}-{place}"
        responses.append(Response(name, item.id, item.category, "arm", 1, 1, text, 10, 10, "stop"))
    return {item.id: item for item in items}, responses


def formula_memory(count: int) -> dict[str, Any]:
    """Of this process and the one that compares formulas, no two pairs alike."""
    worker = shared_worker()
    process = psutil.Process()
    sizes: dict[int, int] = {}
    for done in range(1, count + 1):
        assert worker.same(f"(x+{done})^2", f"x^2+{2 * done}x+{done**2}")
        if done in (count // 5, *POINTS, count):
            sizes[done] = sum(one.memory_info().rss for one in (process, *process.children()))
    return memory_found(sizes)


def program_memory(count: int) -> dict[str, Any]:
    """Of this process."""
    programs, answers = _programs(10, len(os.sched_getaffinity(0)))
    sizes: dict[int, int] = {}
    for done in range(len(answers), count + 1, len(answers)):
        for _ in programs.judge(answers):
            pass
        if done in (count // 4 // 10 * 10, *POINTS, count):
            sizes[done] = psutil.Process().memory_info().rss
    return memory_found(sizes)


def memory_found(sizes: dict[int, int]) -> dict[str, Any]:
    """Bytes by number of judgements, and bytes a judgement between the last two of these."""
    (before, first), (count, last) = list(sizes.items())[-2:]
    return {
        "judgements": count,
        "resident_bytes": sizes,
        "bytes_each": (last - first) / (count - before),
    }


def sets(quick: bool) -> dict[str, Any]:
    """What tests/escapes and tests/gold say, None where there is no such folder."""
    return {"escapes": _escapes(quick), "gold": _gold()}


def _escapes(quick: bool) -> dict[str, int] | None:
    if not (ROOT / "tests" / "escapes").is_dir():
        return None
    names = importlib.import_module("tests.escapes.test_escapes").NAMES
    if quick:
        return {"programs": len(names)}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        tests = ROOT / "tests" / "escapes"
        command = [sys.executable, "-m", "pytest", "-q", str(tests), f"--junitxml={report}"]
        subprocess.run(command, capture_output=True, cwd=ROOT)
        suite = ElementTree.parse(report).getroot()[0]
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    return {"programs": len(names)} | counts


def _gold() -> dict[str, Any] | None:
    if not (ROOT / "tests" / "gold" / "agreement.py").is_file():
        return None
    agreement = importlib.import_module("tests.gold.agreement")
    tried = agreement.try_all(agreement.read_gold())
    return {"answers": len(tried), "agree": agreement.share(tried)}


def table(results: dict[str, Any]) -> str:
    """The result as text."""
    lines: list[str] = []
    if "speed" in results:
        lines += ["| programs per second | |", "|---|---|"]
        lines += [
            f"| {name} | {spread(found)} |" for name, found in results["speed"]["spread"].items()
        ]
    if "startup" in results:
        found = results["startup"]
        lines += ["", f"isolation: {found['isolation']}"]
        lines += [f"{name}: {spread(found[name], ' s', 3)}" for name in ("walls", "program")]
    for name, found in results.get("memory", {}).items():
        points = ", ".join(
            f"{size / 1e6:.1f} MB at {int(count):,}"
            for count, size in found["resident_bytes"].items()
        )
        flat = "flat" if found["bytes_each"] <= FLAT_BYTES else "not flat, or too few to say"
        lines.append(f"memory, {name}: {points}; {found['bytes_each']:.0f} bytes each ({flat})")
    for name, found in results.get("sets", {}).items():
        shown = ", ".join(f"{key} {value:.4g}" for key, value in (found or {}).items())
        lines.append(f"{name}: {shown or 'no such folder'}")
    return "\n".join(lines)


PARTS: dict[str, Callable[[bool], Any]] = {
    "speed": speed,
    "startup": startup,
    "memory": memory,
    "sets": sets,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    run_benchmark("judge", (__doc__ or "").split("\n")[0], PARTS, table, arguments=arguments)


if __name__ == "__main__":
    main()
