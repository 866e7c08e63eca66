"""The tables that the analysis writes: columns and their meaning, one CSV each.

Shares and scores lie in [0, 1]; slopes are score per doubling of the data; an empty cell means
that the number cannot be known, and the row's `note` says why. `low` and `high` bound the
interval that the options ask for. Rows are sorted by judge, arm, category (`overall` last), scale.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

OVERALL = "overall"

_CURVE_KEY = {
    "judge": "the judge whose scores these are",
    "arm": "the arm",
    "category": "the category, or `overall`: the plain mean of the categories",
}

SCHEMAS: dict[str, dict[str, str]] = {
    "curves": {
        **_CURVE_KEY,
        "scale": "records seen in tuning; 0 is the untuned base model",
        "mean": "mean score over items, then seeds",
        "low": "lower end of the t interval from the covariance of items and runs",
        "high": "its upper end",
        "n_items": "items (of all categories, for overall)",
        "n_seeds": "seeds",
        "n_missing": "(item, seed) pairs without a score",
        "bound_low": "mean if every missing score were 0; only where too many are missing",
        "bound_high": "mean if every missing score were 1",
        "noise": "which noise the interval holds",
        "note": "what to know about this row",
    },
    "curves_by_tag": {
        **_CURVE_KEY,
        "tag": "the tag, an option of `by_tag`",
        "value": "the value of the tag that the items share",
        "scale": "records seen in tuning; 0 is the untuned base model",
        "mean": "mean score over the items with this value, then seeds",
        "low": "lower end of its interval, as in curves, from these items alone",
        "high": "its upper end",
        "n_items": "items with this value (of all categories, for overall)",
        "n_seeds": "seeds",
        "noise": "which noise the interval holds",
        "note": "what to know about this row",
    },
    "sufficient": {
        **_CURVE_KEY,
        "scale": "the smallest sufficient scale: every test from the last but one down to it shows "
        "that the largest scale gains less than the margin; empty where not even the first does",
        "statement": "the same in words, or why nothing is claimed",
        "gain": "mean of the largest scale minus that of the sufficient one (of the last but one "
        "where none is)",
        "gain_upper": "its one-sided upper bound, at level (1 - interval) / 2",
        "margin": "a gain below it counts as none (option sufficient_margin)",
        "p_value": "largest p value of the tests that lead to the claim; of the first test where "
        "none is made; not corrected over categories",
        "last_gain": "gain of the last step per doubling of the records",
        "last_low": "lower end of its interval",
        "last_high": "upper end of its interval",
        "last_margin": "margin of that gain (option tail_margin)",
        "p_last": "p value of a last doubling that gains the margin or more",
        "rise": "mean of the largest scale minus that of the smallest",
        "run_sd": "standard deviation of one run's mean over training runs, on these items",
        "signal_to_noise": "rise over run_sd",
        "one_run_right": "how often one run at each end would show the direction of the rise",
        "n_items": "items",
        "n_seeds": "seeds",
        "noise": "which noise the intervals hold",
        "note": "what to know about this row",
    },
    "claims_by_tag": {
        **_CURVE_KEY,
        "tag": "the tag, an option of `by_tag`",
        "value": "the value of the tag that the items share",
        "tail_slope": "slope per doubling over the scales from a quarter of the largest on",
        "tail_low": "lower end of its interval, from these items alone",
        "tail_high": "its upper end",
        "gain": "mean at the last scale minus the mean at the one before",
        "gain_from": "the scale before the last one",
        "gain_low": "lower end of the gain's interval",
        "gain_high": "its upper end",
        "p_value": "two-sided p value of a tail slope of 0",
        "q_value": "the same after Benjamini and Hochberg's correction over all rows of the judge",
        "family": "exploratory",
        "n_items": "items with this value (of all categories, for overall)",
        "n_seeds": "seeds",
        "noise": "which noise the intervals hold",
        "note": "what to know about this row",
    },
    "base_comparison": {
        **_CURVE_KEY,
        "shots": "examples in the prompt of the untuned base",
        "scale": "the tuned scale that it is compared with; 0 for the base with examples",
        "other_shots": "examples in the prompt of what it is compared with; 0 for a tuned scale",
        "which": "smallest, sufficient (no row where none is shown), largest, or few-shot base",
        "base_mean": "mean of the base, over the items that both have a score of",
        "mean": "mean of what it is compared with",
        "difference": "mean minus base_mean, paired by item",
        "low": "lower end of its interval",
        "high": "upper end of its interval",
        "p_value": "two-sided p value of no difference, 1e-12 at least; empty with one seed",
        "p_holm": "the same, corrected over categories and all scales of the arm",
        "q_value": "the same after Benjamini and Hochberg's correction over all rows of the judge",
        "family": "exploratory",
        "n_items": "items",
        "n_seeds": "seeds of the tuned scale",
        "noise": "which noise the interval holds",
        "note": "what to know about this row",
    },
    "decisions": {
        "judge": "the judge",
        "category": "the category, or overall: all categories together",
        "scale": "the scale at which arms are put in order",
        "largest": "the scale whose order counts as right",
        "accuracy": "share of pairs of arms that one run of each at this scale orders as the means "
        "over runs at the largest do; mean over pairs and seeds (and categories); a tie counts 1/2",
        "low": "lower end of its interval, overall only",
        "high": "upper end of its interval",
        "best": "arm with the highest mean at this scale",
        "best_at_largest": "arm with the highest mean at the largest scale",
        "n_pairs": "pairs of arms",
        "n_categories": "categories",
        "n_seeds": "seeds that all arms have",
        "noise": "which noise the interval holds",
        "note": "what to know about this row",
    },
    "axes": {
        **_CURVE_KEY,
        "axis": "records, examples (records seen, repeats counted), tokens, supervised_tokens, "
        "steps or training_flops",
        "scale": "records of the subset; 0 is the untuned base model",
        "x": "the value on the axis, mean over seeds",
        "epochs": "how often a run saw each record on average; empty where it is not known",
        "mean": "mean score, as in curves",
        "low": "lower end of its interval",
        "high": "its upper end",
        "n_items": "items (of all categories, for overall)",
        "n_seeds": "seeds",
        "note": "what to know about this row",
    },
    "matched": {
        "judge": "the judge",
        "category": "the category, or overall",
        "arm_a": "first arm",
        "arm_b": "second arm",
        "axis": "what is equal for both arms, as in axes",
        "x": "its value: a measured point of one arm, inside the range of both",
        "records_a": "distinct records of arm_a there (on the line between two scales in log n)",
        "records_b": "distinct records of arm_b there",
        "epochs_a": "how often arm_a saw each record there",
        "epochs_b": "how often arm_b did",
        "difference": "mean of arm_a minus mean of arm_b at x, paired by item and seed; a mean "
        "between two scales is on the line between them, in log x",
        "low": "lower end of its interval (that the line is right is taken for granted)",
        "high": "its upper end",
        "p_value": "two-sided p value of no difference",
        "q_value": "the same after Benjamini and Hochberg's correction over all rows of the judge",
        "family": "exploratory",
        "n_items": "items that both arms answered",
        "n_seeds": "seeds that both arms have",
        "noise": "which noise the interval holds",
        "note": "why nothing is compared, or which mean lies between two scales",
    },
    "estimand": {
        "table": "a table with intervals",
        "speaks_of": "what they speak of",
        "looks": "whether they hold at one look or at all planned ones at once (option `looks`)",
        "shared_least": "smallest share of their records that two seeds share, over scales",
        "shared_most": "largest such share",
        "note": "what to know about it",
    },
    "looks": {
        "judge": "the judge",
        "arm": "the arm",
        "look": "number of the look at the arm's results",
        "seeds": "seeds that it had (the most of any scale)",
        "spending": "spending function: none, obrien_fleming or pocock",
        "planned": "seeds at the last look that is planned; where alpha is spent",
        "spent": "one-sided error that is spent up to this look",
        "level": "one-sided level of a claim at this look",
        "false_claims": "chance of a false claim at this look or an earlier one, of a null that is "
        "just true (normal, looks correlate as the root of the ratio of their seeds)",
        "note": "what to know about this row",
    },
    "verdicts": {
        **_CURVE_KEY,
        "verdict": "at floor, at ceiling, flat, non-monotone, plateaued, improving or undetermined",
        "tail": "where the tail slope lies: above, within or below the margin; not below or not "
        "above it; or not shown",
        "ladder": "what the whole ladder shows: improved, declined or not shown",
        "tail_slope": "slope per doubling over the scales from a quarter of the largest on",
        "tail_low": "lower end of its interval",
        "tail_high": "upper end of its interval",
        "smooth_low": "one seed: lower end of the tail slope's interval if the curve is smooth "
        "(noise of items and runs from second differences over the scales)",
        "smooth_high": "its upper end",
        "margin": "equivalence margin of the tail slope",
        "range_margin": "equivalence margin of the range of the means",
        "corrected": "claims that are corrected together: directional, or all",
        "margin_sensitivity": "the verdict with both margins halved and doubled",
        "tail_sensitivity": "the verdict with the tail over the last two scales, the scales from "
        "half of the largest on, and from a quarter on, as far as these differ",
        "stable": "yes if it is the same verdict in all of them",
        "n_items": "items",
        "n_seeds": "seeds",
        "rise": "mean of the tail minus the first scale",
        "rise_low": "lower end of its interval",
        "rise_high": "upper end of its interval",
        "drop_from": "the scale before the clearest drop",
        "drop_to": "the scale after it",
        "drop": "size of that drop; negative when no later scale is lower",
        "drop_bound": "its lower bound, simultaneous over all pairs of scales",
        "ladder_slope": "slope per doubling over the whole ladder",
        "ladder_low": "lower end of its interval",
        "ladder_high": "upper end of its interval",
        "p_value": "p value of the verdict's claim; of a rising tail when undetermined; with two "
        "seeds that of a rise or a drop is larger than its t interval would say (Howe's rule)",
        "p_holm": "the same after Holm's correction over the claims that `corrected` names; of "
        "primary claims",
        "q_value": "the same after Benjamini and Hochberg's correction; of exploratory claims",
        "family": "primary, or exploratory: see the option `primary`",
        "detectable": "smallest tail slope that is called improving with the wanted power, after "
        "the correction, whatever the other categories show; empty where it is above 1",
        "items_needed": "items per category that would show a level tail to lie within the margin",
        "seeds_needed": "seeds that go with items_needed",
        "noise": "which noise the intervals hold",
        "note": "what to know about this row",
    },
    "comparisons": {
        "judge": "the judge",
        "category": "the category, or overall",
        "scale": "the scale at which both arms are compared",
        "arm_a": "first arm",
        "arm_b": "second arm",
        "difference": "mean of arm_a minus mean of arm_b, paired by item and seed",
        "low": "lower end of its interval",
        "high": "upper end of its interval",
        "p_value": "two-sided p value of no difference, 1e-12 at least; empty with one seed",
        "p_holm": "the same, corrected over categories and scales of this pair of arms",
        "q_value": "the same after Benjamini and Hochberg's correction over all rows of the judge",
        "family": "exploratory: no comparison is among the primary claims",
        "n_items": "items that both arms answered",
        "n_seeds": "seeds that both arms have",
        "noise": "which noise the interval holds",
        "note": "what to know about this row",
    },
    "efficiency": {
        "judge": "the judge",
        "category": "the category, or overall",
        "arm_a": "first arm",
        "arm_b": "second arm",
        "score": "a score that both arms reach inside their ladders",
        "scale_a": "records at which arm_a reaches it (interpolated in log n)",
        "scale_b": "records at which arm_b reaches it",
        "ratio": "scale_b / scale_a: how many times the data arm_b needs",
        "low": "lower end of its interval",
        "high": "upper end of its interval",
        "note": "why no ratio is given, or how it was made",
    },
    "changes": {
        **_CURVE_KEY,
        "scale_from": "the earlier scale (0 is the base model)",
        "scale_to": "the later scale",
        "n_items": "items with a score at both scales in at least one seed",
        "n_seeds": "seeds",
        **{
            f"{kind}{end}": f"{text}{suffix}"
            for kind, text in {
                "wins": "share of (item, seed) pairs that score higher at the later scale",
                "ties": "share that score the same",
                "losses": "share that score lower",
                "negative_flips": "share that were right before and are wrong after",
            }.items()
            for end, suffix in {
                "": "",
                "_low": ": lower end of the interval",
                "_high": ": upper end of the interval",
            }.items()
        },
        "noise": "which noise the intervals hold",
        "note": "what to know about this row",
    },
    "variance": {
        **_CURVE_KEY,
        "component": "item, run, item_x_run or judge (repeats of one judge)",
        "variance": "variance of one score that this component makes, pooled over scales",
        "share": "its share in the sum of the components",
        "note": "why a component is empty or holds another one too",
    },
    "seed_variance": {
        **_CURVE_KEY,
        "scale": "records seen in tuning",
        "component": "subset, training, or rest: their interaction and items within a run",
        "variance": "variance of a run's mean that this component makes; for crossed seeds only",
        "low": "lower end of its interval",
        "high": "its upper end",
        "df": "degrees of freedom of its mean square",
        "n_subset": "subset seeds",
        "n_training": "training seeds",
        "n_items": "items (of all categories, for overall)",
        "note": "what to know about this row",
    },
    "fits": {
        **_CURVE_KEY,
        "family": "family of curves",
        "parameters": "names and values, as `name=value; ...`",
        "parameter_intervals": "their intervals, as `name=[low, high]; ...`; an asymptote's end is "
        "open where the scales do not bound it",
        "asymptote": "what the scales show of an asymptote: its interval, or that it is not shown",
        "n_scales": "points fitted: tuned scales, and the base for the rectified power law",
        "n_parameters": "free parameters",
        "rms": "root mean square distance of the means from the fit",
        "p_misfit": "p value of the misfit test, simulated from the covariance of the means",
        "backtest_error": "fitted without the last scale: predicted minus measured mean there",
        "backtest_low": "lower end of the error's interval (of the prediction and of the mean)",
        "backtest_high": "its upper end",
        "backtest": "covered if the interval holds 0, else missed; or why there is none",
        "status": "kept, dropped (misfit) or refused",
        "reason": "why it was dropped or refused",
    },
    "extrapolation": {
        **_CURVE_KEY,
        "scale": "records; inside the ladder it is the fit, beyond it the extrapolation",
        "factor": "scale divided by the largest measured scale",
        "mean": "middle of the envelope's families",
        "low": "lower end of the envelope over the kept families",
        "high": "its upper end",
        "families": "kept families, separated by `; `",
        "backtest": "fitted without the last scale: covered if some family's interval of the error "
        "holds 0, else missed; or why there is none",
        "status": "fit, extrapolated or refused",
        "reason": "the assumption it rests on, or why it is refused",
    },
    "needs": {
        **_CURVE_KEY,
        "target": "the wanted score",
        "scale": "records needed: median over refits and kept families; empty beyond the horizon",
        "low": "lower end of the envelope",
        "high": "upper end; empty when it lies beyond the horizon",
        "p_never": "largest share, over kept families, of refits that never reach the target",
        "p_within": "smallest share, over kept families, that reach it within the horizon",
        "horizon": "ten times the largest measured scale",
        "status": "reached (inside the ladder), extrapolated or refused",
        "reason": "the assumption it rests on, or why it is refused",
    },
    "joint": {
        "judge": "the judge",
        "category": "the category, or overall",
        "arms": "arms in the fit, separated by `; `",
        "family": "family of surfaces in (records, base size)",
        "parameters": "names and values, as `name=value; ...`",
        "n_points": "(arm, scale) points fitted",
        "n_parameters": "free parameters",
        "rms": "root mean square distance of the means from the fit",
        "p_misfit": "p value of the misfit test",
        "status": "kept, dropped (misfit) or refused",
        "reason": "why it was dropped or refused",
    },
    "plan": {
        **_CURVE_KEY,
        "items": "items per category",
        "seeds": "seeds",
        "answers": "answers of a run to each item",
        "repeats": "judgements of each answer",
        "scales": "scales of the ladder",
        "slope_se": "standard error of the tail slope",
        "df": "its degrees of freedom",
        "power": "the wanted power (option power)",
        "detectable": "smallest tail slope called improving with the wanted power, after the "
        "correction; empty where it is above 1",
        "power_flat": "power to show a tail slope of 0 to be within the margin",
        "power_at_margin": "power to call a tail slope of the margin improving",
        "power_margin": "power to call a tail slope of twice the margin improving",
        "runs": "tuning runs: seeds times scales",
        "judgements": "judgements: runs times items times categories, answers and repeats",
        "noise": "where the variance components come from",
    },
    "plan_verdicts": {
        "judge": "the judge",
        "arm": "the arm",
        "items": "items per category",
        "seeds": "seeds",
        "scales": "scales of the ladder",
        "truth": "the true curve of a category with the mean variances of the study's: level; "
        "level after a rise of twice the range margin; a straight line in log n with the slope of "
        "the margin, or twice it",
        "flat": "chance of the verdict flat",
        "non_monotone": "chance of non-monotone",
        "plateaued": "chance of plateaued",
        "improving": "chance of improving",
        "undetermined": "chance of undetermined; the corrections are those of the verdicts, "
        "whatever the other categories show",
    },
    "judges": {
        "judge": "the judge",
        "other": "the judge it is compared with; empty in the judge's own row",
        "category": "the category, or overall (all items)",
        "n": "judgements (own row) or responses that both judged (pair)",
        "missing_share": "share of judgements without a score",
        "repeats": "repeats per response (largest)",
        "repeat_sd": "standard deviation between repeats of one response",
        "mean_difference": "mean of judge minus other, on the same responses",
        "low": "lower end of its interval, items as the unit",
        "high": "upper end of its interval",
        "agreement": "share of responses on which both say right or both say wrong",
        "kappa": "the same beyond chance (Cohen)",
        "spearman": "rank correlation over responses",
        "note": "what to know about this row",
    },
    "judge_bins": {
        "judge": "the judge",
        "other": "the judge taken as the standard",
        "bin_low": "lower end of a tenth of the judge's scale",
        "bin_high": "upper end",
        "n": "responses",
        "mean_judge": "mean score by judge in the bin",
        "mean_other": "mean score by other for the same responses",
        "low": "lower end of the interval of mean_other, items as the unit",
        "high": "upper end of it",
    },
}


def frame(name: str, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as the named table: its columns, in its order, absent values empty.

    Raises:
        KeyError: a row has a column that the table does not.
    """
    columns = list(SCHEMAS[name])
    unknown = {key for row in rows for key in row} - set(columns)
    if unknown:
        raise KeyError(f"{name}.csv has no column {sorted(unknown)}")
    return pd.DataFrame(list(rows), columns=columns)


def write_tables(tables: Mapping[str, pd.DataFrame], out: Path) -> None:
    """Write each table as `out/NAME.csv`, ten significant digits, whole files only."""
    out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=out)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            table.to_csv(stream, index=False, float_format="%.10g", lineterminator="\n")
        Path(temporary).chmod(0o644)
        Path(temporary).replace(out / f"{name}.csv")
