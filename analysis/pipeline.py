"""The analysis from a checked score table to every table, in the order in which it happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.estimand import estimand_rows
from analysis.inference.axes import axis_rows, costs_by_run
from analysis.inference.base_comparison import base_comparison_rows
from analysis.inference.changes import change_rows
from analysis.inference.comparisons import arm_pairs, comparison_rows
from analysis.inference.curves import build_arm_curves, curve_rows
from analysis.inference.curves_by_tag import tag_claim_rows, tag_curve_rows, tag_curves
from analysis.inference.decisions import decision_rows
from analysis.inference.families import label_exploratory, with_primary_judge
from analysis.inference.judges import judge_bin_rows, judge_rows
from analysis.inference.looks import Look, look_rows, looks_at, options_at
from analysis.inference.matched import matched_rows
from analysis.inference.score_array import build_score_arrays
from analysis.inference.seed_variance import seed_variance_rows
from analysis.inference.sufficient import sufficient_rows
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
from analysis.scores import zero_shot
from analysis.tables import SCHEMAS, frame


def analyze(
    scores: pd.DataFrame,
    options: CurveOptions,
    costs: pd.DataFrame | None = None,
    looks: Sequence[Look] = (),
    overlap: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """Every table of `tables.SCHEMAS` from a checked score table (`scores.check_scores`).

    Args:
        costs: what a run of each arm and scale took (`axes.read_costs`), for further axes.
        looks: at earlier tables of the same study (`looks.read_looks`).
        overlap: what two seeds' subsets have in common (`estimand.read_overlap`).

    Raises:
        InputError: no arm has a usable ladder, or `options.sizes` names an unknown arm.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
    score_arrays = build_score_arrays(scores)
    scores = zero_shot(scores)  # examples in the prompt are in `score_arrays` alone
    options = with_primary_judge(options, scores)
    present = looks_at(score_arrays)
    at_look = [options_at(look, looks, options) for look in present]
    by_run = costs_by_run(costs)
    repeats = repeat_variances(scores)
    for score_array, at in zip(score_arrays, at_look, strict=True):
        arm = build_arm_curves(score_array, at)
        verdicts = verdict_rows(arm, at)
        fits = fit_arm_curves(arm, verdicts, at)
        rows["curves"] += curve_rows(arm, at)
        sufficient = sufficient_rows(arm, verdicts, at)
        rows["verdicts"] += verdicts
        rows["sufficient"] += sufficient
        rows["base_comparison"] += base_comparison_rows(arm, sufficient, at)
        rows["changes"] += change_rows(arm, at)
        rows["variance"] += variance_rows(arm, repeats)
        rows["fits"] += fit_rows(arm, fits, at)
        rows["extrapolation"] += extrapolation_rows(arm, fits, at)
        rows["needs"] += need_rows(arm, fits, at)
        rows["plan"] += plan_rows(arm, at, repeats)
        rows["plan_verdicts"] += plan_verdict_rows(arm, at)
    by_arm = {(look.judge, look.arm): at for look, at in zip(present, at_look, strict=True)}
    for pair in arm_pairs(score_arrays):
        judge = pair.first.judge
        # Two arms that were looked at unequally often: at the stricter level of the two.
        at = max(
            (by_arm[judge, arm] for arm in (pair.first.arm, pair.second.arm)),
            key=lambda chosen: chosen.interval,
        )
        rows["comparisons"] += comparison_rows(pair, at)
        rows["efficiency"] += efficiency_rows(pair, at)
        rows["matched"] += matched_rows(pair, by_run, at)
    rows["decisions"] = decision_rows(score_arrays, options)
    tags = tag_curves(scores, options, list(looks))
    rows["curves_by_tag"], rows["claims_by_tag"] = tag_curve_rows(tags), tag_claim_rows(tags)
    for name in ("base_comparison", "comparisons", "matched", "claims_by_tag"):
        rows[name] = label_exploratory(rows[name])
    rows["axes"] = axis_rows(rows["curves"], by_run)
    rows["looks"] = look_rows(present, looks, options)
    spends = options.looks.spending != "none"
    rows["estimand"] = estimand_rows(max(look.seeds for look in present), overlap, spends)
    rows["seed_variance"] = seed_variance_rows(scores, options)
    rows["joint"] = joint_rows(score_arrays, options)
    rows["judges"] = judge_rows(scores, options)
    rows["judge_bins"] = judge_bin_rows(scores, options)
    return {name: frame(name, table) for name, table in rows.items()}
