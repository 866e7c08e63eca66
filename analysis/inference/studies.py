"""Two studies side by side: second minus first, for each judge, arm, category and scale.

Where both judged the same items with the same version of the judge, answers are paired by item;
runs of two studies are never paired. Otherwise the two means are independent, and the row says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from analysis.errors import InputError
from analysis.inference.covariance import UNMEASURED, Covariance, covariances
from analysis.inference.curves import join
from analysis.inference.estimate import Estimate
from analysis.inference.families import label_exploratory
from analysis.inference.intervals import paired_interval, paired_p_value
from analysis.inference.sample import Sample, average
from analysis.inference.score_array import CategoryScores, ScoreArray, build_score_arrays
from analysis.options import CurveOptions
from analysis.tables import OVERALL

COLUMNS = {
    "judge": "the judge",
    "arm_a": "arm of the first study",
    "arm_b": "arm of the second study: of the same name, or each study's only one",
    "category": "the category, or overall",
    "scale": "records seen in tuning; 0 is the untuned base model",
    "mean_a": "mean score in the first study",
    "mean_b": "mean score in the second study",
    "difference": "second minus first",
    "low": "lower end of its interval",
    "high": "upper end of its interval",
    "p_value": "two-sided p value of no difference; empty where run noise is not measured",
    "q_value": "the same after Benjamini and Hochberg's correction over all rows of the judge",
    "family": "exploratory",
    "detectable": "smallest true difference that this comparison shows with the wanted power",
    "ties": "share of pairs of answers to one item, over all pairs of runs, that score the same",
    "paired": "whether answers are paired by item",
    "n_items": "items; of both studies together where they are not paired",
    "seeds_a": "runs of the first study",
    "seeds_b": "runs of the second study",
    "noise": "which noise the interval holds",
    "note": "why rows are not paired, and other things to know",
}


@dataclass(frozen=True)
class _Pair:
    """The scores of one arm in both studies at the scales that both have.

    Attributes:
        scales: (K,) shared scales.
        values: by category, (K, S_a, N_a) and (K, S_b, N_b) scores.
        categories: by category, both sides' items and clusters.
        runs: (K, S_a) and (K, S_b) which runs there are.
    """

    scales: np.ndarray
    values: dict[str, tuple[np.ndarray, np.ndarray]]
    categories: dict[str, tuple[CategoryScores, CategoryScores]]
    runs: tuple[np.ndarray, np.ndarray]


def compare_studies(
    first: pd.DataFrame, second: pd.DataFrame, options: CurveOptions
) -> pd.DataFrame:
    """The rows of `COLUMNS`, by judge and arm.

    Args:
        first, second: checked score tables (`scores.check_scores`).
        options: interval and power.

    Raises:
        InputError: the studies share no judge, or no arm and scale.
    """
    rows: list[dict[str, Any]] = []
    arrays = [
        {(one.judge, one.arm): one for one in build_score_arrays(table)}
        for table in (first, second)
    ]
    judges = sorted({judge for judge, _ in arrays[0]} & {judge for judge, _ in arrays[1]})
    if not judges:
        raise InputError("the two studies have no judge in common", where="compare")
    for judge in judges:
        versions = [_versions(table, judge) for table in (first, second)]
        reason = "" if versions[0] == versions[1] else "another version of the judge"
        for arm_a, arm_b in _arms(arrays[0], arrays[1], judge):
            key = {"judge": judge, "arm_a": arm_a, "arm_b": arm_b}
            a, b = arrays[0][judge, arm_a], arrays[1][judge, arm_b]
            for pair in (_base(a, b), _tuned(a, b)):
                rows += [key | row for row in _rows(pair, reason, options)]
    if not rows:
        raise InputError(
            "the two studies share no arm with a scale and a category",
            where="compare",
            fix="compare studies of the same arms and scales",
        )
    return pd.DataFrame(label_exploratory(rows), columns=list(COLUMNS))


def unshared_scales(first: pd.DataFrame, second: pd.DataFrame) -> tuple[list[int], list[int]]:
    """Tuned scales of either score table that the other one lacks: those are not compared."""
    a, b = ({int(scale) for scale in table["scale"].unique()} for table in (first, second))
    return sorted(a - b), sorted(b - a)


def verdict_changes(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Curves of both studies with another verdict: judge, arm, category, verdict_a, verdict_b,
    and the tail slopes. An only arm of each study is the same arm.

    Args:
        first, second: verdicts.csv of each.
    """
    key = ["judge", "arm", "category"]
    columns = [*key, "verdict", "tail_slope"]
    second = second[columns]
    if first["arm"].nunique() == second["arm"].nunique() == 1:
        second = second.assign(arm=first["arm"].iloc[0])
    both = first[columns].merge(second, on=key, suffixes=("_a", "_b"))
    return both[both["verdict_a"] != both["verdict_b"]].reset_index(drop=True)


