"""The programs of one run's answers: which items can be judged, and each answer's outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from instruct_scaling.common.errors import InputError, Interrupted
from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.judgements import (
    TIME_OUT,
    Outcome,
    missing,
    scored,
    scored_unparsable,
)
from instruct_scaling.evaluation.judge.programs.extraction import extract_program
from instruct_scaling.evaluation.judge.programs.references import check_references
from instruct_scaling.evaluation.judge.programs.task import (
    Task,
    free_names,
    make_task,
    parse,
    top_level_names,
)
from instruct_scaling.evaluation.judge.programs.unit_tests import Verdict, run
from instruct_scaling.evaluation.judge.programs.walls import Walls


class Programs:
    """Judges programs, `workers` at a time.

    A program whose process was stopped by the clock without having used its CPU time is run again
    when no other is running, since a busy machine may be what stopped it.

    Args:
        items: the code items with their checks.
        kept: file of verdicts on references.

    Attributes:
        unusable: outcome of the items that cannot be judged, by item id.
    """

    def __init__(
        self,
        walls: Walls,
        items: Mapping[str, tuple[EvalItem, Constraints]],
        workers: int,
        kept: Path | None = None,
    ) -> None:
        self.walls = walls
        self.unusable: dict[str, Outcome] = {}
        self._workers = workers
        self._counts: Counter[str] = Counter()
        self._tasks: dict[str, Task] = {}
        for item, (whole, checks) in items.items():
            try:
                self._tasks[item] = task_of(whole, checks)
            except ValueError as error:
                self.unusable[item] = missing("bad_tests", str(error))
        limits = [walls.limits.cpu_seconds, float(walls.limits.memory_mb)]
        self.unusable |= check_references(self._tasks, limits, self._verdicts, kept)

    def judge(self, answers: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, Outcome]]:
        """Yields key and outcome of each answer, as they come.

        Args:
            answers: (item id, text) by key.
        """
        jobs: dict[str, tuple[Task, str]] = {}
        for key, (item, text) in answers.items():
            task = self._tasks.get(item)
            if item in self.unusable or task is None:
                yield key, self.unusable[item]
                continue
            program = extract_program(text, task.names)
            if program.strip():
                jobs[key] = (task, program)
            else:
                yield key, scored_unparsable("empty program")
        for key, verdict in self._verdicts(jobs):
            yield key, outcome_of(verdict, checked=jobs[key][0].reference is not None)

    def summary(self) -> dict[str, Any]:
        """How programs were run, for the provenance."""
        statuses = {
            status: sorted(item for item, found in self.unusable.items() if found.status == status)
            for status in ("bad_tests", "needs_same_process")
        }
        return {
            "isolation": str(self.walls.isolation),
            "workers": self._workers,
            "items": len(self._tasks),
            "items_without_reference": sum(not task.reference for task in self._tasks.values()),
            "items_in_same_process": sum(task.same_process for task in self._tasks.values()),
            **statuses,
            "run_again_alone": self._counts["alone"],
        }

    def _verdicts(self, jobs: Mapping[str, tuple[Task, str]]) -> Iterator[tuple[str, Verdict]]:
        again = []
        with ThreadPoolExecutor(self._workers) as pool:
            try:
                futures = {
                    pool.submit(self._run, task, program): key
                    for key, (task, program) in jobs.items()
                }
                for future in as_completed(futures):
                    verdict = future.result()
                    if verdict.time_out == "clock":
                        again.append(futures[future])
                    else:
                        yield futures[future], verdict
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for key in again:
            self._counts["alone"] += 1
            yield key, self._run(*jobs[key])

    def _run(self, task: Task, program: str) -> Verdict:
        """One response may fail, the stage may not."""
        try:
            return run(task, program, self.walls)
        except (InputError, Interrupted):
            raise
        except Exception as error:
            return Verdict("not_started", f"{type(error).__name__}: {error}")


def task_of(item: EvalItem, checks: Constraints) -> Task:
    """The task of a code item.

    Raises:
        ValueError: tests or helpers are no Python.
    """
    tree = parse(checks.tests or "")
    called = free_names(checks.tests or "") - top_level_names(tree) if tree else set()
    reference = extract_program(item.reference, called) if item.reference else None
    return make_task(checks, reference)


def outcome_of(verdict: Verdict, checked: bool) -> Outcome:
    """The outcome of a response.

    A program that fails, stops early or exceeds a limit is wrong (0); a sandbox that could not
    start it says nothing (missing). Tests that pass what is no plain data say nothing either,
    unless the reference passed them: then it is the program that led them there.

    Args:
        checked: the item's reference passed the same tests.
    """
    if verdict.end == "not_started":
        return missing("sandbox_error", verdict.detail or "")
    if verdict.end == "needs_same_process" and not checked:
        return missing("needs_same_process", verdict.detail or "")
    detail = f"{TIME_OUT}{verdict.detail}" if verdict.time_out else verdict.detail
    return scored(float(verdict.passed), detail)
