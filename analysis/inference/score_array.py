"""A score table as arrays: runs crossed with items, one array per judge, arm and category."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.errors import InputError


@dataclass(frozen=True)
class CategoryScores:
    """Scores of one category, judge repeats averaged.

    Attributes:
        values: (scales, seeds, items); NaN where no repeat gave a score, or where there is no
            such run.
        base: (items,) scores of the untuned base model, averaged over its runs, or None.
        items: (items,) names, sorted.
        clusters: (items,) cluster of each item as 0..G-1.
    """

    values: np.ndarray
    base: np.ndarray | None
    items: np.ndarray
    clusters: np.ndarray


@dataclass(frozen=True)
class ScoreArray:
    """All scores of one arm by one judge.

    Attributes:
        scales: (K,) tuned scales, rising; the base model is not among them.
        seeds: (S,) seeds of any scale.
        runs: (K, S) which runs there are: a scale may have fewer seeds than another.
        categories: scores by category, sorted by name.
    """

    judge: str
    arm: str
    scales: np.ndarray
    seeds: np.ndarray
    runs: np.ndarray
    categories: dict[str, CategoryScores]


def build_score_arrays(table: pd.DataFrame) -> list[ScoreArray]:
    """Arrays of a checked score table (`scores.check_scores`), sorted by judge and arm.

    Raises:
        InputError: an arm has no tuned scale.
    """
    mean = (
        table.groupby(
            ["judge", "arm", "category", "cluster", "item", "scale", "seed"],
            sort=True,
            observed=True,
        )["score"]
        .mean()
        .reset_index()
    )
    return [
        _build(str(judge), str(arm), rows) for (judge, arm), rows in mean.groupby(["judge", "arm"])
    ]


def _build(judge: str, arm: str, rows: pd.DataFrame) -> ScoreArray:
    tuned = rows[rows["scale"] > 0]
    if tuned.empty:
        raise InputError(
            "there are scores of the base model only",
            where=f"arm {arm}, judge {judge}",
            fix="add at least one tuned scale",
        )
    scales = np.sort(tuned["scale"].unique())
    seeds = np.sort(tuned["seed"].unique())
    runs = np.zeros((len(scales), len(seeds)), bool)
    runs[np.searchsorted(scales, tuned["scale"]), np.searchsorted(seeds, tuned["seed"])] = True
    return ScoreArray(
        judge=judge,
        arm=arm,
        scales=scales,
        seeds=seeds,
        runs=runs,
        categories={
            str(name): _category(part, scales, seeds) for name, part in rows.groupby("category")
        },
    )


def _category(rows: pd.DataFrame, scales: np.ndarray, seeds: np.ndarray) -> CategoryScores:
    names = rows[["item", "cluster"]].drop_duplicates("item").sort_values("item")
    items = names["item"].to_numpy(dtype=object)
    clusters = np.unique(names["cluster"].to_numpy(dtype=object), return_inverse=True)[1]
    tuned = rows[rows["scale"] > 0]
    values = np.full((len(scales), len(seeds), len(items)), np.nan)
    values[
        np.searchsorted(scales, tuned["scale"].to_numpy()),
        np.searchsorted(seeds, tuned["seed"].to_numpy()),
        pd.Index(items).get_indexer(tuned["item"]),
    ] = tuned["score"].to_numpy()
    untuned = rows[rows["scale"] == 0]
    base = None
    if not untuned.empty:
        base = untuned.groupby("item")["score"].mean().reindex(items).to_numpy()
    return CategoryScores(values, base, items, clusters)
