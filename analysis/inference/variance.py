"""variance.csv: the parts of items, runs, their interaction and the judge in a score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.inference.covariance import Covariance
from analysis.inference.curves import ArmCurves, join
from analysis.tables import OVERALL

COMPONENTS = ("item", "run", "item_x_run", "judge")


@dataclass(frozen=True)
class Repeats:
    """Repeats of one judge on one response.

    Attributes:
        variance: variance between repeats, pooled over responses; NaN without repeats.
        number: mean number of repeats with a score.
    """

    variance: float
    number: float


def repeat_variances(scores: pd.DataFrame) -> dict[tuple[str, str, str], Repeats]:
    """Judge noise by (judge, arm, category)."""
    key = ["judge", "arm", "category"]
    cells = scores.groupby([*key, "scale", "seed", "item"], observed=True)["score"]
    counted = cells.agg(["count", "var"]).reset_index()
    counted = counted[counted["count"] > 0]
    counted["df"] = counted["count"] - 1
    counted["squares"] = counted["df"] * counted["var"].fillna(0.0)
    pooled = counted.groupby(key).agg(
        df=("df", "sum"), squares=("squares", "sum"), number=("count", "mean")
    )
    return {
        tuple(map(str, row.Index)): Repeats(
            row.squares / row.df if row.df else np.nan, float(row.number)
        )
        for row in pooled.itertuples()
    }


def variance_rows(
    arm: ArmCurves, repeats: dict[tuple[str, str, str], Repeats]
) -> list[dict[str, Any]]:
    """Four rows per category (item, run, item_x_run, judge), and their means for overall."""
    parts: dict[str, tuple[dict[str, float], str]] = {}
    for name, curve in arm.curves.items():
        if name == OVERALL:
            continue
        if curve.covariance is None:
            parts[name] = (dict.fromkeys(COMPONENTS, np.nan), curve.note)
        else:
            of_judge = repeats.get(
                (arm.scores.judge, arm.scores.arm, name), Repeats(np.nan, np.nan)
            )
            parts[name] = _components(curve.covariance, of_judge)
    table = pd.DataFrame([part for part, _ in parts.values()])
    notes = sorted({note for _, note in parts.values() if note})
    mean = {component: float(table[component].mean()) for component in COMPONENTS}
    parts[OVERALL] = (mean, join("mean of the categories' variances", *notes))
    return [
        arm.key(name) | row | {"note": note}
        for name, (components, note) in parts.items()
        for row in _shares(components)
    ]


def _components(covariance: Covariance, repeats: Repeats) -> tuple[dict[str, float], str]:
    """Components of the variance of one score (one repeat) inside a scale."""
    items, s = covariance.sample.n_items, float(covariance.n_runs.max())
    of_item = float(np.diag(covariance.items).mean()) * items
    judge = repeats.variance
    if not covariance.run_measured:
        note = "one seed: the item part holds item-by-run noise too; run noise is unmeasured"
        parts = {"item": of_item, "run": np.nan, "item_x_run": np.nan, "judge": judge}
        if np.isfinite(judge):
            parts["item"] = max(0.0, of_item - judge / repeats.number)
        return parts, note
    scales = [k for k in np.eye(covariance.n_scales) if covariance.n_runs[k > 0].item() > 1]
    rest = float(np.mean([covariance.rest(k) * covariance.n_runs[k > 0].item() for k in scales]))
    runs = float(np.mean([covariance.seeds(k) * covariance.n_runs[k > 0].item() for k in scales]))
    item_run, run = rest * items, max(0.0, runs - rest)
    note = ""
    of_judge = 0.0
    if np.isfinite(judge):
        of_judge = judge / repeats.number
    else:
        note = "no repeats: item_x_run holds the judge's noise too"
    return {
        "item": max(0.0, of_item - item_run / s),
        "run": run,
        "item_x_run": max(0.0, item_run - of_judge),
        "judge": judge,
    }, note


def _shares(components: dict[str, float]) -> list[dict[str, Any]]:
    total = float(np.nansum(list(components.values())))
    return [
        {
            "component": name,
            "variance": variance,
            "share": variance / total if total > 0 else np.nan,
        }
        for name, variance in components.items()
    ]
