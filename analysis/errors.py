"""Mistakes that the owner of a score table or of the options can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class AnalysisError(Exception):
    """Bad input to the analysis; the command line shows it without a traceback, exit code 2.

    Args:
        what: what is wrong, in one sentence.
        where: the file, or the run, category or option it is about.
        fix: how to mend it.
    """

    def __init__(
        self, what: str, *, where: str | Path | None = None, fix: str | None = None
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.fix = fix
        place = f"{self.where}: " if self.where else ""
        mend = f"\n  fix: {fix}" if fix else ""
        super().__init__(f"{place}{what}{mend}")


def unknown_option(key: str, known: Iterable[str], where: str) -> AnalysisError:
    """The error of a key that is no option, with the nearest one that is."""
    names = list(known)
    close = difflib.get_close_matches(key, names, 1)
    fix = f"did you mean {close[0]!r}?" if close else f"the options are {', '.join(names)}"
    return AnalysisError(f"unknown option {key!r}", where=where, fix=fix)
