"""The analysis from a checked score table to every table, in the order in which it happens."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.inference.changes import change_rows
from analysis.inference.comparisons import arm_pairs, comparison_rows
from analysis.inference.curves import build_arm_curves, curve_rows
from analysis.inference.curves_by_tag import tag_curve_rows
from analysis.inference.judges import judge_bin_rows, judge_rows
from analysis.inference.score_array import build_score_arrays
from analysis.inference.seed_variance import seed_variance_rows
from analysis.inference.variance import repeat_variances, variance_rows
from analysis.inference.verdicts import verdict_rows
from analysis.options import CurveOptions
from analysis.power.plan import plan_rows
from analysis.power.plan_verdicts import plan_verdict_rows
from analysis.scaling_laws.efficiency import efficiency_rows
from analysis.scaling_laws.extrapolation import extrapolation_rows
from analysis.scaling_laws.fits import fit_arm_curves, fit_rows
from analysis.scaling_laws.joint import joint_rows
from analysis.scaling_laws.needs import need_rows
from analysis.tables import SCHEMAS, frame


def analyze(scores: pd.DataFrame, options: CurveOptions) -> dict[str, pd.DataFrame]:
    """Every table of `tables.SCHEMAS` from a checked score table (`scores.check_scores`).

    Raises:
        InputError: no arm has a usable ladder, or `options.sizes` names an unknown arm.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
    score_arrays = build_score_arrays(scores)
    repeats = repeat_variances(scores)
    for score_array in score_arrays:
        arm = build_arm_curves(score_array, options)
        verdicts = verdict_rows(arm, options)
        fits = fit_arm_curves(arm, verdicts, options)
        rows["curves"] += curve_rows(arm, options)
        rows["verdicts"] += verdicts
        rows["changes"] += change_rows(arm, options)
        rows["variance"] += variance_rows(arm, repeats)
        rows["fits"] += fit_rows(arm, fits)
        rows["extrapolation"] += extrapolation_rows(arm, fits, options)
        rows["needs"] += need_rows(arm, fits, options)
        rows["plan"] += plan_rows(arm, options, repeats)
        rows["plan_verdicts"] += plan_verdict_rows(arm, options)
    for pair in arm_pairs(score_arrays):
        rows["comparisons"] += comparison_rows(pair, options)
        rows["efficiency"] += efficiency_rows(pair, options)
    rows["seed_variance"] = seed_variance_rows(scores, options)
    rows["curves_by_tag"] = tag_curve_rows(scores, options)
    rows["joint"] = joint_rows(score_arrays, options)
    rows["judges"] = judge_rows(scores, options)
    rows["judge_bins"] = judge_bin_rows(scores, options)
    return {name: frame(name, table) for name, table in rows.items()}
