"""Score tables of every odd kind: few items, equal scores, one seed, near 0 and 1, missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.options import CurveOptions

_SCALES = (1, 2, 3, 10, 250, 500, 1000, 2000, 4000, 8000)
_COLUMNS = ["arm", "scale", "seed", "category", "item", "cluster", "judge", "repeat", "score"]


def random_table(seed: int) -> tuple[pd.DataFrame, CurveOptions]:
    """A table and options; the same for the same seed."""
    rng = np.random.default_rng(seed)
    arms, categories = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    shape = {
        "items": int(rng.choice([1, 2, 3, 8, 40])),
        "seeds": int(rng.choice([1, 1, 2, 3, 5])),
        "judges": int(rng.choice([1, 1, 2])),
        "repeats": int(rng.choice([1, 1, 2])),
    }
    points = _points(rng, shape["seeds"])
    kind = str(rng.choice(["graded", "binary", "constant", "coarse"]))
    run_sd, clustered = float(rng.choice([0, 0.01, 0.05])), rng.random() < 0.3
    rows: list[tuple[Any, ...]] = []
    for arm in range(arms):
        for category in range(categories):
            easiness = rng.normal(0, rng.choice([0, 0.2]), shape["items"])
            level = float(rng.choice([0, 0.02, 0.1, 0.5, 0.97, 1]))
            slope = float(rng.choice([0, 0, 0.03, -0.02]))
            for scale, run in points:
                center = level + slope * np.log2(max(scale, 1)) + rng.normal(0, run_sd) + easiness
                scores = _scores(kind, np.clip(center, 0, 1), level, rng)
                rows += [
                    (
                        *(f"a{arm}", scale, run, f"c{category}", f"c{category}-{i}"),
                        f"c{category}-{i // 3}" if clustered else "",
                        *(f"j{judge}", repeat, score),
                    )
                    for judge in range(shape["judges"])
                    for repeat in range(shape["repeats"])
                    for i, score in enumerate(scores)
                ]
    table = pd.DataFrame(rows, columns=_COLUMNS).assign(status="ok")
    table.loc[_missing(table, rng), ["score", "status"]] = [np.nan, "timeout"]
    return _with_examples(table, np.random.default_rng([seed, 1])), _options(arms, rng)


def _points(rng: np.random.Generator, seeds: int) -> list[tuple[int, int]]:
    """(scale, seed) of every run: at times with a base model, at times with a run left out."""
    scales = np.sort(rng.choice(_SCALES, int(rng.integers(1, 7)), replace=False))
    points = [(0, 0)] if rng.random() < 0.4 else []
    points += [(int(scale), run) for scale in scales for run in range(seeds)]
    if rng.random() < 0.15 and len(points) > 2:
        points.pop()
    return points


def _scores(kind: str, p: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    if kind == "graded":
        return np.clip(p + rng.normal(0, 0.1, len(p)), 0, 1)
    if kind == "binary":
        return (rng.random(len(p)) < p).astype(float)
    if kind == "constant":
        return np.full(len(p), 0.3 if rng.random() < 0.05 else level)
    return np.round(p, 1)


def _missing(table: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Which scores are missing: none, some at random, wrong ones, most of the last scale, all of
    a category."""
    kind = rng.choice(["none", "random", "wrong", "last", "all"], p=[0.4, 0.2, 0.2, 0.15, 0.05])
    chance = rng.random(len(table))
    return {
        "none": np.zeros(len(table), bool),
        "random": chance < rng.choice([0.02, 0.3]),
        "wrong": (table["score"].to_numpy() < 0.5) & (chance < 0.5),
        "last": (table["scale"] == table["scale"].max()).to_numpy() & (chance < 0.8),
        "all": (table["category"] == "c0").to_numpy(),
    }[str(kind)]


def _with_examples(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """At times with answers of the base that had examples in its prompt."""
    base = table[table["scale"] == 0]
    parts = [table.assign(shots=0)]
    for shots in (1, 8):
        if rng.random() < 0.4:
            score = np.where(rng.random(len(base)) < 0.8, base["score"], rng.random(len(base)))
            parts.append(base.assign(shots=shots, score=score))
    return pd.concat(parts, ignore_index=True)


def _options(arms: int, rng: np.random.Generator) -> CurveOptions:
    chosen: dict[str, Any] = {"fit_draws": 50}
    if rng.random() < 0.2:
        chosen["run_sd"] = 0.01
    if rng.random() < 0.2:
        chosen["corrected"] = "all"
    if arms == 2 and rng.random() < 0.3:
        chosen["sizes"] = {"a0": 1e6, "a1": 1e7}
    return CurveOptions(**chosen)
