"""Time and memory of the whole analysis against a plain loop of scipy.stats.bootstrap.

`python -m benchmarks.analysis_speed [--quick]` makes a score table of 12 categories x 8 scales x
5 seeds x 200 items x 3 repeats, and compares two programs that compute intervals from it:

analysis   every table of `instruct-scaling curves`
loop       per category: scipy.stats.bootstrap over items of the mean at each scale and of the
           tail slope, 2,000 resamples each; no seeds, no verdicts, no other table

Each runs in a process of its own. Writes benchmarks/results/analysis_speed.json.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.inference.contrasts import tail_weights
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from analysis.scores import read_scores
from analysis.tables import write_tables
from benchmarks.harness import measure_once, run_benchmark
from benchmarks.simulated_study import Design, simulate, truth

REPLICATES = 2000
CATEGORIES, REPEATS = 12, 3


def make_table(path: Path, design: Design) -> int:
    """Write a Parquet score table of the given design; returns its number of rows."""
    rng = np.random.default_rng(0)
    index = np.indices((design.scales, design.seeds, design.items, REPEATS)).reshape(4, -1)
    parts = []
    for category in range(CATEGORIES):
        scores = simulate(truth("saturating", design.scales), design, rng)
        repeated = scores[..., None] + rng.normal(0, 0.03, (*scores.shape, REPEATS))
        parts.append(
            pd.DataFrame(
                {
                    "study": "speed",
                    "arm": "full",
                    "scale": design.ladder.astype(int)[index[0]],
                    "seed": index[1],
                    "category": f"category-{category:02d}",
                    "item": [f"{category:02d}-{i:04d}" for i in index[2]],
                    "judge": "judge",
                    "judge_version": "1",
                    "repeat": index[3],
                    "score": repeated.clip(0, 1).reshape(-1),
                    "status": "ok",
                }
            )
        )
    table = pd.concat(parts)
    table.to_parquet(path)
    return len(table)


def whole_analysis(path: Path) -> Callable[[], None]:
    """Every table of the analysis, written to disk."""
    options = CurveOptions()
    return lambda: write_tables(analyze(read_scores(path), options), path.parent / "tables")


def plain_loop(path: Path) -> Callable[[], None]:
    """What a user would write first: items only, category by category."""
    return lambda: _bootstrap_each_mean(path)


def _bootstrap_each_mean(path: Path) -> None:
    table = pd.read_parquet(path)
    for _, rows in table.groupby("category"):
        means = rows.pivot_table(index="item", columns="scale", values="score")
        weights = tail_weights(means.columns.to_numpy(float))
        samples = [means[scale].to_numpy() for scale in means.columns]
        for sample in [*samples, means.to_numpy() @ weights]:
            stats.bootstrap(
                (sample,),
                np.mean,
                n_resamples=REPLICATES,
                confidence_level=0.9,
                method="percentile",
                rng=np.random.default_rng(0),
            )


def compare(quick: bool) -> dict[str, Any]:
    """Seconds and peak memory of both programs on the same table, and their ratios."""
    design = Design("graded", 200, 2, 5) if quick else Design("graded", 200, 5, 8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.parquet"
        rows = make_table(path, design)
        measured = {
            "analysis": measure_once(whole_analysis, path),
            "loop": measure_once(plain_loop, path),
        }
    ratios = {
        name: measured["analysis"][name] / measured["loop"][name]
        for name in ("seconds", "peak_bytes")
    }
    return {"rows": rows, "measured": measured, "analysis_over_loop": ratios}


def table(results: dict[str, Any]) -> str:
    """The measurements as text."""
    found = results["speed"]
    ratios = found["analysis_over_loop"]
    lines = [f"{found['rows']:,} rows; {REPLICATES} replicates"]
    lines += [
        f"{name:<9}{part['seconds']:6.2f} s, peak {part['peak_bytes'] / 2**20:.0f} MiB "
        f"({part['extra_bytes'] / 2**20:.0f} MiB more than after the imports)"
        for name, part in found["measured"].items()
    ]
    lines.append(
        f"analysis / loop: time {ratios['seconds']:.2f}, peak memory {ratios['peak_bytes']:.2f}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    run_benchmark(
        "analysis_speed",
        __doc__.split("\n")[0],
        {"speed": compare},
        table,
        packages=("numpy", "pandas", "scipy"),
    )
