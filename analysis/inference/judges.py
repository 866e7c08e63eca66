"""judges.csv and judge_bins.csv: noise of a judge over its repeats, agreement of two judges."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.inference.estimate import Estimate
from analysis.inference.intervals import share_interval
from analysis.options import CurveOptions
from analysis.tables import OVERALL

_RESPONSE = ["arm", "scale", "seed", "category", "cluster", "item"]
_BINS = 10


def judge_rows(scores: pd.DataFrame, options: CurveOptions) -> list[dict[str, Any]]:
    """Rows of judges.csv: each judge by itself, then each pair on the same responses."""
    rows = [
        _own(str(judge), category, part)
        for judge, judged in scores.groupby("judge", sort=True)
        for category, part in _by_category(judged)
    ]
    for judge, other, both in _judged_by_both(scores):
        if judge > other:
            continue
        if both.empty:
            key = {"judge": judge, "other": other, "category": OVERALL, "n": 0}
            rows.append(key | {"note": "no response judged by both"})
        else:
            rows += [
                {"judge": judge, "other": other, "category": category} | _agreement(part, options)
                for category, part in _by_category(both)
            ]
    return rows


def judge_bin_rows(scores: pd.DataFrame, options: CurveOptions) -> list[dict[str, Any]]:
    """Rows of judge_bins.csv: each judge against each other one as the standard."""
    rows = []
    for judge, other, both in _judged_by_both(scores):
        index = np.minimum((both["judge"] * _BINS).astype(int), _BINS - 1)
        for b, part in both.groupby(index.to_numpy(), sort=True):
            key = {
                "judge": judge,
                "other": other,
                "bin_low": b / _BINS,
                "bin_high": (b + 1) / _BINS,
            }
            rows.append(key | _bin(part, options.interval))
    return rows


def _judged_by_both(scores: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Each judge with each other one and the responses that both scored.

    Columns `judge` and `other` hold the two scores, each the mean over repeats.
    """
    names = sorted(scores["judge"].unique())
    if len(names) < 2:
        return
    responses = scores.groupby(["judge", *_RESPONSE], observed=True)["score"].mean()
    for judge, other in itertools.permutations(names, 2):
        both = pd.concat(
            {"judge": responses.loc[judge], "other": responses.loc[other]}, axis=1, join="inner"
        )
        yield judge, other, both.dropna().reset_index()


def _by_category(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for category, part in rows.groupby("category", sort=True):
        yield str(category), part
    yield OVERALL, rows


def _own(judge: str, category: str, rows: pd.DataFrame) -> dict[str, Any]:
    cells = rows.groupby(_RESPONSE, observed=True)["score"].agg(["count", "var"])
    df = (cells["count"] - 1).clip(lower=0)
    total = float(df.sum())
    squares = float((df * cells["var"].fillna(0.0)).sum())
    notes = []
    if not total:
        notes.append("no repeats: the judge's own noise is unmeasured")
    versions = sorted(rows["judge_version"].astype(str).unique())
    if len(versions) > 1:
        notes.append(f"several versions of the judge: {', '.join(versions)}")
    return {
        "judge": judge,
        "other": "",
        "category": category,
        "n": len(rows),
        "missing_share": float(rows["score"].isna().mean()),
        "repeats": int(cells["count"].max()),
        "repeat_sd": float(np.sqrt(squares / total)) if total else np.nan,
        "note": "; ".join(notes),
    }


def _agreement(rows: pd.DataFrame, options: CurveOptions) -> dict[str, Any]:
    """Columns of two judges on the same responses."""
    gap = rows["judge"] - rows["other"]
    per_cluster = gap.groupby(rows["cluster"]).mean().to_numpy()
    row: dict[str, Any] = {"n": len(rows), "mean_difference": float(per_cluster.mean()), "note": ""}
    if len(per_cluster) > 1:
        se = float(per_cluster.std(ddof=1) / np.sqrt(len(per_cluster)))
        estimate = Estimate(row["mean_difference"], se, len(per_cluster) - 1)
        row["low"], row["high"] = estimate.interval(options.interval)
    right = rows[["judge", "other"]].to_numpy() >= options.right_from
    row["agreement"] = float((right[:, 0] == right[:, 1]).mean())
    row["kappa"] = _kappa(right, row["agreement"])
    if rows["judge"].nunique() > 1 and rows["other"].nunique() > 1:
        row["spearman"] = float(stats.spearmanr(rows["judge"], rows["other"]).statistic)
    else:
        row["note"] = "one judge gives every response the same score: no rank correlation"
    return row


def _kappa(right: np.ndarray, agreement: float) -> float:
    """Cohen's kappa of two judges' right or wrong; NaN when chance alone explains agreement."""
    shares = right.mean(0)
    chance = float(shares.prod() + (1 - shares).prod())
    return (agreement - chance) / (1 - chance) if chance < 1 else np.nan


def _bin(rows: pd.DataFrame, coverage: float) -> dict[str, Any]:
    """One tenth of the judge's scale: both means, and the interval of the other judge's."""
    mean = float(rows["other"].mean())
    influence = (rows["other"] - mean).groupby(rows["cluster"]).sum().to_numpy() / len(rows)
    g = len(influence)
    low, high = np.nan, np.nan
    if g > 1:
        se = float(np.sqrt(g / (g - 1) * (influence**2).sum()))
        low, high, _ = share_interval(Estimate(mean, se, g - 1), g, coverage)
    return {
        "n": len(rows),
        "mean_judge": float(rows["judge"].mean()),
        "mean_other": mean,
        "low": low,
        "high": high,
    }
