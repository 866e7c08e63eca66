"""Stage subset_overlap: which part of their records the subsets of two seeds have in common.

Reads `runs.csv` and the subsets that it names; writes `tables/subset_overlap.csv`, one row per
pool, selection and scale. A seed's effect on a score can hold the choice of records only as far as
the seeds' subsets differ: at a scale as large as the pool, seeds measure training alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path
from instruct_scaling.config.runs import RunRow, read_runs
from instruct_scaling.data.subset import read_facts

COLUMNS = {
    "pool": "the pool",
    "selection": "kind of the selection, with a hash of its keys unless it is uniform",
    "arms": "arms that train on these subsets, separated by `; `",
    "scale": "n: distinct records of a subset",
    "pool_records": "N: records of the pool without validation records",
    "share_of_pool": "n / N: what two uniform subsets are expected to have in common",
    "subsets": "subsets of this scale, one for each seed that draws",
    "in_common": "share of a subset's records that another seed's has too, mean over pairs of "
    "seeds; empty with one subset",
}


def overlap_rows(runs: Sequence[RunRow]) -> list[dict[str, Any]]:
    """The rows of the table, by pool, selection and scale; columns see `COLUMNS`.

    Raises:
        InputError: a subset is missing or states no `pool_records`.
    """
    arms: dict[Path, set[str]] = defaultdict(set)
    paths: dict[Path, list[Path]] = defaultdict(list)
    for run in runs:
        if run.subset is not None:
            folder = run.subset.parent  # .../POOL/SELECTION/nSCALE
            arms[folder].add(run.arm)
            if run.subset not in paths[folder]:
                paths[folder].append(run.subset)
    rows = [_row(folder, sorted(arms[folder]), _by_seed(files)) for folder, files in paths.items()]
    return sorted(rows, key=lambda row: (row["pool"], row["selection"], row["scale"]))


def _by_seed(files: Sequence[Path]) -> list[Path]:
    """One file for each seed: where seeds do not draw, the files of all labels are the same."""
    return list({_facts(path)["seed"]: path for path in files}.values())


def _facts(path: Path) -> dict[str, str]:
    if not path.exists():
        raise InputError("no such file", where=path, fix="run the stage subset")
    facts = read_facts(path)
    if not {"seed", "pool_records"} <= facts.keys():
        raise InputError(
            "not a subset of this version", where=path, fix="run the stage subset again"
        )
    return facts


def _row(folder: Path, arms: Sequence[str], files: Sequence[Path]) -> dict[str, Any]:
    ids = [pq.read_table(path, columns=["id"])["id"] for path in files]
    scale, records = len(ids[0]), int(_facts(files[0])["pool_records"])
    pairs = [_in_common(one, other) for one, other in combinations(ids, 2)]
    return {
        "pool": folder.parent.parent.name,
        "selection": folder.parent.name,
        "arms": "; ".join(arms),
        "scale": scale,
        "pool_records": records,
        "share_of_pool": scale / records,
        "subsets": len(files),
        "in_common": sum(pairs) / len(pairs) if pairs else None,
    }


def _in_common(one: pa.ChunkedArray, other: pa.ChunkedArray) -> float:
    return pc.sum(pc.is_in(one, value_set=other)).as_py() / len(one)


def subset_overlap(
    runs: Annotated[Path, typer.Option(help="Table of runs (runs.csv).")],
    out: Annotated[Path, typer.Option(help="Table to write (subset_overlap.csv).")],
) -> None:
    """Measure what the subsets of different seeds have in common."""
    table = pd.DataFrame(overlap_rows(read_runs(runs)), columns=list(COLUMNS))
    with atomic_path(out) as temporary:
        table.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")
