"""Ticks, tick labels and rules of axes."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator

from analysis.figures.style import GREY, OVERALL


def log_ticks() -> LogLocator:
    """Ticks of a logarithmic axis at 1, 2 and 5 times the powers of ten."""
    return LogLocator(subs=(1.0, 2.0, 5.0), numticks=12)


def nice_ticks(most: float, count: int) -> FixedLocator:
    """About `count` round ticks from 0 that do not pass `most`."""
    ticks = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(0, most)
    return FixedLocator([tick for tick in ticks if tick <= most * 1.001])


def signed(value: float, _: int = 0) -> str:
    """A tick label with its sign, 0 without one."""
    return f"{value:+.3g}".replace("-", "−") if abs(value) > 1e-9 else "0"


def rule_off_overall(axes: Axes, categories: Sequence[str]) -> None:
    """A thin line between the categories, one to a line, and the overall row below them."""
    if categories[-1] == OVERALL and len(categories) > 1:
        axes.axhline(len(categories) - 1.5, color=GREY, linewidth=0.5)
