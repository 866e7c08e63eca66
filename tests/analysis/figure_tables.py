"""Small studies as tables, for the figure tests: made up, with the columns of the contracts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

PAPER = (
    *("math", "code", "cot", "classification", "extraction", "rewrite", "open_qa", "closed_qa"),
    *("generation", "brainstorming", "translation", "summarization"),
)
VERDICTS = ("improving", "plateaued", "flat", "non-monotone", "undetermined")


def curves(
    scales: tuple[int, ...] = (0, 250, 1000, 4000, 16000),
    categories: tuple[str, ...] = PAPER,
    arms: tuple[str, ...] = ("full",),
    judges: tuple[str, ...] = ("metric",),
    seeds: int = 2,
) -> pd.DataFrame:
    """A curves table whose scores rise with a speed that depends on the category."""
    random = np.random.default_rng(7)
    rows = []
    for judge in judges:
        for a, arm in enumerate(arms):
            for c, category in enumerate((*categories, "overall")):
                for scale in scales:
                    rise = np.log1p(scale / 200) / 5 * (0.15 + 0.85 * ((c * 5) % 12) / 12)
                    mean = float(np.clip(0.05 + rise - 0.05 * a + random.normal(0, 0.012), 0, 1))
                    half = 0.02 + 0.12 * np.sqrt(mean * (1 - mean))
                    rows.append(
                        {
                            "judge": judge,
                            "arm": arm,
                            "category": category,
                            "scale": scale,
                            "mean": mean,
                            "low": max(0, mean - half),
                            "high": min(1, mean + half),
                            "n_items": 40 + c,
                            "n_seeds": 1 if scale == 0 else seeds,
                            "n_missing": 0,
                            "bound_low": np.nan,
                            "bound_high": np.nan,
                            "boot_low": np.nan,
                            "boot_high": np.nan,
                            "noise": "items and runs",
                            "note": "",
                        }
                    )
    return pd.DataFrame(rows)


def verdicts(curve: pd.DataFrame) -> pd.DataFrame:
    """A verdict row for every curve; the five verdicts take turns."""
    groups = curve[["judge", "arm", "category"]].drop_duplicates().reset_index(drop=True)
    slope = np.linspace(-0.03, 0.06, len(groups))
    return groups.assign(
        verdict=[VERDICTS[i % 5] for i in range(len(groups))],
        ladder="improved",
        tail_slope=slope,
        tail_low=slope - 0.02,
        tail_high=slope + 0.02,
        margin=0.02,
        range_margin=0.04,
        n_items=40,
        n_seeds=2,
        detectable=0.03,
        items_needed=300,
        seeds_needed=3,
        noise="items and runs",
        note="",
    )


def write(folder: Path, **tables: pd.DataFrame) -> Path:
    """Write each table as NAME.csv and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def audit(path: Path) -> Path:
    """A pool audit in which 52,000 rows pass four steps."""
    steps: list[tuple[str, dict[str, int]]] = [
        ("read", {"broken": 3}),
        ("filters", {"too_short": 700, "too_long": 500, "language": 0}),
        ("deduplicate", {"exact": 512, "near": 2047}),
        ("decontaminate", {"overlap": 0}),
    ]
    left, rows = 52000, []
    for name, reasons in steps:
        left -= sum(reasons.values())
        counted = {reason: {"count": count, "examples": []} for reason, count in reasons.items()}
        rows.append(
            {"name": name, "removed": sum(reasons.values()), "kept": left, "reasons": counted}
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"read": 52000, "kept": left, "steps": rows}), "utf-8")
    return path


def study() -> dict[str, pd.DataFrame]:
    """The tables of a whole small study."""
    curve = curves()
    return {"curves": curve, "verdicts": verdicts(curve)}
