"""Small score tables with known properties, for the tests of the analysis."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.scores import check_scores

LADDER = (250, 500, 1000, 2000, 4000)


def table(
    means: dict[str, list[float]],
    *,
    scales: tuple[int, ...] = LADDER,
    seeds: int = 3,
    items: int = 30,
    repeats: int = 1,
    arms: tuple[str, ...] = ("full",),
    judges: tuple[str, ...] = ("exact",),
    noise: float = 0.05,
    run_sd: float = 0.005,
    base: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """A table of random scores around the given means (one list over scales per category)."""
    rng = np.random.default_rng(seed)
    rows = []
    for arm in arms:
        for category, curve in means.items():
            easiness = rng.normal(0, 0.1, items)
            points = [(0, curve[0] - 0.05)] if base else []
            for scale, mean in [*points, *zip(scales, curve, strict=True)]:
                for run in range(1 if scale == 0 else seeds):
                    scores = mean + easiness + rng.normal(0, run_sd) + rng.normal(0, noise, items)
                    rows += [
                        {
                            "study": "made",
                            "arm": arm,
                            "scale": scale,
                            "seed": run,
                            "category": category,
                            "item": f"{category}-{i:03d}",
                            "judge": judge,
                            "judge_version": "1",
                            "repeat": repeat,
                            "score": float(
                                np.clip(score + (rng.normal(0, 0.02) if repeats > 1 else 0), 0, 1)
                            ),
                            "status": "ok",
                        }
                        for judge in judges
                        for i, score in enumerate(scores)
                        for repeat in range(repeats)
                    ]
    return pd.DataFrame(rows)


def checked(*args: object, **kwargs: object) -> pd.DataFrame:
    """A table as the analysis reads it."""
    return check_scores(table(*args, **kwargs))
