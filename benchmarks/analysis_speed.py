"""Time and memory of the whole analysis against a plain loop of scipy.stats.bootstrap.

`python -m benchmarks.analysis_speed [--quick]` makes a score table of 12 categories x 8 scales x
5 seeds x 200 items x 3 repeats, and compares two programs that compute intervals from it:

analysis   every table of `instruct-scaling curves`, 2,000 joint bootstrap replicates
loop       per category: scipy.stats.bootstrap over items of the mean at each scale and of the
           tail slope, 2,000 resamples each; no seeds, no verdicts, no other table

Each runs in a process of its own. Writes benchmarks/results/analysis_speed.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
from scipy import stats

from analysis.inference.contrasts import tail_weights
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from analysis.scores import read_scores
from analysis.tables import write_tables
from benchmarks.simulated_study import Design, simulate, truth

RESULT = Path(__file__).parent / "results" / "analysis_speed.json"
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


def whole_analysis(path: Path) -> None:
    """Every table of the analysis, written to disk."""
    options = CurveOptions(bootstrap_replicates=REPLICATES)
    write_tables(analyze(read_scores(path), options), path.parent / "tables")


def plain_loop(path: Path) -> None:
    """What a user would write first: items only, category by category."""
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


def _child(work: Callable[[Path], None], path: Path, pipe: object) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    work(path)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send((seconds, (after - before) / 1024, after / 1024))
    pipe.close()


def measure(work: Callable[[Path], None], path: Path) -> dict[str, float]:
    """Seconds, MiB added to the process and peak MiB of one run in a fresh process."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(work, path, sender))
    process.start()
    sender.close()
    seconds, added, peak = receiver.recv()
    process.join()
    return {"seconds": seconds, "added_mib": added, "peak_mib": peak}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analysis_speed")
    parser.add_argument("--quick", action="store_true", help="a third of the seeds and scales")
    arguments = parser.parse_args()
    design = Design("graded", 200, 2, 5) if arguments.quick else Design("graded", 200, 5, 8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.parquet"
        rows = make_table(path, design)
        found = {"analysis": measure(whole_analysis, path), "loop": measure(plain_loop, path)}
    ratios = {
        name: found["analysis"][name] / found["loop"][name] for name in ("seconds", "peak_mib")
    }
    print(f"{rows:,} rows; {REPLICATES} replicates")
    print(pd.DataFrame(found).T.round(2).to_string())
    print(f"analysis / loop: time {ratios['seconds']:.2f}, peak memory {ratios['peak_mib']:.2f}")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "quick": arguments.quick,
        "rows": rows,
        "measured": found,
        "analysis_over_loop": ratios,
        "versions": {"python": platform.python_version(), "numpy": np.__version__}
        | {"scipy": scipy.__version__, "pandas": pd.__version__},
        "machine": platform.machine(),
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
