"""What one look at one response comes to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Status = Literal[
    "ok",
    "no_reference",
    "no_tests",
    "timeout",
    "sandbox_error",
    "unparsed",
    "empty",
    "http_error",
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A score in [0, 1], or None with a status that says why. `reason` explains either.

    Raises:
        ValueError: a score outside [0, 1], a score with a failure status, or "ok" without one.
    """

    score: float | None
    status: Status = "ok"
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.score is None) == (self.status == "ok"):
            raise ValueError(f"score {self.score} does not go with status {self.status}")
        if self.score is not None and not (math.isfinite(self.score) and 0 <= self.score <= 1):
            raise ValueError(f"score {self.score} is outside [0, 1]")


def scored(value: float, reason: str | None = None) -> Outcome:
    """A score; rounding errors of up to 1e-9 beyond [0, 1] are clipped, more is a bug."""
    if -1e-9 <= value < 0:
        value = 0.0
    elif 1 < value <= 1 + 1e-9:
        value = 1.0
    return Outcome(float(value), "ok", reason)


def missing(status: Status, reason: str) -> Outcome:
    """No score, and why."""
    return Outcome(None, status, reason)
