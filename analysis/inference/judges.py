"""judges.csv and judge_bins.csv: noise of a judge over its repeats, agreement of two judges."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.inference.covariance import Estimate
from analysis.inference.intervals import share_interval
from analysis.options import CurveOptions
from analysis.tables import OVERALL

_RESPONSE = ["arm", "scale", "seed", "category", "cluster", "item"]
_BINS = 10


def judge_rows(
    scores: pd.DataFrame, options: CurveOptions
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of judges.csv (each judge, then each pair) and of judge_bins.csv."""
    names = sorted(scores["judge"].unique())
    own = [
        _own(str(judge), category, rows)
        for judge, judged in scores.groupby("judge", sort=True)
        for category, rows in _by_category(judged)
    ]
    responses = scores.groupby(["judge", *_RESPONSE], observed=True)["score"].mean()
    pairs, bins = [], []
    for judge, other in itertools.permutations(names, 2):
        both = pd.concat(
            {"judge": responses.loc[judge], "other": responses.loc[other]}, axis=1, join="inner"
        )
        both = both.dropna().reset_index()
        if both.empty:
            if judge < other:
                pairs.append(_pair_key(judge, other, OVERALL, 0, "no response judged by both"))
            continue
        bins += _bins(judge, other, both, options.interval)
        if judge < other:
            pairs += [
                _pair(judge, other, category, rows, options)
                for category, rows in _by_category(both)
            ]
    return own + pairs, bins


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


def _pair_key(judge: str, other: str, category: str, n: int, note: str) -> dict[str, Any]:
    return {"judge": judge, "other": other, "category": category, "n": n, "note": note}


def _pair(
    judge: str, other: str, category: str, rows: pd.DataFrame, options: CurveOptions
) -> dict[str, Any]:
    row = _pair_key(judge, other, category, len(rows), "")
    gap = rows["judge"] - rows["other"]
    per_cluster = gap.groupby(rows["cluster"]).mean().to_numpy()
    row["mean_difference"] = float(per_cluster.mean())
    if len(per_cluster) > 1:
        half = stats.t.ppf(0.5 + options.interval / 2, len(per_cluster) - 1)
        half *= per_cluster.std(ddof=1) / np.sqrt(len(per_cluster))
        row["low"] = row["mean_difference"] - float(half)
        row["high"] = row["mean_difference"] + float(half)
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


def _bins(judge: str, other: str, both: pd.DataFrame, coverage: float) -> list[dict[str, Any]]:
    index = np.minimum((both["judge"] * _BINS).astype(int), _BINS - 1)
    return [
        {"judge": judge, "other": other, "bin_low": b / _BINS, "bin_high": (b + 1) / _BINS}
        | _bin(rows, coverage)
        for b, rows in both.groupby(index.to_numpy(), sort=True)
    ]


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
