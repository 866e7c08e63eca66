"""What the subsets of two seeds have in common, as the report states it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from instruct_scaling.reporting.report.tables import Row

SAME = 0.995
"""From this share in common on two subsets count as the same records."""
MUCH = 0.5
"""From this share in common on the report names it as a limit."""


def read_overlap(path: Path) -> list[Row]:
    """One entry per pool and selection from subset_overlap.csv; none without the file.

    Returns:
        `pool`, `arms` (a list; selections of one pool with equal figures are one entry), `records`
        of the pool, `scales`, `shares` (n / N) and `in_common` of each scale (empty with one
        subset), `same` and `much`: the scales at which two seeds have all, or most, of their
        records in common.
    """
    if not path.exists():
        return []
    table = pd.read_csv(path, dtype={"pool": str, "selection": str, "arms": str})
    groups = table.groupby(["pool", "selection"], sort=False)
    found: list[Row] = []
    for (pool, _), part in groups:
        entry = _entry(str(pool), part)
        equal = [one for one in found if one | {"arms": []} == entry | {"arms": []}]
        if equal:
            equal[0]["arms"] = sorted(equal[0]["arms"] + entry["arms"])
        else:
            found.append(entry)
    return found


def _entry(pool: str, rows: pd.DataFrame) -> dict[str, Any]:
    in_common = rows["in_common"]
    return {
        "pool": pool,
        "arms": str(rows["arms"].iloc[0]).split("; "),
        "records": int(rows["pool_records"].iloc[0]),
        "scales": rows["scale"].tolist(),
        "shares": rows["share_of_pool"].tolist(),
        "in_common": [] if in_common.isna().any() else in_common.tolist(),
        "same": rows.loc[in_common >= SAME, "scale"].tolist(),
        "much": rows.loc[(in_common >= MUCH) & (in_common < SAME), "scale"].tolist(),
    }
