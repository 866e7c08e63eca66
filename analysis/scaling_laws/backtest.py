"""Backtest of a curve: fit it without the last scale, predict that scale, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.inference.intervals import central_levels

COVERED, MISSED = "covered", "missed"


@dataclass(frozen=True)
class Backtest:
    """Predicted minus measured mean at the last scale, or why there is none.

    Attributes:
        error: of the prediction from the measured means.
        low, high: its interval, of draws: noise of the prediction and of the last mean, which are
            correlated.
        reason: why nothing was predicted; empty where something was.
    """

    error: float = np.nan
    low: float = np.nan
    high: float = np.nan
    reason: str = ""

    @property
    def result(self) -> str:
        """`covered` if the interval of the error holds 0, `missed` if not, or the reason."""
        return self.reason or (COVERED if self.low <= 0 <= self.high else MISSED)


def backtest(predicted: np.ndarray, measured: np.ndarray, coverage: float) -> Backtest:
    """The backtest of one family.

    Args:
        predicted: (1 + B,) at the last scale, from the measured means, then from draws of them.
        measured: (1 + B,) the last mean, then its draws.
    """
    errors = predicted - measured
    low, high = np.quantile(errors[1:], central_levels(coverage))
    return Backtest(float(errors[0]), float(low), float(high))


def envelope_of(tests: Sequence[Backtest]) -> Backtest:
    """That of a curve: the mean error of its families, and the envelope of their intervals."""
    made = [test for test in tests if not test.reason]
    if not made:
        reasons = dict.fromkeys(test.reason for test in tests)
        return Backtest(reason="; ".join(reasons) or "no fit")
    return Backtest(
        float(np.mean([test.error for test in made])),
        min(test.low for test in made),
        max(test.high for test in made),
    )