def _versions(table: pd.DataFrame, judge: str) -> set[str]:
    return set(table.loc[table["judge"] == judge, "judge_version"].astype(str))


def _arms(
    first: Mapping[tuple[str, str], Any], second: Mapping[tuple[str, str], Any], judge: str
) -> list[tuple[str, str]]:
    """Arms of the same name; where each study has one, these two."""
    names = [[arm for own, arm in side if own == judge] for side in (first, second)]
    if len(names[0]) == len(names[1]) == 1:
        return [(names[0][0], names[1][0])]
    return [(arm, arm) for arm in names[0] if arm in names[1]]


def _tuned(a: ScoreArray, b: ScoreArray) -> _Pair:
    scales, at_a, at_b = np.intersect1d(a.scales, b.scales, return_indices=True)
    names = [name for name in a.categories if name in b.categories]
    return _Pair(
        scales,
        {n: (a.categories[n].values[at_a], b.categories[n].values[at_b]) for n in names},
        {n: (a.categories[n], b.categories[n]) for n in names},
        (a.runs[at_a], b.runs[at_b]),
    )


def _base(a: ScoreArray, b: ScoreArray) -> _Pair:
    names = [
        name
        for name, scores in a.categories.items()
        if name in b.categories and scores.base is not None and b.categories[name].base is not None
    ]
    both = {n: (a.categories[n], b.categories[n]) for n in names}
    values = {n: (x.base[None, None], y.base[None, None]) for n, (x, y) in both.items()}
    one = np.ones((1, 1), bool)
    return _Pair(np.array([0]), values, both, (one, one))


def _rows(pair: _Pair, reason: str, options: CurveOptions) -> list[dict[str, Any]]:
    if not len(pair.scales) or not pair.categories:
        return []
    stacked: dict[str, Sample] = {}
    sides: tuple[dict[str, Sample], dict[str, Sample]] = ({}, {})
    notes: dict[str, str] = {}
    for name, (a, b) in pair.categories.items():
        for side, scores in enumerate((a, b)):
            values = pair.values[name][side]
            sides[side][name] = Sample.from_scores(values, scores.clusters, pair.runs[side])
        notes[name] = reason or _other_items(a, b)
        if not notes[name]:
            stacked[name] = _stacked(pair, name)
    _add_overall(sides[0], sides[1])
    if not any(notes.values()):
        _add_overall(stacked)
    notes[OVERALL] = next((note for note in notes.values() if note), "")
    noise = [covariances(samples, options.run_sd) for samples in (stacked, *sides)]
    rows = []
    for name in (*pair.categories, OVERALL):
        for k, scale in enumerate(pair.scales):
            rows.append(_row(pair, name, k, int(scale), noise, sides, notes[name], options))
    return rows


def _other_items(a: CategoryScores, b: CategoryScores) -> str:
    if len(a.items) == len(b.items) and (a.items == b.items).all():
        return ""
    common = len(np.intersect1d(a.items, b.items))
    return f"the studies have other items ({common} in common)"


def _stacked(pair: _Pair, name: str) -> Sample:
    """Scales of the first study, then those of the second, each with runs of its own."""
    (a, b), (runs_a, runs_b) = pair.values[name], pair.runs
    k, s_a, s_b = len(pair.scales), a.shape[1], b.shape[1]
    values = np.full((2 * k, s_a + s_b, a.shape[2]), np.nan)
    runs = np.zeros((2 * k, s_a + s_b), bool)
    values[:k, :s_a], values[k:, s_a:] = a, b
    runs[:k, :s_a], runs[k:, s_a:] = runs_a, runs_b
    return Sample.from_scores(values, pair.categories[name][0].clusters, runs)


