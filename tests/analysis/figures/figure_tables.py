"""Small studies as tables, for the figure tests: made up, with the columns of the contracts."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

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
                            "high": min(1, mean + 0.6 * half),
                            "n_items": 40 + c,
                            "n_seeds": 1 if scale == 0 else seeds,
                            "n_missing": 0,
                            "bound_low": np.nan,
                            "bound_high": np.nan,
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
        tail_high=slope + 0.015,
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
        ("filter", {"too_short": 700, "too_long": 500, "language": 0}),
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


def extrapolation(curve: pd.DataFrame) -> pd.DataFrame:
    """Fits and fans; every fourth category is refused, for one of two reasons."""
    rows = []
    tuned = curve[curve["scale"] > 0]
    for index, (key, part) in enumerate(tuned.groupby(["judge", "arm", "category"], sort=False)):
        row = dict(zip(("judge", "arm", "category"), key, strict=True))
        if index % 4 == 3:
            reason = ("the curve is not monotone", "no family fits")[index // 4 % 2]
            rows.append({**row, "status": "refused", "reason": reason})
            continue
        last = part.iloc[-1]
        first = float(part["scale"].min())
        for factor in np.geomspace(first / last["scale"], 4, 12):
            mean = np.clip(last["mean"] + 0.03 * np.log2(factor), 0, 1)
            half = 0.02 + 0.02 * max(0.0, np.log2(factor))
            rows.append(
                {
                    **row,
                    "scale": last["scale"] * factor,
                    "factor": factor,
                    "mean": mean,
                    "low": max(0, mean - half),
                    "high": min(1, mean + half),
                    "families": "saturating power law; logit-linear",
                    "status": "fit" if factor <= 1 else "extrapolated",
                    "reason": "" if factor <= 1 else "if nothing changes regime",
                }
            )
        rows.append(
            {
                **row,
                "scale": 10 * last["scale"],
                "factor": 10,
                "status": "refused",
                "reason": "beyond 4 times the largest scale",
            }
        )
    return pd.DataFrame(rows)


def comparisons(curve: pd.DataFrame) -> pd.DataFrame:
    """Every pair of arms at every scale."""
    tuned = curve[curve["scale"] > 0]
    keys = tuned[["judge", "category", "scale"]].drop_duplicates()
    pairs = list(itertools.combinations(curve["arm"].drop_duplicates(), 2))
    tables = [
        keys.assign(
            arm_a=a,
            arm_b=b,
            difference=0.02 * i - 0.01,
            low=0.02 * i - 0.04,
            high=0.02 * i + 0.02,
            p_value=0.2,
            p_holm=1.0,
            n_items=40,
            n_seeds=2,
            noise="items and seeds",
            note="",
        )
        for i, (a, b) in enumerate(pairs)
    ]
    columns = ["judge", "category", "scale", "arm_a", "arm_b", "difference", "low", "high"]
    return pd.concat([pd.DataFrame(columns=[*columns, "p_holm", "n_items", "n_seeds"]), *tables])


def variance(curve: pd.DataFrame) -> pd.DataFrame:
    """Four components for every curve."""
    shares = {"item": 0.6, "run": 0.04, "item_x_run": 0.21, "judge": 0.15}
    groups = curve[["judge", "arm", "category"]].drop_duplicates()
    return pd.concat(
        groups.assign(component=name, variance=0.1 * share, share=share, note="")
        for name, share in shares.items()
    )


def judges(curve: pd.DataFrame) -> pd.DataFrame:
    """Each judge's own rows and those of every pair."""
    names, categories = curve["judge"].unique(), curve["category"].unique()
    rows = []
    for category in categories:
        rows += [
            {
                "judge": name,
                "other": "",
                "category": category,
                "n": 900,
                "missing_share": 0.01,
                "repeats": 3,
                "repeat_sd": 0.06 + 0.01 * i,
            }
            for i, name in enumerate(names)
        ]
        rows += [
            {
                "judge": a,
                "other": b,
                "category": category,
                "n": 300,
                "mean_difference": 0.03,
                "low": 0.0,
                "high": 0.06,
                "agreement": 0.9,
                "kappa": 0.7,
                "spearman": 0.6,
            }
            for a, b in itertools.combinations(names, 2)
        ]
    columns = [
        "judge",
        "other",
        "category",
        "n",
        "missing_share",
        "repeats",
        "repeat_sd",
        "mean_difference",
        "low",
        "high",
        "agreement",
        "kappa",
        "spearman",
        "note",
    ]
    return pd.DataFrame(rows, columns=columns)


def judge_bins(curve: pd.DataFrame) -> pd.DataFrame:
    """Ten bins for every ordered pair of judges."""
    rows = [
        {
            "judge": a,
            "other": b,
            "bin_low": i / 10,
            "bin_high": (i + 1) / 10,
            "n": 50 + 20 * i,
            "mean_judge": (i + 0.5) / 10,
            "mean_other": ((i + 0.5) / 10) ** 1.3,
            "low": ((i + 0.5) / 10) ** 1.3 - 0.03,
            "high": ((i + 0.5) / 10) ** 1.3 + 0.03,
        }
        for a, b in itertools.permutations(curve["judge"].unique(), 2)
        for i in range(10)
    ]
    columns = ["judge", "other", "bin_low", "bin_high", "n", "mean_judge", "mean_other"]
    return pd.DataFrame(rows, columns=[*columns, "low", "high"])


