"""estimand.csv: of what the intervals of each table speak.

Runs of one study share its pool and its recipe, and two seeds' subsets of a pool of N records have
about n / N of them in common, so that run noise holds the choice of data only in part, the less the
larger the scale: variance between seeds = data (1 - n / N) + training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import InputError
from analysis.tables import SCHEMAS

RUNS = "new items like these and new runs of this recipe on this pool"
THESE_RUNS = "new items like these and the very runs that were made"
ITEMS = "new items like these, answered by the models at hand"
LAW = f"{RUNS}, if one of the fitted families holds"
OF_TABLE = {
    "judges": ITEMS,
    "judge_bins": ITEMS,
    "extrapolation": LAW,
    "fits": LAW,
    "needs": LAW,
    "joint": LAW,
}
"""What the intervals of a table speak of, where it is not RUNS."""
OVERLAP = ("arms", "scale", "share_of_pool", "subsets", "in_common")


def read_overlap(path: Path) -> pd.DataFrame:
    """A table of what two seeds' subsets have in common (subset_overlap.csv).

    Raises:
        InputError: the file cannot be read, or lacks a column.
    """
    try:
        table = pd.read_csv(path, dtype={"arms": str})
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read as a table ({error})", where=path) from error
    missing = [name for name in OVERLAP if name not in table.columns]
    if missing:
        raise InputError(f"lacks the columns {', '.join(missing)}", where=path)
    return table[list(OVERLAP)]


def with_intervals() -> list[str]:
    """Names of the tables that have intervals."""
    return [
        name for name, columns in SCHEMAS.items() if any(key.endswith("low") for key in columns)
    ]


def estimand_rows(
    n_seeds: int, overlap: pd.DataFrame | None, over_looks: bool
) -> list[dict[str, Any]]:
    """A row for each table with intervals.

    Args:
        n_seeds: the most runs of any arm and scale.
        overlap: see `read_overlap`.
        over_looks: intervals hold over all planned looks at once.
    """
    low, high = shares(overlap)
    rows = []
    for name in with_intervals():
        of_runs = name not in ("judges", "judge_bins")
        row: dict[str, Any] = {
            "table": name,
            "speaks_of": speaks_of(name, n_seeds),
            "looks": "all planned ones at once" if over_looks and of_runs else "one look",
        }
        if of_runs and n_seeds > 1:
            row |= {"shared_least": low, "shared_most": high, "note": _shared_note(overlap)}
        rows.append(row)
    return rows


def speaks_of(table: str, n_seeds: int) -> str:
    """What the intervals of a table speak of: with one seed not of other runs."""
    about = OF_TABLE.get(table, RUNS)
    return about if n_seeds > 1 else about.replace(RUNS, THESE_RUNS)


def shares(overlap: pd.DataFrame | None) -> tuple[float, float]:
    """Smallest and largest share of their records that the subsets of two seeds have in common
    over the scales: as measured, else n / N; NaN where it is not known."""
    if overlap is None or overlap.empty:
        return np.nan, np.nan
    share = overlap["in_common"].fillna(overlap["share_of_pool"])
    share = share.where(overlap["subsets"] > 1, 1.0)
    return float(share.min()), float(share.max())


def _shared_note(overlap: pd.DataFrame | None) -> str:
    if overlap is None or overlap.empty:
        return "what the subsets of two seeds have in common is not known"
    if (overlap["subsets"] == 1).all():
        return "all seeds train on the same records: another sample of data is not spoken of"
    return "the larger the scale, the less the noise between seeds holds of the choice of data"


def sentence(
    table: str, n_seeds: int, overlap: pd.DataFrame | None = None, over_looks: bool = False
) -> str:
    """The same in one line, for a caption."""
    parts = [f"Intervals speak of {speaks_of(table, n_seeds)}"]
    low, high = shares(overlap)
    if n_seeds > 1 and table not in ("judges", "judge_bins") and np.isfinite(low):
        reach = _percent(low) if high - low < 0.005 else f"{_percent(low)} to {_percent(high)}"
        parts.append(f"two seeds share {reach} of their records")
    if over_looks:
        parts.append("they hold over all planned looks at once")
    return f"{'; '.join(parts)}."


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%" if share < 0.995 else "100%"
