"""A score table as arrays: runs crossed with items, one array per judge, arm and category."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

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
        few_shot: (items,) scores of the untuned base with so many examples in the prompt, averaged
            over its runs, by their number.
    """

    values: np.ndarray
    base: np.ndarray | None
    items: np.ndarray
    clusters: np.ndarray
    few_shot: dict[int, np.ndarray] = field(default_factory=dict)


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
    examples = table["shots"] > 0 if "shots" in table else pd.Series(False, index=table.index)
    few = table[examples] if examples.any() else table.iloc[:0]
    mean = _means(table[~examples] if len(few) else table, ["scale", "seed"])
    arrays = [
        _build(str(judge), str(arm), rows) for (judge, arm), rows in mean.groupby(["judge", "arm"])
    ]
    return [_with_few_shot(array, few) for array in arrays] if len(few) else arrays


def _means(table: pd.DataFrame, run: list[str]) -> pd.DataFrame:
    """The mean over the repeats of each item in each run."""
    key = ["judge", "arm", "category", "cluster", "item", *run]
    return table.groupby(key, sort=True, observed=True)["score"].mean().reset_index()


def _with_few_shot(array: ScoreArray, few: pd.DataFrame) -> ScoreArray:
    own = few[(few["judge"] == array.judge) & (few["arm"] == array.arm)]
    by_item = own.groupby(["category", "shots", "item"], observed=True)["score"].mean()
    found: dict[str, dict[int, np.ndarray]] = {name: {} for name in array.categories}
    for (name, shots), part in by_item.groupby(level=["category", "shots"]):
        scores = part.droplevel(["category", "shots"]).reindex(array.categories[name].items)
        found[name][int(shots)] = scores.to_numpy()
    categories = {
        name: replace(scores, few_shot=found[name]) for name, scores in array.categories.items()
    }
    return replace(array, categories=categories)


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
