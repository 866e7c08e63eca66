"""What a kind of figure is, and the tables that it is drawn from, read and checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.errors import InputError
from analysis.figures.layout import Page
from analysis.options import FigureOptions

PAPER_TABLE = Path(__file__).parents[1] / "paper_figure1.csv"
# Columns that hold names, also where a name looks like a number.
TEXTS = {
    **{"study": str, "judge": str, "arm": str, "category": str, "arm_a": str, "arm_b": str},
    **{"other": str, "verdict": str, "component": str, "status": str, "reason": str},
    **{"note": str, "families": str, "pool": str, "step": str, "kind": str, "origin": str},
    **{"tag": str, "value": str},
}


def read_csv(path: Path) -> pd.DataFrame:
    """A table with names kept as text and only empty cells as missing."""
    return pd.read_csv(path, dtype=TEXTS, keep_default_na=False, na_values=[""])


class NothingToDraw(Exception):
    """A figure has no data in this study; the message says why, for `index.json`."""


@dataclass(frozen=True)
class Sources:
    """The folder of CSV tables, the pools' audit files, what to show, and tables to pass over."""

    tables: Path
    options: FigureOptions
    audits: Sequence[Path] = ()
    without: Sequence[str] = ()

    def table(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """The `columns` of the table `name`.csv.

        Raises:
            NothingToDraw: the table is absent or has no rows.
            InputError: the file is not a CSV table or lacks one of the columns.
        """
        path = self.tables / f"{name}.csv"
        if name in self.without or not path.exists():
            raise NothingToDraw(f"the study has no {path.name}")
        try:
            frame = read_csv(path)
        except (pd.errors.ParserError, UnicodeDecodeError) as error:
            raise InputError(f"not a CSV table: {error}", where=path) from error
        except pd.errors.EmptyDataError as error:
            raise NothingToDraw(f"{path.name} is empty") from error
        missing = [column for column in columns if column not in frame.columns]
        if missing:
            raise InputError(
                f"lacks the columns {', '.join(missing)}",
                where=path,
                fix="write the tables again with `python -m analysis`",
            )
        if frame.empty:
            raise NothingToDraw(f"{path.name} has no rows")
        return frame[list(columns)]

    def optional(self, name: str, columns: Sequence[str]) -> pd.DataFrame | None:
        """The table, or None where it is absent or empty."""
        try:
            return self.table(name, columns)
        except NothingToDraw:
            return None


@dataclass(frozen=True)
class Kind:
    """One kind of figure.

    Attributes:
        name: the first part of its file names.
        title: what it shows.
        split: columns of which each combination of values has a figure of its own.
        prepare: the rows it is drawn from; raises NothingToDraw where a study has none.
        caption: what the rows are, in one line.
        draw: the figure of one part of the rows, as read back from its CSV file.
        intervals: the table whose intervals it shows, for the line that says of what they speak;
            empty where it shows none.
    """

    name: str
    title: str
    split: tuple[str, ...]
    prepare: Callable[[Sources], pd.DataFrame]
    caption: Callable[[pd.DataFrame], str]
    draw: Callable[[pd.DataFrame, Page], Figure]
    intervals: str = ""


def paper_points() -> pd.DataFrame:
    """The published points: columns category, scale, score.

    Read from the vector shapes of Figure 1 of arXiv 2303.14742 (error at most 0.0003).
    """
    return pd.read_csv(PAPER_TABLE)
