"""How a run went so far, over all its starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CURVE_POINTS = 200
LOSS_UNIT = "nats per supervised token"


@dataclass
class Progress:
    """The loop's own state: what has been seen so far, over all starts of the run."""

    step: int = 0
    examples: int = 0
    tokens: int = 0
    supervised: int = 0
    sum_squared_lengths: int = 0
    rows: int = 0
    skipped: int = 0  # steps that fp16 left out
    seconds: float = 0.0
    starts: int = 1
    losses: list[float] = field(default_factory=list)  # mean loss per supervised token, per step
    validation: list[dict[str, Any]] = field(
        default_factory=list
    )  # step, fraction, loss by category
    validation_sha256: str = ""  # of the file that `validation` was measured on
    validation_seconds: float = 0.0
    intermediate_checkpoints: list[dict[str, int]] = field(
        default_factory=list
    )  # percent, step, examples, tokens

    def summary(self) -> dict[str, Any]:
        """First, last and mean loss, and a curve of at most `CURVE_POINTS` points, each the
        mean over the steps since the one before."""
        stride = max(1, -(-len(self.losses) // CURVE_POINTS))
        curve = [
            [min(first + stride, len(self.losses)), _mean(self.losses[first : first + stride])]
            for first in range(0, len(self.losses), stride)
        ]
        return {
            "unit": LOSS_UNIT,
            "first": self.losses[0],
            "last": self.losses[-1],
            "mean": _mean(self.losses),
            "curve": curve,
        }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
