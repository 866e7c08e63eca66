"""Words of titles and captions: items, seeds, interval level, margins."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

FITS_NOTE = "fits weigh the noise that scales share, so they may run beside the points"


def heading(frame: pd.DataFrame, title: str) -> str:
    """The figure's title, after the study's name where the table has one."""
    study = str(frame["study"].iloc[0]) if "study" in frame.columns else ""
    return f"{study}: {title[:1].lower()}{title[1:]}" if study else title


def counted(values: Iterable[float], noun: str) -> str:
    """Such as "40 items" or "142 to 200 items"; empty if there are no values."""
    known = sorted({int(value) for value in values if value == value})
    if not known:
        return ""
    low, high = known[0], known[-1]
    if low == high:
        return f"{low:,} {noun}{'' if low == 1 else 's'}"
    return f"{low:,} to {high:,} {noun}s"


def seeds_note(n_seeds: Iterable[float]) -> str:
    """The number of seeds, with a warning where training noise cannot be seen."""
    note = counted(n_seeds, "seed")
    return f"{note} (items only; training noise unmeasured)" if note == "1 seed" else note


def interval_name(frame: pd.DataFrame) -> str:
    """Such as "90% intervals", from the column `interval` (coverage) of a figure's table."""
    levels = frame["interval"].dropna().unique() if "interval" in frame.columns else []
    return f"{100 * levels[0]:.4g}% intervals" if len(levels) else "intervals of the tables"


def margins_note(verdicts: pd.DataFrame) -> str:
    """The equivalence margins of a table with columns margin and range_margin, in words."""
    tail = " or ".join(f"{m:g}" for m in sorted(verdicts["margin"].dropna().unique()))
    whole = " or ".join(f"{m:g}" for m in sorted(verdicts["range_margin"].dropna().unique()))
    return (
        f"verdicts: corrected over the categories, margins {tail} per doubling for the tail, "
        f"{whole} for the range"
    )