def _add_overall(*sides: dict[str, Sample]) -> None:
    """The mean of the categories whose noise is known in all of the sides, in each of them."""
    names = [name for name in sides[0] if all(side[name].usable for side in sides)]
    for side in sides if names else ():
        side[OVERALL] = average([side[name] for name in names])


def _row(
    pair: _Pair,
    name: str,
    k: int,
    scale: int,
    noise: list[dict[str, Covariance]],
    sides: tuple[dict[str, Sample], dict[str, Sample]],
    note: str,
    options: CurveOptions,
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "category": name,
        "scale": scale,
        "ties": _ties(pair, name, k) if not note else np.nan,
        "paired": not note,
        "seeds_a": int(pair.runs[0][k].sum()),
        "seeds_b": int(pair.runs[1][k].sum()),
        "note": f"not paired: {note}" if note else "",
    }
    if name not in sides[0] or name not in sides[1]:
        return row | {"note": join(row["note"], "noise unknown in every category")}
    means = [float(side[name].scale_means[k]) for side in sides]
    row |= {"mean_a": means[0], "mean_b": means[1], "difference": means[1] - means[0]}
    items = [side[name].n_items for side in sides]
    row["n_items"] = items[0] if not note else sum(items)
    estimates = _estimates(noise, name, k, len(pair.scales), paired=not note)
    if estimates is None:
        return row | {"note": join(row["note"], "noise unknown: too few items, or no scores")}
    clusters = min(len(side[name].strata) for side in sides)
    label = noise[0][name].noise if not note else noise[1][name].noise
    row["noise"] = "items only; the base model was not tuned" if scale == 0 else label
    low, high = paired_interval(*estimates, clusters, options.interval)
    if np.isnan(low):
        return row | {"note": join(row["note"], "all scores equal: no noise to measure")}
    row |= {"low": low, "high": high, "detectable": _detectable(estimates[2], options)}
    measured = [noise[side + 1][name].noise != UNMEASURED for side in (0, 1) if name in noise[1]]
    if scale == 0 or all(measured):
        row["p_value"] = paired_p_value(*estimates, clusters)
    else:
        row["note"] = join(row["note"], "one run: training noise is unmeasured, so no claim")
    return row


def _ties(pair: _Pair, name: str, k: int) -> float:
    """Share of equal scores over items and pairs of runs; overall: the mean of the categories."""
    names = [name] if name != OVERALL else list(pair.values)
    shares = []
    for each in names:
        a, b = (pair.values[each][side][k][pair.runs[side][k]] for side in (0, 1))
        a, b = a[:, None], b[None]
        known = np.isfinite(a) & np.isfinite(b)
        if known.any():
            shares.append(float((np.abs(a - b) < 1e-9)[known].mean()))
    return float(np.mean(shares)) if shares else np.nan


def _estimates(
    noise: list[dict[str, Covariance]], name: str, k: int, scales: int, *, paired: bool
) -> tuple[Estimate, Estimate, Estimate] | None:
    """Of the second mean, the first, and second minus first."""
    if paired:
        if name not in noise[0]:
            return None
        unit = np.eye(2 * scales)
        a, b = unit[k], unit[scales + k]
        found = noise[0][name]
        return found.contrast(b), found.contrast(a), found.contrast(b - a)
    if name not in noise[1] or name not in noise[2]:
        return None
    a, b = (noise[side][name].scale_mean(k) for side in (1, 2))
    return b, a, _independent(b, a)


def _independent(b: Estimate, a: Estimate) -> Estimate:
    """b minus a of independent means (Welch, Biometrika 34, 1947)."""
    variances = np.array([b.se**2, a.se**2])
    total = float(variances.sum())
    df = total**2 / float((variances**2 / [b.df, a.df]).sum()) if total > 0 else np.inf
    return Estimate(
        b.value - a.value, float(np.sqrt(total)), df, b.below + a.above, b.above + a.below
    )


def _detectable(difference: Estimate, options: CurveOptions) -> float:
    """Smallest true difference whose two-sided test at the interval's level has the power; NaN
    where it is above 1, or where equal scores bring no noise and nothing is known."""
    quantiles = stdtrit(difference.df, [0.5 + options.interval / 2, options.power])
    found = float(quantiles.sum() * difference.se) + difference.below + difference.above
    return found if difference.se > 0 and found <= 1 else np.nan
