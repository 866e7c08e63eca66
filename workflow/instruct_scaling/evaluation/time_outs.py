"""Programs that a time limit stopped, by scale: a share that grows with scale is no finding about
models before it is known that it is none about machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from instruct_scaling.common.records import EvalItem, Judgement
from instruct_scaling.evaluation.judge.judgements import TIME_OUT


def items_with_tests(items: Mapping[str, EvalItem]) -> set[str]:
    """Ids of the items whose answers are programs."""
    return {item.id for item in items.values() if (item.checks or {}).get("tests")}


class TimeOuts:
    """Counts of one judge by (arm, scale). Runs that share a folder are each counted.

    Args:
        with_tests: ids of the items whose answers are programs.
    """

    def __init__(self, with_tests: set[str]) -> None:
        self._with_tests = with_tests
        self._programs: Counter[tuple[str, int]] = Counter()
        self._stopped: Counter[tuple[str, int]] = Counter()

    def add(self, runs: Iterable[tuple[str, int]], judgements: Sequence[Judgement]) -> None:
        """Count the judgements of a folder for each (arm, scale) whose answers it holds."""
        programs = [
            row for row in judgements if row.item in self._with_tests and row.score is not None
        ]
        stopped = sum((row.reason or "").startswith(TIME_OUT) for row in programs)
        for run in runs:
            self._programs[run] += len(programs)
            self._stopped[run] += stopped

    def rows(self) -> list[dict[str, Any]]:
        """`arm`, `scale`, `programs`, `time_outs` and `share`; none if no program was stopped."""
        if not self._stopped.total():
            return []
        return [
            {
                "arm": arm,
                "scale": scale,
                "programs": programs,
                "time_outs": self._stopped[arm, scale],
                "share": self._stopped[arm, scale] / programs,
            }
            for (arm, scale), programs in sorted(self._programs.items())
            if programs
        ]
