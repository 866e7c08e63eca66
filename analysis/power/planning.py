"""plan.csv: what designs around the measured one could show."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.inference.arm_curves import ArmCurves
from analysis.options import CurveOptions
from analysis.power.design import (
    Components,
    components_of,
    detectable,
    power_above,
    power_within,
    precision,
)
from analysis.tables import OVERALL


def plan_rows(panel: ArmCurves, options: CurveOptions) -> list[dict[str, Any]]:
    """Designs of the options' items and seeds on the same ladder, per category."""
    if len(panel.cube.scales) < 2:
        return []
    rows = []
    for name, curve in panel.curves.items():
        covariance = curve.covariance
        if covariance is None or not covariance.total.any():
            continue
        components = components_of(covariance, panel.cube.scales)
        n_categories = covariance.n_strata if name == OVERALL else 1
        key = {"judge": panel.cube.judge, "arm": panel.cube.arm, "category": name}
        key["noise"] = f"measured: {covariance.noise}"
        rows += [
            key | row
            for row in design_rows(components, len(panel.cube.scales), n_categories, options)
        ]
    return rows


def design_rows(
    components: Components, n_scales: int, n_categories: int, options: CurveOptions
) -> list[dict[str, Any]]:
    """What each pair of the options' items and seeds can show about the tail slope."""
    level = (1 - options.interval) / 2
    items, seeds = np.meshgrid(options.plan_items, options.plan_seeds, indexing="ij")
    measured = precision(components, n_scales, items, seeds)
    smallest = detectable(measured, level, options.power)
    flat = power_within(measured, options.tail_margin, level)
    above = power_above(measured, 2 * options.tail_margin, level)
    return [
        {
            "items": int(items[at]),
            "seeds": int(seeds[at]),
            "scales": n_scales,
            "slope_se": float(measured.se[at]),
            "df": float(measured.df[at]),
            "power": options.power,
            "detectable": float(smallest[at]),
            "power_flat": float(flat[at]),
            "power_margin": float(above[at]),
            "runs": int(seeds[at]) * n_scales,
            "judgements": int(seeds[at]) * n_scales * int(items[at]) * n_categories,
        }
        for at in np.ndindex(items.shape)
    ]