def plan(curve: pd.DataFrame) -> pd.DataFrame:
    """Five numbers of items times five numbers of seeds for every curve."""
    groups = curve[["judge", "arm", "category"]].drop_duplicates()
    return pd.concat(
        groups.assign(
            items=items,
            seeds=seeds,
            answers=1,
            repeats=1.0,
            scales=4,
            slope_se=0.01,
            df=5.0,
            power=0.8,
            detectable=0.3 / np.sqrt(items * seeds),
            power_flat=0.5,
            power_margin=0.9,
            runs=seeds * 4,
            judgements=seeds * 4 * items,
            noise="measured: items and seeds",
        )
        for items, seeds in itertools.product((50, 100, 200, 400, 800), (1, 2, 3, 5, 8))
    )


def validation_loss(curve: pd.DataFrame) -> pd.DataFrame:
    """Losses of two seeds that fall with scale, and those of the base before each run."""
    tuned = curve.loc[(curve["judge"] == curve["judge"].iloc[0]) & (curve["scale"] > 0)]
    rows = []
    for index, row in enumerate(tuned.itertuples()):
        for seed in (1, 2):
            fall = 0.3 * np.log1p(row.scale / 200) * (1 + 0.1 * (index % 5))
            for fraction, loss in ((0, 4.0), (0.5, 4 - 0.7 * fall), (1, 4 - fall + 0.05 * seed)):
                rows.append(
                    {
                        **{"arm": row.arm, "scale": row.scale, "seed": seed, "fraction": fraction},
                        **{"step": int(100 * fraction), "category": row.category, "loss": loss},
                        **{"records": 20, "supervised_tokens": 800},
                    }
                )
    return pd.DataFrame(rows)


def intermediate_scores(curve: pd.DataFrame) -> pd.DataFrame:
    """Three intermediate checkpoints of two runs per scale, between 0.05 and the mean there."""
    tuned = curve.loc[curve["scale"] > 0, ["judge", "arm", "category", "scale", "mean", "n_items"]]
    parts = []
    for seed in (1, 2):
        for fraction in (0.25, 0.5, 0.75):
            reached = 0.05 + (tuned["mean"] - 0.05) * (0.9 * fraction + 0.03 * seed)
            parts.append(
                tuned.assign(
                    seed=seed,
                    fraction=fraction,
                    mean=reached,
                    low=(reached - 0.05).clip(0, 1),
                    high=(reached + 0.05).clip(0, 1),
                    examples_seen=2 * tuned["scale"] * fraction,
                    run_examples=2 * tuned["scale"],
                )
            )
    return pd.concat(parts)


def curves_by_tag(curve: pd.DataFrame) -> pd.DataFrame:
    """The curves apart by language: two values of different height and number of items."""
    columns = ["judge", "arm", "category", "scale", "mean", "low", "high", "n_items", "n_seeds"]
    parts = []
    for value, factor, items in (("en", 1.0, 30), ("zh", 0.8, 10)):
        part = curve[columns].assign(tag="language", value=value, n_items=items, noise="", note="")
        parts.append(part.assign(**{name: factor * part[name] for name in ("mean", "low", "high")}))
    return pd.concat(parts, ignore_index=True)


def sufficient(curve: pd.DataFrame) -> pd.DataFrame:
    """A sufficient scale in three of four categories; every fifth could not be tested."""
    groups = curve[["judge", "arm", "category"]].drop_duplicates().reset_index(drop=True)
    scales = sorted(curve.loc[curve["scale"] > 0, "scale"].unique())
    index = groups.index.to_numpy()
    shown, tested = index % 4 != 3, index % 5 != 4
    gain = np.where(shown, 0.005, 0.03)
    return groups.assign(
        scale=np.where(shown & tested, [scales[i % (len(scales) - 1)] for i in index], np.nan),
        gain=np.where(tested, gain, np.nan),
        gain_upper=np.where(tested, gain + 0.02, np.nan),
        margin=0.04,
        n_items=40,
        n_seeds=2,
    )


def base_comparison(curve: pd.DataFrame) -> pd.DataFrame:
    """The base without and with 5 examples in its prompt against the largest scale."""
    tuned = curve[curve["scale"] == curve["scale"].max()]
    parts = [
        tuned[["judge", "arm", "category", "scale", "mean"]].assign(
            shots=shots, other_shots=0, which="largest", base_mean=0.05 + 0.03 * shots
        )
        for shots in (0, 5)
    ]
    return pd.concat(parts, ignore_index=True)


def axes(curve: pd.DataFrame) -> pd.DataFrame:
    """The curves against records, tokens and FLOPs; each record is seen twice."""
    columns = ["judge", "arm", "category", "scale", "mean", "low", "high", "n_items", "n_seeds"]
    parts = [
        curve[columns].assign(axis=axis, x=factor * curve["scale"], epochs=2.0)
        for axis, factor in {"records": 1, "tokens": 500, "training_flops": 6e9}.items()
    ]
    return pd.concat(parts, ignore_index=True)


def study(**shape: Any) -> dict[str, pd.DataFrame]:
    """All tables of a study whose `curves` have this shape."""
    curve = curves(**shape)
    makers = (
        verdicts,
        sufficient,
        base_comparison,
        extrapolation,
        comparisons,
        variance,
        judges,
        judge_bins,
        plan,
        validation_loss,
        intermediate_scores,
        curves_by_tag,
        axes,
    )
    return {"curves": curve} | {maker.__name__: maker(curve) for maker in makers}
