"""seed_variance.csv: what the choice of records and the rest of training add to a run's mean.

For crossed seeds only: S subset seeds, each with the same T training seeds, one run of each pair.
The run means of one scale are a two-way layout, y_st = mean + a_s + b_t + e_st; mean squares of
its rows, columns and rest give the variances (method of moments):

    subset = (MS_rows - MS_rest) / T,  training = (MS_columns - MS_rest) / S,  rest = MS_rest.

All runs answer the same items, so what an item adds to every run drops out; `rest` is the
interaction of the two seeds with the noise of items within a run. A negative estimate is given as
0. Intervals: chi-square for the rest, else the modified large-sample interval of a difference of
mean squares (Ting et al., Journal of Statistical Computation and Simulation 35, 1990).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2, f

from analysis.options import CurveOptions
from analysis.tables import OVERALL

SEEDS = ["subset_seed", "training_seed"]


@dataclass(frozen=True)
class Component:
    """A variance of run means, its interval and the degrees of freedom of its mean square."""

    name: str
    variance: float
    low: float
    high: float
    df: int


def seed_variance_rows(scores: pd.DataFrame, options: CurveOptions) -> list[dict[str, Any]]:
    """Rows of seed_variance.csv; none where seeds are not crossed.

    Args:
        scores: a checked score table; without the columns `subset_seed` and `training_seed`
            nothing is known of crossing.
        options: coverage of the intervals.
    """
    if not set(SEEDS) <= set(scores.columns):
        return []
    tuned = scores[(scores["scale"] > 0) & scores[SEEDS].notna().all(axis=1)]
    rows = []
    for (judge, arm), part in tuned.groupby(["judge", "arm"], sort=True):
        for category, scale, layout, items, note in _layouts(part):
            key = {"judge": judge, "arm": arm, "category": category, "scale": scale}
            size = {"n_subset": len(layout), "n_training": layout.shape[1], "n_items": items}
            rows += [
                key | size | _as_row(component) | {"note": note}
                for component in components(layout, options.interval)
            ]
    return rows


def components(layout: np.ndarray, coverage: float) -> list[Component]:
    """The variances of subset, training and rest with their intervals.

    Args:
        layout: [S, T] run means, S and T at least 2.
        coverage: of the intervals.
    """
    s, t = layout.shape
    of_subset, of_training = layout.mean(1), layout.mean(0)
    rest = layout - of_subset[:, None] - of_training[None, :] + layout.mean()
    df = (s - 1, t - 1, (s - 1) * (t - 1))
    ms = (
        t * of_subset.var(ddof=1),
        s * of_training.var(ddof=1),
        float((rest**2).sum()) / df[2],
    )
    alpha = (1 - coverage) / 2
    low, high = (df[2] * ms[2] / chi2.isf(level, df[2]) for level in (alpha, 1 - alpha))
    return [
        _difference("subset", ms[0], ms[2], df[0], df[2], t, alpha),
        _difference("training", ms[1], ms[2], df[1], df[2], s, alpha),
        Component("rest", ms[2], float(low), float(high), df[2]),
    ]


def _difference(
    name: str, above: float, below: float, df1: int, df2: int, divisor: int, alpha: float
) -> Component:
    """(above - below) / divisor of two mean squares, with the interval of Ting et al. (1990)."""
    upper, lower = f.isf(alpha, df1, df2), f.isf(1 - alpha, df1, df2)
    g1, h1 = 1 - df1 / chi2.isf(alpha, df1), df1 / chi2.isf(1 - alpha, df1) - 1
    g2, h2 = 1 - df2 / chi2.isf(alpha, df2), df2 / chi2.isf(1 - alpha, df2) - 1
    g12 = ((upper - 1) ** 2 - g1**2 * upper**2 - h2**2) / upper
    h12 = ((1 - lower) ** 2 - h1**2 * lower**2 - g2**2) / lower
    down = (g1 * above) ** 2 + (h2 * below) ** 2 + g12 * above * below
    up = (h1 * above) ** 2 + (g2 * below) ** 2 + h12 * above * below
    value = above - below
    low, high = (value - np.sqrt(max(down, 0.0)), value + np.sqrt(max(up, 0.0)))
    parts = [max(0.0, float(part) / divisor) for part in (value, low, high)]
    return Component(name, parts[0], parts[1], parts[2], df1)


def _as_row(component: Component) -> dict[str, Any]:
    return {
        "component": component.name,
        "variance": component.variance,
        "low": component.low,
        "high": component.high,
        "df": component.df,
    }


def _layouts(rows: pd.DataFrame) -> Iterator[tuple[str, int, np.ndarray, int, str]]:
    """Category, scale, [S, T] run means, items and a note, for every scale with crossed seeds."""
    per_item = rows.groupby(["category", "scale", *SEEDS, "item"], observed=True)["score"].mean()
    tables: dict[tuple[str, int], tuple[np.ndarray, int, str]] = {}
    for (category, scale), part in per_item.groupby(level=["category", "scale"], sort=True):
        found = _layout(part.reset_index())
        if found is not None:
            tables[str(category), int(scale)] = found
    for (category, scale), (layout, items, note) in tables.items():
        yield category, scale, layout, items, note
    categories = sorted({category for category, _ in tables})
    for scale in sorted({scale for _, scale in tables}):
        of_scale = [tables[name, scale] for name in categories if (name, scale) in tables]
        if len(of_scale) == per_item.index.get_level_values("category").nunique():
            layout = np.mean([found[0] for found in of_scale], axis=0)
            notes = {found[2] for found in of_scale if found[2]}
            yield (
                OVERALL,
                scale,
                layout,
                sum(found[1] for found in of_scale),
                "; ".join(sorted(notes)),
            )


def _layout(rows: pd.DataFrame) -> tuple[np.ndarray, int, str] | None:
    """[S, T] means over the items that every run has a score of; None unless seeds are crossed."""
    table = rows.pivot(index=SEEDS, columns="item", values="score")
    subsets, trainings = (table.index.get_level_values(name).unique() for name in SEEDS)
    crossed = len(table) == len(subsets) * len(trainings) and min(len(subsets), len(trainings)) > 1
    complete = table.dropna(axis="columns")
    if not crossed or complete.empty:
        return None
    layout = complete.mean(axis="columns").sort_index().to_numpy()
    left_out = table.shape[1] - complete.shape[1]
    note = f"{left_out} items without a score in some run are left out" if left_out else ""
    return layout.reshape(len(subsets), len(trainings)), complete.shape[1], note
