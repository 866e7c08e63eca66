"""What judging a response comes to, and the file that keeps it when a judge is stopped."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from instruct_scaling.common.records import Judgement, Response

log = logging.getLogger(__name__)

Status = Literal[
    "ok",
    "unparsable",
    "reasoning_exhausted",
    "no_reference",
    "no_tests",
    "timeout",
    "no_isolation",
    "sandbox_error",
    "needs_same_process",
    "bad_tests",
    "scorer_error",
    "unparsed",
    "empty",
    "http_error",
]
# The model gave no answer that could be read: its own failure, so score 0 and counted.
ZERO: frozenset[Status] = frozenset({"unparsable", "reasoning_exhausted"})
# Failures that another attempt may not meet; every other judgement is final.
TRANSIENT: frozenset[Status] = frozenset({"http_error", "timeout", "sandbox_error", "no_isolation"})
# How the reason of a program's score begins where a time limit stopped it.
TIME_OUT = "time-out: "


@dataclass(frozen=True, slots=True)
class Outcome:
    """A score in [0, 1], or None with a status that says why. `reason` explains either.

    The statuses in `ZERO` have the score 0.

    Raises:
        ValueError: a score outside [0, 1], a score with a failure status, "ok" without one, or
            another score than 0 with a status of `ZERO`.
    """

    score: float | None
    status: Status = "ok"
    reason: str | None = None

    def __post_init__(self) -> None:
        if not fits_status(self.score, self.status):
            raise ValueError(f"score {self.score} does not go with status {self.status}")
        if self.score is not None and not (math.isfinite(self.score) and 0 <= self.score <= 1):
            raise ValueError(f"score {self.score} is outside [0, 1]")


def fits_status(score: float | None, status: str) -> bool:
    """Whether a judgement may have this score with this status."""
    if status in ZERO:
        return score == 0
    return (score is not None) == (status == "ok")


def scored(value: float, reason: str | None = None) -> Outcome:
    """A score; rounding errors of up to 1e-9 beyond [0, 1] are clipped, more is a bug."""
    if -1e-9 <= value < 0:
        value = 0.0
    elif 1 < value <= 1 + 1e-9:
        value = 1.0
    return Outcome(float(value), "ok", reason)


def scored_unparsable(reason: str) -> Outcome:
    """Score 0 for a response in which the scorer finds no answer."""
    return Outcome(0.0, "unparsable", reason)


def reasoning_exhausted(reason: str) -> Outcome:
    """Score 0 for a response that spent its whole budget on reasoning and never answered."""
    return Outcome(0.0, "reasoning_exhausted", reason)


def missing(status: Status, reason: str) -> Outcome:
    """No score, and why."""
    return Outcome(None, status, reason)


def make_judgement(
    response: Response,
    judge: str,
    version: str,
    outcome: Outcome,
    repeat: int = 1,
    tokens: int | None = None,
    cost: float | None = None,
) -> Judgement:
    """What is written of one outcome."""
    return Judgement(
        item=response.item,
        response=response.id,
        judge=judge,
        judge_version=version,
        repeat=repeat,
        score=outcome.score,
        status=outcome.status,
        reason=outcome.reason,
        tokens=tokens,
        cost=cost,
    )


class JudgementCache:
    """An append-only file of (key, judgement). Opened as a context; lines are flushed at once.

    A line that is incomplete because a process was killed is dropped, also in mid-file.

    Attributes:
        done: final judgements by key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, Judgement] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._load()
        self._handle = path.open("a", encoding="utf-8")
        self._handle.write("\n")  # ends an incomplete line

    def _load(self) -> None:
        # splitlines() would also split at U+2028 and the like, which JSON leaves as they are.
        for line in self.path.read_text("utf-8", errors="replace").split("\n"):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                judgement = Judgement(**row["judgement"])
                if judgement.status not in TRANSIENT:
                    self.done[row["key"]] = judgement
            except (json.JSONDecodeError, KeyError, TypeError):
                log.warning("%s: dropped an incomplete line", self.path)

    def add(self, key: str, judgement: Judgement) -> None:
        """Keep a judgement."""
        row = {"key": key, "judgement": judgement.to_row()}
        self._handle.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._handle.flush()
        self.done[key] = judgement

    def __enter__(self) -> JudgementCache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._handle.close()
