"""plan_verdicts.csv: how likely each verdict is, by items and seeds, for curves of known truth.

The rows speak of a category whose variances are the mean of those of the study's categories.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.inference.curves import ArmCurves
from analysis.inference.multiplicity import number_of_claims
from analysis.options import CurveOptions
from analysis.power.design import Components
from analysis.power.verdict_chances import (
    CurveComponents,
    curve_components,
    mean_components,
    verdict_chances,
)
from analysis.tables import OVERALL


def plan_verdict_rows(arm: ArmCurves, options: CurveOptions) -> list[dict[str, Any]]:
    """A row per true curve and design of the options' items and seeds (two at least)."""
    noisy = [
        curve.covariance
        for name, curve in arm.curves.items()
        if name != OVERALL and curve.covariance is not None and curve.noisy
    ]
    if len(arm.scales) < 2 or not noisy:
        return []
    parts = mean_components([curve_components(each) for each in noisy])
    claims = number_of_claims(len(arm.curves) - 1, options.corrected)
    key = {"judge": arm.scores.judge, "arm": arm.scores.arm}
    return [
        key | {"items": items, "seeds": seeds, "scales": len(arm.scales), "truth": truth} | chances
        for items in options.plan_items
        for seeds in options.plan_seeds
        if seeds > 1
        for truth, chances in verdict_chances(
            parts, arm.scales, items, seeds, claims, options
        ).items()
    ]


def chances_text(
    unit: Mapping[str, Components],
    design: pd.Series,
    factor: float,
    categories: int,
    options: CurveOptions,
) -> str:
    """The chances of each verdict with a design of `plan.plan_table`, as a table in words.

    Args:
        unit: components by category; a category of their mean variances is meant, with noise that
            is independent between scales.
        factor: ratio of neighboring scales.
        categories: of the study, whose claims are corrected together.
    """
    first = next(iter(unit.values()))
    mean = replace(
        first,
        item=float(np.mean([each.item for each in unit.values()])),
        run=float(np.mean([each.run for each in unit.values()])),
        item_run=float(np.mean([each.item_run for each in unit.values()])),
    )
    scales, claims = int(design["scales"]), number_of_claims(categories, options.corrected)
    chances = verdict_chances(
        CurveComponents.independent(mean, scales),
        factor ** np.arange(scales),
        int(design["items"]),
        int(design["seeds"]),
        claims,
        options,
    )
    table = pd.DataFrame(chances).T.rename(columns=lambda name: name.replace("_", "-"))
    return "\n".join(
        [
            "Chance of each verdict with this design, by the true curve of a category of mean "
            f"variances ({categories} categories corrected together):",
            table.to_string(float_format="{:.0%}".format),
        ]
    )
